//! Disks that are full or read-only, and stores that are not what the plugin wrote: no address is doubled or lost.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses, error_of, is_there};
use crate::harness::needs;

/// Where the disk of a test is mounted in its node.
const DISK: &str = "/mnt";
/// The directory of the network `net` there.
const STORE: &str = "/mnt/net";
/// How many pods fit in 10.244.1.0/28: all addresses but the network's, the gateway's and broadcast.
const FREE: usize = 13;

/// A node with a small disk.
fn node_with_disk() -> CniNode {
    let node = CniNode::new();
    node.sh(&format!("mount -t tmpfs -o size=1m tmpfs {DISK}"));
    node
}

/// A network on the disk that gives addresses to another plugin.
fn on_disk() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "ipam": {"type": "podhosts-cni", "podCIDRs": ["10.244.1.0/28"], "dataDir": DISK}})
}

/// A network on the disk whose pods have interfaces and rules.
fn with_interface() -> Value {
    json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "ipMasq": true,
        "ipam": {"podCIDRs": ["10.244.1.0/28"], "dataDir": DISK}})
}

fn fill(node: &CniNode) {
    node.sh(&format!("cat /dev/zero > {DISK}/filler 2>/dev/null || true"));
}

fn make_room(node: &CniNode) {
    node.sh(&format!("rm {DISK}/filler"));
}

fn pods(count: usize) -> Vec<String> {
    (0..count).map(|n| format!("c{n}")).collect()
}

/// Every free address can be had, and once. `held` are had already.
#[track_caller]
fn nothing_is_lost_or_doubled(node: &CniNode, held: &BTreeSet<String>) {
    let (config, mut had) = (on_disk(), held.clone());
    let free: Vec<String> = (held.len()..FREE).map(|n| format!("all{n}")).collect();
    for pod in &free {
        let address = addresses(&node.add(pod, &config)).remove(0);
        assert!(had.insert(address.clone()), "{address} is had twice");
    }
    assert_eq!(error_of(&node.call(&Call::new("ADD", "one-more", &config))).0, 11);
    free.iter().for_each(|pod| node.del(pod, &config));
}

/// What an ADD could leave on the disk.
fn on_the_disk(node: &CniNode) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(node.file(&format!("{STORE}/attachments")))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

#[test]
fn a_full_disk_refuses_add_and_leaves_nothing_of_it() {
    needs!("ip", "nft");
    let node = node_with_disk();
    let config = with_interface();
    for pod in ["c0", "c1"] {
        node.pod(pod);
    }
    let held: BTreeSet<String> = addresses(&node.add("c0", &config)).into_iter().collect();
    let (before, files) = (node.traces(), on_the_disk(&node));
    fill(&node);
    for _ in 0..3 {
        let (code, text) = error_of(&node.call(&Call::new("ADD", "c1", &config)));
        assert_eq!(code, 5, "{text}");
        assert!(text.contains("/mnt/net/"), "{text}");
    }
    assert_eq!(node.traces(), before);
    assert_eq!(on_the_disk(&node), files);
    assert!(!node.in_pod("c1", "ip -o link").contains("eth0"));
    make_room(&node);
    let of_c1 = addresses(&node.add("c1", &config));
    assert!(!held.contains(&of_c1[0]));
    node.del("c1", &config);
    nothing_is_lost_or_doubled(&node, &held);
    node.del("c0", &config);
}

#[test]
fn room_for_a_part_of_what_is_written_is_as_good_as_none() {
    needs!("ip", "nft");
    let node = node_with_disk();
    let mut config = on_disk();
    // With one that is there before the disk is full, these are all.
    let others: Vec<String> = (0..60).map(|n| format!("{}{n}", "x".repeat(120))).collect();
    config["ipam"]["podCIDRs"] = json!(["10.244.1.0/26"]);
    let (mut held, mut refused) = (BTreeSet::new(), BTreeSet::new());
    node.add("first", &config);
    // Long names, so that the tables soon need more pages, each of which in turn is the one there is no room for.
    for pod in &others {
        fill(&node);
        for pages in 1.. {
            node.sh(&format!("truncate -s -4096 {DISK}/filler"));
            let files = on_the_disk(&node);
            let run = node.call(&Call::new("ADD", pod, &config));
            if run.ok {
                let address = addresses(&serde_json::from_str(&run.stdout).unwrap()).remove(0);
                assert!(held.insert(address.clone()), "{address} is had twice");
                break;
            }
            let (code, text) = error_of(&run);
            assert_eq!(code, 5, "{text}");
            assert!(on_the_disk(&node) == files, "{pages} pages left: {text}");
            refused.insert(text);
        }
    }
    assert!(refused.iter().any(|text| text.contains("disk is full")), "{refused:?}");
    for pod in others.iter().map(String::as_str).chain(["first"]) {
        fill(&node);
        node.del(pod, &config);
    }
    make_room(&node);
    let again: BTreeSet<String> = others.iter().flat_map(|pod| addresses(&node.add(pod, &config))).collect();
    assert_eq!(again.len(), others.len());
    node.add("first", &config);
}

