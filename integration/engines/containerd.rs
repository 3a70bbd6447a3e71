//! containerd by its CRI: pods that crictl makes of files.

use std::fs;

use serde_json::{Value, json};

use crate::harness::containerd::{Containerd, Pod, each_containerd, sleeping};
use crate::harness::outside::{self, FIRST, NODE, SECOND};
use crate::harness::page::{ALIAS_LINES, ALIASES, KEY, page};
use crate::harness::{bin, managed};

each_containerd!(
    the_pod_of_kubernetes_page,
    containers_of_a_pod_have_seals_of_their_own,
    a_container_started_again_gets_a_new_seal,
    a_pod_on_the_nodes_network,
    addresses_are_in_the_order_of_the_network,
    a_pod_with_a_host_port,
    names_are_the_pods,
    an_image_without_a_hosts_file,
    pods_of_other_handlers_are_left_alone,
    a_pod_that_opts_out_is_left_alone,
    an_error_reaches_whoever_called_crictl,
);

/// A pod with the aliases.
fn with_aliases(containerd: &Containerd, name: &str) -> Value {
    let mut config = containerd.pod_config(name);
    config["annotations"] = json!({KEY: ALIASES, "example.org/other": "passed over"});
    config
}

fn the_pod_of_kubernetes_page(containerd: &mut Containerd) {
    let example = crate::harness::repository().join("examples/hostaliases-pod.crictl.yaml");
    let pod_file = example.to_str().unwrap();
    let before = containerd.node.traces();
    containerd.node.sh("mkdir /var/log/pods/default_hostaliases-pod");
    let pod = containerd.ask(&["runp", "--runtime", "podhosts", pod_file]);
    let status = &containerd.inspect("inspectp", &pod)["status"];
    assert_eq!(status["network"], json!({"ip": FIRST[0], "additionalIps": [{"ip": FIRST[1]}]}));

    let expected = page(&FIRST, "hostaliases-pod");
    let render = ["render", "-f", pod_file, "--pod-ip", FIRST[0], "--pod-ip", FIRST[1]];
    assert_eq!(containerd.node.run(bin("podhosts"), &render).success(), expected);

    let mut cat_hosts = sleeping("cat-hosts");
    cat_hosts["command"] = json!(["cat"]);
    cat_hosts["args"] = json!(["/etc/hosts"]);
    let id = start(containerd, &pod, &cat_hosts, pod_file);
    let is_over = |status: &str| status.contains("CONTAINER_EXITED");
    containerd.until(&["inspect", &id], is_over);
    assert_eq!(containerd.crictl(&["logs", &id]).success(), expected);

    let id = start(containerd, &pod, &sleeping("main"), pod_file);
    assert_eq!(containerd.hosts(&id), expected);
    for change in ["echo >>/etc/hosts", "rm /etc/hosts", "chmod 666 /etc/hosts", "umount /etc/hosts"] {
        containerd.exec(&id, change).failure();
    }
    assert_eq!(containerd.hosts(&id), expected);

    let shown = containerd.node.run(bin("podhosts"), &["inspect", &id]).success();
    assert!(shown.contains("sealed     yes\naddresses  from the CNI record\n"), "{shown}");

    let record = containerd.node.file(&format!("/run/podhosts/pods/{pod}.json"));
    let mut record: Value = serde_json::from_str(&fs::read_to_string(record).unwrap()).unwrap();
    let aliases = record["annotations"]["podhosts.io/host-aliases"].take();
    assert!(aliases.as_str().unwrap().contains("foo.remote"));
    assert_eq!((&record["namespace"], &record["name"]), (&"default".into(), &"hostaliases-pod".into()));
    assert_eq!(record["uid"], "5c1a7a4e-0b7e-4c39-9d5a-6f6c2f0f7c11");
    assert_eq!(record["podIPs"], json!(FIRST));

    containerd.ask(&["rmp", "-f", &pod]);
    the_environment_of_kubernetes_page(containerd);
    assert_eq!(containerd.node.traces(), before);
}

