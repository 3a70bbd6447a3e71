//! The fields of a Namespace (`k8s.io/api/core/v1`).

use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static NAMESPACE: Type = Type::new(
    "io.k8s.api.core.v1.Namespace",
    "A scope for names.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&NAMESPACE_SPEC), "What keeps it."),
        Field::new(3, "status", Form::Object(&NAMESPACE_STATUS), "Whether it is in use."),
    ],
);

static NAMESPACE_SPEC: Type = Type::new(
    "io.k8s.api.core.v1.NamespaceSpec",
    "What keeps a Namespace.",
    &[Field::new(1, "finalizers", Form::List(&Form::Text), "Who has work to do before it may go.")],
);

static NAMESPACE_STATUS: Type = Type::new(
    "io.k8s.api.core.v1.NamespaceStatus",
    "Whether a Namespace is in use.",
    &[
        Field::new(1, "phase", Form::Text, "Active or Terminating."),
        Field::new(2, "conditions", Form::List(&Form::Object(&NAMESPACE_CONDITION)), "What keeps it.")
            .keyed("type", &["type"]),
    ],
);

static NAMESPACE_CONDITION: Type = Type::new(
    "io.k8s.api.core.v1.NamespaceCondition",
    "One aspect of a Namespace's state.",
    &[
        Field::new(1, "type", Form::Text, "Which aspect.").required(),
        Field::new(2, "status", Form::Text, "True, False or Unknown.").required(),
        Field::new(4, "lastTransitionTime", Form::Time, "When the status last changed."),
        Field::new(5, "reason", Form::Text, "Why, in one word."),
        Field::new(6, "message", Form::Text, "Why, for people."),
    ],
);
