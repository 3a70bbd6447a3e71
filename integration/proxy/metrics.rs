//! What the proxy counts.

use serde_json::{Value, json};

use super::cluster::on_node;
use super::traffic::in_world;
use crate::harness::needs;

const PROGRAMMING: &str = "kubeproxy_network_programming_duration_seconds";

#[test]
fn the_time_from_a_change_of_endpoints_to_its_rules_is_counted_once() {
    needs!("nft", "ip");
    in_world(1, |world| {
        let count = || world.metric(&format!("{PROGRAMMING}_count"));
        let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices";
        world.service("web", json!({}));
        let slice = |name: &str, annotations: Value| {
            let slice = json!({
                "metadata": {"name": name, "labels": {"kubernetes.io/service-name": "web"}, "annotations": annotations},
                "addressType": "IPv4", "ports": [{"name": "tcp", "port": 8080}],
                "endpoints": [{"addresses": [world.pods[0].addresses[0]]}],
            });
            world.ask("POST", slices, &slice);
            world.settle();
        };
        let triggered = |time: &str| json!({"endpoints.kubernetes.io/last-change-trigger-time": time});
        let before = count();
        slice("without", json!({}));
        // Of a time before the start nobody knows what it waited for.
        slice("old", triggered("2026-01-01T00:00:00Z"));
        assert_eq!(count(), before);
        let now = on_node("date -u +%Y-%m-%dT%H:%M:%S.%NZ");
        slice("new", triggered(now.trim()));
        assert_eq!(count(), before + 1.0);
        let taken = world.metric(&format!("{PROGRAMMING}_sum"));
        assert!(taken > 0.0, "{taken}");
        assert_eq!(world.metric(&format!("{PROGRAMMING}_bucket{{le=\"+Inf\"}}")), before + 1.0);
        // A change of something else is none of it.
        world.service("other", json!({}));
        world.settle();
        assert_eq!(count(), before + 1.0);
    });
}
