//! What the network below the pods' is like: how the nodes' addresses are reached.

use std::collections::BTreeMap;
use std::net::IpAddr;

use pod::addresses::IpFamily;
use sys::net::rtnetlink::{NetworkError, RouteSocket, Way};

use super::claims::Needed;
use super::routes::PROTOCOL;

/// The ways to the nodes' addresses, as the kernel takes them.
#[derive(Debug, Default)]
pub(super) struct Underlay {
    ways: BTreeMap<IpAddr, Way>,
    /// The MTU of interfaces by their indexes.
    mtus: BTreeMap<u32, u32>,
    /// The interfaces of this node's own addresses.
    own: BTreeMap<IpAddr, u32>,
    /// Addresses that this node must not lose.
    needed: BTreeMap<IpAddr, Needed>,
}

impl Underlay {
    /// Learns what it does not know yet of `addresses`, and forgets other ones.
    pub(super) fn learn(
        &mut self,
        socket: &mut RouteSocket,
        addresses: impl Iterator<Item = IpAddr>,
        server: Option<IpAddr>,
    ) -> Result<(), NetworkError> {
        let before = std::mem::take(&mut self.ways);
        for address in addresses {
            let way = match before.get(&address) {
                Some(way) => *way,
                None => socket.way_to(address)?,
            };
            self.ways.insert(address, way);
        }
        if self.own.is_empty() {
            self.own = socket.address_owners()?.into_iter().collect();
            for family in IpFamily::ALL {
                let routes = socket.routes_in(family, None)?;
                let others = routes.iter().filter(|route| route.protocol != PROTOCOL);
                let routers = others.filter_map(|route| route.gw);
                self.needed.extend(routers.map(|router| (router, Needed::Router)));
            }
            self.needed.extend(server.map(|server| (server, Needed::ApiServer)));
        }
        let interfaces =
            self.ways.values().filter_map(|way| way.interface()).chain(self.own.values().copied());
        for interface in interfaces {
            if let std::collections::btree_map::Entry::Vacant(entry) = self.mtus.entry(interface)
                && let Some(mtu) = socket.mtu(interface)?
            {
                entry.insert(mtu);
            }
        }
        Ok(())
    }

    pub(super) fn needed(&self) -> &BTreeMap<IpAddr, Needed> {
        &self.needed
    }

    pub(super) fn way(&self, address: IpAddr) -> Way {
        self.ways.get(&address).copied().unwrap_or(Way::None)
    }

    pub(super) fn mtu(&self, interface: u32) -> Option<u32> {
        self.mtus.get(&interface).copied()
    }

    /// The interface that has an address of this node.
    pub(super) fn interface_of(&self, address: IpAddr) -> Option<u32> {
        self.own.get(&address).copied()
    }

    #[cfg(test)]
    pub(super) fn of(ways: &[(&str, Way)], mtus: &[(u32, u32)], own: &[(&str, u32)]) -> Self {
        Self {
            ways: ways.iter().map(|(address, way)| (address.parse().unwrap(), *way)).collect(),
            mtus: mtus.iter().copied().collect(),
            own: own.iter().map(|(address, interface)| (address.parse().unwrap(), *interface)).collect(),
            needed: BTreeMap::new(),
        }
    }

    #[cfg(test)]
    pub(super) fn need(&mut self, address: &str, needed: Needed) {
        self.needed.insert(address.parse().unwrap(), needed);
    }
}
