//! Two machines that want the same address.

use std::time::Duration;

use sys::net::announce::{Event, Responder, Status};

use super::link::{NODE_MAC, RIVAL_MAC, has_all, ip, mac, on_a_link};
use crate::harness::needs;

const ADDRESSES: [&str; 2] = ["192.0.2.70", "2001:db8::70"];

/// How many of `events` say that the rival has one of the addresses.
fn taken(events: &[Event]) -> usize {
    let by_rival = |event: &&Event| {
        matches!(event, Event::Taken { address, by }
            if *by == mac(RIVAL_MAC) && ADDRESSES.iter().any(|one| ip(one) == *address))
    };
    events.iter().filter(by_rival).count()
}

#[test]
fn of_two_nodes_with_one_pool_the_second_sees_the_first_and_follows_when_it_is_gone() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let mut first = link.rival_responder();
        link.hold(&mut first, &ADDRESSES);
        let mut second = Responder::open("eth0").unwrap();
        for address in ADDRESSES {
            second.claim(ip(address), link.now()).unwrap();
        }
        let is_taken = Status::Taken(mac(RIVAL_MAC));
        let events = link.work(&mut [&mut second, &mut first], |all, _| has_all(all[0], is_taken));
        assert_eq!((taken(&events[0]), events[0].len(), events[1].len()), (2, 2, 0), "{events:?}");
        for address in ADDRESSES {
            link.greet(address);
            link.resolves(&mut [&mut second, &mut first], address, RIVAL_MAC);
        }
        // A minute later it is still taken, which is no news.
        link.later += Duration::from_secs(61);
        let mut was_probing = false;
        let events = link.work(&mut [&mut second, &mut first], |all, _| {
            was_probing |= all[0].addresses().any(|(_, status)| status == Status::Probing);
            was_probing && has_all(all[0], is_taken)
        });
        assert!(events[0].is_empty(), "{events:?}");
        drop(first);
        link.later += Duration::from_secs(61);
        link.work(&mut [&mut second], |all, _| has_all(all[0], Status::Held));
        for address in ADDRESSES {
            link.resolves(&mut [&mut second], address, NODE_MAC);
        }
    });
}

#[test]
fn a_machine_that_has_the_address_is_seen() {
    needs!("ip", "bash");
    on_a_link(|link| {
        link.rival.ip(&["addr", "add", "192.0.2.70/24", "dev", "eth0"]);
        link.rival.ip(&["addr", "add", "2001:db8::70/64", "dev", "eth0", "nodad"]);
        let mut responder = Responder::open("eth0").unwrap();
        for address in ADDRESSES {
            responder.claim(ip(address), link.now()).unwrap();
        }
        let is_taken = Status::Taken(mac(RIVAL_MAC));
        let events = link.work(&mut [&mut responder], |all, _| has_all(all[0], is_taken));
        assert_eq!(taken(&events[0]), 2, "{events:?}");
    });
}

#[test]
fn a_machine_that_wants_a_held_address_learns_that_it_is_taken() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let mut responder = Responder::open("eth0").unwrap();
        link.hold(&mut responder, &ADDRESSES);
        // Linux looks for duplicates of IPv6 addresses itself.
        let on = "echo 1 >/proc/sys/net/ipv6/conf/eth0/accept_dad; echo 1 >/proc/sys/net/ipv6/conf/eth0/dad_transmits";
        super::link::run(link.rival.command("sh").args(["-ec", on]));
        link.rival.ip(&["addr", "add", "2001:db8::70/64", "dev", "eth0"]);
        link.work(&mut [&mut responder], |_, _| {
            let shown = super::link::run(link.rival.command("ip").args(["addr", "show", "dev", "eth0"]));
            shown.lines().any(|line| line.contains("2001:db8::70/64") && line.contains("dadfailed"))
        });
        assert!(has_all(&responder, Status::Held));
    });
}

#[test]
fn of_two_nodes_that_begin_at_the_same_time_one_gets_the_address() {
    needs!("ip", "bash");
    on_a_link(|link| {
        let (mut rival, mut node) = (link.rival_responder(), Responder::open("eth0").unwrap());
        for address in ADDRESSES {
            rival.claim(ip(address), link.now()).unwrap();
            node.claim(ip(address), link.now()).unwrap();
        }
        link.work(&mut [&mut node, &mut rival], |all, _| {
            has_all(all[0], Status::Held) && has_all(all[1], Status::Taken(mac(NODE_MAC)))
        });
    });
}

#[test]
fn a_held_address_is_defended_and_given_up_to_one_that_insists() {
    needs!("ip", "bash", "python3");
    on_a_link(|link| {
        let mut responder = Responder::open("eth0").unwrap();
        link.hold(&mut responder, &ADDRESSES);
        for address in ADDRESSES {
            link.greet(address);
            link.resolves(&mut [&mut responder], address, NODE_MAC);
            link.rival_announces(address);
            link.resolves(&mut [], address, RIVAL_MAC);
            let events = link.work(&mut [&mut responder], |_, events| !events[0].is_empty());
            let expected = (ip(address), mac(RIVAL_MAC));
            assert!(
                matches!(events[0][..], [Event::Conflict { address, by }] if (address, by) == expected),
                "{events:?}"
            );
            // The neighbours hear of it.
            link.resolves(&mut [&mut responder], address, NODE_MAC);
            link.rival_announces(address);
            let events = link.work(&mut [&mut responder], |_, events| !events[0].is_empty());
            assert_eq!(taken(&events[0]), 1, "{events:?}");
            link.resolves(&mut [&mut responder], address, RIVAL_MAC);
        }
        link.forget();
        for address in ADDRESSES {
            link.nobody_answers(&mut [&mut responder], address);
        }
    });
}
