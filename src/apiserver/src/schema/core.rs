//! Structures of `k8s.io/api/core/v1` that more than one kind has.

use super::{Field, Form, Type};

/// `ObjectReference`.
pub(crate) static OBJECT_REFERENCE: Type = Type::new(
    "io.k8s.api.core.v1.ObjectReference",
    "Another object.",
    &[
        Field::new(1, "kind", Form::Text, "Its kind."),
        Field::new(2, "namespace", Form::Text, "Its namespace."),
        Field::new(3, "name", Form::Text, "Its name."),
        Field::new(4, "uid", Form::Text, "Its uid."),
        Field::new(5, "apiVersion", Form::Text, "Its API group and version."),
        Field::new(6, "resourceVersion", Form::Text, "Its resource version."),
        Field::new(7, "fieldPath", Form::Text, "The part of it that is meant."),
    ],
);
