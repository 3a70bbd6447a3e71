//! The network between the nodes of a cluster: routes to the pods of other Nodes, masquerading of what leaves the cluster,
//! and the plugin's configuration, by which the Node becomes ready.
//!
//! `plan` is pure: from the Nodes and the network below to everything that has to be there. Then each part compares that
//! with what is in the kernel, whoever made it, and changes only what differs. So a restart changes nothing, and what
//! somebody else has changed is mended. `docs/design/cluster.md` says why it is so.

mod changes;
mod claims;
mod conflist;
mod keep;
mod plan;
mod routes;
#[cfg(test)]
mod tests;
mod tunnels;
mod underlay;

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::path::PathBuf;

use ipnet::IpNet;
use pod::addresses::IpFamily;
use sys::net::masquerade::{MasqueradeError, MasqueradeTable};
use sys::net::rtnetlink::{NetworkError, NewRoute, RouteSocket, set};
use thiserror::Error;

use crate::api::node::Cluster;
use crate::problem::Problem;
use changes::Changes;
pub(crate) use keep::{clean_up, keep};
use plan::{Hop, Plan, PodRoute, plan};
use routes::{Difference, PROTOCOL, Step, Wanted, difference};
pub(crate) use tunnels::VxlanOptions;
use underlay::Underlay;

/// Another program has a route to a Node's pods.
const FOREIGN_ROUTE: &str = "ForeignRoute";
/// The kernel refused a route.
const ROUTE_REFUSED: &str = "RouteRefused";
/// The kernel refused a part of a tunnel.
const TUNNEL_REFUSED: &str = "TunnelRefused";
/// This node forwards no packets.
const FORWARDING_OFF: &str = "ForwardingOff";
/// The container engine reads another network's configuration.
const FOREIGN_CONFLIST: &str = "ForeignNetworkConfiguration";

/// What the network of this node is made from, besides the Nodes.
#[derive(Debug, Clone)]
pub(crate) struct NetworkOptions {
    /// Networks that pods reach with their own addresses, besides those of pods and nodes.
    pub(crate) non_masquerade: Vec<IpNet>,
    /// For Nodes that are not on a link of this one; `None` if they are not reached.
    pub(crate) overlay: Option<VxlanOptions>,
    /// The plugin's configuration; `None` if another program writes it.
    pub(crate) conflist: Option<PathBuf>,
    /// The API server's address, if it is known.
    pub(crate) server: Option<IpAddr>,
}

