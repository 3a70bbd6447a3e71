//! Pods of an engine on the agents' network: HostAliases come from the Pod's spec, without an annotation.

use std::fs;

use serde_json::{Value, json};

use super::agents::{comes_within, until_on};
use super::world::{Cluster, PORT, in_cluster};
use crate::harness::containerd::{Containerd, Pod, Release, sleeping};
use crate::harness::{managed, needs};

const ALIASES: &str = "\n# Entries added by HostAliases.\n123.45.67.89\tfoo\tbar\n2001:db8::7\tsix\n";

#[test]
fn containerd_1_6() {
    needs!("python3", "nft");
    hosts_files_are_those_of_the_pods_specs(Release::Bookworm);
}

#[test]
fn containerd_2() {
    needs!("python3", "nft");
    hosts_files_are_those_of_the_pods_specs(Release::Sid);
}

/// Creates the Pod `name`, bound to the first node; its uid.
fn create(cluster: &Cluster, name: &str, aliases: &Value) -> String {
    let pod = json!({"metadata": {"name": name}, "spec": {"nodeName": "node1", "hostAliases": aliases,
        "containers": [{"name": "main", "image": "busybox"}]}});
    let pod = cluster.ask("POST", "/api/v1/namespaces/default/pods", &pod);
    pod["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// Runs the pod as the kubelet does.
fn run<'a>(containerd: &'a Containerd, name: &str, uid: &str) -> Pod<'a> {
    let mut config = containerd.pod_config(name);
    config["metadata"]["uid"] = uid.into();
    config["hostname"] = name.into();
    containerd.pod(&config)
}

/// Writes what a kubelet mounts over /etc/hosts; its path.
fn write(containerd: &Containerd, uid: &str, text: &str) -> String {
    let path = format!("/var/lib/kubelet/pods/{uid}/etc-hosts");
    let file = containerd.node.file(&path);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
    path
}

fn mounting(name: &str, path: &str) -> Value {
    let mut config = sleeping(name);
    config["mounts"] = json!([{"container_path": "/etc/hosts", "host_path": path}]);
    config
}

#[track_caller]
fn assert_sealed(containerd: &Containerd, id: &str, expected: &str) {
    assert_eq!(containerd.hosts(id), expected);
    containerd.exec(id, "echo >>/etc/hosts").failure();
}

fn hosts_files_are_those_of_the_pods_specs(release: Release) {
    in_cluster(|cluster| {
        let Some(mut containerd) = Containerd::new(release) else { return };
        containerd.podhosts(&["configure", "--runtime", "containerd"]).success();
        // It is ready by the list that the agent writes.
        containerd.spawn();
        cluster.join_with(containerd);
        cluster.join();
        cluster.start_agents(&[]);
        cluster.members[1].add_pod();
        cluster.members[0].engine().is_launched();
        cluster.members[0].engine().import_images();
        let aliases = json!([{"ip": "123.45.67.89", "hostnames": ["foo", "bar"]}, {"ip": "2001:db8::7", "hostnames": ["six"]}]);
        let uid = create(cluster, "web", &aliases);
        let other_uid = create(cluster, "other", &json!([]));
        let cluster = &*cluster;
        let containerd = cluster.members[0].engine();
        let pod = run(containerd, "web", &uid);
        let lines: String = pod.addresses().iter().map(|ip| format!("{ip}\tweb\n")).collect();
        let text = managed(&format!("{lines}{ALIASES}"));
        let path = write(containerd, &uid, &text);
        assert_sealed(containerd, &pod.start(&mounting("first", &path)), &text);
        // A sibling that has the kubelet's file in a volume writes what it likes.
        for (number, spoilt) in
            ["6.6.6.6\tbank.example\n", "", &managed("6.6.6.6\tweb bank.example\n")].iter().enumerate()
        {
            fs::write(containerd.node.file(&path), spoilt).unwrap();
            assert_sealed(containerd, &pod.start(&mounting(&format!("spoilt-{number}"), &path)), &text);
        }
        // An engine without a kubelet mounts nothing.
        assert_sealed(containerd, &pod.start(&sleeping("bare")), &text);
        let other = run(containerd, "other", &other_uid);
        let lines: String = other.addresses().iter().map(|ip| format!("{ip}\tother\n")).collect();
        let id = other.start(&sleeping("main"));
        assert_sealed(containerd, &id, &managed(&lines));
        // Over to another node.
        let there = &cluster.members[1].pods[0];
        for (own, host) in other.addresses().iter().zip(&there.addresses) {
            let answer = containerd.exec(&id, &format!("nc {host} {PORT} </dev/null")).success();
            assert_eq!(answer.trim_end(), format!("{} {own}", there.name));
        }
        // What the agent keeps of a Pod goes with it.
        let mentions = || containerd.node.sh(&format!("grep -rl {uid} /run/podhosts || true"));
        assert_ne!(mentions(), "");
        pod.remove();
        cluster.ask("DELETE", "/api/v1/namespaces/default/pods/web?gracePeriodSeconds=0", &Value::Null);
        comes_within(std::time::Duration::from_secs(30), || mentions().is_empty());
        assert_eq!(mentions(), "");
        other.remove();
        until_on(&cluster.members[0], "ready", || cluster.members[0].is_ready());
    });
}
