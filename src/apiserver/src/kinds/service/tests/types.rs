//! Changes of a Service's type: what the server filled in goes when its reason goes.
//!
//! The rules are `dropTypeDependentFields` of `pkg/registry/core/service/strategy.go`, and
//! `validateServiceExternalTrafficFieldsUpdate` of `pkg/apis/core/validation/validation.go`.

use serde_json::{Map, Value, json};

use crate::kinds::testing::{Cluster, SERVICES};

/// What a user writes, by a name for messages.
fn manifests() -> [(&'static str, Value); 7] {
    [
        ("cluster", json!({"type": "ClusterIP"})),
        ("external", json!({"type": "ClusterIP", "externalIPs": ["192.0.2.1"]})),
        ("node", json!({"type": "NodePort"})),
        ("balancer", json!({"type": "LoadBalancer"})),
        ("local", json!({"type": "LoadBalancer", "externalTrafficPolicy": "Local"})),
        ("class", json!({"type": "LoadBalancer", "loadBalancerClass": "example.com/a"})),
        ("name", json!({"type": "ExternalName", "externalName": "example.com"})),
    ]
}

fn with_ports(manifest: &Value) -> Value {
    let mut manifest = manifest.clone();
    manifest["ports"] = json!([{"port": 80}]);
    manifest
}

/// A merge patch of a spec: the fields of `to`, and nothing for those of `from` that it does not have.
fn patch<'a>(from: impl Iterator<Item = &'a String>, to: &Value) -> Value {
    let mut spec: Map<String, Value> = from.map(|key| (key.clone(), Value::Null)).collect();
    spec.extend(to.as_object().unwrap().clone());
    json!({"spec": spec})
}

/// What is wrong in the spec of a Service.
fn faults(spec: &Value) -> Vec<String> {
    let (kind, has) = (spec["type"].as_str().unwrap(), |key: &str| spec.get(key).is_some());
    let (is_balancer, is_name) = (kind == "LoadBalancer", kind == "ExternalName");
    let has_node_port = spec["ports"][0].get("nodePort").is_some();
    let needs_node_port = is_balancer || kind == "NodePort";
    let is_accessible = needs_node_port || kind == "ClusterIP" && has("externalIPs");
    let table = [
        ("nodePort", has_node_port, needs_node_port),
        ("externalTrafficPolicy", has("externalTrafficPolicy"), is_accessible),
        (
            "healthCheckNodePort",
            has("healthCheckNodePort"),
            is_balancer && spec["externalTrafficPolicy"] == "Local",
        ),
        ("allocateLoadBalancerNodePorts", has("allocateLoadBalancerNodePorts"), is_balancer),
        ("loadBalancerClass", has("loadBalancerClass"), has("loadBalancerClass") && is_balancer),
        ("clusterIP", has("clusterIP"), !is_name),
        ("clusterIPs", has("clusterIPs"), !is_name),
        ("ipFamilies", has("ipFamilies"), !is_name),
        ("ipFamilyPolicy", has("ipFamilyPolicy"), !is_name),
    ];
    let wrong = table.into_iter().filter(|(_, found, expected)| found != expected);
    wrong.map(|(field, found, _)| format!("{field}: {found}")).collect()
}

#[test]
fn what_was_filled_in_goes_with_its_reason() {
    let mut differences = Vec::new();
    for (from, old) in manifests() {
        for (to, new) in manifests() {
            // Like upstream, a load balancer's class cannot change.
            let is_class = |name| name == "class";
            if is_class(from) != is_class(to) && old["type"] == new["type"] {
                continue;
            }
            for way in ["apply", "patch", "replace"] {
                let mut cluster = Cluster::new("10.96.0.0/24");
                let made = cluster.service("s", with_ports(&old)).unwrap();
                let change = match way {
                    "apply" => patch(old.as_object().unwrap().keys(), &new),
                    "patch" => patch(std::iter::empty(), &new),
                    _ => patch(made.spec().as_object().unwrap().keys(), &with_ports(&new)),
                };
                let told = match cluster.patch(SERVICES, "s", &change) {
                    Ok(changed) => faults(changed.spec()),
                    Err(error) => vec![error.message],
                };
                differences.extend(told.iter().map(|fault| format!("{way} {from} -> {to}: {fault}")));
            }
        }
    }
    assert!(differences.is_empty(), "{}", differences.join("\n"));
}

/// A field that the user changes along with the type is refused, not ignored.
#[test]
fn what_was_changed_along_is_refused() {
    let policy = "spec.externalTrafficPolicy: Invalid value: \"Local\": may only be set for externally-accessible services";
    let class = "spec.loadBalancerClass: Forbidden: may only be used when `type` is 'LoadBalancer'";
    for (from, change, expected) in [
        ("external", json!({"externalIPs": null, "externalTrafficPolicy": "Local"}), policy),
        ("node", json!({"type": "ClusterIP", "externalTrafficPolicy": "Local"}), policy),
        ("class", json!({"type": "ClusterIP", "loadBalancerClass": "example.com/b"}), class),
    ] {
        let mut cluster = Cluster::new("10.96.0.0/24");
        let (_, manifest) = manifests().into_iter().find(|(name, _)| *name == from).unwrap();
        cluster.service("s", with_ports(&manifest)).unwrap();
        let error = cluster.patch(SERVICES, "s", &json!({"spec": change})).unwrap_err();
        assert_eq!((error.code, error.message), (422, format!("Service \"s\" is invalid: {expected}")));
    }
}

#[test]
fn the_port_of_health_checks_stays() {
    let mut cluster = Cluster::new("10.96.0.0/24");
    let (_, manifest) = manifests().into_iter().find(|(name, _)| *name == "local").unwrap();
    let made = cluster.service("s", with_ports(&manifest)).unwrap();
    let own = made.spec()["healthCheckNodePort"].clone();
    for other in [json!(30000), json!(32766)] {
        let change = json!({"spec": {"healthCheckNodePort": other}});
        let error = cluster.patch(SERVICES, "s", &change).unwrap_err();
        let expected = "Service \"s\" is invalid: spec.healthCheckNodePort: Forbidden: field is immutable";
        assert_eq!((error.code, error.message.as_str()), (422, expected));
        assert_eq!(error.details["causes"][0]["reason"], "FieldValueForbidden");
    }
    // Neither null nor the present value changes it.
    for same in [json!(null), own.clone()] {
        let change = json!({"spec": {"healthCheckNodePort": same}});
        assert_eq!(cluster.patch(SERVICES, "s", &change).unwrap().spec()["healthCheckNodePort"], own);
    }
    // After another policy or type the port is assigned anew.
    let cluster_wide = json!({"spec": {"externalTrafficPolicy": "Cluster"}});
    assert!(cluster.patch(SERVICES, "s", &cluster_wide).unwrap().spec().get("healthCheckNodePort").is_none());
    let local = json!({"spec": {"externalTrafficPolicy": "Local", "healthCheckNodePort": 30000}});
    assert_eq!(cluster.patch(SERVICES, "s", &local).unwrap().spec()["healthCheckNodePort"], 30000);
}
