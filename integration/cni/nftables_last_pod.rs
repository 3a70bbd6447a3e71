//! A node's last pod: the packet filter's tables go with its rules, while the kernel removes its interface.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};
use sys::net::nft::{Leaving, NftError, Rules, remove, sweep};
use sys::net::rtnetlink::RouteSocket;

use crate::harness::cni::{Call, CniNode};
use crate::harness::kill::{Killer, behind_changes, boundaries};
use crate::harness::nft::{attachment, nft, ruleset};
use crate::harness::{bin, in_new_netns, needs};

const POD_GROUP: &str = "1886348290";

fn ip(args: &str) {
    assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "{args}");
}

fn remove_one(rules: &Rules, link: Option<&str>) -> sys::net::nft::Removed {
    let interface = rules.interface.as_ref().map(|interface| interface.name.as_str());
    let leaving = Leaving { network: &rules.network, interface, link, rules: Some(rules) };
    remove(&leaving, || Ok::<_, NftError>(rules.addresses.clone()), Vec::new).unwrap()
}

/// Without the tables nothing of what comes in would be checked.
#[test]
fn the_last_rules_stay_until_the_interface_is_gone() {
    needs!("ip", "nft");
    in_new_netns(|| {
        let (one, other) = (attachment(&["10.0.0.5"]), attachment(&["10.0.0.6"]));
        let (one, other) = (one.checked("one", false), other.checked("other", false));
        for pod in [&one, &other] {
            pod.install();
            let name = &pod.interface.as_ref().unwrap().name;
            ip(&format!("link add {name} group {POD_GROUP} type veth peer name {name}-pod"));
        }
        // There is another one, and its interface.
        assert!(!remove_one(&other.rules(), Some("other")).is_to_come());
        let before = ruleset();
        assert!(!before.contains("10.0.0.6") && before.contains("10.0.0.5"), "{before}");
        // There are no other rules, but still the interface.
        assert!(!remove_one(&one.rules(), Some("one")).is_to_come());
        assert!(nft(&["list", "ruleset"]).contains("table inet podhosts"));
        let mut node = RouteSocket::here().unwrap();
        assert!(node.delete_link("other").unwrap());
        one.install();
        assert!(remove_one(&one.rules(), Some("one")).is_to_come());
        assert_eq!(ruleset(), before);
        let mut was_called = false;
        let meanwhile = || {
            was_called = true;
            assert_eq!(RouteSocket::here().unwrap().link("one").unwrap(), None);
            let removed = remove_one(&one.rules(), None);
            assert_eq!(ruleset(), "");
            let leaving = Leaving { network: "bridge", interface: Some("one"), link: None, rules: None };
            sweep(&leaving, &removed).unwrap();
        };
        assert!(node.delete_link_and("one", meanwhile).unwrap());
        assert!(was_called);
        assert!(!node.delete_link_and("one", || panic!("there is none")).unwrap());
    });
}

fn routed() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "ipMasq": true,
        "ipam": {"podCIDRs": ["10.244.1.0/28", "2001:db8:1::/124"]}})
}

/// With a host port, which opens the bridge's 127.0.0.0/8.
fn bridged() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": "bridge", "bridge": "br0",
        "isDefaultGateway": true, "capabilities": {"portMappings": true},
        "runtimeConfig": {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}]},
        "ipam": {"podCIDRs": ["10.244.1.0/28", "2001:db8:1::/124"]}})
}

/// After each one the kernel is waited for.
#[test]
fn a_nodes_last_pod_takes_one_change_of_the_packet_filter() {
    needs!("ip", "nft", "strace");
    for config in [routed(), bridged()] {
        let node = CniNode::new();
        node.pod("c1");
        node.add("c1", &config);
        let path = node.path("trace");
        let mut command = node.plugin_command(Path::new("strace"), &Call::new("DEL", "c1", &config));
        command.args(["-f", "-e", "trace=sendto", "-o", path.to_str().unwrap()]).arg(bin("podhosts-cni"));
        node.pipe(command, config.to_string().as_bytes()).success();
        let trace = fs::read_to_string(&path).unwrap();
        // strace knows the protocol of a socket only once that has an address.
        let begins = |line: &&str| line.contains("nlmsg_type=0x10 ") || line.contains("NFNL_MSG_BATCH_BEGIN");
        assert_eq!(trace.lines().filter(begins).count(), 1, "{trace}");
        assert_eq!(node.sh("nft list ruleset"), "");
    }
}

fn kill_the_last(config: &Value) {
    let (node, killer) = (CniNode::new(), Killer::default());
    node.pod("c1");
    // The directories, and a bridge.
    node.add("c1", config);
    node.del("c1", config);
    let before = node.traces();
    node.add("c1", config);
    let call = Call::new("DEL", "c1", config);
    for (n, at) in behind_changes(&boundaries(&node, &call)).iter().enumerate() {
        node.add("c1", config);
        killer.kill(&node, &call, at);
        match n % 2 {
            0 => node.del("c1", config),
            _ => node.gc(&[], config),
        }
        assert_eq!(node.traces(), before, "killed at {at:?}");
    }
    let kills = killer.kills();
    assert!(kills >= 20, "only {kills} kills");
}

#[test]
fn del_of_a_nodes_last_routed_pod_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_the_last(&routed());
}

#[test]
fn del_of_a_nodes_last_pod_on_a_bridge_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_the_last(&bridged());
}
