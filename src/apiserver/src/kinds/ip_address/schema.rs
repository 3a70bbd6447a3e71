//! The fields of an IPAddress (`k8s.io/api/networking/v1`).

use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static IP_ADDRESS: Type = Type::new(
    "io.k8s.api.networking.v1.IPAddress",
    "One address that is in use. Its name is the address in canonical form: 192.168.1.5, 2001:db8::1.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&IP_ADDRESS_SPEC), "What the address belongs to."),
    ],
);

static IP_ADDRESS_SPEC: Type = Type::new(
    "io.k8s.api.networking.v1.IPAddressSpec",
    "What an IPAddress belongs to.",
    &[Field::new(
        1,
        "parentRef",
        Form::Object(&PARENT_REFERENCE),
        "The object that has the address. It cannot be changed.",
    )
    .required()
    .pointer()],
);

static PARENT_REFERENCE: Type = Type::new(
    "io.k8s.api.networking.v1.ParentReference",
    "The object that has an address.",
    &[
        Field::new(1, "group", Form::Text, "Its API group, empty for the core."),
        Field::new(2, "resource", Form::Text, "Its resource, such as services.").required(),
        Field::new(3, "namespace", Form::Text, "Its namespace."),
        Field::new(4, "name", Form::Text, "Its name.").required(),
    ],
);
