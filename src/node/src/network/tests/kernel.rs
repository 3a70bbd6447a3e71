//! Nodes as network namespaces, with pods, routers and a world outside: real packets through what is applied.

use std::time::Duration;

use super::super::{Applied, Network, NetworkOptions, VxlanOptions};
use super::world::{Names, OUTSIDE, World, cluster, far_world, is_root, near_world};
use crate::api::node::Cluster;

fn options(overlay: bool) -> NetworkOptions {
    let overlay = overlay.then_some(VxlanOptions { id: 112, port: 8472 });
    NetworkOptions { non_masquerade: Vec::new(), overlay, conflist: None, server: None }
}

/// What one application on a node does.
fn apply(world: &World, node: usize, cluster: &Cluster, overlay: bool) -> Applied {
    world.nodes[node].inside(|| Network::open(options(overlay)).unwrap().apply(cluster))
}

#[track_caller]
fn expect_reasons(applied: &Applied, reasons: &[&str]) {
    let found: Vec<&str> = applied.problems.iter().map(|problem| problem.reason).collect();
    assert_eq!(found, reasons, "{:?}", applied.problems);
}

/// Applies a cluster on all nodes, without a problem.
#[track_caller]
fn apply_all(world: &World, nodes: &Names, overlay: bool) {
    for node in 0..world.nodes.len() {
        let applied = apply(world, node, &cluster(nodes, node), overlay);
        assert_eq!((applied.problems, applied.fault, applied.retry), (Vec::new(), None, false));
    }
}

/// Every pod and node sees every other one as it is, and the world outside sees the node.
#[track_caller]
fn expect_traffic(world: &World, nodes: &Names) {
    for (from, own) in nodes.iter().enumerate() {
        for (to, other) in nodes.iter().enumerate().filter(|(to, _)| *to != from) {
            for family in [0, 1] {
                let route = format!("{from} to {to}");
                let pod = |host: &str| world.pods[from].ask(host);
                assert_eq!(pod(&other.pod[family]), own.pod[family], "pod of {route}, pod");
                assert_eq!(pod(&other.address[family]), own.pod[family], "pod of {route}, node");
                let node = |host: &str| world.nodes[from].ask(host);
                assert_eq!(node(&other.pod[family]), own.address[family], "node of {route}, pod");
            }
        }
        for family in [0, 1] {
            assert_eq!(world.pods[from].ask(OUTSIDE[family]), own.address[family], "{from} to outside");
        }
    }
}

#[test]
fn pods_on_one_link_reach_each_other_without_translation() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = near_world();
    apply_all(&world, &nodes, false);
    expect_traffic(&world, &nodes);
    // A restart changes nothing.
    let applied = apply(&world, 0, &cluster(&nodes, 0), false);
    assert_eq!((applied.changed, applied.routes, applied.tunnelled), (0, 4, 0));
    // What others have spoilt is mended, and what they have made stays.
    world.nodes[0].sh(
        "nft flush ruleset; ip route del 10.244.2.0/24; ip -6 route replace fd00:a1::/64 via 2001:db8::3 proto 112
         ip route add 10.99.0.0/24 via 192.0.2.3 proto 112; ip route add 10.98.0.0/24 via 192.0.2.3",
    );
    let applied = apply(&world, 0, &cluster(&nodes, 0), false);
    assert_eq!((applied.changed, applied.routes, applied.problems), (4, 4, Vec::new()));
    expect_traffic(&world, &nodes);
    let routes = world.nodes[0].sh("ip route");
    assert!(!routes.contains("10.99.0.0") && routes.contains("10.98.0.0"), "{routes}");
}

#[test]
fn nodes_come_and_go_and_routes_of_others_stay() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = near_world();
    apply_all(&world, &nodes, false);
    let mut few = cluster(&nodes, 0);
    few.nodes.remove("n2");
    // The sets of the table are one change.
    let applied = apply(&world, 0, &few, false);
    assert_eq!((applied.changed, applied.routes), (3, 2));
    assert!(!world.nodes[0].sh("ip route").contains("10.244.2.0/24"));
    // Addresses that changed, at the same time.
    let second = few.nodes.get_mut("n1").unwrap();
    second.internal_ips = nodes[2].address.iter().map(|address| address.parse().unwrap()).collect();
    let applied = apply(&world, 0, &few, false);
    assert_eq!((applied.changed, applied.routes), (3, 2));
    assert!(world.nodes[0].sh("ip route").contains("10.244.1.0/24 via 192.0.2.3 dev eth0 proto 112"));
    // Somebody else's route to the same pods.
    world.nodes[0].sh("ip route add 10.244.2.0/24 via 192.0.2.254 metric 50 proto static");
    let all = cluster(&nodes, 0);
    let applied = apply(&world, 0, &all, false);
    expect_reasons(&applied, &["ForeignRoute"]);
    assert_eq!(applied.problems[0].node.as_deref(), Some("n2"));
    world.nodes[0].sh("ip route del 10.244.2.0/24 metric 50");
    expect_reasons(&apply(&world, 0, &all, false), &[]);
    expect_traffic(&world, &nodes);
    // Nothing of ours stays behind.
    let errors = world.nodes[0].inside(|| Network::open(options(false)).unwrap().clean_up());
    assert_eq!(errors, [""; 0]);
    let left = world.nodes[0].sh("ip route; ip -6 route; nft list ruleset");
    assert!(!left.contains("proto 112") && !left.contains("podhosts"), "{left}");
}

