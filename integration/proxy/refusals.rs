//! A kernel that refuses changes.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::json;
use sys::net::services::Element;

use super::cluster::{From, World};
use super::kills::{elements, end, trace};
use crate::harness::{Run, in_new_netns, needs};

/// The metric with the changes that the kernel refused.
const REFUSED: &str = "kubeproxy_sync_proxy_rules_nftables_sync_failures_total";

/// Puts a map in the place of a map of the table that has room for so many elements, and the rules back as they were: what
/// nobody else's `nft` would do.
const LIMIT: &str = r#"
import socket, struct, sys
TABLE, NAME, SIZE = b"podhosts-services\0", sys.argv[1].encode() + b"\0", int(sys.argv[2])
NEWRULE, GETRULE, DELRULE, NEWSET, GETSET, DELSET = range(6, 12)
s = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 12)
s.setsockopt(socket.SOL_SOCKET, 32, 8 << 20)
s.bind((0, 0))
def attribute(kind, data):
    return struct.pack("=HH", 4 + len(data), kind) + data + b"\0" * (-len(data) % 4)
def message(kind, flags, body, sequence, family=1, resource=0):
    body = struct.pack("=BB", family, 0) + struct.pack(">H", resource) + body
    return struct.pack("=IHHII", 16 + len(body), kind, 1 | flags, sequence, 0) + body
def operation(kind, flags, body, sequence):
    return message(10 << 8 | kind, flags, body, sequence)
def attributes(data):
    found = {}
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        found[kind & 0x3fff] = attribute(kind, data[4:length])
        data = data[(length + 3) & ~3:]
    return found
def messages(data):
    while data:
        length, kind = struct.unpack_from("=IH", data)
        yield kind, data[16:length]
        data = data[(length + 3) & ~3:]
def dump(kind, body):
    s.send(operation(kind, 0x300, body, 1))
    found = []
    while True:
        for kind, body in messages(s.recv(1 << 20)):
            if kind == 3:
                return found
            assert kind != 2, body
            found.append(attributes(body[4:]))
table = attribute(1, TABLE)
rules = [rule for rule in dump(GETRULE, table) if rule[1] == table]
[old] = [one for one in dump(GETSET, table) if one[1] == table and one[2] == attribute(2, NAME)]
new = b"".join(old[kind] for kind in range(1, 8) if kind in old)
new += attribute(0x8009, attribute(1, struct.pack(">I", SIZE))) + attribute(10, struct.pack(">I", 1))
batch = message(16, 0, b"", 0, family=0, resource=10)
batch += operation(DELRULE, 0, table, 1)
batch += operation(DELSET, 0, table + attribute(2, NAME), 2)
batch += operation(NEWSET, 0x400, new, 3)
for number, rule in enumerate(rules, 4):
    # What the kernel says of the last one says it of all, unless one of the others is refused.
    flags = 0xc04 if number == len(rules) + 3 else 0xc00
    batch += operation(NEWRULE, flags, b"".join(rule[kind] for kind in (1, 2, 4, 7) if kind in rule), number)
batch += message(17, 0, b"", 0, family=0, resource=10)
s.send(batch)
[(kind, body)] = messages(s.recv(1 << 20))
assert kind == 2 and body[:4] == bytes(4), (kind, body)
"#;

/// Waits for what happens in a moment.
#[track_caller]
fn until(world: &World, is_so: impl Fn() -> bool) {
    for _ in 0..3000 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not happen: {}", log(world));
}

fn log(world: &World) -> String {
    fs::read_to_string(world.dir.path().join("server.log")).unwrap()
}

/// How many elements a map for IPv4 Services has.
fn services_v4() -> usize {
    let is_one =
        |element: &&Element| matches!(element, Element::Service { place, .. } if place.address.is_ipv4());
    elements().unwrap().iter().filter(is_one).count()
}

