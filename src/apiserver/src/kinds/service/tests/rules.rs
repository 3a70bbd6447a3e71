//! Defaults, refusals and rows.

use serde_json::{Value, json};

use crate::kinds::testing::{Cluster, IPS, SERVICES};
use crate::object::Object;

fn cluster() -> Cluster {
    Cluster::new("10.96.0.0/16,2001:db8:fd00::/112")
}

/// A Service with one port and what else is given.
fn spec(more: &Value) -> Value {
    let mut spec = json!({"ports": [{"port": 80}]});
    for (key, value) in more.as_object().unwrap() {
        spec[key] = value.clone();
    }
    spec
}

#[test]
fn what_is_not_said_is_filled_in() {
    let mut cluster = cluster();
    let made =
        cluster.service("s", spec(&json!({"type": null, "unknown": 1, "clusterIP": "10.96.0.9"}))).unwrap();
    let expected = json!({
        "type": "ClusterIP", "clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9"], "ipFamilies": ["IPv4"],
        "ipFamilyPolicy": "SingleStack", "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
        "ports": [{"port": 80, "protocol": "TCP", "targetPort": 80}],
    });
    assert_eq!(*made.spec(), expected);
    assert_eq!(made.0["status"], json!({"loadBalancer": {}}));
    let affinity = json!({"sessionAffinity": "ClientIP", "externalIPs": ["192.0.2.1"]});
    let made = cluster.service("t", spec(&affinity)).unwrap();
    assert_eq!(made.spec()["sessionAffinityConfig"], json!({"clientIP": {"timeoutSeconds": 10800}}));
    assert_eq!(made.spec()["externalTrafficPolicy"], "Cluster");
    let none = json!({"spec": {"sessionAffinity": "None"}});
    assert!(cluster.patch(SERVICES, "t", &none).unwrap().spec().get("sessionAffinityConfig").is_none());
    let balancer = cluster.service("u", spec(&json!({"type": "LoadBalancer"}))).unwrap();
    assert_eq!(balancer.spec()["allocateLoadBalancerNodePorts"], true);
}

