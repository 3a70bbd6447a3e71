//! kill -9 of an agent at the system calls that change something.

use std::collections::BTreeMap;
use std::fs;

use super::agents::{assert_same, comes_within, until};
use super::world::{Cluster, in_cluster};
use crate::harness::{bin, needs};

/// What changes files or the kernel's state.
const CHANGES: [&str; 8] =
    ["sendto", "sendmsg", "openat", "write", "renameat", "linkat", "unlinkat", "fsync"];
/// So many of one of them are tried, spread over all that are made.
const MOST: usize = 12;

/// The Node that comes or goes while the agent works.
fn change(cluster: &Cluster, is_there: bool) {
    if is_there {
        cluster.delete_node("other");
    } else {
        cluster.add_node("other", &["10.244.9.0/24", "fd00:10:244:9::/64"], &["192.0.2.9", "2001:db8::9"]);
    }
}

/// How often a thread of the agent made each call.
fn counts(trace: &str) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::<(&str, &str), usize>::new();
    for line in trace.lines() {
        let Some((thread, call)) = line.split_once(' ') else { continue };
        let made = CHANGES
            .iter()
            .find(|name| call.trim_start().strip_prefix(**name).is_some_and(|rest| rest.starts_with('(')));
        if let Some(name) = made {
            *counts.entry((name, thread)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((name, _), count) in counts {
        let entry: &mut usize =
            most.entry(CHANGES[CHANGES.iter().position(|it| *it == name).unwrap()]).or_default();
        *entry = count.max(*entry);
    }
    most
}

fn cleanup(cluster: &Cluster) {
    cluster.members[0].node().run(bin("podhosts-node"), &["--cleanup"]).success();
}

/// Waits until the agent has done its work or is dead; whether it is dead.
fn works_or_dies(cluster: &mut Cluster) -> bool {
    let mut is_dead = false;
    until("work or death", || {
        is_dead = cluster.members[0].has_ended();
        is_dead
            || (cluster.members[0].is_ready()
                && cluster.members[0].routes() == cluster.expected_routes(&cluster.members[0]))
    });
    is_dead
}

#[test]
fn an_agent_killed_at_any_system_call_leaves_what_the_next_one_makes_whole() {
    needs!("ip", "nft", "python3", "busybox", "strace");
    in_cluster(|cluster| {
        cluster.join();
        cluster.add_node("first", &["10.244.8.0/24", "fd00:10:244:8::/64"], &["192.0.2.8", "2001:db8::8"]);
        let trace = cluster.dir.path().join("trace");
        let (all, trace) = (format!("trace={}", CHANGES.join(",")), trace.to_str().unwrap().to_owned());
        cluster.start_under(0, &["strace", "-D", "-f", "-o", &trace, "-e", &all], &[]);
        cluster.settle();
        // As it has to be without the Node that comes and goes, and with it.
        let mut wanted = vec![cluster.members[0].state()];
        change(cluster, false);
        cluster.settle();
        cluster.members[0].end("TERM");
        // The Service proxy follows a Node later than the routes; an agent that starts is ready when both have.
        cluster.start_agent(0, &[]);
        cluster.settle();
        wanted.push(cluster.members[0].state());
        cluster.members[0].end("TERM");
        let counts = counts(&fs::read_to_string(&trace).unwrap());
        assert!(counts.values().sum::<usize>() > 8, "{counts:?}");
        let (mut kills, mut rounds) = (0, 0);
        for (name, count) in counts {
            for number in (1..=count).step_by(count.div_ceil(MOST)) {
                let is_there = rounds % 2 == 0;
                rounds += 1;
                if rounds % 4 < 2 {
                    cleanup(cluster);
                }
                let (traced, inject) =
                    (format!("trace={name}"), format!("inject={name}:signal=KILL:when={number}"));
                cluster.start_under(
                    0,
                    &["strace", "-D", "-f", "-o", "/dev/null", "-e", &traced, "-e", &inject],
                    &[],
                );
                let mut is_dead = works_or_dies(cluster);
                change(cluster, is_there);
                is_dead = is_dead || works_or_dies(cluster);
                if is_dead {
                    kills += 1;
                    cluster.members[0].wait();
                } else {
                    cluster.members[0].end("KILL");
                }
                cluster.start_agent(0, &[]);
                cluster.settle();
                let state = || cluster.members[0].state();
                let wanted = &wanted[usize::from(!is_there)];
                // The packet filter's table of Services comes after the routes.
                comes_within(std::time::Duration::from_secs(10), || state() == *wanted);
                println!("{name} {number}");
                assert_same(&state(), wanted);
                cluster.members[0].end("KILL");
            }
        }
        println!("{kills} kills in {rounds} rounds");
        assert!(kills * 2 > rounds, "{kills} of {rounds}");
    });
}
