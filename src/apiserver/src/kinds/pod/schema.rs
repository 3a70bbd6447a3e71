//! The fields of a Pod that are served (`k8s.io/api/core/v1`).

use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static POD: Type = Type::new(
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