/// What is refused, with the fields and texts.
#[test]
fn faults_are_said_in_the_words_of_kubernetes() {
    let dns = "a lowercase RFC 1123 subdomain must consist";
    let qualified = "name part must consist of alphanumeric characters, '-', '_' or '.'";
    let mut cluster = cluster();
    for (more, faults) in [
        (
            json!({"ports": [{"port": 0}]}),
            vec![
                "spec.ports[0].port: Invalid value: 0: must be between 1 and 65535, inclusive",
                "spec.ports[0].targetPort: Invalid value: 0: must be between 1 and 65535, inclusive",
            ],
        ),
        (
            json!({"ports": [{"port": 80}, {"port": 81}]}),
            vec!["spec.ports[0].name: Required value", "spec.ports[1].name: Required value"],
        ),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 81, "name": "a"}]}),
            vec!["spec.ports[1].name: Duplicate value: \"a\""],
        ),
        (
            json!({"ports": [{"port": 80, "name": "A_b"}]}),
            vec!["spec.ports[0].name: Invalid value: \"A_b\": a lowercase RFC 1123 label must consist"],
        ),
        (
            json!({"ports": [{"port": 80, "name": "a"}, {"port": 80, "name": "b"}]}),
            vec![
                "spec.ports[1]: Duplicate value: {\"Name\":\"\",\"Protocol\":\"TCP\",\"AppProtocol\":null,\"Port\":80,\"TargetPort\":0,\"NodePort\":0}",
            ],
        ),
        (
            json!({"ports": [{"port": 80, "protocol": "ICMP"}]}),
            vec![
                "spec.ports[0].protocol: Unsupported value: \"ICMP\": supported values: \"SCTP\", \"TCP\", \"UDP\"",
            ],
        ),
        (
            json!({"ports": [{"port": 80, "targetPort": "HTTP_1"}]}),
            vec![
                "spec.ports[0].targetPort: Invalid value: \"HTTP_1\": must contain only alpha-numeric characters (a-z, 0-9), \
             and hyphens (-)",
                "spec.ports[0].targetPort: Invalid value: \"HTTP_1\": must contain at least one letter (a-z)",
            ],
        ),
        (
            json!({"ports": [{"port": 80, "appProtocol": "a b"}]}),
            vec!["spec.ports[0].appProtocol: Invalid value: \"a b\"", qualified],
        ),
        (
            json!({"type": "NodePort", "ports": [
                {"name": "a", "port": 80, "nodePort": 30001}, {"name": "b", "port": 80, "nodePort": 30001},
            ]}),
            vec!["spec.ports[1].nodePort: Duplicate value: 30001", "spec.ports[1]: Duplicate value: {"],
        ),
        (
            json!({"type": "Magic"}),
            vec![
                "spec.type: Unsupported value: \"Magic\": supported values: \"ClusterIP\", \"ExternalName\", \"LoadBalancer\", \
             \"NodePort\"",
            ],
        ),
        (json!({"type": "ExternalName"}), vec!["spec.externalName: Required value"]),
        (
            json!({"type": "ExternalName", "externalName": "A_b."}),
            vec!["spec.externalName: Invalid value: \"A_b\"", dns],
        ),
        (
            json!({"selector": {"a b": "c d"}}),
            vec![
                "spec.selector: Invalid value: \"a b\"",
                qualified,
                "spec.selector: Invalid value: \"c d\": a valid label must be an empty string or consist",
            ],
        ),
        (
            json!({"sessionAffinity": "Cookie"}),
            vec![
                "spec.sessionAffinity: Unsupported value: \"Cookie\": supported values: \"ClientIP\", \"None\"",
            ],
        ),
        (
            json!({"sessionAffinity": "ClientIP", "sessionAffinityConfig": {"clientIP": {"timeoutSeconds": 86401}}}),
            vec![
                "spec.sessionAffinityConfig.clientIP.timeoutSeconds: Invalid value: 86401: must be greater than 0 and less \
             than 86400",
            ],
        ),
        (
            json!({"externalIPs": ["0.0.0.0", "169.254.1.1", "ff02::1", "01.2.3.4", "x"]}),
            vec![
                "spec.externalIPs[0]: Invalid value: \"0.0.0.0\": may not be unspecified (0.0.0.0)",
                "spec.externalIPs[1]: Invalid value: \"169.254.1.1\": may not be in the link-local range (169.254.0.0/16, \
             fe80::/10)",
                "spec.externalIPs[2]: Invalid value: \"ff02::1\": may not be in the link-local multicast range (224.0.0.0/24, \
             ff02::/10)",
                "spec.externalIPs[3]: Invalid value: \"01.2.3.4\": must not have leading 0s",
                "spec.externalIPs[4]: Invalid value: \"x\": must be a valid IP address",
            ],
        ),
        (
            json!({"loadBalancerSourceRanges": ["10.0.0.0/8"]}),
            vec!["spec.LoadBalancerSourceRanges: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancerSourceRanges": [" 10.0.0.0/8 ", "foo"]}),
            vec!["spec.LoadBalancerSourceRanges[1]: Invalid value: \"foo\": must be a valid CIDR value"],
        ),
        (
            json!({"allocateLoadBalancerNodePorts": true}),
            vec![
                "spec.allocateLoadBalancerNodePorts: Forbidden: may only be used when `type` is 'LoadBalancer'",
            ],
        ),
        (
            json!({"loadBalancerClass": "a"}),
            vec!["spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'"],
        ),
        (
            json!({"type": "LoadBalancer", "loadBalancerClass": "a b"}),
            vec!["spec.loadBalancerClass: Invalid value: \"a b\"", qualified],
        ),
        (
            json!({"externalTrafficPolicy": "Local"}),
            vec![
                "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services",
            ],
        ),
        (
            json!({"type": "NodePort", "externalTrafficPolicy": "Far"}),
            vec![
                "spec.externalTrafficPolicy: Unsupported value: \"Far\": supported values: \"Cluster\", \"Local\"",
            ],
        ),
        (
            json!({"healthCheckNodePort": 30001}),
            vec![
                "spec.healthCheckNodePort: Invalid value: 30001: may only be set when `type` is 'LoadBalancer' and \
             `externalTrafficPolicy` is 'Local'",
            ],
        ),
        (
            json!({"internalTrafficPolicy": "Far"}),
            vec![
                "spec.internalTrafficPolicy: Unsupported value: \"Far\": supported values: \"Cluster\", \"Local\"",
            ],
        ),
        (
            json!({"trafficDistribution": "Far"}),
            vec![
                "spec.trafficDistribution: Unsupported value: \"Far\": supported values: \"PreferClose\", \"PreferSameZone\", \
             \"PreferSameNode\"",
            ],
        ),
        (
            json!({"clusterIP": "10.96.0.9", "clusterIPs": ["10.96.0.9", "2001:db8:fd00::9", "10.96.0.10"]}),
            vec![
                "spec.clusterIPs: Invalid value: [\"10.96.0.9\",\"2001:db8:fd00::9\",\"10.96.0.10\"]: may only hold up to 2 \
             values",
            ],
        ),
    ] {
        let error = cluster.service("s", spec(&more)).unwrap_err();
        assert_eq!((error.code, error.reason), (422, "Invalid"), "{more}");
        let mut rest = error.message.as_str();
        for fault in &faults {
            let Some(at) = rest.find(fault) else {
                panic!("{more}\n  expected {fault}\n  found    {}", error.message)
            };
            rest = &rest[at + fault.len()..];
        }
        let starting = |fault: &&&str| fault.starts_with("spec.");
        assert_eq!(
            error.details["causes"].as_array().unwrap().len(),
            faults.iter().filter(starting).count(),
            "{more}"
        );
    }
    assert_eq!(cluster.names(IPS), ["10.96.0.1"]);
}

