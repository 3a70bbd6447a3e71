//! Services that are another proxy's, or headless: kube-proxy leaves them alone, and so do the API server and the agent.

use serde_json::{Value, json};

use super::agent::{log_of, start, wait_for, without_proxy};
use super::cluster::{From, World, on_node};
use super::traffic::in_world;
use crate::harness::{in_new_netns, needs};

const SERVICE: &str = "/api/v1/namespaces/default/services/web";
const PROXY_NAME: &str = "service.kubernetes.io/service-proxy-name";
const HEADLESS: &str = "service.kubernetes.io/headless";

/// Gives the Service or its EndpointSlices a label, or takes it away.
fn label(world: &World, path: &str, key: &str, value: Value) {
    world.ask("PATCH", path, &json!({"metadata": {"labels": {key: value}}}));
}

fn slices() -> [String; 2] {
    ["ipv4", "ipv6"]
        .map(|kind| format!("/apis/discovery.k8s.io/v1/namespaces/default/endpointslices/web-{kind}"))
}

/// Whether a place of the packet filter leads to the Service, and to an endpoint.
fn leads(address: &str) -> (bool, bool) {
    let table = on_node("nft list table inet podhosts-services");
    let has_place = table.contains(&format!("{address} . tcp . 80 "));
    (has_place, has_place && From::Node.get("tcp", address, 80).starts_with("pod"))
}

/// Labels come and go; `settle` waits until the packet filter leads as it is said.
fn labels_decide(world: &World, address: &str, settle: impl Fn(&dyn Fn() -> bool)) {
    let leads = |has_place: bool, is_answered: bool| {
        settle(&|| leads(address) == (has_place, is_answered));
        assert_eq!(self::leads(address), (has_place, is_answered));
    };
    leads(true, true);
    for value in ["another", ""] {
        label(world, SERVICE, PROXY_NAME, value.into());
        leads(false, false);
        label(world, SERVICE, PROXY_NAME, Value::Null);
        leads(true, true);
    }
    slices().iter().for_each(|path| label(world, path, HEADLESS, "".into()));
    leads(true, false);
    slices().iter().for_each(|path| label(world, path, HEADLESS, Value::Null));
    leads(true, true);
    // This label says nothing of a Service.
    label(world, SERVICE, HEADLESS, "".into());
    leads(true, true);
}

#[test]
fn the_server_leaves_others_services_alone() {
    needs!("nft", "ip", "python3");
    in_world(1, |world| {
        let service = world.service("web", json!({}));
        world.endpoints("web", &[0]);
        labels_decide(world, &service.cluster_ips()[0], |_| world.settle());
    });
}

#[test]
fn the_agent_leaves_others_services_alone() {
    needs!("nft", "ip", "python3", "curl");
    in_new_netns(|| {
        let mut world = World::new(1);
        let service = world.service("web", json!({}));
        world.endpoints("web", &[0]);
        without_proxy(&mut world);
        let _agent = start(&world);
        labels_decide(&world, &service.cluster_ips()[0], |is_so| wait_for(is_so, || log_of(&world)));
    });
}
