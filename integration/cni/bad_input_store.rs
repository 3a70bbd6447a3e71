//! State of ours that somebody has damaged, and DEL with another configuration than that of ADD.

use serde_json::{Value, json};

use crate::cni::bad_input::{bridged, node_with, put, state};
use crate::harness::cni::{Call, CniNode, addresses, error_of, routed};
use crate::harness::needs;
use crate::harness::subject::without_carrier;

/// What somebody has done to the state, as a script in /run/podhosts.
struct Damage {
    script: &'static str,
    /// The error of the next ADD, which has code 5; where there is none, ADD has to succeed.
    error: &'static str,
    /// What is said of it on stderr.
    notice: &'static str,
}

fn repaired(script: &'static str, notice: &'static str) -> Damage {
    Damage { script, error: "", notice }
}

fn reported(script: &'static str, error: &'static str) -> Damage {
    Damage { script, error, notice: "" }
}

/// Sees that a damaged state is repaired or reported, and that in no case an address is given out twice.
fn try_all(damages: &[Damage]) {
    let config = routed();
    for Damage { script, error, notice } in damages {
        println!("{script}");
        let node = node_with(&config);
        node.sh(&format!("cd /run/podhosts; {script}"));
        let before = state(&node);
        let run = node.call(&Call::new("ADD", "c2", &config));
        assert!(run.stderr.contains(notice), "{} lacks {notice}", run.stderr);
        if error.is_empty() {
            let result: Value = serde_json::from_str(&run.success()).unwrap();
            assert_eq!(addresses(&result), ["10.244.1.3", "2001:db8:1::3"]);
            node.del("c2", &config);
            node.del("c1", &config);
            assert_eq!(node.sh("ip -o link | grep -c veth || true"), "0\n");
        } else {
            let (code, msg) = error_of(&run);
            assert!(code == 5 && msg.contains(error), "{code} {msg} lacks {error}");
            assert_eq!(state(&node), before);
        }
    }
}

#[test]
fn address_books_that_are_none_are_set_aside_and_made_anew() {
    needs!("ip", "nft");
    let aside = "set aside as /run/podhosts/networks/net/leases.db.bad";
    try_all(&[
        repaired("echo garbage > networks/net/leases.db", aside),
        repaired("rm networks/net/leases.db; mkdir networks/net/leases.db", aside),
        repaired("rm networks/net/leases.db; ln -s /etc/passwd networks/net/leases.db", aside),
        repaired(
            "rm networks/net/leases.db-journal; mkdir networks/net/leases.db-journal",
            "set aside as /run/podhosts/networks/net/leases.db-journal.bad",
        ),
        repaired("head -c 8192 /dev/urandom > networks/net/leases.db", aside),
        repaired("head -c 4096 networks/net/leases.db > x; mv x networks/net/leases.db", aside),
        repaired(
            "dd if=/dev/zero of=networks/net/leases.db bs=1 seek=4096 count=4096 conv=notrunc 2>&1",
            aside,
        ),
    ]);
}

#[test]
fn state_that_cannot_be_used_is_reported() {
    needs!("ip", "nft");
    let cases = [
        ("rm networks/net/lock; mkdir networks/net/lock", "cannot open /run/podhosts/networks/net/lock: "),
        (
            "rm networks/net/lock; ln -s /etc/passwd networks/net/lock",
            "cannot open /run/podhosts/networks/net/lock: ",
        ),
        (
            "rm networks/net/gc.lock; mkdir networks/net/gc.lock",
            "cannot open /run/podhosts/networks/net/gc.lock: ",
        ),
        (
            "rm -r networks/net; echo > networks/net",
            "cannot open /run/podhosts/networks/net/gc.lock: Not a directory",
        ),
        (
            "rm -r networks; echo > networks",
            "cannot open /run/podhosts/networks/net/gc.lock: Not a directory",
        ),
        (
            "cd ..; rm -r podhosts; echo > podhosts",
            "cannot open /run/podhosts/networks/net/gc.lock: Not a directory",
        ),
    ];
    try_all(&cases.map(|(script, error)| reported(script, error)));
}

#[test]
fn attachments_that_cannot_be_written_take_no_address() {
    needs!("ip", "nft");
    let config = routed();
    let node = node_with(&config);
    node.sh("cd /run/podhosts/networks/net; mv attachments kept; echo > attachments");
    let before = state(&node);
    for _ in 0..3 {
        let (code, msg) = error_of(&node.call(&Call::new("ADD", "c2", &config)));
        assert!(code == 5 && msg.contains("/attachments/c2:eth0: Not a directory"), "{code} {msg}");
        assert_eq!(state(&node), before);
    }
    node.sh("cd /run/podhosts/networks/net; rm attachments; mv kept attachments");
    assert_eq!(addresses(&node.add("c2", &config)), ["10.244.1.3", "2001:db8:1::3"]);
}

