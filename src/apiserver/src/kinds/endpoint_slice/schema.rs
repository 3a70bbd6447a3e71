//! `k8s.io/api/discovery/v1`.

use crate::schema::core::OBJECT_REFERENCE;
use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static ENDPOINT_SLICE: Type = Type::new(
    "io.k8s.api.discovery.v1.EndpointSlice",
    "Where connections to a Service go.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(4, "addressType", Form::Text, "IPv4, IPv6 or FQDN. It cannot be changed.").required(),
        Field::new(2, "endpoints", Form::List(&Form::Object(&ENDPOINT)), "At most 1000 endpoints.")
            .required(),
        Field::new(3, "ports", Form::List(&Form::Object(&ENDPOINT_PORT)), "The ports of each endpoint."),
    ],
);

static ENDPOINT: Type = Type::new(
    "io.k8s.api.discovery.v1.Endpoint",
    "One endpoint.",
    &[
        Field::new(1, "addresses", Form::List(&Form::Text), "Its addresses; the first is used.").required(),
        Field::new(2, "conditions", Form::Object(&ENDPOINT_CONDITIONS), "Its state."),
        Field::new(3, "hostname", Form::Text, "Its host name.").pointer(),
        Field::new(
            4,
            "targetRef",
            Form::Object(&OBJECT_REFERENCE),
            "The object that it stands for, such as a Pod.",
        )
        .pointer(),
        Field::new(5, "deprecatedTopology", Form::Texts, "No longer in use."),
        Field::new(6, "nodeName", Form::Text, "The node that it is on.").pointer(),
        Field::new(7, "zone", Form::Text, "The zone that it is in.").pointer(),
        Field::new(8, "hints", Form::Object(&ENDPOINT_HINTS), "From where it should be used.").pointer(),
    ],
);

static ENDPOINT_HINTS: Type = Type::new(
    "io.k8s.api.discovery.v1.EndpointHints",
    "From where an endpoint should be used.",
    &[
        Field::new(1, "forZones", Form::List(&Form::Object(&FOR_ZONE)), "From these zones, 8 at most."),
        Field::new(2, "forNodes", Form::List(&Form::Object(&FOR_NODE)), "From these nodes, 8 at most."),
    ],
);

static FOR_ZONE: Type = Type::new(
    "io.k8s.api.discovery.v1.ForZone",
    "A zone.",
    &[Field::new(1, "name", Form::Text, "Its name.").required()],
);

static FOR_NODE: Type = Type::new(
    "io.k8s.api.discovery.v1.ForNode",
    "A node.",
    &[Field::new(1, "name", Form::Text, "Its name.").required()],
);

static ENDPOINT_CONDITIONS: Type = Type::new(
    "io.k8s.api.discovery.v1.EndpointConditions",
    "The state of an endpoint.",
    &[
        Field::new(1, "ready", Form::Boolean, "Whether it takes connections.").pointer(),
        Field::new(2, "serving", Form::Boolean, "The same, also while it ends.").pointer(),
        Field::new(3, "terminating", Form::Boolean, "Whether it ends.").pointer(),
    ],
);

static ENDPOINT_PORT: Type = Type::new(
    "io.k8s.api.discovery.v1.EndpointPort",
    "One port.",
    &[
        Field::new(1, "name", Form::Text, "Its name, unique in the slice.").pointer(),
        Field::new(2, "protocol", Form::Text, "TCP, UDP or SCTP.").pointer(),
        Field::new(3, "port", Form::Int32, "Its number.").pointer(),
        Field::new(4, "appProtocol", Form::Text, "What is spoken on it.").pointer(),
    ],
);
