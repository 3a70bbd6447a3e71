//! Packets and frames that carry other addresses than their sender's.

use serde_json::{Value, json};

use super::network::{Listener, SEND};
use crate::harness::cni::{Call, CniNode, addresses, error_of};
use crate::harness::needs;

/// Sends a frame from a pod's eth0, given in hexadecimal.
const FRAME: &str = r"
import socket, sys
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
s.bind(('eth0', 0))
s.send(bytes.fromhex(sys.argv[1]))
";

fn config(mode: &str, extra: &Value) -> Value {
    let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": mode,
        "ipam": {"podCIDRs": ["10.244.1.0/24", "2001:db8:1::/64"]}});
    if mode == "bridge" {
        config["bridge"] = "br0".into();
        config["isDefaultGateway"] = true.into();
    }
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    config
}

fn send(node: &CniNode, pod: &str, from: &str, to: &str, text: &str) {
    let args = ["netns", "exec", pod, "python3", "-c", SEND, from, to, "2379", text];
    assert_eq!(node.run("ip", &args).success(), "", "{from} to {to}");
}

fn frame(node: &CniNode, pod: &str, bytes: &str) {
    node.run("ip", &["netns", "exec", pod, "python3", "-c", FRAME, &bytes.replace([' ', ':'], "")]).success();
}

/// A pod sends from each of `forged` and then from its own address to a pod and to the node; what of that arrived.
fn arrived(node: &CniNode, to: &[(Option<&str>, &str)], forged: &[&str], own: &str) -> Vec<String> {
    let mut all = Vec::new();
    for (pod, address) in to {
        let listener = Listener::new(node, *pod, address);
        for source in forged {
            let prefix = if source.contains(':') { "128 nodad" } else { "32" };
            node.in_pod("c1", &format!("ip addr add {source}/{prefix} dev eth0"));
            send(node, "c1", source, address, "forged");
            node.in_pod(
                "c1",
                &format!("ip addr del {source}/{} dev eth0", &prefix[..prefix.len().min(3)].trim()),
            );
        }
        send(node, "c1", own, address, "own");
        all.extend(listener.heard(node, *pod));
    }
    all
}

fn two_pods(config: &Value) -> (CniNode, Vec<String>, Vec<String>) {
    let node = CniNode::new();
    // An address of the node's that is not the pods' gateway.
    node.sh("ip link add up0 type bridge; ip link set up0 up; ip addr add 192.0.2.1/24 dev up0
             ip addr add 2001:db8:9::1/64 dev up0 nodad");
    for pod in ["c1", "c2"] {
        node.pod(pod);
    }
    let (first, second) = (addresses(&node.add("c1", config)), addresses(&node.add("c2", config)));
    let gateways = if config["mode"] == "bridge" { &["10.244.1.1", "2001:db8:1::1"][..] } else { &[] };
    get_to_know(&node, second.iter().map(String::as_str).chain(gateways.iter().copied()));
    (node, first, second)
}

/// The first pod knows these neighbours from now on, so that nothing that it sends has to wait.
fn get_to_know<'a>(node: &CniNode, neighbours: impl Iterator<Item = &'a str>) {
    for to in neighbours {
        node.in_pod("c1", &format!("busybox ping -c 1 -W 20 {to}"));
    }
}

