//! The fields of a ServiceCIDR (`k8s.io/api/networking/v1`).

use crate::schema::meta::{API_VERSION, CONDITION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static SERVICE_CIDR: Type = Type::new(
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
