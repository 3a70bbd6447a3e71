//! `k8s.io/api/networking/v1`.

use super::super::schema::{Field, Form, Type};
use super::meta::{API_VERSION, CONDITION, KIND, METADATA};

pub(super) static SERVICE_CIDR: Type = Type::new(
    "io.k8s.api.networking.v1.ServiceCIDR",
    "Address blocks from which Services get their cluster IPs.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&SERVICE_CIDR_SPEC), "The blocks."),
        Field::new(
            3,
            "status",
            Form::Object(&SERVICE_CIDR_STATUS),
            "Whether addresses are given out of them.",
        ),
    ],
);

static SERVICE_CIDR_SPEC: Type = Type::new(
    "io.k8s.api.networking.v1.ServiceCIDRSpec",
    "The blocks of a ServiceCIDR.",
    &[Field::new(
        1,
        "cidrs",
        Form::List(&Form::Text),
        "One or two blocks, such as 192.168.0.0/24 or 2001:db8::/64, at most one of each IP family. They cannot be changed, \
         but a second one can be added.",
    )],
);

static SERVICE_CIDR_STATUS: Type = Type::new(
    "io.k8s.api.networking.v1.ServiceCIDRStatus",
    "Whether a ServiceCIDR is in use.",
    &[Field::new(
        1,
        "conditions",
        Form::List(&Form::Object(&CONDITION)),
        "Ready is True while addresses are given out of the blocks. Otherwise its message says what keeps them from it.",
    )
    .keyed("type", &["type"])],
);

pub(super) static IP_ADDRESS: Type = Type::new(
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
    .required()],
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
