//! Hints of endpoints: for nodes and for zones.

use serde_json::{Value, json};

use super::cluster::{From, World};
use super::traffic::{counts, in_world};
use crate::harness::{in_new_netns, needs};

#[test]
fn hints_lead_to_the_endpoints_that_are_for_this_node() {
    needs!("nft", "ip", "python3");
    in_world(3, |world| {
        let service = world.service("web", json!({}));
        let hint = |name: &str| json!({"forNodes": [{"name": name}], "forZones": [{"name": "a"}]});
        world.endpoints_with("web", &[0, 1], |pod, endpoint| {
            endpoint["hints"] = hint(["other", "node1"][pod]);
        });
        for family in [0, 1] {
            let client = From::In(&world.pods[2].netns);
            let answers = client.answers("tcp", &service.cluster_ips()[family], 80, 50, "20");
            assert_eq!(counts(&answers).keys().collect::<Vec<_>>(), [&"pod1"]);
        }
        // An endpoint without hints: hints count for nothing.
        world.endpoints_with("web", &[0, 1], |pod, endpoint| {
            if pod == 1 {
                endpoint["hints"] = hint("node1");
            }
        });
        let answers = From::In(&world.pods[2].netns).answers("tcp", &service.cluster_ips()[0], 80, 50, "20");
        assert_eq!(counts(&answers).len(), 2);
    });
}

/// The pods that answer in a family.
fn answering(world: &World, service: &super::cluster::Service, family: usize) -> Vec<String> {
    let client = From::In(&world.pods[2].netns);
    let answers = client.answers("tcp", &service.cluster_ips()[family], 80, 50, "20");
    counts(&answers).keys().map(ToString::to_string).collect()
}

#[test]
fn a_node_with_a_zone_prefers_the_endpoints_for_its_zone() {
    needs!("nft", "ip", "python3");
    in_new_netns(|| {
        let world = World::with_flags(3, &["--node-labels=topology.kubernetes.io/zone=a,rack=r1"]);
        let node = world.ask("GET", "/api/v1/nodes/node1", &Value::Null);
        assert_eq!(node["metadata"]["labels"]["topology.kubernetes.io/zone"], "a");
        assert_eq!(node["metadata"]["labels"]["rack"], "r1");
        let service = world.service("web", json!({}));
        let zones = |zones: [&'static str; 2]| {
            world.endpoints_with("web", &[0, 1], |pod, endpoint| {
                endpoint["hints"] = json!({"forZones": [{"name": zones[pod]}]});
            });
        };
        for family in [0, 1] {
            zones(["a", "b"]);
            assert_eq!(answering(&world, &service, family), ["pod0"]);
            zones(["b", "a"]);
            assert_eq!(answering(&world, &service, family), ["pod1"]);
            // None is for this zone: all are better than none.
            zones(["b", "c"]);
            assert_eq!(answering(&world, &service, family), ["pod0", "pod1"]);
        }
    });
}