/// The reference plugins let pods send with any source address (but for `macspoofchk`).
#[test]
fn a_pod_sends_with_addresses_of_others() {
    needs!("ip", "nft", "python3", "busybox");
    for mode in ["routed", "bridge"] {
        let (node, own, others) = two_pods(&config(mode, &json!({})));
        let forged4 = [&others[0][..], "8.8.8.8", "10.244.1.200", "192.0.2.1"];
        let to4 = [(Some("c2"), &others[0][..]), (None, "192.0.2.1")];
        // A kernel takes no packet that comes from itself.
        let to4 = |forged: &str| to4.iter().filter(|(_, to)| *to != forged).copied().collect::<Vec<_>>();
        for forged in forged4 {
            let to = to4(forged);
            let expected = vec![format!("own {}", own[0]); to.len()];
            assert_eq!(arrived(&node, &to, &[forged], &own[0]), expected, "{mode} {forged}");
        }
        for forged in [&others[1][..], "2001:db8:1::200", "2001:db8:9::1", "2001:4860:4860::8888"] {
            let to = [(Some("c2"), &others[1][..]), (None, "2001:db8:9::1")];
            let to: Vec<_> = to.into_iter().filter(|(_, to)| *to != forged).collect();
            let expected = vec![format!("own {}", own[1]); to.len()];
            assert_eq!(arrived(&node, &to, &[forged], &own[1]), expected, "{mode} {forged}");
        }
        // Where nothing is checked it does arrive.
        let (node, own, others) = two_pods(&config(mode, &json!({"spoofCheck": false})));
        // Else the kernel itself asks for the way back.
        node.sh("for file in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 >$file; done");
        let expected = vec!["forged 2001:db8:9::77".to_owned(), format!("own {}", own[1])];
        let to = [(Some("c2"), &others[1][..])];
        assert_eq!(arrived(&node, &to, &["2001:db8:9::77"], &own[1]), expected, "{mode}");
    }
}

/// The addresses and the MAC address that were requested are a pod's own.
#[test]
fn a_pod_with_requested_addresses_sends_with_these_alone() {
    needs!("ip", "nft", "python3", "busybox");
    for mode in ["routed", "bridge"] {
        let mut config = config(mode, &json!({"capabilities": {"ips": true, "mac": true}}));
        config["ipam"] = json!({"ranges": [[{"subnet": "10.244.1.0/24"}], [{"subnet": "10.244.2.0/24"}],
            [{"subnet": "2001:db8:1::/64"}]], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]});
        let node = CniNode::new();
        for pod in ["c1", "c2"] {
            node.pod(pod);
        }
        let to = addresses(&node.add("c2", &config));
        config["runtimeConfig"] =
            json!({"ips": ["10.244.1.77", "2001:db8:1::77"], "mac": "02:00:00:00:00:77"});
        let own = addresses(&node.add("c1", &config));
        assert!(own.contains(&"10.244.1.77".to_owned()), "{own:?}");
        get_to_know(&node, to.iter().map(String::as_str));
        for address in &own {
            let to = to.iter().rfind(|to| to.contains(':') == address.contains(':')).unwrap();
            let heard = arrived(&node, &[(Some("c2"), to)], &[], address);
            assert_eq!(heard, [format!("own {address}")], "{mode}");
        }
        let heard = arrived(&node, &[(Some("c2"), &to[0])], &["10.244.1.78"], &own[0]);
        assert_eq!(heard, [format!("own {}", own[0])], "{mode}");
    }
}

fn hex4(address: &str) -> String {
    address.split('.').map(|part| format!("{:02x}", part.parse::<u8>().unwrap())).collect()
}

fn mac_of(node: &CniNode, pod: &str) -> String {
    node.in_pod(pod, "cat /sys/class/net/eth0/address").trim().to_owned()
}

/// Whom a pod takes for the neighbour at an address.
fn neighbour(node: &CniNode, pod: &str, address: &str) -> String {
    node.in_pod(pod, &format!("ip neigh show {address} dev eth0"))
}

