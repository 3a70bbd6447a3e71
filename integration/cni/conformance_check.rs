//! The rules of the CNI specification for CHECK: it passes right after ADD, changes nothing, and notices what is not as
//! ADD left it.

use serde_json::{Value, json};

use crate::harness::cni::error_of;
use crate::harness::subject::{Role, Subject, Trial, each};
use crate::harness::{Run, needs};

/// A result as it is, and CHECK with it.
fn checked(trial: &Trial<'_>, result: &Value) -> Run {
    trial.call("CHECK", &trial.after(result))
}

fn has_check(_: &Subject, version: &str) -> bool {
    version >= "0.4.0"
}

#[test]
fn check_passes_right_after_add_and_changes_nothing() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(has_check, |trial| {
        if trial.subject.role == Role::Chained {
            trial.node.sh("ip link add veth9 type veth peer name eth0 netns c1");
        }
        let result = trial.add();
        let before = trial.state();
        for _ in 0..2 {
            assert_eq!(checked(trial, &result).success(), "");
        }
        trial.assert_state(&before);
        assert_eq!(trial.call("DEL", &trial.after(&result)).success(), "");
    });
}

#[test]
fn check_before_add_and_after_del_fails() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| has_check(subject, version) && (subject.role != Role::Chained || subject.is_ours),
        |trial| {
            let clean = trial.without_pods();
            let result = trial.add();
            trial.call("DEL", &trial.after(&result)).success();
            error_of(&checked(trial, &result));
            trial.assert_state(&clean);
        },
    );
}

#[test]
fn check_without_a_previous_result_is_refused() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| has_check(subject, version) && subject.role != Role::Ipam,
        |trial| {
            trial.add();
            let mut config = trial.config();
            config.as_object_mut().unwrap().remove("prevResult");
            error_of(&trial.call("CHECK", &config));
        },
    );
}

/// Undoes something of what ADD has made.
struct Loss {
    script: &'static str,
    /// What the error names.
    text: &'static str,
    /// Whether the reference notices it, too.
    is_common: bool,
}

const fn loss(script: &'static str, text: &'static str, is_common: bool) -> Loss {
    Loss { script, text, is_common }
}

const LOSSES: [Loss; 9] = [
    loss("ip -n c1 link del eth0", "eth0", true),
    loss("ip -n c1 addr flush dev eth0 scope global; ip -n c1 route add default dev eth0", "10.244.1.", true),
    loss("ip -n c1 -4 route del default", "route to 0.0.0.0/0", true),
    loss("ip -n c1 -6 route del default", "route to ::/0", false),
    loss("ip -n c1 -6 addr flush dev eth0 scope global", "2001:db8:1::", false),
    loss("ip -n c1 link set eth0 down", "eth0 is down", false),
    loss("ip -n c1 link set eth0 address 0a:00:00:00:00:99", "0a:00:00:00:00:99", false),
    loss("rm -r /run/podhosts/networks/net", "has no addresses", false),
    loss("ip link set $(ip -br link | grep -o '^veth[^@]*') down", "is down on the node", false),
];

#[test]
fn check_notices_what_was_lost_of_an_interface() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    for Loss { script, text, is_common } in LOSSES {
        each(
            |subject, version| {
                let fits = subject.role == Role::Main && (subject.is_ours || is_common);
                fits && matches!(version, "0.4.0" | "1.1.0")
            },
            |trial| {
                println!("{script}");
                let result = trial.add();
                assert_eq!(checked(trial, &result).success(), "");
                trial.node.sh(script);
                let (_, msg) = error_of(&checked(trial, &result));
                assert!(!trial.subject.is_ours || msg.contains(text), "{msg} lacks {text}");
                trial.call("DEL", &trial.after(&result)).success();
            },
        );
    }
}

#[test]
fn check_notices_what_was_lost_on_the_node() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    for (subject_name, script, text) in [
        ("routed", "ip route del 10.244.1.2", "route to 10.244.1.2"),
        ("routed", "ip -6 route del 2001:db8:1::2", "route to 2001:db8:1::2"),
        ("bridged", "ip link set $(ip -br link | grep -o '^veth[^@]*') nomaster", "no port of br0"),
        ("bridged", "ip link del br0", "no port of br0"),
    ] {
        each(
            |subject, version| subject.name == subject_name && version == "1.1.0",
            |trial| {
                println!("{script}");
                let result = trial.add();
                trial.node.sh(script);
                let (_, msg) = error_of(&checked(trial, &result));
                assert!(msg.contains(text), "{msg} lacks {text}");
                trial.call("DEL", &trial.after(&result)).success();
            },
        );
    }
}

#[test]
fn check_notices_a_lost_lease_and_a_lost_record() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| has_check(subject, version) && subject.role == Role::Ipam,
        |trial| {
            let result = trial.add();
            trial.node.sh(&format!("rm -r {}", trial.subject.leases));
            error_of(&checked(trial, &result));
        },
    );
    each(
        |subject, version| has_check(subject, version) && subject.name == "chained",
        |trial| {
            let result = trial.add();
            let mut other = result.clone();
            other["ips"][0]["address"] = json!("10.244.9.3/24");
            assert!(error_of(&checked(trial, &other)).1.contains("the pod's record has 10.244.9.2"));
            trial.node.sh("rm /run/podhosts/pods/c1.json");
            assert!(error_of(&checked(trial, &result)).1.contains("there is no record of c1"));
        },
    );
}

#[test]
fn check_notices_another_result_than_that_of_add() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| subject.is_ours && subject.role != Role::Chained && has_check(subject, version),
        |trial| {
            let result = trial.add();
            let mut other = result.clone();
            other["ips"][0]["address"] = json!("10.244.1.77/24");
            let (code, msg) = error_of(&checked(trial, &other));
            assert!(code >= 100 && msg.contains("prevResult: 10.244.1.2 is missing"), "{code} {msg}");
        },
    );
}

#[test]
fn check_that_is_disabled_looks_at_nothing() {
    needs!("ip", "nft");
    each(
        |subject, version| subject.is_ours && has_check(subject, version),
        |trial| {
            let mut config = trial.config();
            config["disableCheck"] = true.into();
            assert_eq!(trial.call("CHECK", &config).success(), "");
            config["disableCheck"] = false.into();
            error_of(&trial.call("CHECK", &config));
        },
    );
}