/// As the page about dual-stack has it, but that nobody tells of the downward API but an annotation.
fn the_environment_of_kubernetes_page(containerd: &Containerd) {
    let mut config = with_aliases(containerd, "web");
    config["annotations"]["podhosts.io/env.MY_POD_IPS"] = "status.podIPs".into();
    let pod = containerd.pod(&config);
    let mut container = sleeping("main");
    container["command"] = json!(["sh", "-c", "env | grep MY_POD_IPS; cat /etc/hosts"]);
    let id = pod.start(&container);
    containerd.until(&["inspect", &id], |status| status.contains("CONTAINER_EXITED"));
    let [v4, v6] = SECOND;
    let expected = format!("MY_POD_IPS={v4},{v6}\n{}", page(&SECOND, "web"));
    assert_eq!(containerd.crictl(&["logs", &id]).success(), expected);
    pod.remove();
}

fn start(containerd: &Containerd, pod: &str, config: &Value, pod_file: &str) -> String {
    let file = containerd.file("container.json", config);
    let id = containerd.ask(&["create", pod, &file, pod_file]);
    assert_eq!(containerd.ask(&["start", &id]), id);
    id
}

fn containers_of_a_pod_have_seals_of_their_own(containerd: &mut Containerd) {
    let pod = containerd.pod(&with_aliases(containerd, "web"));
    let (one, two) = (pod.start(&sleeping("one")), pod.start(&sleeping("two")));
    for id in [&one, &two] {
        assert_eq!(containerd.hosts(id), page(&FIRST, "web"));
    }
    assert_ne!(containerd.seal(&one), containerd.seal(&two));
    pod.remove();
}

fn a_container_started_again_gets_a_new_seal(containerd: &mut Containerd) {
    let pod = containerd.pod(&with_aliases(containerd, "web"));
    let other = containerd.pod(&with_aliases(containerd, "db"));
    let mut config = sleeping("main");
    let first = pod.start(&config);
    let stays = other.start(&config);
    containerd.ask(&["stop", &first]);
    containerd.ask(&["rm", &first]);
    config["metadata"]["attempt"] = 1.into();
    let second = pod.start(&config);
    assert_ne!(first, second);
    assert_eq!(containerd.hosts(&second), page(&FIRST, "web"));
    assert_eq!(containerd.hosts(&stays), page(&SECOND, "db"));
    containerd.exec(&second, "echo >>/etc/hosts").failure();
    pod.remove();
    other.remove();
}

fn a_pod_on_the_nodes_network(containerd: &mut Containerd) {
    fs::write(containerd.node.file("/etc/hosts"), "127.0.0.1 localhost\n192.0.2.7 the-node\n").unwrap();
    let on_node = json!({"namespace_options": {"network": 2}});
    let mut config = with_aliases(containerd, "agent");
    config["linux"]["security_context"] = on_node.clone();
    let pod = containerd.pod(&config);
    assert_eq!(pod.addresses(), Vec::<String>::new());
    let mut container = sleeping("main");
    container["linux"]["security_context"] = on_node;
    let id = pod.start(&container);
    let header = "# Kubernetes-managed hosts file (host network).\n";
    let expected = format!("{header}127.0.0.1 localhost\n192.0.2.7 the-node\n{ALIAS_LINES}");
    assert_eq!(containerd.hosts(&id), expected);
    containerd.exec(&id, "echo >>/etc/hosts").failure();
    pod.remove();
}

fn addresses_are_in_the_order_of_the_network(containerd: &mut Containerd) {
    let file = containerd.node.file("/etc/cni/net.d/10-podhosts.conflist");
    let mut network: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    network["plugins"][0]["ipam"]["podCIDRs"].as_array_mut().unwrap().reverse();
    containerd.end("TERM");
    fs::write(file, network.to_string()).unwrap();
    containerd.launch();
    let pod = containerd.pod(&with_aliases(containerd, "web"));
    // containerd itself tells the IPv4 address first unless its ip_pref says otherwise.
    assert_eq!(pod.addresses(), FIRST);
    let id = pod.start(&sleeping("main"));
    assert_eq!(containerd.hosts(&id), page(&[FIRST[1], FIRST[0]], "web"));
    pod.remove();
}

