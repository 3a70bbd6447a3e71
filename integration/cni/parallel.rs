//! Many calls at a time: no error, no address that two pods have, nothing left.

use std::collections::BTreeSet;
use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses, error_of, routed};
use crate::harness::needs;

/// How many calls there are at a time.
const MANY: usize = 64;

fn pods(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c{n}")).collect()
}

/// A node with the namespaces of `pods`.
fn node_with(pods: &[String]) -> CniNode {
    let node = CniNode::new();
    node.sh(&format!("for pod in {}; do ip netns add $pod; done", pods.join(" ")));
    node
}

fn masqueraded() -> Value {
    let mut config = routed();
    config["ipMasq"] = true.into();
    config
}

fn on_a_bridge() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": "bridge", "bridge": "br0",
        "isDefaultGateway": true, "ipMasq": true,
        "ipam": {"podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]}})
}

fn addresses_only() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "ipam": {"type": "podhosts-cni", "podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]}})
}

/// Calls `work` for each pod, all at a time.
fn all_at_once<T: Send>(pods: &[String], work: impl Fn(&str) -> T + Sync) -> Vec<T> {
    thread::scope(|scope| {
        let calls: Vec<_> = pods.iter().map(|pod| scope.spawn(|| work(pod))).collect();
        calls.into_iter().map(|call| call.join().unwrap()).collect()
    })
}

/// ADD of all pods at a time, then DEL of all pods at a time.
fn many_come_and_go(config: &Value) {
    let pods = pods(MANY);
    let node = node_with(&pods);
    // What a bridge needs stays with it.
    node.add("c0", config);
    node.del("c0", config);
    let before = node.traces();
    let results = all_at_once(&pods, |pod| node.add(pod, config));
    let all: Vec<String> = results.iter().flat_map(addresses).collect();
    assert_eq!(all.len(), 2 * MANY);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len(), "{all:?}");
    for (pod, result) in pods.iter().zip(&results) {
        let mut config = config.clone();
        config["prevResult"] = result.clone();
        // Of an ipam plugin alone there is no interface.
        if config["type"] == "podhosts-cni" {
            node.call(&Call::new("CHECK", pod, &config)).success();
        }
    }
    all_at_once(&pods, |pod| node.del(pod, config));
    assert_eq!(node.traces(), before);
}

#[test]
fn sixty_four_routed_pods_come_and_go_at_once() {
    needs!("ip", "nft");
    many_come_and_go(&masqueraded());
}

#[test]
fn sixty_four_pods_on_a_bridge_come_and_go_at_once() {
    needs!("ip", "nft");
    many_come_and_go(&on_a_bridge());
}

#[test]
fn sixty_four_addresses_come_and_go_at_once() {
    needs!("ip", "nft");
    many_come_and_go(&addresses_only());
}

#[test]
fn the_first_pods_of_a_node_may_all_be_the_first() {
    needs!("ip", "nft");
    // Bridge, database, directories and tables of the packet filter: everybody finds nothing and makes them.
    for config in [masqueraded(), on_a_bridge(), addresses_only()] {
        let pods = pods(12);
        let node = node_with(&pods);
        let results = all_at_once(&pods, |pod| node.add(pod, &config));
        let all: BTreeSet<String> = results.iter().flat_map(addresses).collect();
        assert_eq!(all.len(), 24);
        all_at_once(&pods, |pod| node.del(pod, &config));
    }
}

#[test]
fn a_range_of_thirteen_serves_thirteen_of_sixty_four() {
    needs!("ip", "nft");
    let pods = pods(MANY);
    let node = node_with(&[]);
    let mut config = addresses_only();
    config["ipam"]["podCIDRs"] = json!(["10.244.1.0/28", "2001:db8:1::/64"]);
    let runs = all_at_once(&pods, |pod| node.call(&Call::new("ADD", pod, &config)));
    let (served, refused): (Vec<_>, Vec<_>) = runs.into_iter().partition(|run| run.ok);
    assert_eq!((served.len(), refused.len()), (13, MANY - 13));
    for run in &refused {
        assert_eq!(error_of(run).0, 11, "{run:?}");
    }
    let all: BTreeSet<String> =
        served.iter().flat_map(|run| addresses(&serde_json::from_str(&run.stdout).unwrap())).collect();
    assert_eq!(all.len(), 26);
}

/// One of several that come and go without an end, and with them everything else that a runtime may call.
fn storm(node: &CniNode, config: &Value, pod: &str, rounds: usize) {
    let mut later = config.clone();
    later["cniVersion"] = "1.1.0".into();
    for _ in 0..rounds {
        let mut checked = later.clone();
        checked["prevResult"] = node.add(pod, &later);
        node.call(&Call::new("CHECK", pod, &checked)).success();
        node.call(&Call::new("STATUS", "", &later)).success();
        node.del(pod, config);
        // Somebody else's, or nobody's.
        node.del(&format!("{pod}-none"), config);
    }
}

