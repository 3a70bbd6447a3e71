//! News of the node's addresses.

use sys::net::rtnetlink::{AddressChanges, node_addresses};

use super::link::{is_readable, node, wait_for};
use crate::harness::{in_new_netns, needs};

fn shown() -> Vec<String> {
    let all = node_addresses().unwrap();
    all.iter().map(|one| format!("{} {} {}", one.address, one.interface, one.is_global)).collect()
}

#[test]
fn the_nodes_addresses_and_their_changes() {
    needs!("ip");
    in_new_netns(|| {
        let mut changes = AddressChanges::watch().unwrap();
        assert_eq!((shown(), changes.read().unwrap()), (Vec::new(), false));
        node(
            "ip link set lo up; ip link add eth0 type veth peer name peer0; ip link set eth0 addrgenmode none",
        );
        node("ip link set peer0 addrgenmode none; ip link set peer0 up; ip link set eth0 up");
        node("ip addr add 2001:db8::1/64 dev eth0 nodad; ip addr add 192.0.2.1/24 dev eth0");
        wait_for(&changes);
        assert!(changes.read().unwrap() && !is_readable(&changes).unwrap());
        let first = [
            "127.0.0.1/8 lo false",
            "192.0.2.1/24 eth0 true",
            "::1/128 lo false",
            "2001:db8::1/64 eth0 true",
        ];
        assert_eq!(shown(), first);
        // Links and routes are no news.
        node("ip link set peer0 down; ip link set peer0 up; ip route add 10.0.0.0/8 via 192.0.2.9");
        node("ip addr add 192.0.2.5/24 dev eth0");
        assert!(changes.read().unwrap());
        let secondary: Vec<bool> = node_addresses().unwrap().iter().map(|one| one.is_secondary).collect();
        assert_eq!(secondary, [false, false, true, false, false]);
        node("ip addr del 192.0.2.5/24 dev eth0");
        assert!(changes.read().unwrap() && shown() == first);
        node("ip addr change 2001:db8::1/64 dev eth0 preferred_lft 0");
        assert!(changes.read().unwrap());
        assert_eq!(shown(), first[..3]);
    });
}

#[test]
fn an_address_counts_as_soon_as_it_is_known_to_be_free() {
    needs!("ip");
    in_new_netns(|| {
        node("ip link add eth0 type veth peer name peer0; ip link set eth0 addrgenmode none");
        node("ip link set peer0 addrgenmode none; ip link set peer0 up; ip link set eth0 up");
        let mut changes = AddressChanges::watch().unwrap();
        node("ip addr add 2001:db8::1/64 dev eth0");
        assert!(changes.read().unwrap());
        assert_eq!(shown(), [""; 0]);
        while shown().is_empty() {
            wait_for(&changes);
            assert!(changes.read().unwrap());
        }
        assert_eq!(shown(), ["2001:db8::1/64 eth0 true"]);
    });
}
