//! The routes in a table of the kernel's, and the changes that make them what they have to be.

use std::collections::BTreeMap;

use ipnet::IpNet;
use sys::net::rtnetlink::{NetworkChange, NewRoute, Route};

/// The protocol of this program's routes and rules, as `ip route` shows it: `proto 112`. It is none of
/// /etc/iproute2/rt_protos, and none that FRR, BIRD, Cilium, Calico, kube-router or keepalived have.
pub(super) const PROTOCOL: u8 = b'p';

/// A route that is to be there, and the Node to which it leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) route: NewRoute,
    pub(super) node: String,
}

/// A change of a route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Step {
    Add(Wanted),
    /// In the place of one of ours.
    Replace(Wanted),
    Remove(Route),
}

impl Step {
    pub(super) fn change(&self) -> NetworkChange {
        match self {
            Self::Add(wanted) => NetworkChange::add_route(&wanted.route),
            Self::Replace(wanted) => NetworkChange::replace_route(&wanted.route),
            Self::Remove(route) => NetworkChange::remove_route(route),
        }
    }

    /// The Node that it is for.
    pub(super) fn node(&self) -> Option<&str> {
        match self {
            Self::Add(wanted) | Self::Replace(wanted) => Some(&wanted.node),
            Self::Remove(_) => None,
        }
    }
}

/// What is to be done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// In this order: what comes goes before what leaves.
    pub(super) steps: Vec<Step>,
    /// Routes that are not made, for another program has one to the same network.
    pub(super) foreign: Vec<(Wanted, Route)>,
    /// How many were as they have to be.
    pub(super) kept: usize,
}

/// Compares the routes of a table with those that are wanted there.
pub(super) fn difference(present: &[Route], wanted: Vec<Wanted>) -> Difference {
    let mut by_network: BTreeMap<IpNet, Vec<&Route>> = BTreeMap::new();
    for route in present {
        by_network.entry(route.dst).or_default().push(route);
    }
    let mut difference = Difference::default();
    let mut leaves: Vec<&Route> = Vec::new();
    for wanted in wanted {
        let there = by_network.remove(&wanted.route.dst).unwrap_or_default();
        let (own, others): (Vec<&Route>, Vec<&Route>) =
            there.into_iter().partition(|route| route.protocol == PROTOCOL);
        if let Some(other) = others.first() {
            difference.foreign.push((wanted, (*other).clone()));
            leaves.extend(own);
            continue;
        }
        if own.iter().any(|route| route.is(&wanted.route)) {
            difference.kept += 1;
            leaves.extend(own.into_iter().filter(|route| !route.is(&wanted.route)));
            continue;
        }
        // Two routes that make way are one to the kernel (IPv6 shows its next hops like routes of their own).
        let makes_way = own.iter().any(|route| route.makes_way_for(&wanted.route));
        leaves.extend(own.into_iter().filter(|route| !route.makes_way_for(&wanted.route)));
        difference.steps.push(if makes_way { Step::Replace(wanted) } else { Step::Add(wanted) });
    }
    leaves.extend(by_network.into_values().flatten().filter(|route| route.protocol == PROTOCOL));
    difference.steps.extend(leaves.into_iter().cloned().map(Step::Remove));
    difference
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(dst: &str, gw: &str, interface: u32) -> NewRoute {
        let gw = Some(gw.parse().unwrap());
        NewRoute { protocol: Some(PROTOCOL), ..NewRoute::new(dst.parse().unwrap(), gw, interface) }
    }

    fn wanted(dst: &str, gw: &str, interface: u32) -> Wanted {
        Wanted { route: new(dst, gw, interface), node: "n".to_owned() }
    }

    fn present(dst: &str, gw: &str, interface: u32, protocol: u8) -> Route {
        Route {
            dst: dst.parse().unwrap(),
            gw: Some(gw.parse().unwrap()),
            interface: Some(interface),
            protocol,
            table: 254,
            priority: if dst.contains(':') { 1024 } else { 0 },
            source: None,
            mtu: None,
            is_on_link: false,
            is_unicast: true,
        }
    }

    #[test]
    fn only_what_differs_is_changed_and_what_comes_goes_before_what_leaves() {
        let there = [
            present("10.0.1.0/24", "192.0.2.1", 2, PROTOCOL),
            present("10.0.2.0/24", "192.0.2.9", 2, PROTOCOL),
            present("10.0.3.0/24", "192.0.2.3", 2, PROTOCOL),
            present("fd00:1::/64", "2001:db8::1", 2, PROTOCOL),
            // Others' stay, whatever they are.
            present("10.0.9.0/24", "192.0.2.9", 2, 4),
        ];
        let all = vec![
            wanted("10.0.1.0/24", "192.0.2.1", 2),
            wanted("10.0.2.0/24", "192.0.2.2", 2),
            wanted("10.0.4.0/24", "192.0.2.4", 2),
            wanted("fd00:1::/64", "2001:db8::1", 3),
        ];
        let Difference { steps, foreign, kept } = difference(&there, all.clone());
        assert_eq!((foreign, kept), (vec![], 1));
        assert_eq!(
            steps,
            [
                Step::Replace(all[1].clone()),
                Step::Add(all[2].clone()),
                Step::Replace(all[3].clone()),
                Step::Remove(there[2].clone())
            ]
        );
    }

    #[test]
    fn a_route_of_others_is_told_and_ours_makes_room() {
        let ours = present("10.0.1.0/24", "192.0.2.1", 2, PROTOCOL);
        let theirs = Route { priority: 100, ..present("10.0.1.0/24", "192.0.2.7", 2, 4) };
        let wanted = wanted("10.0.1.0/24", "192.0.2.1", 2);
        let found = difference(&[ours.clone(), theirs.clone()], vec![wanted.clone()]);
        assert_eq!(found.foreign, [(wanted, theirs)]);
        assert_eq!(found.steps, [Step::Remove(ours)]);
    }

    #[test]
    fn a_second_one_of_ours_leaves() {
        let right = present("10.0.1.0/24", "192.0.2.1", 2, PROTOCOL);
        let wrong = Route { priority: 7, ..right.clone() };
        let all = || vec![wanted("10.0.1.0/24", "192.0.2.1", 2)];
        let found = difference(&[right.clone(), wrong.clone()], all());
        assert_eq!((found.steps, found.kept), (vec![Step::Remove(wrong.clone())], 1));
        let found = difference(std::slice::from_ref(&wrong), all());
        assert_eq!(found.steps, [Step::Add(all().remove(0)), Step::Remove(wrong)]);
        assert_eq!(difference(&[right], Vec::new()).steps.len(), 1);
    }
}
