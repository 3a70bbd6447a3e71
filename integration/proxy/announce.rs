//! Load balancer addresses on a link: Linux itself asks for them.

use std::time::Instant;

use sys::net::announce::{AnnounceError, Event, Responder, Status, interface_of};

use super::link::{NODE_MAC, RIVAL_MAC, STRANGER_MAC, has_all, ip, is_readable, mac, node, on_a_link, run};
use crate::harness::{in_new_netns, needs};

const ADDRESSES: [&str; 2] = ["192.0.2.70", "2001:db8::70"];

#[test]
fn claimed_addresses_are_answered_and_no_others() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let mut responder = Responder::open("eth0").unwrap();
        link.hold(&mut responder, &ADDRESSES);
        for address in ADDRESSES {
            link.greet(address);
            link.resolves(&mut [&mut responder], address, NODE_MAC);
            // Later Linux asks the machine itself, and no longer everybody.
            link.client.ip(&["neigh", "replace", address, "lladdr", NODE_MAC, "dev", "br0", "nud", "probe"]);
            link.work(&mut [&mut responder], |_, _| link.neighbour(address).1 == "REACHABLE");
        }
        for other in ["192.0.2.71", "2001:db8::71", "2001:db8::1:70"] {
            link.nobody_answers(&mut [&mut responder], other);
        }
        let shown = run(std::process::Command::new("ip").args(["addr", "show"]));
        assert!(ADDRESSES.iter().all(|address| !shown.contains(&format!("{address}/"))), "{shown}");
        assert!(ADDRESSES.iter().all(|address| responder.release(ip(address))));
        link.forget();
        for address in ADDRESSES {
            link.nobody_answers(&mut [&mut responder], address);
        }
    });
}

#[test]
fn nothing_is_answered_before_the_probes_are_over() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let mut responder = Responder::open("eth0").unwrap();
        let start = link.now();
        for address in ADDRESSES {
            responder.claim(ip(address), start).unwrap();
        }
        // The time stands still.
        for address in ADDRESSES {
            link.greet(address);
            while link.neighbour(address).1 != "FAILED" {
                responder.turn(start).unwrap();
                assert_eq!(link.neighbour(address).0, "", "{address}");
            }
        }
        assert!(has_all(&responder, Status::Probing));
    });
}

#[test]
fn an_announcement_replaces_what_neighbours_know() {
    needs!("ip", "bash");
    on_a_link(|link| {
        for address in ADDRESSES {
            link.client.ip(&[
                "neigh",
                "replace",
                address,
                "lladdr",
                STRANGER_MAC,
                "dev",
                "br0",
                "nud",
                "stale",
            ]);
        }
        let mut responder = Responder::open("eth0").unwrap();
        for address in ADDRESSES {
            responder.claim(ip(address), link.now()).unwrap();
        }
        link.work(&mut [&mut responder], |all, _| {
            let replaced = ADDRESSES.iter().all(|address| link.neighbour(address).0 == NODE_MAC);
            // Probes are no reason to believe anything.
            assert!(!replaced || has_all(all[0], Status::Held));
            replaced
        });
        // The interface gets another MAC address, when everything has been announced.
        link.later += std::time::Duration::from_secs(60);
        while responder.turn(link.now()).unwrap().next.is_some() {
            link.later += std::time::Duration::from_secs(60);
        }
        node(&format!("ip link set eth0 address {STRANGER_MAC}"));
        for address in ADDRESSES {
            link.resolves(&mut [&mut responder], address, STRANGER_MAC);
        }
    });
}

#[test]
fn an_address_of_the_node_is_left_to_the_kernel() {
    needs!("ip", "bash");
    on_a_link(|link| {
        node(&format!("ip addr add {}/32 dev lo; ip addr add {}/128 dev lo", ADDRESSES[0], ADDRESSES[1]));
        let mut responder = Responder::open("eth0").unwrap();
        for address in ADDRESSES {
            responder.claim(ip(address), link.now()).unwrap();
        }
        let turn = responder.turn(link.now()).unwrap();
        let told = |address: &str| {
            turn.events.iter().any(|event| matches!(event, Event::Own { address: it } if *it == ip(address)))
        };
        assert!(ADDRESSES.into_iter().all(told), "{turn:?}");
        assert!(turn.next.is_none() && has_all(&responder, Status::Own));
        node(&format!("ip addr del {}/32 dev lo; ip addr del {}/128 dev lo", ADDRESSES[0], ADDRESSES[1]));
        link.work(&mut [&mut responder], |all, _| has_all(all[0], Status::Held));
        node(&format!(
            "ip addr add {}/24 dev eth0; ip addr add {}/64 dev eth0 nodad",
            ADDRESSES[0], ADDRESSES[1]
        ));
        link.work(&mut [&mut responder], |all, _| has_all(all[0], Status::Own));
    });
}