#[test]
fn nodes_behind_a_router_are_told_or_reached_through_tunnels() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = far_world();
    let applied = apply(&world, 0, &cluster(&nodes, 0), false);
    expect_reasons(&applied, &["NodeNotOnLink", "NodeNotOnLink"]);
    assert_eq!((applied.fault, applied.routes), (None, 0));
    apply_all(&world, &nodes, true);
    expect_traffic(&world, &nodes);
    // A megabyte from a pod whose MTU is that of the link below.
    for family in [0, 1] {
        assert_eq!(world.pods[0].ask_much(&nodes[1].pod[family]), 1 << 20);
    }
    let links = world.nodes[0].sh("ip -d link show podhosts-vxlan4; ip -d link show podhosts-vxlan6");
    for part in ["mtu 1450", "mtu 1430", "vxlan id 112", "dstport 8472", "nolearning", "0e:58:c0:00:02:01"] {
        assert!(links.contains(part), "{part}: {links}");
    }
    let applied = apply(&world, 0, &cluster(&nodes, 0), true);
    assert_eq!((applied.changed, applied.routes, applied.tunnelled), (0, 2, 2));
    // What others have spoilt is mended.
    world.nodes[0].sh("ip link set podhosts-vxlan4 mtu 1400; ip link del podhosts-vxlan6
         bridge fdb del 0e:58:c6:33:64:01 dev podhosts-vxlan4 dst 198.51.100.1
         ip neigh del 198.51.100.1 dev podhosts-vxlan4; ip rule del from 10.244.0.0/24");
    assert_eq!(apply(&world, 0, &cluster(&nodes, 0), true).problems, []);
    expect_traffic(&world, &nodes);
    // Without a Node behind a router there is no tunnel.
    let mut alone = cluster(&nodes, 0);
    alone.nodes.remove("n1");
    assert_eq!(apply(&world, 0, &alone, true).problems, []);
    let left = world.nodes[0]
        .sh("ip link; ip rule; ip -6 rule; ip route show table all; ip -6 route show table all");
    assert!(!left.contains("vxlan") && !left.contains("1886348292") && !left.contains("proto 112"), "{left}");
}

#[test]
fn another_interface_of_the_tunnels_name_stays() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = far_world();
    world.nodes[0].sh("ip link add podhosts-vxlan4 type bridge");
    let applied = apply(&world, 0, &cluster(&nodes, 0), true);
    expect_reasons(&applied, &["TunnelRefused"]);
    assert!(applied.problems[0].text.contains("another interface of that name"), "{:?}", applied.problems);
    assert_eq!((applied.routes, applied.retry, applied.fault), (1, true, None));
    assert!(world.nodes[0].sh("ip -d link show podhosts-vxlan4").contains("bridge"));
}

#[test]
fn changes_of_others_wake_and_own_ones_do_not() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = near_world();
    world.nodes[0].inside(|| {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let mut network = Network::open(options(false)).unwrap();
            let cluster = cluster(&nodes, 0);
            assert!(network.apply(&cluster).changed > 0);
            // Reading what our own changes have caused finds nothing that matters. Of the kernel's own, as of turning
            // forwarding on, some may have come later.
            while network.has_changed() {}
            // Pods come and go.
            let pod = format!("ip link add pod9 group {} type bridge; ip link set pod9 up", 0x706f_6402_u32);
            for script in [&pod, "ip route add 10.244.0.9/32 dev pod9; ip link del pod9"] {
                world.nodes[0].sh(script);
                assert!(!network.has_changed(), "{script}");
            }
            for script in [
                "nft flush ruleset",
                "nft delete element inet podhosts-node inside4 { 10.244.0.0-10.244.2.255 }",
                "ip route del 10.244.1.0/24",
                "ip route add 10.244.2.0/24 via 192.0.2.254 metric 7",
                "ip route del 10.244.2.0/24 metric 7",
                "ip link set eth0 down",
                "ip link set eth0 up; ip -6 addr add 2001:db8::1/64 dev eth0 nodad",
                "ip addr add 192.0.2.77/24 dev eth0",
            ] {
                world.nodes[0].sh(script);
                let told = tokio::time::timeout(Duration::from_secs(20), network.changed()).await;
                assert!(told.is_ok(), "{script}");
                network.apply(&cluster);
            }
            assert_eq!(network.apply(&cluster).routes, 4);
        });
    });
}

