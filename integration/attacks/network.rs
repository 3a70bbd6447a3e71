//! The node's 127.0.0.1, which host ports open a way to.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, error_of};
use crate::harness::{bin, needs, skip};

/// Counts the datagrams that arrive at an address of the node, and prints a line for each, until it is asked to stop.
const LISTEN: &str = r"
import socket, sys
s = socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((sys.argv[1], int(sys.argv[2])))
print('ready', flush=True)
while True:
    text, peer = s.recvfrom(100)
    print(text.decode(), peer[0], flush=True)
    if text == b'stop':
        break
";

/// Sends a datagram: from, to, port, text.
pub(super) const SEND: &str = r"
import socket, sys
source, to, port, text = sys.argv[1:5]
s = socket.socket(socket.AF_INET6 if ':' in to else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((source, 0))
try:
    s.sendto(text.encode(), (to, int(port)))
except OSError as error:
    print(error)
";

/// Somebody who listens on the node or in a pod.
pub(super) struct Listener {
    child: Child,
    address: String,
}

impl Listener {
    /// Listens at an address of the node's, or of `pod`'s.
    pub(super) fn new(node: &CniNode, pod: Option<&str>, address: &str) -> Self {
        let args = ["-c", LISTEN, address, "2379"];
        let mut command = match pod {
            None => node.command("python3", &args),
            Some(pod) => node.command("ip", &[&["netns", "exec", pod, "python3"][..], &args].concat()),
        };
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut read = || {
            line.clear();
            std::io::BufRead::read_line(
                &mut std::io::BufReader::with_capacity(1, child.stdout.as_mut().unwrap()),
                &mut line,
            )
            .unwrap();
            line.trim().to_owned()
        };
        assert_eq!(read(), "ready");
        Self { child, address: address.to_owned() }
    }

    /// What has arrived until now. A datagram of the listener's own side comes last; they keep their order.
    pub(super) fn heard(mut self, node: &CniNode, pod: Option<&str>) -> Vec<String> {
        let from = if self.address.contains(':') { "::" } else { "0.0.0.0" };
        let args = ["-c", SEND, from, &self.address, "2379", "stop"];
        let stopped = match pod {
            None => node.run("python3", &args),
            Some(pod) => node.run("ip", &[&["netns", "exec", pod, "python3"][..], &args].concat()),
        };
        assert_eq!(stopped.success(), "");
        let mut all = String::new();
        std::io::Read::read_to_string(self.child.stdout.as_mut().unwrap(), &mut all).unwrap();
        all.lines().filter(|line| !line.starts_with("stop")).map(str::to_owned).collect()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn config(mode: &str, extra: &Value) -> Value {
    let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": mode,
        "capabilities": {"portMappings": true}, "ipam": {"podCIDRs": ["10.244.1.0/24"]}});
    if mode == "bridge" {
        config["bridge"] = "br0".into();
        config["isDefaultGateway"] = true.into();
    }
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config
}

fn with_port(config: &Value, mapping: Value) -> Value {
    let mut config = config.clone();
    config["runtimeConfig"] = json!({"portMappings": [mapping]});
    config
}

/// The configuration of a pod with a host port on all addresses.
fn mapped(config: &Value) -> Value {
    with_port(config, json!({"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}))
}

/// A pod takes the node's 127.0.0.5 for a neighbour, and sends it a datagram.
fn knock(node: &CniNode, pod: &str) {
    node.in_pod(
        pod,
        "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet; echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
         ip route del table local local 127.0.0.0/8 2>/dev/null || true
         ip route replace 127.0.0.5 via $(ip route show default | cut -d' ' -f3)",
    );
    let own = node.in_pod(pod, "ip -o -4 addr show dev eth0 | grep -o '10.244.1.[0-9]*/' | head -n 1");
    let own = own.trim().trim_end_matches('/');
    for source in [own, "127.0.0.9"] {
        if source.starts_with("127") {
            node.in_pod(pod, "ip addr replace 127.0.0.9/32 dev eth0");
        }
        let args = ["netns", "exec", pod, "python3", "-c", SEND, source, "127.0.0.5", "2379", "knock"];
        node.run("ip", &args).success();
    }
}

/// What pods reach of the node's 127.0.0.1.
#[track_caller]
fn assert_closed(node: &CniNode, pod: &str, when: &str) {
    let listener = Listener::new(node, None, "127.0.0.5");
    knock(node, pod);
    assert_eq!(listener.heard(node, None), [""; 0], "{when}");
}

fn route_localnet(node: &CniNode, interface: &str) -> String {
    node.sh(&format!("cat /proc/sys/net/ipv4/conf/{interface}/route_localnet")).trim().to_owned()
}

/// CVE-2020-8558: what listens on the node's 127.0.0.1 alone was reached by its neighbours. Here the way in stayed open
/// after the last pod that needed it.
#[test]
fn a_pod_on_a_bridge_knocks_at_the_nodes_loopback_after_the_last_host_port() {
    needs!("ip", "nft", "python3");
    for extra in [json!({}), json!({"spoofCheck": false}), json!({"spoofCheck": false, "ipMasq": true})] {
        let (node, config) = (CniNode::new(), config("bridge", &extra));
        for pod in ["c1", "c2"] {
            node.pod(pod);
        }
        node.add("c2", &config);
        let wrong = with_port(&config, json!({"hostPort": 80, "containerPort": 80, "hostIP": "::1"}));
        for ended in ["DEL", "a failing ADD", "an ADD that fails late", "GC"] {
            match ended {
                "a failing ADD" => {
                    assert_eq!(error_of(&node.call(&Call::new("ADD", "c1", &wrong))).0, 100);
                }
                "an ADD that fails late" => {
                    let mut late = mapped(&config);
                    late["ipam"]["routes"] = json!([{"dst": "192.0.2.0/24", "gw": "203.0.113.1"}]);
                    assert_eq!(error_of(&node.call(&Call::new("ADD", "c1", &late))).0, 100);
                }
                _ => {
                    node.add("c1", &mapped(&config));
                    assert_eq!(route_localnet(&node, "br0"), "1");
                    assert_closed(&node, "c2", "while there is a host port");
                    if ended == "DEL" {
                        node.del("c1", &config);
                    } else {
                        node.gc(&["c2"], &config);
                    }
                }
            }
            assert_eq!(route_localnet(&node, "br0"), "0", "{ended}");
            assert_closed(&node, "c2", ended);
        }
        // The attack is one: it succeeds where nothing is done against it.
        node.sh("echo 1 >/proc/sys/net/ipv4/conf/br0/route_localnet; nft flush ruleset");
        let listener = Listener::new(&node, None, "127.0.0.5");
        knock(&node, "c2");
        assert!(!listener.heard(&node, None).is_empty(), "the attack is none");
    }
}

/// The same for a bridge's interface of a VLAN, where the kernel has VLAN filtering. (It has not been run on such a kernel.)
#[test]
fn a_pod_in_a_vlan_knocks_at_the_nodes_loopback_after_the_last_host_port() {
    needs!("ip", "nft", "python3");
    let (node, config) = (CniNode::new(), config("bridge", &json!({"vlan": 7})));
    if !node.run("ip", &["link", "add", "probe", "type", "bridge", "vlan_filtering", "1"]).ok {
        skip("this kernel has no VLAN filtering");
        return;
    }
    for pod in ["c1", "c2"] {
        node.pod(pod);
    }
    node.add("c2", &config);
    node.add("c1", &mapped(&config));
    node.del("c1", &config);
    for interface in ["br0", "br0.7"] {
        assert_eq!(route_localnet(&node, interface), "0", "{interface}");
    }
    assert_closed(&node, "c2", "DEL");
}

/// Somebody else's setting is not ours to take back.
#[test]
fn route_localnet_that_was_set_before_stays() {
    needs!("ip", "nft");
    let (node, config) = (CniNode::new(), config("bridge", &json!({})));
    node.pod("c1");
    node.sh("ip link add br0 type bridge; echo 1 >/proc/sys/net/ipv4/conf/br0/route_localnet");
    node.add("c1", &mapped(&config));
    node.del("c1", &config);
    assert_eq!(route_localnet(&node, "br0"), "1");
}

/// CVE-2020-8558 again: packets of a pod that is just being deleted, whose rules went before its interface.
#[test]
fn a_pod_that_is_deleted_knocks_at_the_nodes_loopback_to_the_last() {
    const FLOOD: &str = r"
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b'eth0')
s.setblocking(False)
print('ready', flush=True)
while True:
    try:
        s.sendto(b'flood', ('127.0.0.5', 2379))
    except BlockingIOError:
        pass
    except OSError:
        break
";
    needs!("ip", "nft", "python3");
    for (mode, extra) in
        [("routed", json!({})), ("routed", json!({"spoofCheck": false})), ("bridge", json!({}))]
    {
        let (node, config) = (CniNode::new(), config(mode, &extra));
        for round in 0..3 {
            node.pod("c1");
            node.add("c1", &mapped(&config));
            let listener = Listener::new(&node, None, "127.0.0.5");
            knock(&node, "c1");
            let mut flood = node.command("ip", &["netns", "exec", "c1", "python3", "-c", FLOOD]);
            let mut flood = flood.stdout(Stdio::piped()).spawn().unwrap();
            let mut ready = [0; 6];
            std::io::Read::read_exact(flood.stdout.as_mut().unwrap(), &mut ready).unwrap();
            node.del("c1", &config);
            let _ = flood.kill();
            let _ = flood.wait();
            assert_eq!(listener.heard(&node, None), [""; 0], "{mode}, round {round}");
            node.sh("ip netns del c1");
        }
    }
}

/// Connection tracking never sees what somebody has marked as untracked, nor does a chain of type nat.
#[test]
fn packets_that_are_not_tracked_knock_at_the_nodes_loopback() {
    needs!("ip", "nft", "python3");
    for mode in ["routed", "bridge"] {
        // With every setting open that a kube-proxy in iptables mode opens.
        let (node, config) = (CniNode::new(), config(mode, &json!({"spoofCheck": false})));
        node.pod("c1");
        node.sh("echo 1 >/proc/sys/net/ipv4/conf/all/route_localnet
             nft 'add table ip other; add chain ip other pre { type filter hook prerouting priority -400; }
                  add rule ip other pre notrack'");
        node.add("c1", &mapped(&config));
        assert_closed(&node, "c1", mode);
    }
}

/// CVE-2020-8558, the other way round: whoever trusts 127.0.0.0/8 as a source is deceived.
#[test]
fn a_pod_sends_from_the_nodes_loopback() {
    needs!("ip", "nft", "python3", "busybox");
    for mode in ["routed", "bridge"] {
        let (node, config) = (CniNode::new(), config(mode, &json!({"spoofCheck": false})));
        node.pod("c1");
        node.sh("ip link add up0 type bridge; ip link set up0 up; ip addr add 192.0.2.1/24 dev up0");
        node.add("c1", &mapped(&config));
        let sent = |listener: Listener| {
            node.in_pod("c1", "echo 1 >/proc/sys/net/ipv4/conf/eth0/route_localnet");
            node.in_pod("c1", "ip addr replace 127.0.0.9/32 dev eth0");
            let args = ["netns", "exec", "c1", "python3", "-c", SEND, "127.0.0.9", "192.0.2.1", "2379", "x"];
            // The first makes the gateway known, and may come too late to be heard.
            for _ in 0..2 {
                assert_eq!(node.run("ip", &args).success(), "");
            }
            node.in_pod("c1", "busybox ping -c 1 -W 20 192.0.2.1");
            assert_eq!(node.run("ip", &args).success(), "");
            listener.heard(&node, None)
        };
        assert_eq!(sent(Listener::new(&node, None, "192.0.2.1")), [""; 0], "{mode}");
        node.sh("nft flush ruleset");
        assert!(!sent(Listener::new(&node, None, "192.0.2.1")).is_empty(), "the attack is none: {mode}");
    }
}

/// What the pods need goes with `nft flush ruleset`, which firewalls call when they are reloaded.
#[test]
fn a_foreign_flush_is_told_by_doctor_and_mended_by_the_next_call() {
    needs!("ip", "nft", "python3");
    for mode in ["routed", "bridge"] {
        let (node, config) = (CniNode::new(), config(mode, &json!({"ipMasq": true})));
        for pod in ["c1", "c2", "c3", "c4"] {
            node.pod(pod);
        }
        let mut checked = mapped(&config);
        checked["prevResult"] = node.add("c1", &mapped(&config));
        node.add("c2", &config);
        let sorted = |text: String| {
            let mut words: Vec<String> =
                text.split_whitespace().map(|w| w.trim_matches(',').to_owned()).collect();
            words.sort_unstable();
            words
        };
        let rules = || sorted(node.sh("nft list ruleset"));
        let doctor = || {
            let run = node.run(bin("podhosts"), &["doctor", "--json", "--no-self-test"]);
            let report: Value = serde_json::from_str(&run.stdout).unwrap();
            let checks = report["checks"].as_array().unwrap().clone();
            checks.into_iter().find(|check| check["check"] == "packet-filter").unwrap()
        };
        let before = rules();
        for mends in ["ADD", "DEL", "GC"] {
            assert_eq!(doctor()["status"], "ok", "{}", doctor());
            if mends == "DEL" {
                node.add("c3", &config);
            }
            node.sh("nft flush ruleset");
            assert_eq!(doctor()["status"], "error");
            assert!(doctor()["message"].as_str().unwrap().contains("table inet podhosts"), "{}", doctor());
            match mends {
                "ADD" => {
                    node.add("c4", &config);
                    assert_eq!(node.call(&Call::new("CHECK", "c1", &checked)).success(), "");
                    node.del("c4", &config);
                }
                "DEL" => node.del("c3", &config),
                _ => node.gc(&["c1", "c2"], &config),
            }
            assert_eq!(rules(), before, "{mode}, {mends}");
            assert_eq!(node.call(&Call::new("CHECK", "c1", &checked)).success(), "");
        }
        // Single elements that somebody deletes.
        node.sh("nft flush map inet podhosts masquerade4");
        assert_eq!(doctor()["status"], "error");
        node.gc(&["c1", "c2"], &config);
        assert_eq!(rules(), before, "{mode}");
        for pod in ["c1", "c2"] {
            node.del(pod, &config);
        }
        assert_eq!(node.sh("nft list ruleset"), "");
    }
}

/// The way back in IPv6 needs no rule: the kernel takes ::1 from no other interface than lo.
#[test]
fn a_pod_knocks_at_the_nodes_ipv6_loopback() {
    needs!("ip", "nft", "python3");
    let (node, mut config) = (CniNode::new(), config("routed", &json!({"spoofCheck": false})));
    config["ipam"] = json!({"podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]});
    node.pod("c1");
    node.add("c1", &mapped(&config));
    let listener = Listener::new(&node, None, "::1");
    node.in_pod("c1", "ip -6 route del table local local ::1; ip -6 route add ::1 via fe80::1 dev eth0");
    let from = "2001:db8:1::2";
    let sent = |to: &str| {
        let args = ["netns", "exec", "c1", "python3", "-c", SEND, from, to, "2379", "knock"];
        node.run("ip", &args).success()
    };
    assert_eq!(sent("::1"), "");
    assert_eq!(listener.heard(&node, None), [""; 0]);
}

/// A kernel without nf_tables: nothing would be checked, so no pod starts unchecked.
#[test]
fn a_pod_that_cannot_be_checked_does_not_start() {
    needs!("ip", "nft", "strace");
    let (node, config) = (CniNode::new(), config("routed", &json!({})));
    node.pod("c1");
    let before = node.traces();
    let add = |config: &Value| {
        let call = Call::new("ADD", "c1", config);
        let mut command: Command = node.plugin_command(std::path::Path::new("strace"), &call);
        // The first socket of the call is the packet filter's.
        let inject = "inject=socket:error=EPROTONOSUPPORT:when=1";
        command.args(["-o", "/dev/null", "-e", "trace=socket", "-e", inject]).arg(bin("podhosts-cni"));
        node.pipe(command, config.to_string().as_bytes())
    };
    let (code, msg) = error_of(&add(&config));
    assert_eq!(code, 100, "{msg}");
    assert!(msg.contains("this kernel has no nf_tables, expected it or \"spoofCheck\": false"), "{msg}");
    assert_eq!(node.traces(), before);
}
