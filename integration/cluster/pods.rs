//! Pods of all nodes reach each other, nodes, Services and what is beyond.

use super::agents::until;
use super::world::{BEYOND, Member, PORT, in_cluster};
use crate::harness::needs;
use crate::harness::talk::Stream;

#[test]
fn all_reach_all_without_their_addresses_being_changed() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(2);
        // One with an endpoint on each node, and one for each node, so that every way is taken.
        let mut services = vec![cluster.service("all", &[(0, 0), (1, 0), (2, 0)])];
        for member in 0..3 {
            services.push(cluster.service(&format!("on-{member}"), &[(member, 1)]));
        }
        until("the Services are there", || cluster.faults(&services, "1").is_empty());
        cluster.assert_all_reach_all(&services);
    });
}

#[test]
fn a_pod_from_before_the_agents_start_is_reached_too() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        // The same nodes after a boot without the API server: what the agents made is there, they are not.
        cluster.members.iter_mut().for_each(|member| member.end("KILL"));
        cluster.members[0].add_pod();
        cluster.assert_all_reach_all(&[]);
        cluster.start_agents(&[]);
        cluster.assert_all_reach_all(&[]);
    });
}

#[test]
fn a_network_that_knows_the_pods_sees_their_addresses() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.join();
        let own = BEYOND.map(|address| format!("--non-masquerade-cidr={address}/{}", prefix(address)));
        cluster.start_agents(&own.each_ref().map(String::as_str));
        cluster.members[0].add_pod();
        let member = &cluster.members[0];
        for ((network, via), family) in member.cidrs.iter().zip(&member.addresses).zip(["-4", "-6"]) {
            cluster.beyond().ip(&[family, "route", "add", network, "via", via]);
        }
        for (host, own) in BEYOND.into_iter().zip(&member.pods[0].addresses) {
            assert_eq!(asked(member, host), format!("beyond {own}"));
        }
        // Without the flag the same pod is seen as its node.
        cluster.members[0].end("TERM");
        cluster.start_agents(&[]);
        let member = &cluster.members[0];
        for (host, own) in BEYOND.into_iter().zip(&member.addresses) {
            assert_eq!(asked(member, host), format!("beyond {own}"));
        }
    });
}

/// The prefix of a network that is one address.
fn prefix(address: &str) -> u8 {
    if address.contains(':') { 128 } else { 32 }
}

/// What a server answers the first pod of `member`.
fn asked(member: &Member, host: &str) -> String {
    let python = member.command(Some(&member.pods[0]), "python3");
    Stream::open(python, host, PORT).peer.clone()
}
