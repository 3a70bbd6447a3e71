//! The rules of the CNI specification for DEL: it says nothing, leaves nothing, and succeeds whatever is gone already.

use serde_json::{Value, json};

use crate::harness::cni::Call;
use crate::harness::needs;
use crate::harness::subject::{Role, Trial, each};

/// Something that may be the case when DEL comes.
struct Case {
    name: &'static str,
    /// Whether there was an ADD.
    is_added: bool,
    /// What has happened since, on the node.
    script: &'static str,
    netns: &'static str,
    has_previous: bool,
}

const USUAL: Case = Case { name: "usual", is_added: true, script: "", netns: "c1", has_previous: true };

/// Those in which a chained plugin of the reference has nothing to do.
const CASES: [Case; 9] = [
    USUAL,
    Case { name: "before any ADD", is_added: false, has_previous: false, ..USUAL },
    Case { name: "before any ADD, without a namespace", is_added: false, netns: "", ..USUAL },
    Case { name: "namespace gone", script: "ip netns del c1", ..USUAL },
    Case { name: "no CNI_NETNS", script: "ip netns del c1", netns: "", ..USUAL },
    Case { name: "no prevResult", has_previous: false, ..USUAL },
    Case { name: "interface gone", script: "ip -n c1 link del eth0", ..USUAL },
    Case { name: "interface down", script: "ip -n c1 link set eth0 down", ..USUAL },
    Case {
        name: "nothing known",
        script: "ip netns del c1",
        netns: "/none/at/all",
        has_previous: false,
        ..USUAL
    },
];

fn try_case(trial: &Trial<'_>, case: &Case) {
    println!("{}", case.name);
    let clean = trial.without_pods();
    let mut config = trial.config();
    if case.is_added {
        config = trial.after(&trial.add());
    }
    if !case.has_previous {
        config.as_object_mut().unwrap().remove("prevResult");
    }
    trial.node.sh(case.script);
    let call = Call { netns: case.netns, ..Call::new("DEL", "c1", &config) };
    for _ in 0..2 {
        let run = trial.call_as(&call);
        assert!(run.ok && run.stdout.is_empty(), "{run:?}");
    }
    if case.script.contains("netns del") {
        trial.node.pod("c1");
    }
    trial.assert_state(&clean);
    trial.add();
}

#[test]
fn del_leaves_nothing_and_succeeds_whatever_is_gone() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    for case in &CASES {
        let needs_eth0 = case.script.contains("eth0");
        each(
            |subject, version| {
                let fits = subject.role == Role::Main || !needs_eth0;
                fits && (case.name == USUAL.name || version == "1.0.0")
            },
            |trial| try_case(trial, case),
        );
    }
}

#[test]
fn the_addresses_of_a_pod_that_is_gone_are_free_again() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| subject.role == Role::Ipam && version == "1.0.0",
        |trial| {
            let mut config = trial.config();
            // Two addresses for pods, and one for the gateway.
            let small: Value = "10.244.3.0/30".into();
            config["ipam"]["ranges"] = json!([[{"subnet": small}]]);
            let one = |command: &str| trial.call(command, &config);
            for _ in 0..4 {
                one("ADD").success();
                let other = Call { netns: "c1", ..Call::new("ADD", "c2", &config) };
                assert!(!trial.call_as(&other).ok);
                one("DEL").success();
            }
        },
    );
}

#[test]
fn del_leaves_the_other_interface_of_a_container_alone() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| subject.role != Role::Chained && version == "1.0.0",
        |trial| {
            let config = trial.config();
            let on_eth1 = |command| Call { ifname: "eth1", ..Call::new(command, "c1", &config) };
            // Its default route is the other one's.
            if trial.subject.role == Role::Main {
                return;
            }
            let result = trial.add();
            let before = trial.state();
            let other: Value = serde_json::from_str(&trial.call_as(&on_eth1("ADD")).success()).unwrap();
            assert_ne!(other["ips"], result["ips"]);
            assert_eq!(trial.call_as(&on_eth1("DEL")).success(), "");
            trial.assert_state(&before);
            assert_eq!(trial.call("CHECK", &trial.after(&result)).success(), "");
        },
    );
}

#[test]
fn a_chained_plugin_leaves_the_addresses_to_whoever_gave_them() {
    needs!("ip", "nft");
    let full = json!({"type": "podhosts-cni", "ranges": [[{"subnet": "10.244.1.0/30"}]]});
    let of_bridge = json!({"cniVersion": "1.1.0", "name": "net", "type": "bridge", "ipam": full});
    each(
        |subject, version| subject.name == "chained" && version == "1.1.0",
        |trial| {
            let node = &trial.node;
            node.pod("c2");
            let result = node.add("c1", &of_bridge);
            let chained = trial.after(&result);
            trial.call("ADD", &chained).success();
            // A list is undone from its end: c1's interface is still there, with its address.
            assert_eq!(trial.call("DEL", &chained).success(), "");
            assert!(!node.call(&Call::new("ADD", "c2", &of_bridge)).ok);
            node.del("c1", &of_bridge);
            assert_eq!(node.add("c2", &of_bridge)["ips"], result["ips"]);
        },
    );
}