/// The kernel does not let the network be looked at.
#[derive(Debug, Error)]
pub(crate) enum NetworkFault {
    #[error(transparent)]
    Network(#[from] NetworkError),
    #[error(transparent)]
    Masquerade(#[from] MasqueradeError),
}

/// What [`Network::apply`] did.
#[derive(Debug, Default)]
pub(crate) struct Applied {
    /// What an administrator has to know.
    pub(crate) problems: Vec<Problem>,
    /// Why this node has no whole network. Then the plugin's configuration is not written; one that is there stays.
    pub(crate) fault: Option<String>,
    /// Something may work at another attempt, though nothing changes meanwhile.
    pub(crate) retry: bool,
    /// How many routes lead to pods of other Nodes, how many of them through a tunnel.
    pub(crate) routes: usize,
    pub(crate) tunnelled: usize,
    /// How many changes were made in the kernel and on the disk.
    pub(crate) changed: usize,
}

/// The network of the network namespace in which it was opened.
pub(crate) struct Network {
    options: NetworkOptions,
    socket: RouteSocket,
    masquerade: MasqueradeTable,
    changes: Changes,
    underlay: Underlay,
    /// Destinations of routes, and addresses of Nodes: changes of routes to them matter.
    destinations: BTreeSet<IpNet>,
}

impl Network {
    /// Opens the sockets in the calling thread's network namespace. Nothing is changed.
    ///
    /// # Errors
    /// The kernel's answer.
    pub(crate) fn open(options: NetworkOptions) -> Result<Self, NetworkFault> {
        let masquerade = MasqueradeTable::open()?;
        let changes = Changes::watch(&masquerade)?;
        let (socket, underlay) = (RouteSocket::here()?, Underlay::default());
        Ok(Self { options, socket, masquerade, changes, underlay, destinations: BTreeSet::new() })
    }

    /// Makes the network what the cluster's Nodes, all of which have to be known, want it to be.
    pub(crate) fn apply(&mut self, cluster: &Cluster) -> Applied {
        let mut applied = Applied::default();
        // What is told of until now is looked at below.
        if self.has_changed() {
            self.underlay = Underlay::default();
        }
        let addresses = cluster.nodes.values().flat_map(|node| node.internal_ips.iter().copied());
        if let Err(error) = self.underlay.learn(&mut self.socket, addresses, self.options.server) {
            applied.fail(error);
            return applied;
        }
        let mut plan =
            plan(cluster, &self.underlay, &self.options.non_masquerade, self.options.overlay.is_some());
        applied.problems.append(&mut plan.problems);
        applied.fault = plan.fault.take();
        self.destinations = plan.routes.iter().map(|route| route.network).collect();
        self.destinations.extend(
            cluster.nodes.values().flat_map(|node| &node.internal_ips).map(|address| IpNet::from(*address)),
        );
        self.forward(&plan, &mut applied);
        self.masquerade(&plan, &mut applied);
        self.route(&plan, &mut applied);
        self.configure(&plan, &mut applied);
        applied
    }

    /// Waits until another program has changed something of the network, or may have. Then [`Self::apply`] mends it.
    pub(crate) async fn changed(&mut self) {
        self.changes.wait(self.socket.port_id(), &self.destinations).await;
        self.underlay = Underlay::default();
    }

    fn has_changed(&mut self) -> bool {
        self.changes.take(self.socket.port_id(), &self.destinations)
    }

    /// Removes everything that was made, but for forwarding, which others may need: the plugin's configuration first, so
    /// that no new pods come.
    pub(crate) fn clean_up(&mut self) -> Vec<String> {
        let mut errors = Vec::new();
        if let Some(path) = &self.options.conflist {
            errors.extend(conflist::remove(path).err().map(|error| error.to_string()));
        }
        for family in IpFamily::ALL {
            let ends = [
                routes_of(&mut self.socket, family, Vec::new()).and_then(|difference| {
                    let steps: Vec<_> = difference.steps.iter().map(Step::change).collect();
                    tunnels::without_absent(tunnels::make(&mut self.socket, steps)?)
                }),
                tunnels::lead_pods(&mut self.socket, family, None),
                tunnels::remove(&mut self.socket, family).map(drop),
            ];
            errors.extend(ends.into_iter().filter_map(Result::err).map(|error| error.to_string()));
        }
        errors.extend(self.masquerade.remove().err().map(|error| error.to_string()));
        errors
    }

    /// Turns forwarding on for the families of this node's pods. A container may not be allowed to; the plugin is, when
    /// the first pod comes.
    fn forward(&self, plan: &Plan, applied: &mut Applied) {
        for family in IpFamily::ALL {
            let key = match family {
                IpFamily::V4 => "net/ipv4/ip_forward",
                IpFamily::V6 => "net/ipv6/conf/all/forwarding",
            };
            let has_family = plan.own.iter().any(|network| IpFamily::of(network.addr()) == family);
            if has_family && let Err(error) = set(key, "1") {
                let text = format!("{error}: pods of this node reach nothing over {family} until it is");
                applied.problems.push(Problem { reason: FORWARDING_OFF, node: None, text });
                applied.retry = true;
            }
        }
    }

    fn masquerade(&mut self, plan: &Plan, applied: &mut Applied) {
        // Without them this Node is not known: what its pods do goes on as before.
        let Some(masquerading) = &plan.masquerading else { return };
        match self.masquerade.apply(masquerading) {
            Ok(sys::net::masquerade::Outcome::Unchanged) => {}
            Ok(_) => applied.changed += 1,
            Err(error) => applied.fail(error),
        }
    }

    /// Makes tunnels, then routes, then removes routes, then tunnels: no packet goes where nothing is.
    fn route(&mut self, plan: &Plan, applied: &mut Applied) {
        let indexes = self.set_up_tunnels(plan, applied);
        let is_tunnelled = |route: &&PodRoute| {
            route.hop == Hop::Tunnel && indexes.contains_key(&IpFamily::of(route.address))
        };
        applied.tunnelled = plan.routes.iter().filter(is_tunnelled).count();
        for family in IpFamily::ALL {
            let wanted = plan.routes.iter().filter(|route| IpFamily::of(route.address) == family);
            let wanted = wanted.filter_map(|route| {
                let new = match route.hop {
                    Hop::Link(interface) => NewRoute {
                        protocol: Some(PROTOCOL),
                        ..NewRoute::new(route.network, Some(route.address), interface)
                    },
                    Hop::Tunnel => {
                        let (tunnel, index) = (plan.tunnels.get(&family)?, *indexes.get(&family)?);
                        tunnels::route(tunnel, index, route.network, route.address)?
                    }
                };
                Some(Wanted { route: new, node: route.node.clone() })
            });
            match routes_of(&mut self.socket, family, wanted.collect()) {
                Ok(difference) => self.change_routes(difference, applied),
                Err(error) => applied.fail(error),
            }
            let tunnel = plan.tunnels.get(&family).zip(indexes.get(&family).copied());
            if let Err(error) = tunnels::lead_pods(&mut self.socket, family, tunnel) {
                applied.fail(error);
            }
            let swept = match (tunnel, plan.tunnels.contains_key(&family)) {
                (Some((tunnel, index)), _) => tunnels::sweep(&mut self.socket, family, tunnel, index),
                // It could not be made.
                (None, true) => Ok(()),
                (None, false) => tunnels::remove(&mut self.socket, family).map(|removed| {
                    applied.changed += usize::from(removed);
                }),
            };
            if let Err(error) = swept {
                applied.fail(error);
            }
        }
    }

    fn set_up_tunnels(&mut self, plan: &Plan, applied: &mut Applied) -> BTreeMap<IpFamily, u32> {
        let mut indexes = BTreeMap::new();
        let Some(options) = self.options.overlay else { return indexes };
        for (family, tunnel) in &plan.tunnels {
            match tunnels::set_up(&mut self.socket, *family, tunnel, options) {
                Ok(index) => {
                    indexes.insert(*family, index);
                }
                Err(error) => {
                    let nodes = tunnel.ends.len();
                    let text = format!("{error}: the pods of {nodes} Nodes are not reached over {family}");
                    applied.problems.push(Problem { reason: TUNNEL_REFUSED, node: None, text });
                    applied.retry = true;
                }
            }
        }
        indexes
    }

    fn change_routes(&mut self, difference: Difference, applied: &mut Applied) {
        let Difference { steps, foreign, kept } = difference;
        for (wanted, route) in foreign {
            let text = format!(
                "{} of Node {} has a route of another program (proto {}): that one is used",
                wanted.route.dst, wanted.node, route.protocol
            );
            applied.problems.push(Problem { reason: FOREIGN_ROUTE, node: Some(wanted.node), text });
        }
        applied.routes += kept;
        let changes: Vec<_> = steps.iter().map(Step::change).collect();
        let ends = match tunnels::make(&mut self.socket, changes) {
            Ok(ends) => ends,
            Err(error) => return applied.fail(error),
        };
        for (step, end) in steps.iter().zip(ends) {
            match (step, end) {
                (Step::Remove(_), Err(error)) if error.is_absent() => {}
                (Step::Remove(_), Err(error)) => applied.fail(error),
                (Step::Remove(_), Ok(())) => applied.changed += 1,
                (_, Ok(())) => {
                    applied.changed += 1;
                    applied.routes += 1;
                }
                (step, Err(error)) => applied.refuse(step.node(), &error),
            }
        }
    }

    /// Writes the plugin's configuration, if all that it needs is there.
    fn configure(&self, plan: &Plan, applied: &mut Applied) {
        let Some(path) = &self.options.conflist else { return };
        if let Some(other) = conflist::earlier(path) {
            let text = format!(
                "the container engine takes {}, whose name comes before {}: new pods are not on this network",
                other.display(),
                path.display()
            );
            applied.problems.push(Problem { reason: FOREIGN_CONFLIST, node: None, text });
        }
        if applied.fault.is_some() {
            return;
        }
        match conflist::write(path, &conflist::text(&plan.own, plan.pod_mtu)) {
            Ok(true) => {
                applied.changed += 1;
                tracing::info!(path = %path.display(), "wrote the network configuration");
            }
            Ok(false) => {}
            Err(error) => applied.fail(error),
        }
    }
}

impl Applied {
    /// The node's own part failed.
    fn fail(&mut self, error: impl std::fmt::Display) {
        self.retry = true;
        self.fault.get_or_insert_with(|| error.to_string());
    }

    /// The kernel refused a route to a Node's pods.
    fn refuse(&mut self, node: Option<&str>, error: &NetworkError) {
        let is_of_this_route = error.is_invalid()
            || error.is_present()
            || error.is_absent()
            || error.is_unreachable()
            || error.is_unsupported();
        self.retry = true;
        if !is_of_this_route {
            self.fault.get_or_insert_with(|| error.to_string());
        }
        let text = format!("{error}: pods of Node {} are not reached", node.unwrap_or_default());
        self.problems.push(Problem { reason: ROUTE_REFUSED, node: node.map(str::to_owned), text });
    }
}

fn routes_of(
    socket: &mut RouteSocket,
    family: IpFamily,
    wanted: Vec<Wanted>,
) -> Result<Difference, NetworkError> {
    Ok(difference(&socket.routes_in(family, None)?, wanted))
}