#[test]
fn a_storm_of_all_commands_leaves_nothing() {
    needs!("ip", "nft");
    let (pods, config) = (pods(8), masqueraded());
    let node = node_with(&[pods.as_slice(), &["stays".to_owned()]].concat());
    let stays = node.add("stays", &config);
    let before = node.traces();
    let done = AtomicBool::new(false);
    let collected = AtomicUsize::new(0);
    let valid: Vec<&str> = pods.iter().map(String::as_str).chain(["stays"]).collect();
    thread::scope(|scope| {
        let collector = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                // What the runtime knows is valid, whether it is there yet or not.
                node.gc(&valid, &config);
                collected.fetch_add(1, Ordering::Relaxed);
            }
        });
        all_at_once(&pods, |pod| storm(&node, &config, pod, 12));
        done.store(true, Ordering::Relaxed);
        collector.join().unwrap();
    });
    assert!(collected.load(Ordering::Relaxed) > 3, "hardly any GC got its turn");
    assert_eq!(node.traces(), before);
    let mut checked = config.clone();
    checked["prevResult"] = stays;
    node.call(&Call::new("CHECK", "stays", &checked)).success();
    let results = all_at_once(&pods, |pod| node.add(pod, &config));
    assert_eq!(results.iter().flat_map(addresses).collect::<BTreeSet<_>>().len(), 16);
}

#[test]
fn gc_waits_for_an_add_in_flight() {
    needs!("ip", "nft", "strace");
    let config = masqueraded();
    let pods = pods(2);
    let node = node_with(&pods);
    node.add("c0", &config);
    // An ADD that is held up behind its addresses, before there is an interface.
    let mut slow = node.plugin_command("strace".as_ref(), &Call::new("ADD", "c1", &config));
    let (trace, plugin) = (node.path("slow"), crate::harness::bin("podhosts-cni"));
    slow.args(["-f", "-e", "trace=setns", "-e", "inject=setns:delay_enter=700000:when=1", "-o"]);
    slow.arg(&trace).arg(plugin);
    let attachment = node.file("/run/podhosts/networks/net/attachments/c1:eth0");
    thread::scope(|scope| {
        let add = scope.spawn(|| node.pipe(slow, config.to_string().as_bytes()));
        while !attachment.exists() && !add.is_finished() {
            thread::yield_now();
        }
        // It lists nothing, so it has to release the one and the other, once they are all there.
        node.gc(&[], &config);
        let run = add.join().unwrap();
        assert!(run.ok, "{run:?}");
        let of_c1 = addresses(&serde_json::from_str(&run.stdout).unwrap());
        assert_eq!(of_c1, ["10.244.1.3", "2001:db8:1::3"]);
    });
    assert!(fs::read_to_string(&trace).unwrap().contains("DELAYED"), "it was not held up");
    assert!(!attachment.exists());
    assert!(!node.sh("ip -o link").contains("veth") && node.sh("nft list ruleset").is_empty());
    assert_eq!(node.sh("ip -n c1 -o link | grep -c eth0 || true"), "0\n");
}

#[test]
fn gc_takes_nothing_from_an_add_that_it_does_not_know_of() {
    needs!("ip", "nft");
    let (pods, config) = (pods(6), masqueraded());
    let node = node_with(&pods);
    // A runtime that lists a pod before it calls ADD, as the specification wants it.
    let valid: Vec<&str> = pods.iter().map(String::as_str).collect();
    for _ in 0..5 {
        thread::scope(|scope| {
            let (node, config) = (&node, &config);
            let adds: Vec<_> =
                pods.iter().map(|pod| scope.spawn(move || (pod, node.add(pod, config)))).collect();
            for _ in 0..4 {
                node.gc(&valid, config);
            }
            for add in adds {
                let (pod, result) = add.join().unwrap();
                let mut checked = config.clone();
                checked["prevResult"] = result;
                node.call(&Call::new("CHECK", pod, &checked)).success();
            }
        });
        all_at_once(&pods, |pod| node.del(pod, &config));
    }
}

#[test]
fn one_pod_is_added_once_however_many_ask() {
    needs!("ip", "nft");
    let config = masqueraded();
    let pods = pods(1);
    let node = node_with(&pods);
    let before = node.traces();
    let same = vec!["c0".to_owned(); 12];
    let runs = all_at_once(&same, |pod| node.call(&Call::new("ADD", pod, &config)));
    let served: Vec<_> = runs.iter().filter(|run| run.ok).collect();
    assert_eq!(served.len(), 1, "{runs:?}");
    let mut checked = config.clone();
    checked["prevResult"] = serde_json::from_str(&served[0].stdout).unwrap();
    node.call(&Call::new("CHECK", "c0", &checked)).success();
    all_at_once(&same, |pod| node.del(pod, &config));
    assert_eq!(node.traces(), before);
}