/// ARP and NDP tell where an address is; who is believed gets its packets (the reference bridge lets it pass).
#[test]
fn a_pod_on_a_bridge_tells_others_that_it_has_their_neighbours_addresses() {
    needs!("ip", "nft", "python3", "busybox");
    for (extra, passes) in [(json!({}), false), (json!({"spoofCheck": false}), true)] {
        let (node, own, others) = two_pods(&config("bridge", &extra));
        let (mac, victim) = (mac_of(&node, "c1"), mac_of(&node, "c2"));
        node.in_pod("c2", "echo 1 >/proc/sys/net/ipv4/conf/eth0/arp_accept");
        let gateway = hex4("10.244.1.1");
        // What a pod may say of itself arrives, after what it may not.
        let arp = |sender: &str| {
            format!("{victim} {mac} 0806 0001 0800 06 04 0002 {mac} {sender} {victim} {}", hex4(&others[0]))
        };
        frame(&node, "c1", &arp(&gateway));
        frame(&node, "c1", &arp(&hex4(&own[0])));
        // A solicitation before it makes the kernel listen to an advertisement.
        node.in_pod("c2", "ip -6 neigh replace 2001:db8:1::1 lladdr 02:00:00:00:00:01 dev eth0 nud stale");
        let target = "20010db8000100000000000000000001";
        frame(&node, "c1", &advertisement(&victim, &mac, target));
        send(&node, "c1", &own[0], &others[0], "last");
        let believed = [neighbour(&node, "c2", "10.244.1.1"), neighbour(&node, "c2", "2001:db8:1::1")];
        for said in &believed {
            assert_eq!(said.contains(&mac), passes, "{extra} {believed:?}");
        }
        assert!(neighbour(&node, "c2", &own[0]).contains(&mac));
    }
}

/// A neighbour advertisement with a right checksum, which overrides what was known.
fn advertisement(to_mac: &str, mac: &str, target: &str) -> String {
    let link_local = |mac: &str| {
        let bytes: Vec<u8> = mac.split(':').map(|part| u8::from_str_radix(part, 16).unwrap()).collect();
        let [a, b, c, d, e, f] = bytes[..] else { panic!("{mac}") };
        format!("fe80000000000000{:02x}{b:02x}{c:02x}fffe{d:02x}{e:02x}{f:02x}", a ^ 2)
    };
    let (source, to) = (link_local(mac), link_local(to_mac));
    let body = |sum: &str| format!("8800{sum}20000000{target}0201{}", mac.replace(':', ""));
    let words = |hex: &str| -> u32 {
        hex.as_bytes()
            .chunks(4)
            .map(|word| u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap())
            .sum()
    };
    let mut sum = words(&format!("{source}{to}000000200000003a{}", body("0000")));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let sum = format!("{:04x}", !sum & 0xffff);
    format!("{to_mac} {mac} 86dd 60000000 0020 3a ff {source} {to} {}", body(&sum))
}

/// The keys of the reference bridge: frames with another MAC address, and nothing but those, are dropped.
#[test]
fn a_pod_on_a_bridge_sends_with_another_mac_address() {
    needs!("ip", "nft", "python3", "busybox");
    for (extra, mac_passes, address_passes) in [
        (json!({}), false, false),
        (json!({"macspoofchk": true}), false, false),
        (json!({"macspoofchk": true, "spoofCheck": false}), false, true),
        (json!({"macspoofchk": false, "spoofCheck": false}), true, true),
    ] {
        let (node, own, others) = two_pods(&config("bridge", &extra));
        let to = [(Some("c2"), &others[0][..])];
        let own_line = format!("own {}", own[0]);
        let forged = arrived(&node, &to, &["10.244.1.99"], &own[0]);
        let expected =
            if address_passes { vec!["forged 10.244.1.99", &own_line] } else { vec![&own_line[..]] };
        assert_eq!(forged, expected, "{extra}");
        let listener = Listener::new(&node, Some("c2"), &others[0]);
        let mac = mac_of(&node, "c1");
        let neighbours = format!("ip neigh replace {} lladdr {} dev eth0", others[0], mac_of(&node, "c2"));
        let to_pod = |mac: &str| {
            node.in_pod("c1", &format!("ip link set eth0 address {mac}; {neighbours}"));
            send(&node, "c1", &own[0], &others[0], mac);
        };
        to_pod("02:00:00:00:00:99");
        to_pod(&mac);
        let line = |mac: &str| format!("{mac} {}", own[0]);
        let expected =
            if mac_passes { vec![line("02:00:00:00:00:99"), line(&mac)] } else { vec![line(&mac)] };
        assert_eq!(listener.heard(&node, Some("c2")), expected, "{extra}");
    }
}

