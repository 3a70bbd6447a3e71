//! The fields of a Node that are served (`k8s.io/api/core/v1`).

use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static NODE: Type = Type::new(
    "io.k8s.api.core.v1.Node",
    "The machine that this server runs on.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&NODE_SPEC), "What the node is given."),
        Field::new(3, "status", Form::Object(&NODE_STATUS), "What the node is."),
    ],
);

static NODE_SPEC: Type = Type::open(
    "io.k8s.api.core.v1.NodeSpec",
    "What a node is given.",
    &[
        Field::new(1, "podCIDR", Form::Text, "The first of podCIDRs."),
        Field::new(
            7,
            "podCIDRs",
            Form::List(&Form::Text),
            "The blocks that the node's pods get their addresses from.",
        )
        .set(),
        Field::new(3, "providerID", Form::Text, "What a cloud calls the node."),
        Field::new(4, "unschedulable", Form::Boolean, "Whether no more pods should come here."),
    ],
);

static NODE_STATUS: Type = Type::open(
    "io.k8s.api.core.v1.NodeStatus",
    "What a node is.",
    &[
        Field::new(1, "capacity", Form::Quantities, "What the node has."),
        Field::new(2, "allocatable", Form::Quantities, "What of it is for pods."),
        Field::new(3, "phase", Form::Text, "No longer in use."),
        Field::new(4, "conditions", Form::List(&Form::Object(&NODE_CONDITION)), "Its state.")
            .keyed("type", &["type"]),
        Field::new(5, "addresses", Form::List(&Form::Object(&NODE_ADDRESS)), "Its addresses and names.")
            .keyed("type", &["type"]),
        Field::new(7, "nodeInfo", Form::Any, "What runs on it: kernel, system, versions."),
    ],
);

static NODE_CONDITION: Type = Type::new(
    "io.k8s.api.core.v1.NodeCondition",
    "One aspect of a node's state.",
    &[
        Field::new(1, "type", Form::Text, "Which aspect.").required(),
        Field::new(2, "status", Form::Text, "True, False or Unknown.").required(),
        Field::new(3, "lastHeartbeatTime", Form::Time, "When the node last told it."),
        Field::new(4, "lastTransitionTime", Form::Time, "When the status last changed."),
        Field::new(5, "reason", Form::Text, "Why, in one word."),
        Field::new(6, "message", Form::Text, "Why, for people."),
    ],
);

static NODE_ADDRESS: Type = Type::new(
    "io.k8s.api.core.v1.NodeAddress",
    "An address or name of a node.",
    &[
        Field::new(1, "type", Form::Text, "InternalIP, ExternalIP, Hostname.").required(),
        Field::new(2, "address", Form::Text, "The address or name.").required(),
    ],
);
