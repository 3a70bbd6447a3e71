use std::collections::BTreeSet;

use tempfile::TempDir;

use super::*;
use crate::ipam::ranges::RangeConfig;
use records::attachment::{ATTACHMENT_VERSION, Attachment};
use sys::fs::files::{self, LastLink};

const BOOT: &str = "boot-1";

fn sets(cidrs: &[&str]) -> Vec<RangeSet> {
    let cidrs: Vec<String> = cidrs.iter().map(|&cidr| cidr.to_owned()).collect();
    RangeSet::of_pod_cidrs(&cidrs, "podCIDRs").unwrap()
}

fn holder(n: usize) -> Holder {
    Holder { container: format!("c{n}"), ifname: "eth0".into() }
}

fn take(book: &mut Book, n: usize, sets: &[RangeSet], wish: &[&str]) -> Result<Vec<String>, BookError> {
    let wish: Vec<IpAddr> = wish.iter().map(|ip| ip.parse().unwrap()).collect();
    let dir = book.dir.clone();
    let keep = |taken: &[Allocated]| directory::keep(&dir, &note(n, taken));
    let (taken, ()) = book.take(&holder(n), sets, &wish, keep)?;
    Ok(taken.iter().map(|one| one.address.addr().to_string()).collect())
}

fn note(n: usize, taken: &[Allocated]) -> Attachment {
    Attachment {
        version: ATTACHMENT_VERSION,
        container_id: holder(n).container,
        ifname: "eth0".into(),
        netns: "/run/netns/x".into(),
        netns_id: None,
        boot_id: BOOT.into(),
        mac: None,
        host_interface: None,
        addresses: taken.iter().map(|one| one.address.addr()).collect(),
        has_rules: false,
        filter: None,
    }
}

fn open(dir: &TempDir) -> Book {
    Book::open(dir.path(), BOOT).unwrap()
}

#[test]
fn one_address_of_each_family_in_order() {
    let dir = tempfile::tempdir().unwrap();
    let sets = sets(&["10.0.0.0/29", "2001:db8::/64"]);
    let mut book = open(&dir);
    assert_eq!(take(&mut book, 1, &sets, &[]).unwrap(), ["10.0.0.2", "2001:db8::2"]);
    drop(book);
    let mut book = open(&dir);
    assert_eq!(take(&mut book, 2, &sets, &[]).unwrap(), ["10.0.0.3", "2001:db8::3"]);
    let again = take(&mut book, 2, &sets, &[]).unwrap_err().to_string();
    assert_eq!(again, "c2, eth0 holds 10.0.0.3 already: expected a DEL before another ADD");
    assert_eq!(book.held(&holder(1)).unwrap()[1].to_string(), "2001:db8::2");
    assert_eq!(book.holders().unwrap(), [holder(1), holder(2)]);
}

#[test]
fn released_addresses_come_last_and_oldest_first() {
    let dir = tempfile::tempdir().unwrap();
    let sets = sets(&["10.0.0.0/29"]);
    let mut book = open(&dir);
    for n in 2..=4 {
        take(&mut book, n, &sets, &[]).unwrap();
    }
    for n in [3, 2] {
        assert_eq!(book.release(&holder(n)).unwrap().len(), 1);
    }
    let order: Vec<String> = (10..14).map(|n| take(&mut book, n, &sets, &[]).unwrap().remove(0)).collect();
    assert_eq!(order, ["10.0.0.5", "10.0.0.6", "10.0.0.3", "10.0.0.2"]);
    let full = take(&mut book, 20, &sets, &[]).unwrap_err();
    assert_eq!(full.to_string(), "no IP addresses available in range set: 10.0.0.1-10.0.0.6");
    assert_eq!(book.release(&holder(99)).unwrap(), [] as [IpAddr; 0]);
}

#[test]
fn all_addresses_or_none() {
    let dir = tempfile::tempdir().unwrap();
    let both = sets(&["10.0.0.0/24", "2001:db8::/126"]);
    let mut book = open(&dir);
    for n in 0..2 {
        take(&mut book, n, &both, &[]).unwrap();
    }
    assert_eq!(book.exhausted(&both).unwrap(), [&both[1]]);
    assert!(take(&mut book, 2, &both, &[]).is_err());
    assert_eq!(book.held(&holder(2)).unwrap().len(), 0);
    assert_eq!(take(&mut book, 3, &both[..1], &[]).unwrap(), ["10.0.0.4"]);
}

