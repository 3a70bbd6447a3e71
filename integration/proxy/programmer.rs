//! The table follows the objects, whatever happened to it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::{Duration, Instant};

use pod::addresses::IpFamily;
use proxy::{
    Done, Node, ObjectName, Programmer, Proxy, Service, ServicePort, Slice, SliceEndpoint, SlicePort,
};
use sys::net::nft::Protocol;
use sys::net::services::{Element, Notices, Present, Table};

use crate::harness::nft::nft;
use crate::harness::{in_new_netns, needs};

const TABLE: [&str; 2] = ["inet", "podhosts-services"];

fn node() -> Node {
    Node {
        name: "here".to_owned(),
        addresses: vec!["192.0.2.1".parse().unwrap(), "2001:db8::1".parse().unwrap()],
        inside: ["10.0.0.0/16", "192.0.2.1/32", "fd00::/64"].map(|it| it.parse().unwrap()).to_vec(),
        service_networks: ["10.96.0.0/16", "fd00:96::/112"].map(|it| it.parse().unwrap()).to_vec(),
        ..Node::default()
    }
}

fn programmer() -> Programmer {
    Programmer::new(Proxy::new(node()), Table::open().unwrap())
}

fn name(number: u8) -> ObjectName {
    ObjectName::new("default", format!("s{number}"))
}

fn service(number: u8, protocol: Protocol) -> Service {
    let node_port = Some(30000 + u16::from(number));
    Service {
        ports: vec![ServicePort { name: "".into(), protocol, port: 80, node_port }],
        cluster_ips: vec![[10, 96, 0, number].into(), format!("fd00:96::{number:x}").parse().unwrap()],
        ..Service::default()
    }
}

fn slice(number: u8, protocol: Protocol, endpoints: impl IntoIterator<Item = IpAddr>) -> Slice {
    let endpoint = |address| SliceEndpoint {
        address,
        ready: true,
        serving: true,
        terminating: false,
        node: Some("here".into()),
        hints: None,
    };
    let endpoints: Vec<_> = endpoints.into_iter().map(endpoint).collect();
    let family = endpoints.first().map_or(IpFamily::V4, |endpoint| IpFamily::of(endpoint.address));
    let ports = vec![SlicePort { name: "".into(), protocol, port: Some(8080) }];
    Slice { service: name(number).name, family, ports, endpoints }
}

fn endpoints(numbers: impl IntoIterator<Item = u8>) -> Vec<IpAddr> {
    numbers.into_iter().map(|number| Ipv4Addr::new(10, 0, 0, number).into()).collect()
}

/// Ten Services of two endpoints.
fn ten(proxy: &mut Proxy) {
    for number in 1..=10 {
        proxy.set_service(name(number), Some(service(number, Protocol::Tcp)));
        proxy.set_slice(name(number), Some(slice(number, Protocol::Tcp, endpoints([number, 100 + number]))));
    }
}

/// Nothing failed, and the kernel has what is wanted.
#[track_caller]
fn check(programmer: &Programmer, done: &Done) {
    assert!(done.refused.is_empty() && done.error.is_none() && done.retry.is_none(), "{done:?}");
    assert_eq!(present(), programmer.proxy().wanted());
}

