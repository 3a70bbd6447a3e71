//! The table of Services in the kernel: it is read back, `nft` prints it, and nobody changes it unseen.

use std::process::Command;

use sys::net::nft::Protocol;
use sys::net::services::{Element, Handling, Notices, Origin, Present, ServicesError, Table};

use super::elements::{balance, balanced, endpoint, every_kind, ip, network, place, service, set, slots};
use crate::harness::nft::nft;
use crate::harness::{in_new_netns, needs, newer_engines};

const TABLE: [&str; 2] = ["inet", "podhosts-services"];

/// The elements of an intact table, in order.
#[track_caller]
fn read(table: &mut Table) -> Vec<Element> {
    match table.read().unwrap() {
        Present::Intact(mut elements) => {
            elements.sort();
            elements
        }
        other => panic!("{other:?}"),
    }
}

fn sorted(mut elements: Vec<Element>) -> Vec<Element> {
    elements.sort();
    elements
}

#[test]
fn elements_of_every_kind_are_read_back() {
    in_new_netns(|| {
        let mut table = Table::open().unwrap();
        assert_eq!(table.read().unwrap(), Present::Absent);
        table.replace(&[]).unwrap();
        assert_eq!(read(&mut table), []);
        let all = sorted(every_kind());
        table.replace(&all).unwrap();
        assert_eq!(read(&mut table), all);
        // Each half away and back again, the networks inside among them.
        for half in [0, 1] {
            let (gone, kept): (Vec<_>, Vec<_>) =
                all.iter().enumerate().partition(|(index, _)| index % 2 == half);
            let [gone, kept] =
                [gone, kept].map(|all| all.into_iter().map(|(_, e)| *e).collect::<Vec<Element>>());
            table.change(&gone, &[]).unwrap();
            assert_eq!(read(&mut table), kept);
            table.change(&[], &gone).unwrap();
            assert_eq!(read(&mut table), all);
        }
        table.change(&all, &[]).unwrap();
        assert_eq!(read(&mut table), []);
        table.change(&[], &all).unwrap();
        assert_eq!(read(&mut table), all);
        assert!(table.remove().unwrap());
        assert!(!table.remove().unwrap());
        assert_eq!(table.read().unwrap(), Present::Absent);
    });
}

/// Any networks inside become any others: those at the ends of the family, neighbours of the changed ones, none, and all.
#[test]
fn networks_inside_become_any_others() {
    in_new_netns(|| {
        let mut table = Table::open().unwrap();
        table.replace(&[]).unwrap();
        let mut random = fastrand::Rng::with_seed(7);
        let all: Vec<Element> = (0..128u8)
            .flat_map(|number| {
                let four = (format!("{}.0.0.0", number * 2), format!("{}.255.255.255", number * 2));
                let six = (
                    format!("{:x}00::", number * 2),
                    format!("{:x}ff:{}ffff", number * 2, "ffff:".repeat(6)),
                );
                [four, six].map(|(first, last)| Element::Inside(network(&first, &last)))
            })
            .chain([Element::Inside(network("255.255.255.255", "255.255.255.255"))])
            .collect();
        let mut inside: Vec<Element> = Vec::new();
        for round in 0..40 {
            let share = [1, 64, 127, 128][round % 4];
            let wanted: Vec<Element> = all.iter().filter(|_| random.usize(0..128) < share).copied().collect();
            let without = |these: &[Element], those: &[Element]| -> Vec<Element> {
                these.iter().filter(|element| !those.contains(element)).copied().collect()
            };
            table.change(&without(&inside, &wanted), &without(&wanted, &inside)).unwrap();
            assert_eq!(read(&mut table), sorted(wanted.clone()), "round {round}");
            inside = wanted;
        }
    });
}

