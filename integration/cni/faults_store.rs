//! kill -9 at every system call of GC, of the first ADD of a network, and of an ADD that finds the store damaged.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses};
use crate::harness::kill::{Killer, behind_changes, boundaries};
use crate::harness::needs;

const NETWORKS: &str = "/run/podhosts/networks";

/// A network that gives addresses to another plugin, which is quick to undo.
fn ipam(name: &str) -> Value {
    json!({"cniVersion": "1.0.0", "name": name, "type": "bridge",
        "ipam": {"type": "podhosts-cni", "podCIDRs": ["10.244.1.0/28", "2001:db8:1::/124"]}})
}

/// GC of all but the eth0 of `valid`.
fn gc_config(config: &Value, valid: &[&str]) -> Value {
    let mut config = config.clone();
    config["cniVersion"] = "1.1.0".into();
    config["cni.dev/valid-attachments"] =
        valid.iter().map(|id| json!({"containerID": id, "ifname": "eth0"})).collect();
    config
}

/// Kills GC of three pods everywhere, and has it done again.
fn kill_gc(config: &Value, fewest: usize) {
    let (node, killer) = (CniNode::new(), Killer::default());
    let pods = ["a", "b", "c"];
    for pod in ["n", "a", "b", "c"] {
        node.pod(pod);
    }
    let neighbour = node.add("n", config);
    let before = node.traces();
    let gone = || pods.iter().for_each(|pod| drop(node.add(pod, config)));
    let gc = gc_config(config, &["n"]);
    let call = Call::new("GC", "", &gc);
    gone();
    let at = behind_changes(&boundaries(&node, &call));
    for (n, at) in at.iter().enumerate() {
        gone();
        killer.kill(&node, &call, at);
        match n % 2 {
            0 => node.gc(&["n"], config),
            _ => pods.iter().for_each(|pod| node.del(pod, config)),
        }
        assert_eq!(node.traces(), before, "GC, killed at {at:?}");
    }
    let mut check = config.clone();
    check["prevResult"] = neighbour;
    node.call(&Call::new("CHECK", "n", &check)).success();
    let kills = killer.kills();
    assert!(kills >= fewest, "only {kills} kills");
}

#[test]
fn gc_of_pods_with_rules_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_gc(
        &json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "ipMasq": true,
        "ipam": {"podCIDRs": ["10.244.1.0/28", "2001:db8:1::/124"]}}),
        40,
    );
}

#[test]
fn gc_of_addresses_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_gc(&ipam("net"), 40);
}

#[test]
fn the_first_add_of_a_network_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    let (node, killer) = (CniNode::new(), Killer::default());
    for pod in ["a", "b"] {
        node.pod(pod);
    }
    // The directories of all networks are there already.
    node.add("b", &ipam("other"));
    node.del("b", &ipam("other"));
    let all = boundaries(&node, &Call::new("ADD", "a", &ipam("watched")));
    node.del("a", &ipam("watched"));
    let before = node.traces();
    for (n, at) in all.iter().enumerate() {
        let config = ipam(&format!("net{n}"));
        killer.kill(&node, &Call::new("ADD", "a", &config), at);
        let of_b = addresses(&node.add("b", &config));
        node.del("a", &config);
        let of_a = addresses(&node.add("a", &config));
        assert!(of_a.iter().all(|one| !of_b.contains(one)), "killed at {at:?}: {of_a:?} and {of_b:?}");
        node.del("a", &config);
        node.del("b", &config);
        assert_eq!(node.traces(), before, "killed at {at:?}");
        fs::remove_dir_all(node.file(&format!("{NETWORKS}/net{n}"))).unwrap();
    }
    let kills = killer.kills();
    assert!(kills >= 100, "only {kills} kills");
}

/// Makes the directory `to` what `from` is: a flat one, with one directory of files in it.
fn restore(from: &Path, to: &Path) {
    let _ = fs::remove_dir_all(to);
    fs::create_dir_all(to.join("attachments")).unwrap();
    for dir in ["", "attachments"] {
        for entry in fs::read_dir(from.join(dir)).unwrap() {
            let entry = entry.unwrap();
            if entry.file_type().unwrap().is_file() {
                fs::copy(entry.path(), to.join(dir).join(entry.file_name())).unwrap();
            }
        }
    }
}

/// Kills an ADD that finds the store as `damage` makes it, at every system call.
fn kill_rebuild(damage: impl Fn(&Path)) {
    let (node, killer, config) = (CniNode::new(), Killer::default(), ipam("net"));
    let running = ["a", "b", "c"];
    for pod in ["a", "b", "c", "v", "w"] {
        node.pod(pod);
    }
    let held: BTreeSet<String> = running.iter().flat_map(|pod| addresses(&node.add(pod, &config))).collect();
    assert_eq!(held.len(), 6);
    let (dir, saved) = (node.file(&format!("{NETWORKS}/net")), node.path("saved"));
    restore(&dir, &saved);
    let make = || {
        restore(&saved, &dir);
        damage(&dir);
    };
    make();
    let all = boundaries(&node, &Call::new("ADD", "v", &config));
    for at in &all {
        make();
        killer.kill(&node, &Call::new("ADD", "v", &config), at);
        let of_w = addresses(&node.add("w", &config));
        assert!(of_w.iter().all(|one| !held.contains(one)), "killed at {at:?}: {of_w:?} are in use");
        node.del("v", &config);
        // The book knows them all again: the release of one is not that of another.
        node.del("w", &config);
        let again = addresses(&node.add("v", &config));
        assert!(again.iter().all(|one| !held.contains(one)), "killed at {at:?}: {again:?} are in use");
    }
    let kills = killer.kills();
    assert!(kills >= 100, "only {kills} kills");
}

#[test]
fn making_a_truncated_store_anew_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_rebuild(|dir| {
        let store = fs::OpenOptions::new().write(true).open(dir.join("leases.db")).unwrap();
        store.set_len(5000).unwrap();
    });
}

#[test]
fn making_a_foreign_store_anew_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_rebuild(|dir| fs::write(dir.join("leases.db"), "no database\n".repeat(1000)).unwrap());
}

#[test]
fn making_a_lost_store_anew_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    kill_rebuild(|dir| fs::remove_file(dir.join("leases.db")).unwrap());
}