/// CVE-2020-10749, for pods: who advertises itself as a router gets its neighbours' packets.
#[test]
fn a_pod_on_a_bridge_advertises_itself_as_a_router_to_other_pods() {
    needs!("ip", "nft", "python3", "busybox");
    for (extra, passes) in [(json!({}), false), (json!({"spoofCheck": false}), true)] {
        let mut config = config("bridge", &extra);
        config["isDefaultGateway"] = false.into();
        config["isGateway"] = true.into();
        let (node, own, others) = two_pods(&config);
        node.in_pod("c2", "echo 2 >/proc/sys/net/ipv6/conf/eth0/accept_ra");
        let (mac, victim) = (mac_of(&node, "c1"), mac_of(&node, "c2"));
        frame(&node, "c1", &router_advertisement(&victim, &mac));
        send(&node, "c1", &own[0], &others[0], "last");
        let routes = node.in_pod("c2", "ip -6 route show default");
        assert_eq!(routes.contains("proto ra"), passes, "{extra} {routes}");
    }
}

fn router_advertisement(to_mac: &str, mac: &str) -> String {
    // The same frame as a neighbour advertisement of 32 bytes, with another body: hop limit, lifetime 1800 s, two times,
    // and an option of 16 bytes: MTU and padding.
    let other = advertisement(to_mac, mac, "00000000000000000000000000000000").replace(' ', "");
    let (head, _) = other.split_at(other.len() - 64);
    let addresses = &head[head.len() - 64..];
    let body =
        |sum: &str| format!("8600{sum}40000708000000000000000005010000000005dc0101{}", mac.replace(':', ""));
    let words = |hex: &str| -> u32 {
        hex.as_bytes()
            .chunks(4)
            .map(|word| u32::from_str_radix(std::str::from_utf8(word).unwrap(), 16).unwrap())
            .sum()
    };
    let mut sum = words(&format!("{addresses}000000200000003a{}", body("0000")));
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    format!("{head}{}", body(&format!("{:04x}", !sum & 0xffff)))
}

/// Its elements may be gone, as its DEL was killed: it is cut off then, and not free.
#[test]
fn a_pod_without_its_elements_is_cut_off() {
    needs!("ip", "nft", "python3", "busybox");
    for (mode, table) in [("routed", "inet"), ("bridge", "bridge")] {
        let config = config(mode, &json!({}));
        let node = CniNode::new();
        node.pod("c1");
        node.pod("c2");
        let result = node.add("c1", &config);
        let to = addresses(&node.add("c2", &config));
        let own = addresses(&result);
        get_to_know(&node, to.iter().map(String::as_str));
        let mut checked = config.clone();
        checked["prevResult"] = result;
        assert_eq!(node.call(&Call::new("CHECK", "c1", &checked)).success(), "");
        node.sh(&format!("nft flush set {table} podhosts sources4"));
        assert_eq!(arrived(&node, &[(Some("c2"), &to[0])], &[], &own[0]), [""; 0], "{mode}");
        let (code, msg) = error_of(&node.call(&Call::new("CHECK", "c1", &checked)));
        assert!(code == 102 && msg.starts_with("source address 10.244.1.2 of veth"), "{code} {msg}");
        // GC puts them back.
        node.gc(&["c1", "c2"], &config);
        assert_eq!(node.call(&Call::new("CHECK", "c1", &checked)).success(), "");
        assert_eq!(arrived(&node, &[(Some("c2"), &to[0])], &[], &own[0]).len(), 1, "{mode}");
        let link = node.sh("ip -o link | grep -o 'veth[0-9a-f]*' | head -n 1");
        let link = link.trim();
        node.sh(&format!("ip link set {link} group default"));
        let checks = ["c1", "c2"].map(|pod| {
            let mut checked = config.clone();
            checked["prevResult"] = checked_result(&node, pod, &config);
            node.call(&Call::new("CHECK", pod, &checked))
        });
        assert_eq!(checks.iter().filter(|run| run.stdout.contains("has another group")).count(), 1);
    }
}