#[test]
fn a_thousand_nodes_are_applied_and_one_more() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = near_world();
    world.nodes[0].sh("ip addr add 172.16.0.1/12 dev eth0");
    let mut all = cluster(&nodes, 0);
    for number in 1..1000_u32 {
        let (high, low) = (number / 250, number % 250 + 2);
        let addresses = [format!("172.16.{high}.{low}"), format!("2001:db8::{high}:{low}")];
        let networks = [format!("10.{}.{low}.0/24", high + 10), format!("fd01:{high}:{low}::/64")];
        let name = format!("n{number}");
        let mut node = all.nodes["n0"].clone();
        node.name.clone_from(&name);
        node.internal_ips = addresses.iter().map(|address| address.parse().unwrap()).collect();
        node.pod_cidrs = networks.iter().map(|network| network.parse().unwrap()).collect();
        all.nodes.insert(name, node);
    }
    world.nodes[0].inside(|| {
        let last = all.nodes.remove("n999").unwrap();
        let mut network = Network::open(options(false)).unwrap();
        let mut apply = |all: &Cluster, what: &str| {
            let began = std::time::Instant::now();
            let applied = network.apply(all);
            println!("{what}: {:?}", began.elapsed());
            assert_eq!((applied.problems, applied.fault, applied.retry), (Vec::new(), None, false));
            (applied.changed, applied.routes)
        };
        // A route for each network, and the table.
        assert_eq!(apply(&all, "998 Nodes"), (1997, 1996));
        assert_eq!(apply(&all, "no change"), (0, 1996));
        all.nodes.insert(last.name.clone(), last);
        assert_eq!(apply(&all, "one more"), (3, 1998));
        all.nodes.retain(|name, _| name == "n0");
        assert_eq!(apply(&all, "all others gone"), (1999, 0));
    });
}

#[test]
fn the_plugins_configuration_is_written_last_and_stays() {
    if !is_root() {
        return eprintln!("SKIP: not root");
    }
    let (world, nodes) = far_world();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("net.d/10-podhosts.conflist");
    let options = NetworkOptions { conflist: Some(path.clone()), ..options(false) };
    let read = || sys::fs::files::read(&path, 4096, sys::fs::files::LastLink::Refuse).ok();
    world.nodes[0].inside(|| {
        let mut network = Network::open(options.clone()).unwrap();
        let whole = cluster(&nodes, 0);
        let own = |cluster: &Cluster| cluster.nodes["n0"].clone();
        let mut unfit = whole.clone();
        unfit.nodes.get_mut("n0").unwrap().pod_cidrs.clear();
        assert!(network.apply(&unfit).fault.unwrap().contains("no spec.podCIDRs"));
        unfit.nodes.remove("n0");
        assert!(network.apply(&unfit).fault.is_some());
        // Another Node's trouble is no reason to wait, and neither is another program's table.
        assert_eq!(read(), None);
        let applied = network.apply(&whole);
        expect_reasons(&applied, &["NodeNotOnLink", "NodeNotOnLink"]);
        let written: serde_json::Value = serde_json::from_slice(&read().unwrap()).unwrap();
        let plugin = &written["plugins"][0];
        assert_eq!(plugin["ipam"]["podCIDRs"], serde_json::json!(["10.244.0.0/24", "fd00:a0::/64"]));
        assert_eq!((&plugin["ipMasq"], &plugin["mtu"]), (&false.into(), &1500.into()));
        // One more network, of a family that is there already.
        let mut more = whole.clone();
        more.nodes.insert("n0".to_owned(), {
            let mut own = own(&whole);
            own.pod_cidrs.push("10.244.7.0/24".parse().unwrap());
            own
        });
        assert!(network.apply(&more).fault.is_none());
        let written = read().unwrap();
        assert!(String::from_utf8_lossy(&written).contains("10.244.7.0/24"));
        // It stays when this Node is gone, and a configuration that goes before it is told.
        sys::fs::state_dir::replace(&dir.path().join("net.d/05-other.conf"), b"{}").unwrap();
        let applied = network.apply(&unfit);
        assert!(applied.problems.iter().any(|problem| problem.reason == "ForeignNetworkConfiguration"));
        assert_eq!(read(), Some(written));
        assert_eq!(network.clean_up(), [""; 0]);
        assert_eq!(read(), None);
    });
}