#[test]
fn a_full_disk_does_not_keep_del_from_releasing() {
    needs!("ip", "nft");
    let node = node_with_disk();
    let config = on_disk();
    let all = pods(13);
    for pod in &all {
        node.add(pod, &config);
    }
    fill(&node);
    for pod in &all {
        node.del(pod, &config);
        node.del(pod, &config);
    }
    assert!(on_the_disk(&node).is_empty());
    make_room(&node);
    nothing_is_lost_or_doubled(&node, &BTreeSet::new());
}

#[test]
fn a_full_disk_does_not_keep_del_from_releasing_more_than_there_is_room_to_remember() {
    needs!("ip", "nft");
    let node = node_with_disk();
    node.sh(&format!("mount -o remount,size=4m {DISK}"));
    let mut config = on_disk();
    config["ipam"]["podCIDRs"] = json!(["2001:db8:1::/119"]);
    let mut all = pods(510);
    all.iter().for_each(|pod| drop(node.add(pod, &config)));
    // Every other one, so that no page of the table becomes free.
    let released: Vec<String> = all.drain(..).step_by(2).collect();
    for pod in &released {
        fill(&node);
        node.del(pod, &config);
    }
    make_room(&node);
    let again: BTreeSet<String> =
        released.iter().flat_map(|pod| addresses(&node.add(pod, &config))).collect();
    assert_eq!(again.len(), released.len());
    assert_eq!(error_of(&node.call(&Call::new("ADD", "one-more", &config))).0, 11);
}

#[test]
fn a_full_disk_does_not_keep_gc_from_releasing() {
    needs!("ip", "nft");
    let node = node_with_disk();
    let config = on_disk();
    let all = pods(13);
    let held: Vec<String> = all.iter().flat_map(|pod| addresses(&node.add(pod, &config))).collect();
    fill(&node);
    node.gc(&["c0"], &config);
    assert_eq!(on_the_disk(&node).len(), 1);
    make_room(&node);
    nothing_is_lost_or_doubled(&node, &[held[0].clone()].into());
}

#[test]
fn a_read_only_disk_refuses_add_and_says_so_to_status() {
    needs!("ip", "nft");
    let node = node_with_disk();
    let config = with_interface();
    for pod in ["c0", "c1"] {
        node.pod(pod);
    }
    let held: BTreeSet<String> = addresses(&node.add("c0", &config)).into_iter().collect();
    let before = node.traces();
    node.sh(&format!("mount -o remount,ro {DISK}"));
    let (code, text) = error_of(&node.call(&Call::new("ADD", "c1", &config)));
    assert_eq!(code, 5, "{text}");
    let mut status = config.clone();
    status["cniVersion"] = "1.1.0".into();
    assert_eq!(error_of(&node.call(&Call::new("STATUS", "", &status))).0, 50);
    // The address cannot be given back, so it stays the pod's: the runtime will ask again.
    assert_eq!(error_of(&node.call(&Call::new("DEL", "c0", &config))).0, 5);
    node.sh(&format!("mount -o remount,rw {DISK}"));
    assert!(before.contains("/pods/c0.json"));
    node.call(&Call::new("STATUS", "", &status)).success();
    nothing_is_lost_or_doubled(&node, &held);
    node.del("c0", &config);
    nothing_is_lost_or_doubled(&node, &BTreeSet::new());
    assert!(!is_there(&node, "/run/podhosts/pods/c0.json"));
}