/// The result of an ADD, as the runtime has kept it.
fn checked_result(node: &CniNode, pod: &str, config: &Value) -> Value {
    let text = node.in_pod(pod, "ip -o addr show dev eth0 scope global | awk '{print $4}'");
    let ips: Vec<Value> = text.lines().map(|ip| json!({"address": ip, "interface": 0})).collect();
    json!({"cniVersion": config["cniVersion"], "ips": ips,
        "interfaces": [{"name": "eth0", "sandbox": format!("/run/netns/{pod}")}]})
}

/// A second interface has addresses of its own.
#[test]
fn a_pods_second_interface_is_checked_for_itself() {
    needs!("ip", "nft", "python3", "busybox");
    for mode in ["routed", "bridge"] {
        let (node, own, others) = two_pods(&config(mode, &json!({})));
        let mut second = config(mode, &json!({"name": "second"}));
        second["bridge"].take();
        if mode == "bridge" {
            second["bridge"] = "br1".into();
        } else {
            second.as_object_mut().unwrap().remove("bridge");
        }
        second["ipam"] = json!({"podCIDRs": ["10.245.1.0/24"]});
        let call = Call { ifname: "eth1", ..Call::new("ADD", "c1", &second) };
        node.call(&call).success();
        let listener = Listener::new(&node, None, "192.0.2.1");
        node.in_pod(
            "c1",
            "ip route replace 192.0.2.1 via $(ip route show default | head -n 1 | cut -d' ' -f3) dev eth0",
        );
        send(&node, "c1", "10.245.1.2", "192.0.2.1", "by eth0");
        node.in_pod("c1", "ip route del 192.0.2.1");
        let gateway = if mode == "bridge" { "10.245.1.1" } else { "169.254.1.1" };
        node.in_pod("c1", &format!("ip route replace 192.0.2.1 via {gateway} dev eth1 onlink"));
        send(&node, "c1", "10.245.1.2", "192.0.2.1", "by eth1");
        assert_eq!(listener.heard(&node, None), ["by eth1 10.245.1.2"], "{mode}");
        assert_eq!(arrived(&node, &[(Some("c2"), &others[0])], &[], &own[0]).len(), 1);
        assert_eq!(node.call(&Call { command: "DEL", ..call }).success(), "");
        assert_eq!(arrived(&node, &[(Some("c2"), &others[0])], &[], &own[0]).len(), 1);
    }
}

/// A guard that somebody changes while ADD does not look: each call notes the state of the packet filter in which it left
/// the guards, and does not read them again as long as the kernel says that nobody has changed anything.
#[test]
fn a_guard_that_was_changed_since_the_last_call_is_put_back_by_the_next_one() {
    needs!("ip", "nft");
    for (mode, family) in [("routed", "inet"), ("bridge", "bridge")] {
        let (node, config) = (CniNode::new(), config(mode, &json!({})));
        for pod in ["c1", "c2", "c3"] {
            node.pod(pod);
            // Of the first one the tables are made, of the second one it is noted, and the third one has the note.
            node.add(pod, &config);
        }
        let guard = || node.sh(&format!("nft list chain {family} podhosts guard"));
        let (whole, chain) = (guard(), format!("{family} podhosts guard"));
        let last =
            r#"$(nft -a list chain CHAIN | sed -n 's/.*# handle //p' | tail -1)"#.replace("CHAIN", &chain);
        for change in [
            format!("nft flush chain {chain}"),
            format!("nft delete rule {chain} handle {last}"),
            format!("nft replace rule {chain} handle {last} accept"),
            format!("nft insert rule {chain} accept"),
            format!("nft flush table {family} podhosts"),
            "nft flush ruleset".to_owned(),
        ] {
            node.del("c3", &config);
            node.add("c3", &config);
            node.sh(&change);
            assert_ne!(
                node.run("nft", &["list", "chain", family, "podhosts", "guard"]).stdout,
                whole,
                "{change}"
            );
            node.del("c2", &config);
            node.add("c2", &config);
            assert_eq!(guard(), whole, "{mode}: {change}");
        }
    }
}
