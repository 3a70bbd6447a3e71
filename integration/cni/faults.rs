//! kill -9 at every system call of ADD and DEL: whatever the plugin had come to, DEL and GC leave nothing of it, the
//! pods that run keep what they have, and no address is doubled or lost.

use std::collections::BTreeSet;
use std::thread;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, addresses, error_of};
use crate::harness::kill::{Boundary, Killer, behind_changes, boundaries};
use crate::harness::needs;

/// So many calls are killed side by side: the kernel lets each of them wait while it removes an interface.
const SIDE_BY_SIDE: usize = 8;
/// Small enough for every address to be had several times.
const POD_CIDRS: [&str; 2] = ["10.244.1.0/28", "2001:db8:1::/124"];
/// How many pods fit in each of these: all addresses but the network's, the gateway's and IPv4's broadcast.
const FREE: [usize; 2] = [13, 14];

/// How what a killed call leaves is undone.
#[derive(Clone, Copy)]
enum Undo {
    Del,
    Gc,
}

/// A node with two pods that run all the while, and those whose calls are killed.
struct Stage {
    node: CniNode,
    killer: Killer,
    config: Value,
    neighbours: Vec<(&'static str, Value)>,
    victims: Vec<String>,
    before: String,
}

impl Stage {
    fn new(config: Value) -> Self {
        let node = CniNode::new();
        let victims: Vec<String> = (0..SIDE_BY_SIDE).map(|n| format!("v{n}")).collect();
        for pod in ["n1", "n2", "fresh"].into_iter().chain(victims.iter().map(String::as_str)) {
            node.pod(pod);
        }
        let neighbours = ["n1", "n2"].map(|pod| (pod, node.add(pod, &config))).into();
        let mut stage =
            Self { node, killer: Killer::default(), config, neighbours, victims, before: String::new() };
        // What the first pod with a host port brings stays as long as there are rules at all.
        stage.node.add("v0", &stage.of_victim(0));
        stage.node.del("v0", &stage.of_victim(0));
        stage.before = stage.traces();
        stage
    }

    /// The configuration for the victim `n`: where there are host ports, it has one of its own.
    fn of_victim(&self, n: usize) -> Value {
        let mut config = self.config.clone();
        if config["capabilities"]["portMappings"] == true {
            let mapping = json!({"hostPort": 8000 + n, "containerPort": 80, "protocol": "tcp"});
            config["runtimeConfig"] = json!({"portMappings": [mapping]});
        }
        config
    }

    /// What there is on the node, and in the pods whose calls are killed.
    fn traces(&self) -> String {
        let pods = format!("for pod in {}; do ip -n $pod -o link; done", self.victims.join(" "));
        self.node.traces() + &self.node.sh(&pods)
    }

    /// Kills `command` of one victim after the other at `boundaries`, and has it undone.
    fn kill_at(&self, command: &str, boundaries: &[Boundary], undo: Undo) {
        for some in boundaries.chunks(SIDE_BY_SIDE) {
            thread::scope(|scope| {
                for (n, at) in some.iter().enumerate() {
                    scope.spawn(move || {
                        let (victim, config) = (&self.victims[n], self.of_victim(n));
                        if command == "DEL" {
                            self.node.add(victim, &config);
                        }
                        self.killer.kill(&self.node, &Call::new(command, victim, &config), at);
                    });
                }
            });
            self.undo(some.len(), undo);
            assert_eq!(self.traces(), self.before, "{command}, killed at {some:?}");
        }
    }

    /// Undoes what is left of `count` victims, while there is one more pod, which may have any of their addresses.
    fn undo(&self, count: usize, undo: Undo) {
        let fresh = self.add_fresh();
        match undo {
            Undo::Del => thread::scope(|scope| {
                for n in 0..count {
                    scope.spawn(move || self.node.del(&self.victims[n], &self.of_victim(n)));
                }
            }),
            Undo::Gc => self.node.gc(&["n1", "n2", "fresh"], &self.config),
        }
        for (pod, result) in self.neighbours.iter().chain([&("fresh", fresh)]) {
            let mut config = self.config.clone();
            config["prevResult"] = result.clone();
            self.node.call(&Call::new("CHECK", pod, &config)).success();
        }
        self.node.del("fresh", &self.config);
    }

    /// A pod, whose addresses nobody has.
    fn add_fresh(&self) -> Value {
        let fresh = self.node.add("fresh", &self.config);
        for (pod, result) in &self.neighbours {
            let theirs = addresses(result);
            assert!(addresses(&fresh).iter().all(|one| !theirs.contains(one)), "{pod}: {theirs:?}");
        }
        fresh
    }

    /// Every address can be had, and once.
    fn nothing_is_lost(&self) {
        for (cidr, free) in POD_CIDRS.iter().zip(FREE) {
            let free = free - self.neighbours.len();
            // Another plugin's configuration of the same network: addresses are had without an interface.
            let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge",
                "ipam": {"type": "podhosts-cni", "podCIDRs": [cidr]}});
            let pods: Vec<String> = (0..free).map(|n| format!("all{n}")).collect();
            let mut had: BTreeSet<String> =
                self.neighbours.iter().flat_map(|(_, result)| addresses(result)).collect();
            for pod in &pods {
                let address = addresses(&self.node.add(pod, &config)).remove(0);
                assert!(had.insert(address.clone()), "{address} is had twice");
            }
            let full = error_of(&self.node.call(&Call::new("ADD", "one-more", &config)));
            assert_eq!(full.0, 11, "{full:?}");
            for pod in &pods {
                self.node.del(pod, &config);
            }
        }
    }

    /// Kills ADD and DEL everywhere; how often that was.
    fn run(&self) -> usize {
        let config = self.of_victim(0);
        let add = boundaries(&self.node, &Call::new("ADD", "v0", &config));
        let del = boundaries(&self.node, &Call::new("DEL", "v0", &config));
        for (command, all) in [("ADD", add), ("DEL", del)] {
            self.kill_at(command, &all, Undo::Del);
            self.kill_at(command, &behind_changes(&all), Undo::Gc);
        }
        self.nothing_is_lost();
        for (pod, _) in &self.neighbours {
            self.node.del(pod, &self.config);
        }
        self.killer.kills()
    }
}

#[test]
fn a_routed_pod_with_rules_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "ipMasq": true,
        "capabilities": {"portMappings": true}, "ipam": {"podCIDRs": POD_CIDRS}});
    let kills = Stage::new(config).run();
    assert!(kills >= 500, "only {kills} kills");
}

#[test]
fn a_pod_on_a_bridge_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni", "mode": "bridge",
        "bridge": "br0", "isDefaultGateway": true, "capabilities": {"portMappings": true},
        "ipam": {"podCIDRs": POD_CIDRS}});
    let kills = Stage::new(config).run();
    assert!(kills >= 400, "only {kills} kills");
}

#[test]
fn addresses_for_another_plugin_may_be_killed_at_any_time() {
    needs!("ip", "nft", "strace");
    let config = json!({"cniVersion": "1.0.0", "name": "net", "type": "bridge",
        "ipam": {"type": "podhosts-cni", "podCIDRs": POD_CIDRS}});
    let kills = Stage::new(config).run();
    assert!(kills >= 250, "only {kills} kills");
}
