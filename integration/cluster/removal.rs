//! What is left on a node, and on the machine, when everything is gone.

use std::process::Command;

use super::agents::{assert_same, until, until_on};
use super::world::{Cluster, Member, SYSCTLS, in_cluster, on_router};
use crate::harness::{bin, in_new_netns, needs};

/// What others made on a node.
const OTHERS: &str =
    "ip link add other0 type veth peer name other1; ip link set other1 up; ip link set other0 up; ip addr add 198.18.1.1/24 dev other0
    ip route add 198.18.2.0/24 dev other0; ip -6 route add 2001:db8:77::/64 dev other0
    ip rule add from 198.18.3.0/24 table 100; ip route add 198.18.4.0/24 dev other0 table 100
    nft add table inet other; nft add chain inet other x; nft add rule inet other x counter accept";

#[test]
fn cleanup_leaves_a_node_as_it_was() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.join();
        cluster.join();
        cluster.join_far();
        for member in &cluster.members {
            member.node().sh(OTHERS);
        }
        let before: Vec<String> = cluster.members.iter().map(|member| member.state()).collect();
        (0..3).for_each(|member| cluster.start_agent(member, &["--overlay=vxlan"]));
        for member in &mut cluster.members {
            until_on(member, "ready", || member.is_ready());
            member.add_pod();
        }
        let service = cluster.service("web", &[(0, 0), (2, 0)]);
        cluster.assert_all_reach_all(&[]);
        until("the Service", || cluster.faults(std::slice::from_ref(&service), "1").is_empty());
        let cleanup = |member: &Member| member.node().run(bin("podhosts-node"), &["--cleanup"]);
        for member in &mut cluster.members {
            // Its engine could not stop the pod any more.
            let (network, said) = (member.network(), cleanup(member).failure());
            assert!(said.contains("to stop the pods ") && member.network() == network, "{said}");
            member.remove_pod();
            member.end("TERM");
            cleanup(member).success();
            // Again, where there is nothing left.
            cleanup(member).success();
        }
        for (member, before) in cluster.members.iter().zip(before) {
            // What the plugin keeps for the next pod is its own.
            let files = "find /run/podhosts /var/lib/podhosts -type f 2>/dev/null | \
                         grep -v -e /networks/ -e '[.]lock$' || true";
            assert_eq!(member.node().sh(files), "", "{}", member.name);
            assert_same(&member.state(), &before);
        }
    });
}

#[test]
fn an_agent_that_leaves_the_services_to_another_program_removes_what_led_to_them() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.join();
        cluster.start_agents(&[]);
        cluster.members[0].add_pod();
        let service = cluster.service("web", &[(0, 0)]);
        until("the Service", || cluster.faults(std::slice::from_ref(&service), "1").is_empty());
        let tables = |cluster: &Cluster| cluster.members[0].node().sh("nft list tables");
        cluster.members[0].end("TERM");
        assert!(tables(cluster).contains("inet podhosts-services\n"));
        cluster.start_agents(&["--proxy=none"]);
        let left = tables(cluster);
        assert!(!left.contains("podhosts-services") && left.contains("inet podhosts-node\n"), "{left}");
    });
}

/// Everything about networks in the namespace that a test starts in.
fn machine() -> String {
    let script = "ip -o -d link; ip -o addr; ip route show table all; ip -6 route show table all; ip rule; ip -6 rule
        nft list ruleset; grep -r . /proc/sys/net 2>/dev/null | grep -v -e _count: -e expire -e cookie | sort";
    let output = Command::new("sh").args(["-c", script]).output().unwrap();
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn nothing_of_a_cluster_shows_outside_its_namespaces() {
    needs!("ip", "nft", "python3", "busybox");
    in_new_netns(|| {
        on_router(SYSCTLS);
        on_router(OTHERS);
        let before = machine();
        in_cluster(|cluster| {
            cluster.of_three(1);
            cluster.service("web", &[(0, 0)]);
            cluster.assert_all_reach_all(&[]);
        });
        assert_same(&machine(), &before);
    });
}