#[test]
fn metadata_is_looked_at() {
    let mut cluster = cluster();
    let mut faults = |metadata: Value| {
        let rest = json!({"metadata": metadata, "spec": {"ports": [{"port": 80}]}});
        cluster.create(SERVICES, "s", rest).unwrap_err().message
    };
    assert!(
        faults(json!({"labels": {"a": "b c"}}))
            .contains("metadata.labels: Invalid value: \"b c\": a valid label")
    );
    assert!(
        faults(json!({"annotations": {"a b": ""}}))
            .contains("metadata.annotations: Invalid value: \"a b\": name part")
    );
    let long = json!({"annotations": {"a": "x".repeat(256 << 10)}});
    assert!(faults(long).contains("metadata.annotations: Too long: may not be more than 262144 bytes"));
    let error = faults(json!({"finalizers": ["mine"]}));
    assert!(error.contains(
        "metadata.finalizers[0]: Invalid value: \"mine\": name is neither a standard finalizer name"
    ));
    assert!(faults(json!({"generateName": "A-"})).contains("metadata.generateName: Invalid value: \"A-\""));
    assert_eq!(faults(json!({"namespace": "nowhere"})), "namespaces \"nowhere\" not found");
    let ranges =
        json!({"annotations": {"service.beta.kubernetes.io/load-balancer-source-ranges": "10.0.0.0/8, x"}});
    let error = faults(ranges);
    assert!(
        error.contains("source-ranges]: Forbidden: may only be used")
            && error.contains("Invalid value: \"x\"")
    );
}

#[test]
fn a_field_of_the_wrong_type_is_named() {
    let error = cluster().service("s", json!({"ports": [{"port": "80"}]})).unwrap_err();
    assert_eq!(error.code, 400);
    let start = "Service in version \"v1\" cannot be handled as a Service: spec.ports[0].port: ";
    assert!(error.message.starts_with(start), "{}", error.message);
}