#[test]
fn nft_prints_the_table() {
    needs!("nft");
    in_new_netns(|| {
        Table::open().unwrap().replace(&every_kind()).unwrap();
        let shown = nft(&["list", "ruleset"]);
        for part in [
            "10.96.0.10 . sctp . 80",
            "chain affinity6-10800",
            "dnat ip to ip daddr . meta l4proto . numgen random mod 64 map @endpoints4",
            "numgen random mod 65536",
            "0x00000040 : goto slots6-64",
            "reject with tcp reset",
            "masquerade fully-random",
        ] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
        nft(&["--json", "list", "ruleset"]);
        // The newest one, in its own root.
        if let Some(newest) = newer_engines().filter(|root| root.join("usr/sbin/nft").exists()) {
            let output =
                Command::new("chroot").arg(newest).args(["nft", "list", "ruleset"]).output().unwrap();
            assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
            let shown = String::from_utf8(output.stdout).unwrap();
            assert!(shown.contains("chain affinity6-10800 {"), "{shown}");
        }
    });
}

#[test]
fn a_change_is_made_as_a_whole_or_not_at_all() {
    in_new_netns(|| {
        let mut table = Table::open().unwrap();
        let all = sorted(every_kind());
        table.replace(&all).unwrap();
        let at = place("10.96.0.10", Protocol::Tcp, 80);
        let other = service(at, Origin::Inside, Handling::Reject);
        let new = balanced("10.96.0.11", Protocol::Tcp, &["10.0.1.2", "10.0.2.2"]);
        let mut refused = |removed: &[Element], added: &[Element]| {
            let error = table.change(removed, added).unwrap_err();
            assert_eq!(read(&mut table), all, "{error}");
            assert!(matches!(error, ServicesError::Refused { element: Some(_), .. }), "{error:?}");
            (error.element().copied(), error.to_string())
        };
        // Among others in a message, and with another value than the one that is there.
        let (element, text) = refused(&[], &[&new[..], &[other]].concat());
        assert_eq!(element, Some(other));
        assert!(text.starts_with("cannot add the service 10.96.0.10 port 80/tcp for inside: "), "{text}");
        let (element, text) = refused(&[&all[..], &new[..1]].concat(), &new);
        assert_eq!(element, Some(new[0]));
        assert!(text.starts_with("cannot take away the "), "{text}");
        let overlapping = Element::ServiceNetwork(network("10.96.1.0", "10.98.0.0"));
        assert_eq!(refused(&[], &[new[0], overlapping]).0, Some(overlapping));
        let overlapping = Element::Inside(network("10.0.1.0", "10.0.1.0"));
        assert_eq!(refused(&[], &[overlapping]).0, Some(overlapping));
        assert_eq!(refused(&[overlapping], &[]).0, Some(overlapping));
        // With the value that is there it is no change, and away and back with another one it is.
        table.change(&[], &all).unwrap();
        let old = *all
            .iter()
            .find(|e| matches!(e, Element::Service { place, origin: Origin::Inside, .. } if *place == at))
            .unwrap();
        table.change(&[old], &[other]).unwrap();
        assert!(read(&mut table).contains(&other));
    });
}

#[test]
fn what_no_table_can_have_is_refused_before_anything_is_changed() {
    in_new_netns(|| {
        let mut table = Table::open().unwrap();
        let at = place("10.96.0.10", Protocol::Tcp, 80);
        let odd =
            service(at, Origin::Inside, Handling::Balance(balance(set("10.96.0.10", Protocol::Tcp), 65)));
        let error = table.replace(&[Element::ClusterIp(ip("10.96.0.10")), odd]).unwrap_err();
        assert_eq!(error.element(), Some(&odd));
        assert_eq!(
            error.to_string(),
            "cannot add the service 10.96.0.10 port 80/tcp for inside: it has 65 slots, expected a number that slots_for returns"
        );
        assert_eq!(table.read().unwrap(), Present::Absent);
        // A change of a table that is not there.
        let error = table.change(&[], &[Element::ClusterIp(ip("10.96.0.10"))]).unwrap_err();
        assert!(matches!(error, ServicesError::Refused { .. }), "{error:?}");
        assert_eq!(table.read().unwrap(), Present::Absent);
    });
}