#[test]
fn an_interface_that_goes_down_comes_up_and_goes_away() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let mut responder = Responder::open("eth0").unwrap();
        link.hold(&mut responder, &ADDRESSES);
        for (down, up) in [
            ("ip link set eth0 down", "ip link set eth0 up"),
            // Without a carrier.
            ("ip link set to-node down", "ip link set to-node up"),
        ] {
            let change = |command: &str| match command.contains("eth0") {
                true => node(command),
                false => link.client.ip(&command.split(' ').skip(1).collect::<Vec<_>>()),
            };
            change(down);
            link.work(&mut [&mut responder], |_, events| {
                events[0].iter().any(|event| matches!(event, Event::Down))
            });
            // Nothing is due, and nothing wakes the caller.
            let turn = responder.turn(link.now()).unwrap();
            assert!(turn.next.is_none() && !is_readable(&responder).unwrap() && !responder.is_up());
            assert!(has_all(&responder, Status::Probing));
            change(up);
            let events = link.work(&mut [&mut responder], |all, _| has_all(all[0], Status::Held));
            assert!(matches!(events[0][0], Event::Up), "{events:?}");
            link.forget();
            for address in ADDRESSES {
                link.greet(address);
                link.resolves(&mut [&mut responder], address, NODE_MAC);
            }
        }
        node("ip link del eth0");
        let gone = loop {
            match responder.turn(Instant::now()) {
                Ok(_) => super::link::wait_for(&responder),
                Err(error) => break error,
            }
        };
        let expected = "cannot answer for addresses on eth0: there is no such interface";
        assert!(matches!(gone, AnnounceError::NoInterface(_)) && gone.to_string() == expected, "{gone}");
        // A caller that goes on nevertheless is not kept busy.
        while is_readable(&responder).unwrap() {
            let _ = responder.turn(Instant::now());
        }
    });
}

#[test]
fn what_cannot_be_answered_is_refused() {
    needs!("ip");
    on_a_link(|link| {
        assert!(matches!(Responder::open("eth9"), Err(AnnounceError::NoInterface(_))));
        assert!(matches!(Responder::open("lo"), Err(AnnounceError::NotEthernet(_))));
        let mut responder = Responder::open("eth0").unwrap();
        for bad in [
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "127.0.0.1",
            "::",
            "::1",
            "ff02::1",
            "::ffff:192.0.2.1",
        ] {
            let refused = responder.claim(ip(bad), link.now()).unwrap_err();
            assert!(matches!(refused, AnnounceError::NotUnicast(_)), "{bad}: {refused}");
        }
        node("echo 1 >/proc/sys/net/ipv6/conf/eth0/disable_ipv6");
        assert_eq!(responder.addresses().count(), 0);
        assert!(!responder.release(ip("192.0.2.70")));
    });
}

/// More than the kernel takes in a filter, and more groups than a socket has room for.
#[test]
fn thousands_of_addresses() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let mut responder = Responder::open("eth0").unwrap();
        link.client.ip(&["addr", "add", "10.9.0.1/16", "dev", "br0"]);
        for number in 0..2000_u32 {
            let four = format!("10.9.{}.{}", 1 + number / 250, number % 250);
            responder.claim(ip(&four), link.now()).unwrap();
        }
        for number in 1..=600 {
            responder.claim(ip(&format!("2001:db8::{number:x}:70")), link.now()).unwrap();
        }
        link.work(&mut [&mut responder], |all, _| has_all(all[0], Status::Held));
        for address in ["10.9.1.0", "10.9.8.249", "2001:db8::1:70", "2001:db8::258:70"] {
            link.greet(address);
            link.resolves(&mut [&mut responder], address, NODE_MAC);
        }
        link.nobody_answers(&mut [&mut responder], "10.9.100.1");
        link.nobody_answers(&mut [&mut responder], "2001:db8::259:70");
    });
}

#[test]
fn the_interface_whose_network_an_address_is_in() {
    needs!("ip");
    in_new_netns(|| {
        node(
            "ip link add eth0 type veth peer name peer0; ip link set eth0 up; ip link set peer0 up
             ip link add eth1 type veth peer name peer1; ip link set eth1 up; ip link set peer1 up
             ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad
             ip addr add 192.0.2.129/25 dev eth1
             ip route add default via 192.0.2.9; ip route add 10.0.0.0/8 via 192.0.2.9
             ip -6 route add default dev eth1; ip -6 route add 2001:db8:9::/64 dev eth1",
        );
        let found = |address| interface_of(ip(address)).unwrap();
        assert_eq!(found("192.0.2.70").as_deref(), Some("eth0"));
        // The longest prefix decides.
        assert_eq!(found("192.0.2.200").as_deref(), Some("eth1"));
        assert_eq!(found("2001:db8::70").as_deref(), Some("eth0"));
        // DHCPv6 gives an address alone, and a router the network.
        assert_eq!(found("2001:db8:9::70").as_deref(), Some("eth1"));
        // The kernel makes the routes of an IPv6 address in its own time.
        for _ in 0..100 {
            if found("2001:db8::1").is_some() {
                std::thread::sleep(std::time::Duration::from_millis(20));
            }
        }
        // Behind a router, without more than a default route, of the node itself, nowhere.
        for none in ["10.0.0.1", "203.0.113.1", "2001:db8:5::1", "192.0.2.1", "2001:db8::1", "127.0.0.1"] {
            assert_eq!(found(none), None, "{none}");
        }
    });
    in_new_netns(|| assert_eq!(interface_of(ip("192.0.2.70")).unwrap(), None));
    assert_ne!(mac(NODE_MAC), mac(RIVAL_MAC));
}
