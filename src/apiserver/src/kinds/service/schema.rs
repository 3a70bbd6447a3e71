//! The fields of a Service (`k8s.io/api/core/v1`).

use crate::schema::meta::{API_VERSION, CONDITION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static SERVICE: Type = Type::new(
    "io.k8s.api.core.v1.Service",
    "A name and addresses for what a set of pods offers.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(
            2,
            "spec",
            Form::Object(&SERVICE_SPEC),
            "How the Service is reached, and what is behind it.",
        ),
        Field::new(3, "status", Form::Object(&SERVICE_STATUS), "What was found out about it."),
    ],
);

static SERVICE_SPEC: Type = Type::new(
    "io.k8s.api.core.v1.ServiceSpec",
    "How a Service is reached, and what is behind it.",
    &[
        Field::new(1, "ports", Form::List(&Form::Object(&SERVICE_PORT)), "The ports of the Service.")
            .keyed("port", &["port", "protocol"]),
        Field::new(
            2,
            "selector",
            Form::Texts,
            "The labels of the pods behind it. Without one, its endpoints are made by somebody else.",
        ),
        Field::new(
            3,
            "clusterIP",
            Form::Text,
            "Its first address: given out where it is left open, None for a headless Service. It cannot be changed.",
        ),
        Field::new(4, "type", Form::Text, "ClusterIP, NodePort, LoadBalancer or ExternalName."),
        Field::new(
            5,
            "externalIPs",
            Form::List(&Form::Text),
            "More addresses that lead to the node and that the Service answers on.",
        ),
        Field::new(
            7,
            "sessionAffinity",
            Form::Text,
            "ClientIP: a client stays with one pod. None: it does not.",
        ),
        Field::new(
            8,
            "loadBalancerIP",
            Form::Text,
            "The external address that is asked for. Annotations have taken its place.",
        ),
        Field::new(
            9,
            "loadBalancerSourceRanges",
            Form::List(&Form::Text),
            "Who may use the external address.",
        ),
        Field::new(
            10,
            "externalName",
            Form::Text,
            "The name that the Service stands for, with type ExternalName.",
        ),
        Field::new(
            11,
            "externalTrafficPolicy",
            Form::Text,
            "Cluster, or Local: connections from outside stay on the node that they reach.",
        ),
        Field::new(
            12,
            "healthCheckNodePort",
            Form::Int32,
            "The port on which a load balancer asks for health, with externalTrafficPolicy Local.",
        ),
        Field::new(
            13,
            "publishNotReadyAddresses",
            Form::Boolean,
            "Whether pods that are not ready count as well.",
        ),
        Field::new(
            14,
            "sessionAffinityConfig",
            Form::Object(&SESSION_AFFINITY_CONFIG),
            "How long a client stays with a pod.",
        )
        .pointer(),
        Field::new(
            19,
            "ipFamilies",
            Form::List(&Form::Text),
            "IPv4, IPv6 or both, in the order of clusterIPs. The second can be added and removed.",
        ),
        Field::new(17, "ipFamilyPolicy", Form::Text, "SingleStack, PreferDualStack or RequireDualStack.")
            .pointer(),
        Field::new(
            18,
            "clusterIPs",
            Form::List(&Form::Text),
            "The addresses of the Service, at most one of each family; the first is clusterIP.",
        ),
        Field::new(
            20,
            "allocateLoadBalancerNodePorts",
            Form::Boolean,
            "Whether a LoadBalancer gets node ports, true where it is left open.",
        )
        .pointer(),
        Field::new(21, "loadBalancerClass", Form::Text, "Which load balancer is meant.").pointer(),
        Field::new(
            22,
            "internalTrafficPolicy",
            Form::Text,
            "Cluster, or Local: connections from pods stay on their node.",
        )
        .pointer(),
        Field::new(23, "trafficDistribution", Form::Text, "Which endpoints are preferred.").pointer(),
    ],
);

static SERVICE_PORT: Type = Type::new(
    "io.k8s.api.core.v1.ServicePort",
    "One port of a Service.",
    &[
        Field::new(1, "name", Form::Text, "Its name; every port needs one where there are several."),
        Field::new(2, "protocol", Form::Text, "TCP, UDP or SCTP."),
        Field::new(6, "appProtocol", Form::Text, "What is spoken on it.").pointer(),
        Field::new(3, "port", Form::Int32, "Its number.").required(),
        Field::new(
            4,
            "targetPort",
            Form::IntOrString,
            "The number or name of the pods' port; port where it is left open.",
        ),
        Field::new(
            5,
            "nodePort",
            Form::Int32,
            "The port of the node that leads here, given out where it is left open.",
        ),
    ],
);

static SESSION_AFFINITY_CONFIG: Type = Type::new(
    "io.k8s.api.core.v1.SessionAffinityConfig",
    "How a client stays with a pod.",
    &[Field::new(1, "clientIP", Form::Object(&CLIENT_IP_CONFIG), "By the client's address.").pointer()],
);

static CLIENT_IP_CONFIG: Type = Type::new(
    "io.k8s.api.core.v1.ClientIPConfig",
    "How a client stays with a pod, by its address.",
    &[Field::new(
        1,
        "timeoutSeconds",
        Form::Int32,
        "For how many seconds, 1 to 86400; 10800 where it is left open.",
    )
    .pointer()],
);

static SERVICE_STATUS: Type = Type::new(
    "io.k8s.api.core.v1.ServiceStatus",
    "What was found out about a Service.",
    &[
        Field::new(1, "loadBalancer", Form::Object(&LOAD_BALANCER_STATUS), "The external addresses."),
        Field::new(2, "conditions", Form::List(&Form::Object(&CONDITION)), "Its state.")
            .keyed("type", &["type"]),
    ],
);

static LOAD_BALANCER_STATUS: Type = Type::new(
    "io.k8s.api.core.v1.LoadBalancerStatus",
    "The external addresses of a Service.",
    &[Field::new(1, "ingress", Form::List(&Form::Object(&LOAD_BALANCER_INGRESS)), "One entry for each.")],
);

static LOAD_BALANCER_INGRESS: Type = Type::new(
    "io.k8s.api.core.v1.LoadBalancerIngress",
    "One external address.",
    &[
        Field::new(1, "ip", Form::Text, "The address."),
        Field::new(2, "hostname", Form::Text, "Its name, where it is known by one."),
        Field::new(3, "ipMode", Form::Text, "VIP or Proxy.").pointer(),
        Field::new(4, "ports", Form::List(&Form::Object(&PORT_STATUS)), "Its ports."),
    ],
);

static PORT_STATUS: Type = Type::new(
    "io.k8s.api.core.v1.PortStatus",
    "A port of an external address.",
    &[
        Field::new(1, "port", Form::Int32, "Its number.").required(),
        Field::new(2, "protocol", Form::Text, "TCP, UDP or SCTP.").required(),
        Field::new(3, "error", Form::Text, "What is wrong with it.").pointer(),
    ],
);