/// Runs pods, has `damage` done to the store, and sees that no later pod gets an address of theirs, that all this is
/// told on stderr, and that the store is as good as before. What is set aside is `<file>.bad`.
#[track_caller]
fn survives(what: &str, damage: impl Fn(&Path)) {
    let (node, config) = (node_with_disk(), on_disk());
    let running = pods(7);
    let mut held: BTreeSet<String> =
        running.iter().flat_map(|pod| addresses(&node.add(pod, &config))).collect();
    assert_eq!(held.len(), running.len());
    damage(&node.file(STORE));
    let run = node.call(&Call::new("ADD", "next", &config));
    let stderr = run.stderr.clone();
    let next = addresses(&serde_json::from_str(&run.success()).unwrap()).remove(0);
    assert!(held.insert(next.clone()), "{what}: {next} is had twice");
    if is_there(&node, &format!("{STORE}/leases.db.bad")) {
        assert!(stderr.contains("/mnt/net/leases.db.bad"), "{what}: {stderr}");
    }
    nothing_is_lost_or_doubled(&node, &held);
    for pod in &running {
        node.del(pod, &config);
    }
    node.del("next", &config);
    nothing_is_lost_or_doubled(&node, &BTreeSet::new());
}

fn edit(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

#[test]
fn a_store_that_is_cut_short_anywhere() {
    needs!("ip", "nft");
    for length in [0, 1, 50, 100, 512, 4095, 4096, 8192, 12288, 20000, 28672] {
        survives(&format!("cut to {length} bytes"), |store| {
            edit(&store.join("leases.db"), |bytes| bytes.truncate(length));
        });
    }
}

#[test]
fn a_store_that_is_scribbled_on_anywhere() {
    needs!("ip", "nft");
    for at in (0..9).flat_map(|page| [0, 1024, 3072, 3840].map(|offset| page * 4096 + offset)) {
        survives(&format!("scribbled at {at}"), |store| {
            edit(&store.join("leases.db"), |bytes| {
                bytes.iter_mut().skip(at).take(256).for_each(|byte| *byte = 0x5a);
            });
        });
    }
}

#[test]
fn a_store_that_is_no_store() {
    needs!("ip", "nft");
    survives("text", |store| fs::write(store.join("leases.db"), "no database\n".repeat(999)).unwrap());
    survives("missing", |store| fs::remove_file(store.join("leases.db")).unwrap());
    survives("zeros", |store| edit(&store.join("leases.db"), |bytes| bytes.fill(0)));
    survives("a journal that is none", |store| {
        fs::write(store.join("leases.db-journal"), "no journal\n".repeat(999)).unwrap();
    });
    survives("no journal", |store| fs::remove_file(store.join("leases.db-journal")).unwrap());
}

#[test]
fn what_is_set_aside_is_told_and_kept() {
    needs!("ip", "nft");
    let (node, config) = (node_with_disk(), on_disk());
    node.add("c0", &config);
    let text = "no database\n".repeat(999);
    for name in ["leases.db.bad", "leases.db.bad1"] {
        fs::write(node.file(&format!("{STORE}/leases.db")), &text).unwrap();
        let run = node.call(&Call::new("DEL", "none", &config));
        assert!(run.ok, "{run:?}");
        assert!(run.stderr.contains(&format!("set aside as {STORE}/{name}")), "{}", run.stderr);
        assert!(run.stderr.contains("made anew from 1 attachments"), "{}", run.stderr);
        assert_eq!(fs::read_to_string(node.file(&format!("{STORE}/{name}"))).unwrap(), text);
    }
}

#[test]
fn attachments_that_cannot_be_read_are_released_like_others() {
    needs!("ip", "nft");
    for text in ["", "{", "[]", "no JSON", r#"{"version":7}"#] {
        survives("attachments", |store| {
            for n in [0, 3, 6] {
                fs::write(store.join(format!("attachments/c{n}:eth0")), text).unwrap();
            }
        });
    }
    survives("no attachments", |store| fs::remove_dir_all(store.join("attachments")).unwrap());
}

#[test]
fn interfaces_and_rules_go_although_the_attachment_cannot_be_read() {
    needs!("ip", "nft");
    let (node, config) = (node_with_disk(), with_interface());
    for pod in ["c0", "c1"] {
        node.pod(pod);
    }
    node.add("c0", &config);
    let before = node.traces();
    for text in ["", "[]"] {
        node.add("c1", &config);
        fs::write(node.file(&format!("{STORE}/attachments/c1:eth0")), text).unwrap();
        node.del("c1", &config);
        assert_eq!(node.traces(), before);
        assert_eq!(on_the_disk(&node).len(), 1);
    }
}