#[test]
fn a_range_that_is_added_serves_at_once_and_one_that_is_removed_keeps_what_it_gave() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = open(&dir);
    let first = sets(&["10.0.0.0/30"]);
    assert_eq!(take(&mut book, 1, &first, &[]).unwrap(), ["10.0.0.2"]);
    assert!(take(&mut book, 2, &first, &[]).is_err());
    let both = sets(&["10.0.0.0/30", "10.1.0.0/30"]);
    assert_eq!(take(&mut book, 2, &both, &[]).unwrap(), ["10.1.0.2"]);
    let second = sets(&["10.1.0.0/30"]);
    book.release(&holder(1)).unwrap();
    assert!(take(&mut book, 3, &second, &[]).is_err());
    assert_eq!(take(&mut book, 3, &both, &[]).unwrap(), ["10.0.0.2"]);
    // The same addresses in ranges that are cut otherwise.
    book.release(&holder(3)).unwrap();
    let wide = sets(&["10.0.0.0/8"]);
    assert_eq!(take(&mut book, 4, &wide, &[]).unwrap(), ["10.0.0.2"]);
    assert!(take(&mut book, 5, &first, &[]).is_err());
    book.release(&holder(4)).unwrap();
    assert_eq!(take(&mut book, 5, &first, &[]).unwrap(), ["10.0.0.2"]);
}

#[test]
fn a_requested_address_is_given_or_refused_with_the_reason() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = open(&dir);
    let sets = sets(&["10.0.0.0/29", "2001:db8::/64"]);
    assert_eq!(take(&mut book, 1, &sets, &["2001:db8::2"]).unwrap(), ["10.0.0.2", "2001:db8::2"]);
    assert_eq!(take(&mut book, 2, &sets, &[]).unwrap(), ["10.0.0.3", "2001:db8::3"]);
    for (wish, why) in [
        (&["10.0.0.2"][..], "address 10.0.0.2 is in use by c1, eth0"),
        (&["10.0.0.1"], "requested address 10.0.0.1 is not available: it is a gateway"),
        (
            &["10.9.0.1"],
            "requested address 10.9.0.1 is not available: it is in none of the configured ranges",
        ),
        (&["10.0.0.5", "10.0.0.6"], "requested address 10.0.0.6 is not available: another one"),
    ] {
        let error = take(&mut book, 3, &sets, wish).unwrap_err().to_string();
        assert!(error.starts_with(why), "{error}");
    }
    assert_eq!(book.held(&holder(3)).unwrap().len(), 0);
}

#[test]
fn a_book_of_an_earlier_boot_is_emptied() {
    let dir = tempfile::tempdir().unwrap();
    let sets = sets(&["10.0.0.0/29"]);
    take(&mut open(&dir), 1, &sets, &[]).unwrap();
    let mut book = Book::open(dir.path(), "boot-2").unwrap();
    assert_eq!(book.holders().unwrap(), []);
    assert_eq!(directory::list(dir.path()).unwrap(), []);
    assert_eq!(take(&mut book, 1, &sets, &[]).unwrap(), ["10.0.0.2"]);
}

#[test]
fn a_damaged_book_is_made_anew_from_the_attachments() {
    let sets = sets(&["10.0.0.0/24"]);
    let text = b"this is no database, however long it may be".repeat(200);
    let torn = |bytes: &[u8]| bytes[..bytes.len() / 2].to_vec();
    let scribbled = |bytes: &[u8]| {
        let mut bytes = bytes.to_vec();
        let from = bytes.len() / 5;
        bytes[from..].fill(0x5a);
        bytes
    };
    let foreign = |_: &[u8]| text.clone();
    for n in 0..3 {
        let dir = tempfile::tempdir().unwrap();
        let mut book = open(&dir);
        for n in 0..100 {
            take(&mut book, n, &sets, &[]).unwrap();
        }
        drop(book);
        let path = dir.path().join(LEASES);
        let bytes = files::read(&path, 1 << 20, LastLink::Refuse).unwrap();
        let damaged = match n {
            0 => foreign(&bytes),
            1 => torn(&bytes),
            _ => scribbled(&bytes),
        };
        state_dir::replace(&path, &damaged).unwrap();
        let mut book = open(&dir);
        assert_eq!(take(&mut book, 200, &sets, &[]).unwrap(), ["10.0.0.102"], "damage {n}");
        assert!(
            book.notices.iter().any(|notice| notice.contains("made anew from 100 attachments")),
            "damage {n}"
        );
        let holders: BTreeSet<Holder> = book.holders().unwrap().into_iter().collect();
        assert_eq!(holders.len(), 101, "damage {n}");
        assert!(dir.path().join("leases.db.bad").is_file());
    }
}

