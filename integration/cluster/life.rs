//! The agents' life: restarts, upgrades, and an API server that is away.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::agents::{assert_same, until, until_on};
use super::world::{Cluster, PORT, in_cluster};
use crate::harness::talk::Stream;
use crate::harness::{bin, needs};

/// Connections of the first node's pod: to a pod of each other node and to a Service, on both families.
fn streams(cluster: &Cluster, service: &[String; 2]) -> Vec<Stream> {
    let (from, rest) = cluster.members.split_first().unwrap();
    let pod = &from.pods[0];
    let pods = rest.iter().flat_map(|member| &member.pods[0].addresses).map(|host| (host, PORT));
    let all = pods.chain(service.iter().map(|host| (host, 80)));
    let stream = |(host, port): (&String, u16)| {
        let stream = Stream::open(from.command(Some(pod), "python3"), host, port);
        let seen = stream.peer.split(' ').nth(1).unwrap();
        assert_eq!(seen, pod.addresses[usize::from(host.contains(':'))], "{}", stream.peer);
        stream
    };
    all.map(stream).collect()
}

#[test]
fn connections_outlive_every_end_of_the_agents_and_their_upgrade() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let service = cluster.service("web", &[(1, 0), (2, 0)]);
        until("the Service is there", || cluster.faults(std::slice::from_ref(&service), "1").is_empty());
        let mut streams = streams(cluster, &service);
        let mut go_on = || streams.iter_mut().for_each(Stream::goes_on);
        let before = cluster.states();
        // Programs are put in place by rename.
        let program = cluster.dir.path().join("podhosts-node");
        for (how, is_upgrade) in [("TERM", false), ("KILL", false), ("KILL", true), ("TERM", true)] {
            if is_upgrade {
                let new = cluster.dir.path().join("new");
                fs::copy(bin("podhosts-node"), &new).unwrap();
                fs::set_permissions(&new, fs::Permissions::from_mode(0o755)).unwrap();
                fs::rename(new, &program).unwrap();
            }
            cluster.members.iter_mut().for_each(|member| member.end(how));
            assert_same(&cluster.states(), &before);
            go_on();
            let agent = if is_upgrade { program.clone() } else { bin("podhosts-node") };
            (0..3).for_each(|member| cluster.start_program(member, &agent, &[]));
            go_on();
            cluster.settle();
            assert_same(&cluster.states(), &before);
            go_on();
        }
    });
}

#[test]
fn nothing_changes_while_the_api_server_is_away_and_everything_follows_when_it_is_back() {
    needs!("ip", "nft", "python3", "busybox");
    in_cluster(|cluster| {
        cluster.of_three(1);
        let service = cluster.service("web", &[(1, 0), (2, 0)]);
        until("the Service is there", || cluster.faults(std::slice::from_ref(&service), "1").is_empty());
        let mut streams = streams(cluster, &service);
        let before = cluster.states();
        let failures = |cluster: &Cluster, member: usize| {
            cluster.members[member].metric("podhosts_node_watch_failures_total").unwrap()
        };
        let told = [0, 1, 2].map(|member| failures(cluster, member));
        cluster.server.take().unwrap().kill();
        // An agent that starts meanwhile has nothing to go by, and leaves everything as it is.
        cluster.members[2].end("KILL");
        cluster.start_agent(2, &[]);
        until_on(&cluster.members[2], "an answer", || cluster.members[2].answer("/healthz").is_some());
        for (member, told) in told.iter().enumerate() {
            let told = if member == 2 { 0.0 } else { *told };
            // Each watch tries several times.
            until_on(&cluster.members[member], "tries", || failures(cluster, member) >= told + 12.0);
        }
        assert_same(&cluster.states(), &before);
        streams.iter_mut().for_each(Stream::goes_on);
        cluster.assert_all_reach_all(std::slice::from_ref(&service));
        // The network is whole: pods are started on it as before.
        cluster.members[0].add_pod();
        cluster.members[0].remove_pod();
        assert_same(&cluster.states(), &before);

        cluster.serve(&[]);
        cluster.add_node("new", &["10.244.9.0/24", "fd00:10:244:9::/64"], &["192.0.2.9", "2001:db8::9"]);
        cluster.settle();
        assert!(
            cluster.members[0]
                .routes()
                .iter()
                .any(|(network, via, _)| network == "10.244.9.0/24" && via == "192.0.2.9")
        );
        let another = cluster.service("another", &[(0, 0)]);
        until("the new Service is there", || cluster.faults(std::slice::from_ref(&another), "1").is_empty());
        streams.iter_mut().for_each(Stream::goes_on);
        cluster.delete_node("new");
        cluster.settle();
    });
}
