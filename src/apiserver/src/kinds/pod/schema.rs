//! The fields of a Pod that are served (`k8s.io/api/core/v1`).

use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static POD: Type = Type::new(
    "io.k8s.api.core.v1.Pod",
    "A pod on this node, as the container runtime and podhosts-cni tell of it. Pods cannot be made here.",
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
        Field::new(
            2,
            "containers",
            Form::List(&Form::Object(&CONTAINER)),
            "Its containers, in the order in which they were first made.",
        )
        .keyed("name", &["name"])
        .required(),
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
        Field::new(2, "conditions", Form::List(&Form::Object(&POD_CONDITION)), "How far it is.")
            .keyed("type", &["type"]),
        Field::new(5, "hostIP", Form::Text, "The first of hostIPs."),
        Field::new(6, "podIP", Form::Text, "The first of podIPs."),
        Field::new(7, "startTime", Form::Time, "When its sandbox was made."),
        Field::new(
            8,
            "containerStatuses",
            Form::List(&Form::Object(&CONTAINER_STATUS)),
            "The last attempt of each container.",
        ),
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

static CONTAINER: Type = Type::open(
    "io.k8s.api.core.v1.Container",
    "A container of a pod.",
    &[
        Field::new(1, "name", Form::Text, "Its name, unique in the pod.").required(),
        Field::new(2, "image", Form::Text, "What it was made of."),
        Field::new(
            6,
            "ports",
            Form::List(&Form::Object(&CONTAINER_PORT)),
            "The ports of the annotation io.kubernetes.container.ports.",
        )
        .keyed("containerPort", &["containerPort", "protocol"]),
    ],
);

static CONTAINER_PORT: Type = Type::new(
    "io.k8s.api.core.v1.ContainerPort",
    "A port on which a container listens.",
    &[
        Field::new(1, "name", Form::Text, "Its name, for the targetPort of Services."),
        Field::new(2, "hostPort", Form::Int32, "The port of the node that leads here."),
        Field::new(3, "containerPort", Form::Int32, "The port.").required(),
        Field::new(4, "protocol", Form::Text, "TCP, UDP or SCTP."),
        Field::new(5, "hostIP", Form::Text, "The address of the node that leads here."),
    ],
);

static POD_CONDITION: Type = Type::open(
    "io.k8s.api.core.v1.PodCondition",
    "One aspect of how far a pod is.",
    &[
        Field::new(1, "type", Form::Text, "Which aspect.").required(),
        Field::new(2, "status", Form::Text, "True, False or Unknown.").required(),
        Field::new(4, "lastTransitionTime", Form::Time, "When the status last changed."),
        Field::new(5, "reason", Form::Text, "Why, in one word."),
        Field::new(6, "message", Form::Text, "Why, for people."),
    ],
);

static CONTAINER_STATUS: Type = Type::open(
    "io.k8s.api.core.v1.ContainerStatus",
    "How far a container is.",
    &[
        Field::new(1, "name", Form::Text, "Its name.").required(),
        Field::new(2, "state", Form::Any, "Whether it waits, runs or has ended."),
        Field::new(3, "lastState", Form::Any, "How its attempt before this one ended."),
        Field::new(4, "ready", Form::Boolean, "Whether it runs. The engine knows of no probes.").required(),
        Field::new(5, "restartCount", Form::Int32, "How often it was started again.").required(),
        Field::new(6, "image", Form::Text, "What it was made of.").required(),
        Field::new(7, "imageID", Form::Text, "The digest or id of the image.").required(),
        Field::new(8, "containerID", Form::Text, "The engine, and its id of the container."),
        Field::new(9, "started", Form::Boolean, "Whether it runs."),
    ],
);