#[test]
fn what_an_older_server_stored_may_stay() {
    let mut cluster = cluster();
    let made = cluster.service("s", spec(&json!({"externalIPs": ["192.0.2.1"]}))).unwrap();
    let mut stored: Object = made;
    stored.spec_mut().insert("externalIPs".to_owned(), json!(["192.0.2.001"]));
    cluster.store.insert(SERVICES, &mut stored);
    cluster.patch(SERVICES, "s", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    let more = json!({"spec": {"externalIPs": ["192.0.2.001", "192.0.2.002"]}});
    let error = cluster.patch(SERVICES, "s", &more).unwrap_err().message;
    assert!(
        error.ends_with("spec.externalIPs[1]: Invalid value: \"192.0.2.002\": must not have leading 0s"),
        "{error}"
    );
}

#[test]
fn rows_are_as_kubectl_has_them() {
    let mut cluster = cluster();
    let mut row = |name: &str, spec: Value| {
        cluster.service(name, spec).unwrap();
        cluster.store.now += 90;
        let cells = cluster.cells(SERVICES, name);
        cells.iter().map(|cell| cell.as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let plain = json!({
        "clusterIP": "2001:db8:fd00::9", "ports": [{"port": 80, "name": "a"}, {"port": 53, "protocol": "UDP", "name": "b"}],
        "selector": {"b": "2", "a": "1"}, "externalIPs": ["192.0.2.9", "192.0.2.1"],
    });
    let shown =
        ["plain", "ClusterIP", "2001:db8:fd00::9", "192.0.2.9,192.0.2.1", "80/TCP,53/UDP", "90s", "a=1,b=2"];
    assert_eq!(row("plain", plain), shown);
    let name = json!({"type": "ExternalName", "externalName": "example.com."});
    assert_eq!(
        row("name", name),
        ["name", "ExternalName", "<none>", "example.com.", "<none>", "90s", "<none>"]
    );
    let node =
        json!({"type": "NodePort", "ports": [{"port": 80, "nodePort": 30080}], "clusterIP": "10.96.0.7"});
    assert_eq!(
        row("node", node),
        ["node", "NodePort", "10.96.0.7", "<none>", "80:30080/TCP", "90s", "<none>"]
    );
    let headless = json!({"clusterIP": "None"});
    assert_eq!(row("less", headless), ["less", "ClusterIP", "None", "<none>", "<none>", "90s", "<none>"]);
    let balancer = json!({"type": "LoadBalancer", "ports": [{"port": 1}], "externalIPs": ["192.0.2.1"]});
    assert_eq!(row("balancer", balancer)[3], "192.0.2.1");
}

#[test]
fn a_service_that_prefers_two_families_stays_as_it_is() {
    let mut cluster = Cluster::new("10.96.0.0/28");
    let made = cluster.service("s", spec(&json!({"ipFamilyPolicy": "PreferDualStack"}))).unwrap();
    assert_eq!(made.spec()["ipFamilies"], json!(["IPv4"]));
    cluster = cluster.restart("10.96.0.0/28,2001:db8:fd00::/112");
    let labelled = cluster.patch(SERVICES, "s", &json!({"metadata": {"labels": {"a": "b"}}})).unwrap();
    assert_eq!(labelled.spec(), made.spec());
    let dual = cluster.patch(SERVICES, "s", &json!({"spec": {"ipFamilies": ["IPv4", "IPv6"]}})).unwrap();
    assert_eq!(dual.spec()["clusterIPs"].as_array().unwrap().len(), 2);
    cluster = cluster.restart("10.96.0.0/28");
    let labelled = cluster.patch(SERVICES, "s", &json!({"metadata": {"labels": {"a": "c"}}})).unwrap();
    assert_eq!(labelled.spec(), dual.spec());
}