#[test]
fn a_later_version_and_a_foreign_database() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(&dir));
    let db = Connection::open(dir.path().join(LEASES)).unwrap();
    db.execute_batch("PRAGMA user_version=7").unwrap();
    let later = Book::open(dir.path(), BOOT).unwrap_err().to_string();
    assert!(later.ends_with("leases.db: it has version 7, expected 1"), "{later}");
    db.execute_batch("PRAGMA application_id=1; PRAGMA user_version=0").unwrap();
    drop(db);
    let book = open(&dir);
    assert!(book.notices[0].contains("a database of something else"), "{:?}", book.notices);
}

#[test]
fn many_processes_take_turns() {
    let dir = tempfile::tempdir().unwrap();
    let sets = sets(&["10.0.0.0/24", "2001:db8::/64"]);
    let all: Vec<String> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..4usize)
            .map(|worker| {
                let (dir, sets) = (&dir, &sets);
                let one = move |n| take(&mut open(dir), worker * 100 + n, sets, &[]).unwrap();
                scope.spawn(move || (0..25usize).flat_map(one).collect::<Vec<_>>())
            })
            .collect();
        workers.into_iter().flat_map(|worker| worker.join().unwrap()).collect()
    });
    assert_eq!(all.len(), 200);
    assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), 200);
}

#[test]
fn ranges_of_hosts_local_have_their_own_gateway() {
    let dir = tempfile::tempdir().unwrap();
    let config = RangeConfig {
        subnet: "10.0.0.0/24".into(),
        range_start: Some("10.0.0.10".parse().unwrap()),
        range_end: Some("10.0.0.12".parse().unwrap()),
        gateway: Some("10.0.0.11".parse().unwrap()),
    };
    let sets = [RangeSet::new(&[config], "ranges[0]").unwrap()];
    let mut book = open(&dir);
    let given: Vec<String> = (0..2).map(|n| take(&mut book, n, &sets, &[]).unwrap().remove(0)).collect();
    assert_eq!(given, ["10.0.0.10", "10.0.0.12"]);
    assert!(take(&mut book, 3, &sets, &[]).is_err());
}

#[test]
fn a_released_address_comes_after_the_unused_ones_of_every_range() {
    let dir = tempfile::tempdir().unwrap();
    let mut book = open(&dir);
    let sets = sets(&["10.0.0.0/30", "10.1.0.0/29"]);
    assert_eq!(take(&mut book, 1, &sets, &[]).unwrap(), ["10.0.0.2"]);
    book.release(&holder(1)).unwrap();
    let order: Vec<String> = (10..16).map(|n| take(&mut book, n, &sets, &[]).unwrap().remove(0)).collect();
    assert_eq!(order, ["10.1.0.2", "10.1.0.3", "10.1.0.4", "10.1.0.5", "10.1.0.6", "10.0.0.2"]);
}

#[test]
fn no_pod_gets_the_gateway_of_another_range() {
    let dir = tempfile::tempdir().unwrap();
    let range = |start: &str, end: &str| RangeConfig {
        subnet: "10.0.0.0/24".into(),
        range_start: Some(start.parse().unwrap()),
        range_end: Some(end.parse().unwrap()),
        gateway: Some("10.0.0.20".parse().unwrap()),
    };
    let mut second = range("10.0.0.20", "10.0.0.21");
    second.gateway = None;
    let sets = [RangeSet::new(&[range("10.0.0.10", "10.0.0.10"), second], "ranges[0]").unwrap()];
    let mut book = open(&dir);
    let refused = take(&mut book, 3, &sets, &["10.0.0.20"]).unwrap_err().to_string();
    assert!(refused.ends_with("it is a gateway"), "{refused}");
    let given: Vec<String> = (0..2).map(|n| take(&mut book, n, &sets, &[]).unwrap().remove(0)).collect();
    assert_eq!(given, ["10.0.0.10", "10.0.0.21"]);
}

#[test]
fn attachments_of_an_earlier_boot_are_not_entered() {
    let dir = tempfile::tempdir().unwrap();
    let sets = sets(&["10.0.0.0/29"]);
    take(&mut open(&dir), 1, &sets, &[]).unwrap();
    state_dir::replace(&dir.path().join(LEASES), b"").unwrap();
    let mut book = Book::open(dir.path(), "boot-2").unwrap();
    assert_eq!(book.holders().unwrap(), []);
    assert_eq!(directory::list(dir.path()).unwrap(), []);
}

#[test]
fn a_link_in_the_way_to_the_directory_is_followed() {
    let dir = tempfile::tempdir().unwrap();
    let link = dir.path().join("link");
    std::os::unix::fs::symlink(dir.path(), &link).unwrap();
    assert_eq!(Book::open(&link.join("net"), BOOT).unwrap().holders().unwrap(), []);
}
