//! The same as `work` for the plugin: the largest inputs that its limits let through.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::{Value, json};

use super::work::{TIMED, expect_quick};
use crate::harness::cni::{Call, CniNode, error_of, routed};
use crate::harness::{Run, bin, needs};

/// A call of the plugin, timed.
#[track_caller]
fn plugin(node: &CniNode, call: &Call<'_>) -> Run {
    let times = node.path("times");
    let timed = node.path("timed-plugin");
    let script = format!("#!/bin/sh\nset -- {times:?} {:?}\n{TIMED}\n", bin("podhosts-cni"));
    fs::write(&timed, script).unwrap();
    fs::set_permissions(&timed, fs::Permissions::from_mode(0o755)).unwrap();
    assert!(call.config.to_string().len() < 4 << 20);
    let run = node.call_plugin(&timed, call);
    expect_quick(&times);
    run
}

#[test]
fn tens_of_thousands_of_host_ports() {
    needs!("ip", "nft", "nsenter");
    let node = CniNode::new();
    node.pod("c1");
    let port = |n: usize| json!({"hostPort": n % 65_000 + 1, "containerPort": 80, "protocol": if n < 65_000 { "tcp" } else { "udp" }});
    let mut config = routed();
    config["runtimeConfig"] = json!({"portMappings": (0..70_000).map(port).collect::<Vec<_>>()});
    let before = node.traces();
    let (code, message) = error_of(&plugin(&node, &Call::new("ADD", "c1", &config)));
    let expected = "runtimeConfig.portMappings: 70000 host ports, expected at most 900";
    assert_eq!((code, message.as_str()), (7, expected));
    assert_eq!(node.traces(), before);
    // Those that are mapped to no host port do not count.
    for n in 899..70_000 {
        config["runtimeConfig"]["portMappings"][n]["hostPort"] = 0.into();
    }
    config["runtimeConfig"]["portMappings"][69_999] = json!({"hostPort": 1, "containerPort": 81});
    let (code, message) = error_of(&plugin(&node, &Call::new("ADD", "c1", &config)));
    assert_eq!(
        (code, message.as_str()),
        (100, "cannot map host port 1/tcp: it is mapped to two ports of the pod")
    );
}

#[test]
fn a_taken_host_port_among_a_thousand_others() {
    needs!("ip", "nft", "nsenter");
    let node = CniNode::new();
    let ports = |from: usize| -> Vec<Value> {
        (from..from + 900).map(|n| json!({"hostPort": n, "containerPort": 80, "protocol": "tcp"})).collect()
    };
    let mut config = routed();
    config["ipam"]["podCIDRs"] = json!(["10.244.0.0/16"]);
    for n in 0..14 {
        node.pod(&format!("c{n}"));
        config["runtimeConfig"] = json!({"portMappings": ports(40_000 + n * 900)});
        node.add(&format!("c{n}"), &config);
    }
    node.pod("late");
    // The last of all pairs is the one that clashes.
    let mut late = ports(1);
    late.pop();
    late.push(json!({"hostPort": 52_599, "containerPort": 80, "protocol": "tcp"}));
    config["runtimeConfig"] = json!({"portMappings": late});
    let (code, message) = error_of(&plugin(&node, &Call::new("ADD", "late", &config)));
    assert_eq!(
        (code, message.as_str()),
        (103, "cannot map host port 52599/tcp: it is already mapped to 10.244.0.15")
    );
}

