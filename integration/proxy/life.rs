//! The proxy's own life: its restart, its end, and others who change its table.

use serde_json::json;

use super::cluster::{From, World, on_node};
use crate::harness::talk::Stream;
use crate::harness::{Run, bin, in_new_netns, needs};

/// The table without what counts packets and seconds.
fn table() -> String {
    on_node("nft list table inet podhosts-services | sed 's/ expires [0-9a-z]*//g'")
}

#[test]
fn a_stream_outlives_a_restart_many_changes_and_a_flush_by_somebody_else() {
    needs!("nft", "ip", "python3");
    in_new_netns(|| {
        let mut world = World::new(3);
        let service = world.service("web", json!({}));
        world.endpoints("web", &[0, 1]);
        let python = || world.pods[2].netns.command("python3");
        let mut streams: Vec<Stream> =
            service.cluster_ips().iter().map(|host| Stream::open(python(), host, 80)).collect();
        assert!(streams.iter().all(|stream| stream.peer.starts_with("pod")));
        let mut go_on = || streams.iter_mut().for_each(Stream::goes_on);
        go_on();
        let before = table();
        for how in ["stop", "kill"] {
            let server = world.server.take().unwrap();
            if how == "stop" {
                assert!(server.stop().success());
            } else {
                server.kill();
            }
            assert_eq!(table(), before, "{how}");
            go_on();
            world.start(&[]);
            assert_eq!(table(), before, "{how}");
            go_on();
        }
        for number in 0..100 {
            world.service(&format!("other-{number}"), json!({}));
        }
        world.settle();
        go_on();
        for flush in [
            "nft flush table inet podhosts-services",
            "nft delete table inet podhosts-services",
            "nft flush ruleset",
            "nft flush map inet podhosts-services endpoints4",
            "nft flush chain inet podhosts-services prerouting",
        ] {
            let before = table();
            on_node(flush);
            go_on();
            wait_for(|| table_if_any() == before);
            assert!(
                From::In(&world.pods[2].netns).get("tcp", &service.cluster_ips()[0], 80).starts_with("pod")
            );
            go_on();
        }
    });
}

fn table_if_any() -> String {
    on_node("nft list table inet podhosts-services 2>/dev/null | sed 's/ expires [0-9a-z]*//g'")
}

/// Waits for what happens in a moment.
#[track_caller]
fn wait_for(is_so: impl Fn() -> bool) {
    for _ in 0..1000 {
        if is_so() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("it does not happen");
}

/// Everything that a server could change in the network namespace that `ip`, `nft` and `sysctl` run in. Left out is what
/// changes on its own: how many flows are tracked, how long addresses are valid, and in which state neighbours are.
const NETWORK: &str = r"
nft list ruleset
ip -o -d link; ip -o addr | sed 's/valid_lft [0-9]*sec//; s/preferred_lft [0-9]*sec//'; ip -o maddr; ip -s -s rule
for family in -4 -6; do
    ip $family rule
    ip $family route show table all | sed 's/ expires [0-9]*sec//'
    ip $family neigh show proxy
    ip $family neigh show nud permanent
done
sysctl -a 2>/dev/null | grep '^net\.' | grep -v 'conntrack_count'
";

fn network() -> String {
    on_node(NETWORK)
}

#[test]
fn tables_of_others_are_never_touched_and_cleanup_removes_ours() {
    needs!("nft", "ip", "python3", "sysctl");
    let machine = network();
    in_new_netns(|| {
        on_node("nft add table inet other; nft add chain inet other x; nft add table ip kube-proxy");
        let mut world = World::without_server(1);
        // Connection tracking adds sysctls when it is first used, which other tables of the packet filter do, too.
        on_node("nft add chain inet other y '{ type nat hook prerouting priority 0; }'");
        // A link comes up, and gets its own address, a moment after it is told to.
        wait_for(|| {
            on_node("ip -o link").matches("state UP").count() == 2
                && on_node("ip -o -6 addr show dev uplink scope link").contains("fe80:")
        });
        let before = network();
        assert!(
            before.contains("table ip kube-proxy") && before.contains("net.ipv4.ip_forward = 1"),
            "{before}"
        );
        world.start(&["--load-balancer-interface=uplink"]);
        let others = "nft list table inet other; nft list table ip kube-proxy";
        let theirs = on_node(others);
        let service = world.service("web", json!({"type": "LoadBalancer"}));
        world.endpoints("web", &[0]);
        assert!(table().contains("10.96."));
        assert_eq!(on_node(others), theirs);
        // While it is served, and what is left of it afterwards, is the table alone.
        for host in [&service.cluster_ips()[0], &service.ingress()[0]] {
            assert!(From::In(&world.outside).get("tcp", host, 80).starts_with("pod0 "));
        }
        let cleanup = || {
            Run::from(
                std::process::Command::new(bin("podhosts-apiserver")).arg("--cleanup").output().unwrap(),
            )
        };
        // Not while a server runs.
        let refused = cleanup().failure();
        assert!(
            refused.contains("another podhosts-apiserver or podhosts-node does in this network"),
            "{refused}"
        );
        world.server.take().unwrap().stop();
        cleanup().success();
        cleanup().success();
        assert_eq!(network(), before);
    });
    assert_eq!(network(), machine);
}

#[test]
fn a_second_server_does_not_take_the_table_over() {
    needs!("nft", "ip", "python3");
    in_new_netns(|| {
        let _world = World::new(0);
        let dir = tempfile::tempdir().unwrap();
        let mut second = std::process::Command::new(bin("podhosts-apiserver"));
        second.args(["serve", "--secure-port=0", "--proxy=nftables", "--node-name=node2", "--data-dir"]);
        second.arg(dir.path().join("data")).arg("--kubeconfig-out").arg(dir.path().join("kubeconfig"));
        let refused = Run::from(second.output().unwrap()).failure();
        let why = "podhosts-apiserver: cannot serve Services: another podhosts-apiserver or podhosts-node does in this network \
                   namespace (--proxy=none serves the API alone)\n";
        assert_eq!(refused, why);
        assert!(!dir.path().join("kubeconfig").exists());
    });
}
