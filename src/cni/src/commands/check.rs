//! CHECK: everything is as ADD left it. It only looks.

use std::collections::{BTreeMap, HashSet};
use std::net::IpAddr;

use ipnet::IpNet;

use super::common::{open_book, pod_namespace};
use super::pod_record;
use crate::config::document::Network;
use crate::config::main_config::{MainConfig, Mode};
use crate::config::request::{CheckChained, CheckIpam, CheckMain};
use crate::interface::names;
use crate::protocol::error::{CniError, Code};
use crate::protocol::result::{CniResult, Route};
use records::attachment::Holder;
use sys::net::nft::{self, PodInterface, Rules};
use sys::net::rtnetlink::{Mac, Namespace, RouteSocket};

fn differs(msg: String) -> CniError {
    CniError::new(Code::Check, msg)
}

/// The addresses in the address book, all of which have to be in the result.
fn leases(
    network: &Network,
    holder: &Holder,
    previous: &CniResult,
    notices: &mut Vec<String>,
) -> Result<Vec<IpAddr>, CniError> {
    let held = open_book(&network.dir, notices)?.held(holder)?;
    if held.is_empty() {
        let msg = format!("{holder} has no addresses, expected those of ADD");
        return Err(differs(msg));
    }
    let in_result = previous.addresses_of(&holder.ifname);
    match held.iter().find(|address| !in_result.contains(address)) {
        Some(address) => {
            Err(differs(format!("prevResult: {address} is missing, which the address book has")))
        }
        None => Ok(held),
    }
}

/// CHECK of the ipam role.
pub(super) fn ipam(check: &CheckIpam, notices: &mut Vec<String>) -> Result<(), CniError> {
    leases(&check.network, &check.holder, &check.previous, notices).map(drop)
}

/// CHECK of the chained role.
pub(super) fn chained(check: &CheckChained) -> Result<(), CniError> {
    let CheckChained { network, parameters, addresses } = check;
    let wanted = pod_record::of(parameters, &network.name, addresses, &BTreeMap::new());
    let Some(wanted) = wanted else { return Ok(()) };
    match pod_record::read(&wanted.sandbox_id) {
        Some(record) if record.pod_ips == wanted.pod_ips => Ok(()),
        Some(record) => Err(differs(format!(
            "the pod's record has {}, expected {}",
            record.pod_ips.join(","),
            wanted.pod_ips.join(",")
        ))),
        None => Err(differs(format!("there is no record of {}", wanted.sandbox_id))),
    }
}

/// CHECK of the main role.
pub(super) fn main(check: &CheckMain, notices: &mut Vec<String>) -> Result<(), CniError> {
    let CheckMain { network, parameters, config, filter, previous } = check;
    let holder = parameters.holder();
    let held = leases(network, &holder, previous, notices)?;
    let node = Namespace::own()?;
    let (pod, _) = pod_namespace(parameters, &node)?;
    let mut pod = RouteSocket::of(&pod, &node)?;
    let mac = in_pod(&mut pod, &parameters.ifname, &held, previous)?;
    let name = names::host_interface(&network.name, &holder);
    on_node(&mut RouteSocket::here()?, &name, config, &held)?;
    let rules = filter.clone().map(|filter| Rules {
        network: network.name.clone(),
        subnets: filter.subnets,
        addresses: held,
        masquerade: filter.masquerade,
        ports: filter.ports,
        interface: mac.map(|mac| PodInterface { name, mac, is_port: filter.is_port, check: filter.check }),
    });
    if let Some(first) = nft::missing(rules.as_slice())?.first() {
        return Err(differs(format!("{first} is missing in the packet filter")));
    }
    Ok(())
}

/// Checks the pod's interface; gives its MAC address.
fn in_pod(
    pod: &mut RouteSocket,
    ifname: &str,
    held: &[IpAddr],
    previous: &CniResult,
) -> Result<Option<Mac>, CniError> {
    let link = pod.link(ifname)?.ok_or_else(|| differs(format!("{ifname} is missing in the container")))?;
    if !link.is_up {
        return Err(differs(format!("{ifname} is down in the container")));
    }
    let expected = previous.interfaces.iter().find(|one| one.name == ifname && !one.sandbox.is_empty());
    let mac = link.mac.map(|mac| mac.to_string()).unwrap_or_default();
    if let Some(expected) = expected.filter(|one| !one.mac.is_empty() && !one.mac.eq_ignore_ascii_case(&mac))
    {
        return Err(differs(format!("{ifname} has MAC address {mac}, expected {}", expected.mac)));
    }
    let present = pod.addresses(link.index)?;
    if let Some(address) = held.iter().find(|address| !present.iter().any(|one| one.addr() == **address)) {
        return Err(differs(format!("{address} is missing on {ifname}")));
    }
    // A pod may have any number of routes, so they are looked up in a set.
    let routes: HashSet<(IpNet, Option<IpAddr>)> = pod.routes(link.index)?.into_iter().collect();
    let destinations: HashSet<IpNet> = routes.iter().map(|(dst, _)| *dst).collect();
    let is_there = |route: &&Route| {
        let dst = route.dst.trunc();
        // Routes in other tables are not checked.
        route.table.is_some()
            || route.gw.map_or_else(|| destinations.contains(&dst), |gw| routes.contains(&(dst, Some(gw))))
    };
    match previous.routes.iter().find(|route| !is_there(route)) {
        Some(route) => Err(differs(format!("the route to {} is missing on {ifname}", route.dst))),
        None => Ok(link.mac),
    }
}

fn on_node(node: &mut RouteSocket, name: &str, config: &MainConfig, held: &[IpAddr]) -> Result<(), CniError> {
    let link = node.link(name)?.ok_or_else(|| differs(format!("{name} is missing on the node")))?;
    if !link.is_up {
        return Err(differs(format!("{name} is down on the node")));
    }
    if link.check != Some(config.check) {
        return Err(differs(format!("{name} has another group on the node, by which it is checked")));
    }
    match &config.mode {
        Mode::Routed => {
            let routes = node.routes(link.index)?;
            let missing = held.iter().find(|address| !routes.iter().any(|(dst, _)| dst.addr() == **address));
            match missing {
                Some(address) => Err(differs(format!("the route to {address} is missing on the node"))),
                None => Ok(()),
            }
        }
        Mode::Bridge(bridge) => {
            let master = node.link(&bridge.name)?.map(|bridge| bridge.index);
            if master.is_none() || link.bridge != master {
                return Err(differs(format!("{name} is no port of {}", bridge.name)));
            }
            Ok(())
        }
    }
}