#[test]
fn attachments_that_cannot_be_read_do_not_keep_del_from_its_work() {
    needs!("ip", "nft");
    for script in [
        "echo garbage > c1:eth0",
        "echo '{}' > c1:eth0",
        "echo '[]' > c1:eth0",
        ": > c1:eth0",
        "sed -i 's/\"version\":1/\"version\":2/' c1:eth0",
        "sed -i 's/\"c1\"/\"c7\"/' c1:eth0",
        "rm c1:eth0",
        "ln -sf /etc/passwd c1:eth0",
        "echo x > nonsense; echo x > :; echo x > .tmpabc",
    ] {
        println!("{script}");
        let mut config = routed();
        config["ipMasq"] = true.into();
        let node = node_with(&config);
        node.sh(&format!("cd /run/podhosts/networks/net/attachments; {script}"));
        node.del("c1", &config);
        let left = node.sh("ip -o link | grep veth || true; nft list ruleset; ls /run/podhosts/pods");
        assert_eq!(left, "");
        node.gc(&[], &config);
        // All of the network is free again: c1's addresses are the last ones to be given.
        assert_eq!(addresses(&node.add("c2", &config)), ["10.244.1.3", "2001:db8:1::3"]);
        node.add("c1", &config);
    }
}

#[test]
fn records_that_are_none_do_not_keep_anything_from_its_work() {
    needs!("ip", "nft");
    for script in
        ["echo garbage > c1.json", "rm c1.json", ": > c1.json", "echo x > nonsense; echo '{}' > c9.json"]
    {
        println!("{script}");
        let config = routed();
        let node = node_with(&config);
        node.sh(&format!("cd /run/podhosts/pods; {script}"));
        node.add("c2", &config);
        for pod in ["c1", "c2"] {
            node.del(pod, &config);
        }
        assert_eq!(node.sh("cd /run/podhosts/pods; ls | grep '^c[12]' || true"), "");
    }
}

/// What ADD may leave but where address books are, which is never forgotten.
fn lasting(node: &CniNode) -> String {
    let traces = without_carrier(&node.traces());
    traces.lines().filter(|line| !line.starts_with("podhosts/stores/")).collect::<Vec<_>>().join("\n")
}

/// ADD with `config`, then DEL with a changed one, which has to leave nothing.
fn try_changes(config: &Value, changes: &[(&str, Value)]) {
    for (path, value) in changes {
        println!("{path}: {value}");
        let node = CniNode::new();
        node.pod("c2");
        // Bridges and tables stay; DEL removes what is the pod's.
        node.add("c2", config);
        node.del("c2", config);
        let before = lasting(&node);
        node.pod("c1");
        node.add("c1", config);
        let mut changed = config.clone();
        put(&mut changed, path, value);
        for _ in 0..2 {
            node.del("c1", &changed);
        }
        assert_eq!(lasting(&node), before);
        // The lease is gone with it.
        node.add("c1", config);
    }
}

#[test]
fn del_with_another_configuration_than_that_of_add() {
    needs!("ip", "nft");
    let mut config = routed();
    config["ipMasq"] = true.into();
    config["runtimeConfig"] = json!({"portMappings": [{"hostPort": 8080, "containerPort": 80}]});
    let changes = || {
        vec![
            ("ipam", Value::Null),
            ("ipam", json!([])),
            ("ipam", json!({})),
            ("ipam/podCIDRs", json!(["10.9.0.0/16"])),
            ("ipam/podCIDRs", json!("nonsense")),
            ("ipam/type", json!("host-local")),
            ("ipam/dataDir", json!("/run/elsewhere")),
            ("ipam/dataDir", json!("relative")),
            ("ipam/dataDir", json!("/etc/passwd")),
            ("mode", json!("routed")),
            ("mode", json!("bridge")),
            ("mode", json!("nonsense")),
            ("bridge", json!("br9")),
            ("mtu", json!("nonsense")),
            ("ipMasq", json!(false)),
            ("type", json!("other")),
            ("cniVersion", json!("0.3.0")),
            ("runtimeConfig", json!(null)),
            ("runtimeConfig", json!("nonsense")),
            ("prevResult", json!("nonsense")),
            ("args", json!("nonsense")),
        ]
    };
    try_changes(&config, &changes());
    let mut bridge = bridged();
    bridge["ipMasq"] = true.into();
    try_changes(&bridge, &changes());
}

#[test]
fn del_finds_a_pod_whose_data_dir_was_another_one() {
    needs!("ip", "nft");
    let mut config = routed();
    config["ipam"]["dataDir"] = "/run/elsewhere".into();
    try_changes(
        &config,
        &[
            ("ipam/dataDir", Value::Null),
            ("ipam/dataDir", json!("/run/third")),
            ("ipam", Value::Null),
            ("type", json!("other")),
        ],
    );
}
