//! Tracked flows through DNAT.

use std::net::{SocketAddr, UdpSocket};
use std::process::Command;

use sys::net::conntrack::{Conntrack, Flow};
use sys::net::nft::Protocol;

use super::link::{node, run};
use crate::harness::{in_new_netns, needs};

/// Cluster IPs lead to endpoints on this node.
const NODE: &str = "
ip link set lo up
ip addr add 10.0.0.5/32 dev lo; ip addr add fd00::5/128 dev lo
ip route add 10.96.0.0/16 dev lo; ip -6 route add fd00:96::/64 dev lo
nft -f - <<'END'
table inet services {
    chain output {
        type nat hook output priority -100
        ip daddr 10.96.0.10 udp dport 53 dnat ip to 10.0.0.5:5300
        ip daddr 10.96.0.10 sctp dport 53 dnat ip to 10.0.0.5:5300
        ip6 daddr fd00:96::a udp dport 53 dnat ip6 to [fd00::5]:5300
    }
    chain zones {
        type filter hook output priority raw
        udp sport 4007 ct zone set 7
        udp sport 4008 ct original zone set 8
    }
}
END
";
const PLACES: [(&str, &str); 2] = [("10.0.0.5", "10.96.0.10:53"), ("[fd00::5]", "[fd00:96::a]:53")];

/// Sends the first packet of an association, which a kernel without SCTP tracks, too.
const SCTP: &str = "
import socket, struct
wire = socket.socket(socket.AF_INET, socket.SOCK_RAW, 132)
wire.bind(('10.0.0.5', 0))
init = struct.pack('!HHIIBBHIIHHI', 4000, 53, 0, 0, 1, 0, 20, 1, 65535, 1, 1, 1)
wire.sendto(init, ('10.96.0.10', 0))
";

fn send(port: u16, (client, place): (&str, &str)) {
    let client: SocketAddr = format!("{client}:{port}").parse().unwrap();
    UdpSocket::bind(client).unwrap().send_to(b"?", place).unwrap();
}

fn flows() -> Vec<Flow> {
    let mut all = Vec::new();
    Conntrack::open().unwrap().for_each(|flow| all.push(*flow)).unwrap();
    all.sort_by_key(|flow| (flow.client, flow.destination));
    all
}

fn shown(flows: &[Flow]) -> Vec<String> {
    flows.iter().map(|flow| format!("{flow} by {}", flow.answered_by)).collect()
}

#[test]
fn flows_are_listed_and_one_is_forgotten() {
    needs!("ip", "nft", "python3");
    in_new_netns(|| {
        node(NODE);
        for place in PLACES {
            [4001, 4002].into_iter().for_each(|port| send(port, place));
        }
        // A place without DNAT, and TCP, which is left out.
        send(4001, ("10.0.0.5", "10.96.0.11:53"));
        let _ = Command::new("bash").args(["-c", "echo >/dev/tcp/10.0.0.5/1"]).output();
        run(Command::new("python3").args(["-c", SCTP]));
        let all = flows();
        let expected = [
            "sctp from 10.0.0.5:4000 to 10.96.0.10:53 by 10.0.0.5:5300",
            "udp from 10.0.0.5:4001 to 10.96.0.10:53 by 10.0.0.5:5300",
            "udp from 10.0.0.5:4001 to 10.96.0.11:53 by 10.96.0.11:53",
            "udp from 10.0.0.5:4002 to 10.96.0.10:53 by 10.0.0.5:5300",
            "udp from [fd00::5]:4001 to [fd00:96::a]:53 by [fd00::5]:5300",
            "udp from [fd00::5]:4002 to [fd00:96::a]:53 by [fd00::5]:5300",
        ];
        assert_eq!(shown(&all), expected);
        assert_eq!(all[0].protocol, Protocol::Sctp);
        // Each in its turn, and no other.
        let mut conntrack = Conntrack::open().unwrap();
        let mut left = all.clone();
        for place in [4, 1, 0, 2, 0, 0] {
            let gone = left.remove(place);
            assert!(conntrack.delete(&gone).unwrap(), "{gone}");
            assert_eq!(shown(&flows()), shown(&left));
            assert!(!conntrack.delete(&gone).unwrap(), "{gone}");
        }
    });
}

#[test]
fn an_entry_is_found_in_its_zone() {
    needs!("ip", "nft");
    in_new_netns(|| {
        node(NODE);
        for port in [4007, 4008] {
            PLACES.into_iter().for_each(|place| send(port, place));
        }
        let all = flows();
        assert_eq!(all.len(), 4, "{all:?}");
        let mut conntrack = Conntrack::open().unwrap();
        assert!(all.iter().all(|flow| conntrack.delete(flow).unwrap()));
        assert_eq!(flows(), []);
    });
}

#[test]
fn a_large_table_is_listed_in_parts() {
    needs!("ip", "nft");
    in_new_netns(|| {
        node(NODE);
        // A namespace in which nothing was tracked has no flows.
        assert_eq!(flows(), []);
        for port in 10_000..30_000 {
            send(port, PLACES[usize::from(port % 2)]);
        }
        let mut seen = std::collections::BTreeSet::new();
        Conntrack::open()
            .unwrap()
            .for_each(|flow| {
                seen.insert(flow.client);
            })
            .unwrap();
        assert_eq!(seen.len(), 20_000);
    });
}