#[track_caller]
fn present() -> Vec<Element> {
    match Table::open().unwrap().read().unwrap() {
        Present::Intact(mut elements) => {
            elements.sort();
            elements
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_table_follows_the_objects() {
    in_new_netns(|| {
        let now = Instant::now();
        let mut programmer = programmer();
        ten(programmer.proxy_mut());
        let done = programmer.program(now);
        assert!(done.compared && done.replaced);
        assert_eq!(done.added, programmer.proxy().wanted().len());
        check(&programmer, &done);

        let done = programmer.program(now);
        assert_eq!((done.compared, done.added, done.removed), (false, 0, 0));
        // Each step changes the table as it is.
        let change = |change: &dyn Fn(&mut Proxy), programmer: &mut Programmer| {
            change(programmer.proxy_mut());
            let done = programmer.program(now);
            assert!(!done.compared && done.added + done.removed > 0, "{done:?}");
            check(programmer, &done);
        };
        for count in [1, 0, 3, 64, 65, 90, 64, 2] {
            let slice = slice(1, Protocol::Tcp, endpoints(0..count).into_iter().skip(usize::from(count > 1)));
            change(&|proxy| proxy.set_slice(name(1), Some(slice.clone())), &mut programmer);
        }
        let v6 = slice(2, Protocol::Tcp, ["fd00::7".parse().unwrap()]);
        change(&|proxy| proxy.set_slice(ObjectName::new("default", "v6"), Some(v6.clone())), &mut programmer);
        let services = [
            Service { affinity_seconds: Some(60), ..service(3, Protocol::Tcp) },
            Service { affinity_seconds: Some(61), external_local: true, ..service(3, Protocol::Tcp) },
            Service { internal_local: true, ..service(3, Protocol::Sctp) },
            Service {
                load_balancer_ips: vec![[198, 51, 100, 1].into()],
                source_ranges: ["10.1.0.0/16", "10.2.0.0/16", "10.2.3.0/24"]
                    .map(|it| it.parse().unwrap())
                    .into(),
                ..service(3, Protocol::Tcp)
            },
        ];
        for service in services {
            change(&|proxy| proxy.set_service(name(3), Some(service.clone())), &mut programmer);
        }
        change(&|proxy| proxy.set_service(name(4), None), &mut programmer);
        let inside = vec!["10.0.0.0/8".parse().unwrap()];
        change(&|proxy| proxy.set_node(Node { inside: inside.clone(), ..node() }), &mut programmer);
        // A place passes from one Service to another.
        change(
            &|proxy| {
                proxy.set_service(name(5), None);
                let mut other = service(6, Protocol::Tcp);
                other.ports[0].node_port = Some(30005);
                proxy.set_service(name(6), Some(other));
            },
            &mut programmer,
        );
        assert!(programmer.remove().unwrap());
        assert_eq!(Table::open().unwrap().read().unwrap(), Present::Absent);
    });
}

#[test]
fn a_restart_changes_only_what_is_not_right() {
    in_new_netns(|| {
        let now = Instant::now();
        let mut first = programmer();
        ten(first.proxy_mut());
        first.program(now);
        drop(first);

        let mut notices = Notices::open().unwrap();
        let mut second = programmer();
        ten(second.proxy_mut());
        let done = second.program(now);
        assert_eq!((done.compared, done.replaced, done.added, done.removed), (true, false, 0, 0));
        check(&second, &done);
        assert!(!notices.has_foreign_change(0).unwrap());

        let mut third = programmer();
        ten(third.proxy_mut());
        third.proxy_mut().set_slice(name(1), Some(slice(1, Protocol::Tcp, endpoints([1, 101, 102]))));
        let done = third.program(now);
        // The slot and its hairpin; the number of slots at two places, each from inside and outside.
        assert_eq!((done.replaced, done.added, done.removed), (false, 5, 4));
        check(&third, &done);
        assert!(notices.has_foreign_change(0).unwrap());
    });
}

#[test]
fn damage_is_mended_when_it_is_told_and_when_a_change_meets_it() {
    needs!("nft");
    let [family, table] = TABLE;
    let damages: [&[&str]; 6] = [
        &["delete", "table", family, table],
        &["flush", "table", family, table],
        &["flush", "map", family, table, "services4"],
        &["flush", "map", family, table, "endpoints4"],
        &["add", "element", family, table, "hairpins4", "{", "10.9.9.9", ".", "10.9.9.9", "}"],
        &["flush", "ruleset"],
    ];
    in_new_netns(|| {
        let now = Instant::now();
        let mut programmer = programmer();
        ten(programmer.proxy_mut());
        programmer.program(now);
        for damage in damages {
            nft(damage);
            programmer.distrust();
            let done = programmer.program(now);
            assert!(done.compared, "{damage:?}");
            check(&programmer, &done);
        }
        for (number, damage) in (11..).zip(&damages[..4]) {
            nft(damage);
            programmer.proxy_mut().set_service(name(number), Some(service(number, Protocol::Tcp)));
            // Other endpoints, and another number of them.
            let slice = slice(1, Protocol::Tcp, endpoints(number..2 * number - 8));
            programmer.proxy_mut().set_slice(name(1), Some(slice));
            let done = programmer.program(now);
            // Rules that are gone stand in no element's way: who flushes them is told by notices.
            if damage[0] == "flush" && damage[1] == "table" {
                programmer.distrust();
                let done = programmer.program(now);
                check(&programmer, &done);
                continue;
            }
            assert!(done.compared, "{damage:?}");
            check(&programmer, &done);
        }
    });
}

/// A client outside of the table's Services: the node itself, with endpoints on its own addresses.
struct Udp {
    client: UdpSocket,
    servers: Vec<UdpSocket>,
}

impl Udp {
    fn new() -> Self {
        for args in [
            "link set lo up",
            "link add eth0 type veth peer name peer0",
            "addr add 192.0.2.1/24 dev eth0",
            "link set eth0 up",
            "link set peer0 up",
            "route add default via 192.0.2.254",
            "addr add 10.0.0.1/32 dev lo",
            "addr add 10.0.0.2/32 dev lo",
        ] {
            assert!(Command::new("ip").args(args.split(' ')).status().unwrap().success(), "ip {args}");
        }
        let bound = |address: &str| {
            let socket = UdpSocket::bind(address).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            socket
        };
        let servers = ["10.0.0.1:8080", "10.0.0.2:8080"].map(bound).into();
        Self { client: bound("192.0.2.1:40000"), servers }
    }

    /// Sends a datagram; which server got it is known by waiting for that one.
    fn reaches(&self, server: usize) {
        self.client.send_to(b"?", SocketAddr::from(([10, 96, 0, 1], 80))).unwrap();
        let (_, from) = self.servers[server].recv_from(&mut [0; 10]).unwrap();
        assert_eq!(from, self.client.local_addr().unwrap());
    }
}

#[test]
fn flows_of_an_endpoint_that_is_gone_are_forgotten_and_no_others() {
    needs!("ip");
    in_new_netns(|| {
        let now = Instant::now();
        let udp = Udp::new();
        let mut programmer = programmer();
        let lead = |programmer: &mut Programmer, numbers: &[u8]| {
            let slice = slice(1, Protocol::Udp, endpoints(numbers.iter().copied()));
            programmer.proxy_mut().set_slice(name(1), Some(slice));
            let done = programmer.program(now);
            check(programmer, &done);
            done.forgotten_flows
        };
        programmer.proxy_mut().set_service(name(1), Some(service(1, Protocol::Udp)));
        assert_eq!(lead(&mut programmer, &[1]), 0);
        udp.reaches(0);
        // The flow stays while its endpoint does.
        assert_eq!(lead(&mut programmer, &[1, 2]), 0);
        udp.reaches(0);
        assert_eq!(lead(&mut programmer, &[2]), 1);
        udp.reaches(1);
        assert_eq!(lead(&mut programmer, &[]), 1);
        assert_eq!(lead(&mut programmer, &[1]), 0);
        udp.reaches(0);
        // After a restart, too, the flows of endpoints that are gone meanwhile.
        let mut second = self::programmer();
        second.proxy_mut().set_service(name(1), Some(service(1, Protocol::Udp)));
        assert_eq!(lead(&mut second, &[2]), 1);
        udp.reaches(1);
        second.proxy_mut().set_service(name(1), None);
        assert_eq!(second.program(now).forgotten_flows, 1);
    });
}
