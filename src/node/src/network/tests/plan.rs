use std::net::IpAddr;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::rtnetlink::Way;

use super::super::claims::Needed;
use super::super::plan::{self, Hop, Plan};
use super::super::underlay::Underlay;
use crate::api::node::{Cluster, ClusterNode};

const LINK: Way = Way::Link { interface: 2 };
const ROUTER: Way = Way::Router { interface: 2 };
const OWN: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
const OWN_PODS: [&str; 2] = ["10.244.1.0/24", "fd00:1::/64"];

fn nets(all: &[&str]) -> Vec<IpNet> {
    all.iter().map(|net| net.parse().unwrap()).collect()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn node(name: &str, created: i64, pod_cidrs: &[&str], internal_ips: &[&str]) -> ClusterNode {
    ClusterNode {
        name: name.to_owned(),
        uid: format!("uid of {name}"),
        pod_cidrs: nets(pod_cidrs),
        internal_ips: internal_ips.iter().map(|address| ip(address)).collect(),
        zone: None,
        created,
    }
}

/// A cluster in which this node is called a and is the second oldest.
fn cluster(others: &[ClusterNode]) -> Cluster {
    let own = node("a", 100, &OWN_PODS, &OWN);
    let nodes = others.iter().cloned().chain([own]).map(|node| (node.name.clone(), node)).collect();
    Cluster { own: "a".to_owned(), nodes }
}

fn underlay(ways: &[(&str, Way)]) -> Underlay {
    let own = OWN.map(|address| (address, Way::Own));
    let ways: Vec<(&str, Way)> = own.into_iter().chain(ways.iter().copied()).collect();
    Underlay::of(&ways, &[(2, 1500), (3, 9000)], &OWN.map(|address| (address, 2)))
}

fn plan(cluster: &Cluster, ways: &[(&str, Way)], is_overlaid: bool) -> Plan {
    plan::plan(cluster, &underlay(ways), &[], is_overlaid)
}

/// The routes as `ip route` would show them, and the problems' reasons with their Nodes.
fn shown(plan: &Plan) -> (Vec<String>, Vec<String>) {
    let hop = |hop: &Hop| match hop {
        Hop::Link(interface) => interface.to_string(),
        Hop::Tunnel => "tunnel".to_owned(),
    };
    let routes = plan.routes.iter().map(|r| format!("{} via {} dev {}", r.network, r.address, hop(&r.hop)));
    let problems = plan.problems.iter();
    let problems = problems.map(|p| format!("{} {}", p.reason, p.node.as_deref().unwrap_or("-")));
    (routes.collect(), problems.collect())
}

#[track_caller]
fn expect(plan: &Plan, routes: &[&str], problems: &[&str]) {
    let (found_routes, found_problems) = shown(plan);
    assert_eq!(found_routes, routes, "{:?}", plan.problems);
    assert_eq!(found_problems, problems, "{:?}", plan.problems);
}

#[test]
fn each_family_leads_to_the_address_of_that_family() {
    let b = node("b", 200, &["10.244.2.0/24", "fd00:2::/64"], &["192.0.2.2", "2001:db8::2"]);
    let plan = plan(&cluster(&[b]), &[("192.0.2.2", LINK), ("2001:db8::2", LINK)], false);
    expect(&plan, &["10.244.2.0/24 via 192.0.2.2 dev 2", "fd00:2::/64 via 2001:db8::2 dev 2"], &[]);
    assert_eq!((plan.fault, plan.pod_mtu, plan.own), (None, Some(1500), nets(&OWN_PODS)));
    let masquerading = plan.masquerading.unwrap();
    let all = |networks: &[sys::net::masquerade::Network]| {
        networks.iter().map(|net| format!("{}-{}", net.first, net.last)).collect::<Vec<_>>()
    };
    assert_eq!(all(&masquerading.pods), ["10.244.1.0-10.244.1.255", "fd00:1::-fd00:1::ffff:ffff:ffff:ffff"]);
    assert_eq!(
        all(&masquerading.inside),
        [
            "10.244.1.0-10.244.2.255",
            "192.0.2.1-192.0.2.2",
            "224.0.0.0-239.255.255.255",
            "2001:db8::1-2001:db8::2",
            "fd00:1::-fd00:1::ffff:ffff:ffff:ffff",
            "fd00:2::-fd00:2::ffff:ffff:ffff:ffff",
            "ff00::-ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"
        ]
    );
}

#[test]
fn a_node_may_have_one_family_or_no_networks_yet() {
    let six = node("six", 200, &["fd00:2::/64"], &["192.0.2.2", "2001:db8::2"]);
    let none = node("none", 200, &[], &["192.0.2.3"]);
    let nowhere = node("nowhere", 200, &["10.244.4.0/24", "fd00:4::/64"], &["2001:db8::4"]);
    let ways = [("192.0.2.2", LINK), ("2001:db8::2", LINK), ("2001:db8::4", LINK)];
    expect(
        &plan(&cluster(&[six, none, nowhere]), &ways, false),
        &["fd00:4::/64 via 2001:db8::4 dev 2", "fd00:2::/64 via 2001:db8::2 dev 2"],
        &["NodeWithoutAddress nowhere"],
    );
}

#[test]
fn this_node_may_be_missing_or_without_networks() {
    let b = node("b", 200, &["10.244.2.0/24"], &["192.0.2.2"]);
    let ways = [("192.0.2.2", LINK)];
    let mut cluster = cluster(&[b]);
    cluster.nodes.get_mut("a").unwrap().pod_cidrs.clear();
    let found = plan(&cluster, &ways, false);
    expect(&found, &["10.244.2.0/24 via 192.0.2.2 dev 2"], &[]);
    assert!(found.masquerading.is_none() && found.fault.unwrap().contains("no spec.podCIDRs"));
    cluster.nodes.remove("a");
    let found = plan(&cluster, &ways, false);
    expect(&found, &["10.244.2.0/24 via 192.0.2.2 dev 2"], &[]);
    assert!(found.masquerading.is_none() && found.fault.unwrap().contains("not registered"));
}

#[test]
fn the_older_of_two_nodes_keeps_a_network() {
    let ways = [("192.0.2.2", LINK), ("192.0.2.3", LINK)];
    let b = |created| node("b", created, &["10.244.2.0/24"], &["192.0.2.2"]);
    let c = |created, net: &str| node("c", created, &[net], &["192.0.2.3"]);
    // The last one overlaps this node's, too, which counts here in any case.
    for network in ["10.244.2.0/24", "10.244.2.128/25", "10.244.0.0/22"] {
        let found = plan(&cluster(&[b(200), c(300, network)]), &ways, false);
        expect(&found, &["10.244.2.0/24 via 192.0.2.2 dev 2"], &["PodCIDRConflict c"]);
        assert_eq!(found.fault, None);
    }
    expect(
        &plan(&cluster(&[b(300), c(200, "10.244.2.0/24")]), &ways, false),
        &["10.244.2.0/24 via 192.0.2.3 dev 2"],
        &["PodCIDRConflict b"],
    );
    // Of the same second: by name. A Node that has a network twice collides with nobody.
    let twice = node("b", 200, &["10.244.2.0/24", "10.244.2.7/24"], &["192.0.2.2"]);
    expect(
        &plan(&cluster(&[twice, c(200, "10.244.2.0/24")]), &ways, false),
        &["10.244.2.0/24 via 192.0.2.2 dev 2"],
        &["PodCIDRConflict c"],
    );
}

#[test]
fn this_nodes_own_network_is_never_led_away() {
    let ways = [("192.0.2.2", LINK)];
    let younger = node("b", 200, &["10.244.1.0/25"], &["192.0.2.2"]);
    let found = plan(&cluster(&[younger]), &ways, false);
    expect(&found, &[], &["PodCIDRConflict b"]);
    assert_eq!(found.fault, None);
    // Other nodes lead it to the older one.
    let older = node("b", 50, &["10.244.1.0/25"], &["192.0.2.2"]);
    let found = plan(&cluster(&[older]), &ways, false);
    expect(&found, &[], &["PodCIDRConflict b"]);
    assert!(found.fault.unwrap().contains("is older"));
}

#[test]
fn no_network_has_a_nodes_address() {
    let ways = [("192.0.2.2", LINK), ("192.0.2.3", LINK)];
    let b = node("b", 200, &["192.0.2.0/24", "10.244.2.0/24", "0.0.0.0/0"], &["192.0.2.2"]);
    expect(
        &plan(&cluster(&[b]), &ways, false),
        &["10.244.2.0/24 via 192.0.2.2 dev 2"],
        &["PodCIDRContainsNode b", "PodCIDRRefused b"],
    );
    let mut own = cluster(&[]);
    own.nodes.get_mut("a").unwrap().pod_cidrs = nets(&["192.0.2.0/28"]);
    let found = plan(&own, &[], false);
    expect(&found, &[], &["PodCIDRContainsNode -"]);
    assert!(found.fault.is_some());
}

#[test]
fn no_network_is_reserved_or_has_what_this_node_needs() {
    let ways = [("192.0.2.2", LINK), ("2001:db8::2", LINK)];
    for reserved in [
        "0.0.0.0/1",
        "127.1.0.0/16",
        "169.254.169.254/32",
        "232.0.0.0/8",
        "224.0.0.0/3",
        "255.255.255.255/32",
        "::1/128",
        "::/16",
        "::ffff:10.0.0.0/104",
        "fe80::/64",
        "ff02::/16",
    ] {
        let b = node("b", 200, &["10.244.2.0/24", reserved], &["192.0.2.2", "2001:db8::2"]);
        let found = plan(&cluster(&[b]), &ways, false);
        expect(&found, &["10.244.2.0/24 via 192.0.2.2 dev 2"], &["PodCIDRRefused b"]);
        assert_eq!(found.fault, None);
        let mut own = cluster(&[]);
        own.nodes.get_mut("a").unwrap().pod_cidrs = nets(&[reserved]);
        let found = plan(&own, &[], false);
        expect(&found, &[], &["PodCIDRRefused -"]);
        assert!(found.fault.unwrap().contains("which is for no pods"));
    }
    let mut underlay = underlay(&ways);
    underlay.need("198.51.100.1", Needed::Router);
    underlay.need("2001:db8:9::1", Needed::ApiServer);
    let b = node("b", 200, &["198.51.100.0/30", "2001:db8:9::1/128"], &["192.0.2.2", "2001:db8::2"]);
    let found = plan::plan(&cluster(&[b]), &underlay, &[], false);
    expect(&found, &[], &["PodCIDRRefused b", "PodCIDRRefused b"]);
    assert!(found.problems[1].text.contains("contains 2001:db8:9::1, the API server's address"));
}

#[test]
fn an_address_that_a_node_claims_later_takes_no_network_from_an_older_one() {
    let ways = [("192.0.2.2", LINK), ("10.244.2.5", ROUTER), ("10.244.1.5", ROUTER)];
    let b = node("b", 200, &["10.244.2.0/24"], &["192.0.2.2"]);
    for claimed in ["10.244.2.5", "10.244.1.5"] {
        let c = node("c", 300, &["10.244.3.0/24"], &[claimed]);
        // With an overlay pods would be led there instead of to the pod.
        let found = plan(&cluster(&[b.clone(), c]), &ways, true);
        expect(&found, &["10.244.2.0/24 via 192.0.2.2 dev 2"], &["NodeAddressConflict c"]);
        assert_eq!(found.fault, None);
    }
    // The other way round, a network that comes later takes no Node's address.
    let c = node("c", 150, &["10.244.3.0/24"], &["10.244.2.5"]);
    let found = plan(&cluster(&[b, c]), &ways, true);
    expect(&found, &["10.244.3.0/24 via 10.244.2.5 dev tunnel"], &["PodCIDRContainsNode b"]);
}

#[test]
fn two_nodes_with_one_address_are_told() {
    let ways = [("192.0.2.2", LINK), ("192.0.2.3", LINK)];
    let b = node("b", 200, &["10.244.2.0/24"], &["192.0.2.2"]);
    let c = node("c", 300, &["10.244.3.0/24"], &["192.0.2.3", "192.0.2.2"]);
    let d = node("d", 50, &["10.244.4.0/24"], &["192.0.2.1"]);
    expect(
        &plan(&cluster(&[b, c, d]), &ways, false),
        &["10.244.2.0/24 via 192.0.2.2 dev 2"],
        &["NodeAddressConflict d", "NodeAddressConflict c"],
    );
}

#[test]
fn what_is_not_on_the_link_needs_an_overlay() {
    let far = node("b", 200, &["10.244.2.0/24", "fd00:2::/64"], &["198.51.100.2", "2001:db8:7::2"]);
    let near = node("c", 200, &["10.244.3.0/24"], &["198.51.100.3", "192.0.2.3"]);
    let nowhere = node("d", 200, &["10.244.4.0/24"], &["203.0.113.4"]);
    let ways = [
        ("198.51.100.2", ROUTER),
        ("2001:db8:7::2", Way::Router { interface: 3 }),
        ("198.51.100.3", ROUTER),
        ("192.0.2.3", LINK),
        ("203.0.113.4", Way::None),
    ];
    let cluster = cluster(&[far, near, nowhere]);
    let near = "10.244.3.0/24 via 192.0.2.3 dev 2";
    let found = plan(&cluster, &ways, false);
    expect(&found, &[near], &["NodeNotOnLink b", "NodeNotOnLink b", "NodeUnreachable d"]);
    assert!(found.tunnels.is_empty() && found.fault.is_none());
    let found = plan(&cluster, &ways, true);
    expect(
        &found,
        &["10.244.2.0/24 via 198.51.100.2 dev tunnel", "fd00:2::/64 via 2001:db8:7::2 dev tunnel", near],
        &["NodeUnreachable d"],
    );
    let four = &found.tunnels[&IpFamily::V4];
    assert_eq!((four.local, four.mtu, four.pods.clone()), (ip(OWN[0]), 1450, nets(&OWN_PODS[..1])));
    assert_eq!((four.mac.to_string().as_str(), four.ends.len()), ("0e:58:c0:00:02:01", 1));
    assert_eq!(four.ends[&ip("198.51.100.2")].to_string(), "0e:58:c6:33:64:02");
    let six = &found.tunnels[&IpFamily::V6];
    assert_eq!((six.local, six.mtu, six.ends.len()), (ip(OWN[1]), 8930, 1));
    assert_eq!(found.pod_mtu, Some(1430));
    let (end, mac) = six.ends.first_key_value().unwrap();
    let gateway = plan::tunnel_gateway(*end, *mac).to_string();
    assert!(gateway.starts_with("fe80::c") && gateway.contains("ff:fe"), "{gateway}");
}

#[test]
fn networks_of_others_that_are_not_masqueraded_stay_so() {
    let found = plan::plan(&cluster(&[]), &underlay(&[]), &nets(&["10.0.0.0/8", "192.0.2.0/24"]), false);
    let inside: Vec<String> = found.masquerading.unwrap().inside.iter().map(|net| net.to_string()).collect();
    assert_eq!(inside[..2], ["10.0.0.0 to 10.255.255.255", "192.0.2.0 to 192.0.2.255"]);
}

#[test]
fn a_thousand_nodes_are_planned_and_none_twice() {
    let nodes: Vec<ClusterNode> = (0..1000_u32)
        .map(|n| {
            let (high, low) = (n / 250 + 10, n % 250);
            let cidrs = [format!("10.{high}.{low}.0/24"), format!("fd00:{high}:{low}::/64")];
            let address = format!("172.16.{high}.{low}");
            node(&format!("n{n}"), i64::from(n), &[&cidrs[0], &cidrs[1]], &[&address])
        })
        .collect();
    let ways: Vec<(String, Way)> =
        nodes.iter().map(|node| (node.internal_ips[0].to_string(), LINK)).collect();
    let ways: Vec<(&str, Way)> = ways.iter().map(|(address, way)| (address.as_str(), *way)).collect();
    let found = plan(&cluster(&nodes), &ways, false);
    assert_eq!((found.routes.len(), found.problems.len()), (1000, 1000));
    assert!(found.problems.iter().all(|problem| problem.reason == "NodeWithoutAddress"));
}