#[test]
fn tens_of_thousands_of_ranges_and_requested_addresses() {
    needs!("ip", "nsenter");
    let node = CniNode::new();
    node.pod("c1");
    let range =
        |n: usize| json!([{"subnet": format!("10.{}.{}.{}/30", n >> 14, (n >> 6) & 255, (n & 63) << 2)}]);
    let many: Vec<Value> = (0..90_000).map(range).collect();
    let mut config = routed();
    config["ipam"] = json!({"routes": [{"dst": "0.0.0.0/0"}]});
    config["runtimeConfig"] = json!({"ipRanges": many});
    let (code, message) = error_of(&plugin(&node, &Call::new("ADD", "c1", &config)));
    let expected = "ipam: 90000 ranges in 90000 lists, expected at most 1024 in 64";
    assert_eq!((code, message.as_str()), (7, expected));
    // As many as there may be, and addresses of each list.
    let lists: Vec<Value> = (0..64)
        .map(|list| (0..16).map(|n| json!({"subnet": format!("10.{list}.{n}.0/24")})).collect())
        .collect();
    let ips: Vec<String> = (0..64).map(|list| format!("10.{list}.15.9")).collect();
    config["runtimeConfig"] = json!({"ipRanges": lists, "ips": ips});
    let result: Value =
        serde_json::from_str(&plugin(&node, &Call::new("ADD", "c1", &config)).success()).unwrap();
    assert_eq!(crate::harness::cni::addresses(&result), ips);
    config["runtimeConfig"]["ips"] =
        (0..200_000).map(|n| format!("10.0.{}.{}", n / 250 % 250, n % 250)).collect();
    let (code, message) = error_of(&plugin(&node, &Call::new("ADD", "c2", &config)));
    assert_eq!((code, message.as_str()), (7, "requested addresses: there are 200000, expected at most 64"));
}

/// A root of the pod's network namespace adds routes, and CHECK is told of many.
#[test]
fn tens_of_thousands_of_routes_in_the_pod_and_in_the_result() {
    needs!("ip", "nsenter");
    let node = CniNode::new();
    node.pod("c1");
    let mut config = routed();
    config["prevResult"] = node.add("c1", &config);
    let mut batch = String::new();
    for n in 0..20_000 {
        let _ = writeln!(batch, "route add 172.16.{}.{} dev eth0", n / 250, n % 250);
    }
    Run::with_input(node.command("ip", &["-n", "c1", "-batch", "-"]), batch.as_bytes()).success();
    let last = json!({"dst": "172.16.79.249/32"});
    config["prevResult"]["routes"] = vec![last; 100_000].into();
    assert_eq!(plugin(&node, &Call::new("CHECK", "c1", &config)).success(), "");
}

#[test]
fn a_previous_result_as_large_as_it_can_be() {
    needs!("ip", "nsenter");
    let node = CniNode::new();
    node.pod("c1");
    let ip = |n: usize| json!({"address": format!("10.{}.{}.{}/32", n >> 16, (n >> 8) & 255, n & 255)});
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni",
        "prevResult": {"cniVersion": "1.0.0", "ips": (0..100_000).map(ip).collect::<Vec<_>>()}});
    let answer = plugin(&node, &Call::new("ADD", "c1", &config)).success();
    assert_eq!(serde_json::from_str::<Value>(&answer).unwrap()["ips"].as_array().unwrap().len(), 100_000);
    assert_eq!(plugin(&node, &Call::new("CHECK", "c1", &config)).success(), "");
    let mut args = "IgnoreUnknown=1".to_owned();
    while args.len() < 120_000 {
        args.push_str(";A=1");
    }
    let call = Call { args: &args, ..Call::new("ADD", "c1", &config) };
    assert!(plugin(&node, &call).ok);
}

/// GC that is told of many attachments, while there are records of many pods.
#[test]
fn tens_of_thousands_of_valid_attachments() {
    needs!("nsenter");
    let node = CniNode::new();
    let record = |n: usize| json!({"version": 1, "sandboxID": format!("c{n}"), "namespace": "n", "name": "p", "podIPs": [], "network": "net"});
    node.sh("mkdir -p /run/podhosts/pods");
    for n in 0..1_000 {
        fs::write(node.file(&format!("/run/podhosts/pods/c{n}.json")), record(n).to_string()).unwrap();
    }
    let valid: Vec<Value> =
        (1..80_000).map(|n| json!({"containerID": format!("c{n}"), "ifname": "eth0"})).collect();
    let config = json!({"cniVersion": "1.1.0", "name": "net", "type": "podhosts-cni", "cni.dev/valid-attachments": valid});
    assert_eq!(plugin(&node, &Call::new("GC", "", &config)).success(), "");
    assert_eq!(node.sh("ls /run/podhosts/pods | wc -l").trim(), "999");
    assert!(!node.file("/run/podhosts/pods/c0.json").exists());
}
