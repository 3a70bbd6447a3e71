//! `k8s.io/api/core/v1`: Node and Pod, of which this server shows the network's side; other fields pass unread.

use super::super::schema::{Field, Form, Type};
use super::meta::{API_VERSION, KIND, METADATA};

pub(super) static NODE: Type = Type::new(
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

pub(super) static POD: Type = Type::new(
    "io.k8s.api.core.v1.Pod",
    "A pod on this node that podhosts-cni gave its addresses. Pods come from the container runtime and cannot be made here.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(
            2,
            "spec",
            Form::Object(&POD_SPEC),
            "What the pod consists of, as far as it is known here.",
        ),
        Field::new(3, "status", Form::Object(&POD_STATUS), "What was found out about it."),
    ],
);

static POD_SPEC: Type = Type::open(
    "io.k8s.api.core.v1.PodSpec",
    "What a pod consists of, as far as it is known here.",
    &[
        Field::new(10, "nodeName", Form::Text, "The node that it is on."),
        Field::new(11, "hostNetwork", Form::Boolean, "Whether it has the node's network."),
        Field::new(16, "hostname", Form::Text, "Its host name."),
    ],
);

static POD_STATUS: Type = Type::open(
    "io.k8s.api.core.v1.PodStatus",
    "What was found out about a pod.",
    &[
        Field::new(1, "phase", Form::Text, "Pending, Running, Succeeded, Failed or Unknown."),
        Field::new(5, "hostIP", Form::Text, "The first of hostIPs."),
        Field::new(6, "podIP", Form::Text, "The first of podIPs."),
        Field::new(
            12,
            "podIPs",
            Form::List(&Form::Object(&POD_IP)),
            "Its addresses, at most one of each family.",
        )
        .keyed("ip", &["ip"]),
        Field::new(16, "hostIPs", Form::List(&Form::Object(&HOST_IP)), "The node's addresses."),
    ],
);

static POD_IP: Type = Type::new(
    "io.k8s.api.core.v1.PodIP",
    "An address of a pod.",
    &[Field::new(1, "ip", Form::Text, "The address.").required()],
);

static HOST_IP: Type = Type::new(
    "io.k8s.api.core.v1.HostIP",
    "An address of a node.",
    &[Field::new(1, "ip", Form::Text, "The address.").required()],
);