#[test]
fn what_others_change_is_found_and_made_good() {
    needs!("nft");
    in_new_netns(|| {
        let mut table = Table::open().unwrap();
        let mut notices = Notices::open().unwrap();
        nft(&["add", "table", "inet", "podhosts-other"]);
        let (all, own) = (sorted(every_kind()), table.port_id());
        let in_table = |words: &[&str]| {
            let at = words.iter().position(|word| *word == "TABLE").unwrap();
            nft(&[&words[..at], &TABLE, &words[at + 1..]].concat());
        };
        let changes: [&[&str]; 14] = [
            &["delete", "table", "TABLE"],
            &["flush", "table", "TABLE"],
            &["flush", "chain", "TABLE", "slots6-3"],
            &["flush", "chain", "TABLE", "postrouting"],
            &["add", "rule", "TABLE", "prerouting", "accept"],
            &["insert", "rule", "TABLE", "slots4-1", "accept"],
            &["add", "chain", "TABLE", "another"],
            &["add", "chain", "TABLE", "output", "{ policy drop; }"],
            &["add", "set", "TABLE", "another", "{ type ipv4_addr; }"],
            &["flush", "map", "TABLE", "balance4"],
            &["delete", "element", "TABLE", "balance6", "{ 64 }"],
            &["flush", "map", "TABLE", "origins4"],
            &["flush", "map", "TABLE", "affinity-timeouts6"],
            &["add", "table", "TABLE", "{ flags dormant; }"],
        ];
        for change in changes {
            table.replace(&all).unwrap();
            assert_eq!(read(&mut table), all);
            nft(&["add", "chain", "inet", "podhosts-other", "one"]);
            nft(&["flush", "table", "inet", "podhosts-other"]);
            // Neither own changes nor those of other tables.
            assert!(!notices.has_foreign_change(own).unwrap(), "before {change:?}");
            in_table(change);
            assert!(notices.has_foreign_change(own).unwrap(), "{change:?}");
            assert!(!notices.has_foreign_change(own).unwrap(), "{change:?}");
            let found = table.read().unwrap();
            let expected = if change[0] == "delete" && change[1] == "table" {
                Present::Absent
            } else {
                Present::Different
            };
            assert_eq!(found, expected, "{change:?}");
        }
        // An element that is gone is seen as such.
        table.replace(&all).unwrap();
        in_table(&["flush", "set", "TABLE", "cluster-ips4"]);
        assert_eq!(read(&mut table).len(), all.len() - 1);
        table.remove().unwrap();
        assert!(notices.has_foreign_change(own).unwrap());
        assert!(nft(&["list", "ruleset"]).starts_with("table inet podhosts-other {"));
    });
}

/// More than fits into a message, into the socket's buffers and into the room for notifications.
#[test]
fn many_elements_are_written_and_read_while_others_change_the_packet_filter() {
    needs!("nft");
    in_new_netns(|| {
        let mut table = Table::open().unwrap();
        let mut notices = Notices::open().unwrap();
        assert!(!notices.has_foreign_change(table.port_id()).unwrap());
        let many = |count: u32| -> Vec<Element> {
            let of = |index: u32| {
                let address = |base: u32| std::net::Ipv4Addr::from(base + index).to_string();
                balanced(&address(0x0a60_0001), Protocol::Tcp, &[&address(0x0a00_0001), "10.0.2.2"])
            };
            sorted((0..count).flat_map(of).collect())
        };
        let all = many(10_000);
        table.replace(&all).unwrap();
        assert!(!notices.has_foreign_change(table.port_id()).unwrap());
        // At once, while the kernel makes room in its maps.
        assert_eq!(read(&mut table), all);
        let changes =
            "for i in 1 2 3 4 5 6 7 8; do nft add table inet other; nft delete table inet other; done";
        let mut other = Command::new("sh").args(["-c", changes]).spawn().unwrap();
        while other.try_wait().unwrap().is_none() {
            assert_eq!(read(&mut table), all);
        }
        // A refusal in the middle names its element.
        let mut next = many(20_000);
        next.retain(|element| all.binary_search(element).is_err());
        let wrong =
            Element::Slot { set: set("10.96.0.1", Protocol::Tcp), index: 0, endpoint: endpoint("10.0.9.9") };
        next.insert(30_000, wrong);
        assert_eq!(table.change(&[], &next).unwrap_err().element(), Some(&wrong));
        assert_eq!(read(&mut table), all);
        table.replace(&slots(set("10.96.0.1", Protocol::Tcp), &["10.0.0.1"])).unwrap();
        assert_eq!(read(&mut table).len(), 1);
    });
}