fn a_pod_with_a_host_port(containerd: &mut Containerd) {
    outside::connect(&containerd.node);
    let before = containerd.node.traces();
    let mut config = containerd.pod_config("web");
    config["port_mappings"] = json!([{"protocol": 0, "container_port": 80, "host_port": 8080}]);
    let pod = containerd.pod(&config);
    let mut server = sleeping("main");
    server["command"] = json!(["sh", "-c", "mkdir /www; cp /etc/hosts /www; exec httpd -f -p 80 -h /www"]);
    let id = pod.start(&server);
    for host in [NODE[0], &format!("[{}]", NODE[1])] {
        let get = format!("wget -q -O - http://{host}:8080/hosts");
        let ask =
            format!("ip netns exec outside timeout 30 sh -c 'until busybox {get}; do sleep 0.05; done'");
        assert_eq!(containerd.node.sh(&ask), containerd.hosts(&id));
    }
    pod.remove();
    assert!(outside::is_closed(&containerd.node, 8080));
    assert_eq!(containerd.node.traces(), before);
}

fn names_are_the_pods(containerd: &mut Containerd) {
    let mut config = containerd.pod_config("web-7f9");
    config["hostname"] = "front".into();
    config["annotations"]["podhosts.io/subdomain"] = "shop".into();
    let pod = containerd.pod(&config);
    let id = pod.start(&sleeping("main"));
    let line = |ip: &str| format!("{ip}\tfront.shop.default.svc.cluster.local\tfront\n");
    assert_eq!(containerd.hosts(&id), managed(&FIRST.map(line).concat()));
    assert_eq!(containerd.exec(&id, "hostname").success(), "front\n");
    pod.remove();
}

fn an_image_without_a_hosts_file(containerd: &mut Containerd) {
    let images =
        [("docker.io/library/no-hosts:latest", "etc/hosts"), ("docker.io/library/no-etc:latest", "etc")];
    let pod = containerd.pod(&with_aliases(containerd, "web"));
    for (image, missing) in images {
        containerd.import(&[image], &[missing]);
        for readonly in [false, true] {
            let mut config = sleeping(&format!("{}-{readonly}", missing.replace('/', "-")));
            config["image"]["image"] = image.into();
            config["linux"]["security_context"]["readonly_rootfs"] = readonly.into();
            let id = pod.start(&config);
            assert_eq!(containerd.hosts(&id), page(&FIRST, "web"));
            containerd.exec(&id, "echo >>/etc/hosts").failure();
        }
    }
    pod.remove();
}

fn pods_of_other_handlers_are_left_alone(containerd: &mut Containerd) {
    let pod = containerd.pod_with(&with_aliases(containerd, "web"), &[]);
    assert_left_alone(containerd, pod);
    assert!(!containerd.node.file("/var/log/podhosts").exists());
}

fn a_pod_that_opts_out_is_left_alone(containerd: &mut Containerd) {
    let mut config = with_aliases(containerd, "web");
    config["annotations"]["podhosts.io/seal"] = "false".into();
    let pod = containerd.pod(&config);
    assert_left_alone(containerd, pod);
}

/// The containers of the pod have what containerd gives them: the node's file, to write to.
#[track_caller]
fn assert_left_alone(containerd: &Containerd, pod: Pod<'_>) {
    let id = pod.start(&sleeping("main"));
    let node_hosts = fs::read_to_string(containerd.node.file("/etc/hosts")).unwrap();
    assert_eq!(containerd.hosts(&id), node_hosts);
    containerd.exec(&id, "echo mine >>/etc/hosts").success();
    let mounts = containerd.exec(&id, "cat /proc/self/mountinfo").success();
    assert!(!mounts.contains(" podhosts:"), "{mounts}");
    pod.remove();
}

fn an_error_reaches_whoever_called_crictl(containerd: &mut Containerd) {
    let before = containerd.node.traces();
    let mut config = containerd.pod_config("web");
    config["annotations"][KEY] = r#"[{"ip":"10.1.2.300","hostnames":["db"]}]"#.into();
    let pod = containerd.pod(&config);
    let id = pod.create(&sleeping("main"));
    let error = containerd.crictl(&["start", &id]).failure();
    assert!(error.contains("cannot render the hosts file: spec.hostAliases[0].ip: Invalid value"), "{error}");
    assert_eq!(containerd.inspect("inspect", &id)["status"]["state"], "CONTAINER_EXITED");
    pod.remove();
    assert_eq!(containerd.node.traces(), before);
}
