//! The fields of Endpoints (`k8s.io/api/core/v1`).

use crate::schema::core::OBJECT_REFERENCE;
use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static ENDPOINTS: Type = Type::new(
    "io.k8s.api.core.v1.Endpoints",
    "Where connections to a Service go, in one object. EndpointSlices replace it.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(
            2,
            "subsets",
            Form::List(&Form::Object(&ENDPOINT_SUBSET)),
            "The endpoints: each address of a subset with each of its ports.",
        ),
    ],
);

static ENDPOINT_SUBSET: Type = Type::new(
    "io.k8s.api.core.v1.EndpointSubset",
    "Addresses that have the same ports.",
    &[
        Field::new(
            1,
            "addresses",
            Form::List(&Form::Object(&ENDPOINT_ADDRESS)),
            "The addresses that take connections.",
        ),
        Field::new(
            2,
            "notReadyAddresses",
            Form::List(&Form::Object(&ENDPOINT_ADDRESS)),
            "The addresses that take none now.",
        ),
        Field::new(3, "ports", Form::List(&Form::Object(&ENDPOINT_PORT)), "The ports of each address."),
    ],
);

static ENDPOINT_ADDRESS: Type = Type::new(
    "io.k8s.api.core.v1.EndpointAddress",
    "One address.",
    &[
        Field::new(1, "ip", Form::Text, "The address, IPv4 or IPv6.").required(),
        Field::new(3, "hostname", Form::Text, "Its host name."),
        Field::new(4, "nodeName", Form::Text, "The node that it is on.").pointer(),
        Field::new(2, "targetRef", Form::Object(&OBJECT_REFERENCE), "The object behind it.").pointer(),
    ],
);

static ENDPOINT_PORT: Type = Type::new(
    "io.k8s.api.core.v1.EndpointPort",
    "One port.",
    &[
        Field::new(1, "name", Form::Text, "Its name, that of the Service's port."),
        Field::new(2, "port", Form::Int32, "Its number.").required(),
        Field::new(3, "protocol", Form::Text, "TCP, UDP or SCTP."),
        Field::new(4, "appProtocol", Form::Text, "What is spoken on it.").pointer(),
    ],
);