/// A map that is full makes the kernel refuse elements alone, while it takes others.
#[test]
fn a_service_that_the_kernel_refuses_waits_alone_until_there_is_room() {
    needs!("ip", "nft", "python3", "strace");
    in_new_netns(|| {
        let world = World::new(3);
        let first = world.service("first", json!({}));
        world.endpoints("first", &[0]);
        let before = elements();
        let limit =
            Command::new("python3").args(["-c", LIMIT, "services4", &services_v4().to_string()]).output();
        Run::from(limit.unwrap()).success();
        until(&world, || elements() == before && world.metric("podhosts_proxy_repairs_total") > 0.0);
        assert_eq!(world.metric(REFUSED), 0.0);

        let file = world.dir.path().join("trace");
        let strace = trace(&world, "proxy", &["-e", "trace=sendto,sendmsg"], &file);
        let begun = Instant::now();
        // One change: each further one of the Service would be tried at once.
        world.write_endpoints("second", &[1], |_, _| ());
        let second = world.service("second", json!({}));
        until(&world, || world.metric(REFUSED) >= 1.0);
        let client = From::In(&world.pods[2].netns);
        // Other Services go on: one that was there, and a new one, for which there is room.
        world.write_endpoints("first", &[1], |_, _| ());
        until(&world, || client.get("tcp", &first.cluster_ips()[0], 80).starts_with("pod1 "));
        let third = world.service("third", json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}));
        world.write_endpoints("third", &[0], |_, _| ());
        until(&world, || client.get("tcp", &third.cluster_ips()[0], 80).starts_with("pod0 "));
        assert!(!client.get("tcp", &second.cluster_ips()[0], 80).starts_with("pod"));

        // The pauses grow: 0.5 s, 1 s, 2 s.
        let told = |text: &str| log(&world).matches(text).count();
        until(&world, || world.metric(REFUSED) >= 4.0);
        assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
        end(strace);
        let sent = fs::read_to_string(&file).unwrap().lines().count();
        eprintln!(
            "{} refusals, {sent} messages to the kernel in {:?}",
            world.metric(REFUSED),
            begun.elapsed()
        );
        assert!(sent < 100, "{sent}");
        assert_eq!(told("Too many open files in system"), 1, "{}", log(&world));

        world.ask("DELETE", "/api/v1/namespaces/default/services/first", &serde_json::Value::Null);
        until(&world, || client.get("tcp", &second.cluster_ips()[0], 80).starts_with("pod1 "));
        world.settle();
        let refused = world.metric(REFUSED);
        world.service("fourth", json!({"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv6"]}));
        world.settle();
        assert_eq!(world.metric(REFUSED), refused);
    });
}

#[test]
fn changes_that_the_kernel_refuses_are_told_and_tried_again_with_pauses() {
    needs!("ip", "nft", "strace");
    in_new_netns(|| {
        let world = World::new(0);
        world.settle();
        let file = world.dir.path().join("trace");
        let options = ["-e", "trace=sendto", "-e", "inject=sendto:error=ENOMEM"];
        let strace = trace(&world, "proxy", &options, &file);
        let service = world.service("web", json!({"type": "NodePort"}));
        let told = || log(&world).matches("Cannot allocate memory").count();
        let tries = || fs::read_to_string(&file).unwrap().lines().count();
        // The pauses are of half a second and more, so three tries take a second and a half.
        let begun = Instant::now();
        until(&world, || told() > 0 && tries() >= 3);
        let each_half_second = usize::try_from(begun.elapsed().as_millis() / 500).unwrap();
        assert!(tries() <= 8 * (each_half_second + 2), "{} tries", tries());
        let is_there = || {
            let cluster_ip = service.cluster_ips()[0].parse::<std::net::IpAddr>().unwrap();
            let all = elements().unwrap_or_default();
            all.iter().any(
                |element| matches!(element, Element::Service { place, .. } if place.address == cluster_ip),
            )
        };
        assert!(!is_there());
        end(strace);
        world.settle();
        assert!(is_there());
    });
}
