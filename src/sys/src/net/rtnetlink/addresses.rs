//! Addresses on interfaces.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{
    AddressAttribute, AddressHeader, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::error::NetworkError;
use super::netlink::{NetworkChange, RouteSocket};

pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}

/// An address of this node that its programs can use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeAddress {
    /// The address, with the length of its network's prefix.
    pub address: IpNet,
    /// Index of its interface.
    pub index: u32,
    /// Name of its interface.
    pub interface: String,
    /// Whether it is valid beyond the link, unlike `fe80::1` or `127.0.0.1`.
    pub is_global: bool,
    /// IPv4: it is not the first address of its network. IPv6: it is one of those that change to protect privacy.
    pub is_secondary: bool,
}

/// Lists the addresses of this thread's network namespace in the kernel's order, IPv4 first. Those that duplicate
/// address detection has not found to be free, and those that are no longer to be used, are left out.
///
/// # Errors
/// The kernel's answer.
pub fn node_addresses() -> Result<Vec<NodeAddress>, NetworkError> {
    let mut socket = RouteSocket::here()?;
    let names = socket.link_names()?;
    let mut found = socket.all_addresses()?;
    found.sort_by_key(|message| message.header.family != AddressFamily::Inet);
    Ok(found.iter().filter_map(|message| usable(message, &names)).collect())
}

fn usable(message: &AddressMessage, names: &BTreeMap<u32, String>) -> Option<NodeAddress> {
    let flags = message.header.flags;
    let is_unfit =
        AddressHeaderFlags::Tentative | AddressHeaderFlags::Dadfailed | AddressHeaderFlags::Deprecated;
    if flags.intersects(is_unfit) {
        return None;
    }
    Some(NodeAddress {
        address: IpNet::new(address_in(message)?, message.header.prefix_len).ok()?,
        index: message.header.index,
        // It was removed meanwhile, and its addresses with it.
        interface: names.get(&message.header.index)?.clone(),
        is_global: matches!(message.header.scope, AddressScope::Universe | AddressScope::Site),
        is_secondary: flags.contains(AddressHeaderFlags::Secondary),
    })
}

impl NetworkChange {
    /// Adds an address to the interface with that index, without duplicate address detection.
    pub fn add_address(index: u32, address: IpNet) -> Self {
        let mut message = AddressMessage::default();
        message.header = AddressHeader {
            family: family(address.addr()),
            prefix_len: address.prefix_len(),
            flags: AddressHeaderFlags::Nodad | AddressHeaderFlags::Permanent,
            scope: AddressScope::Universe,
            index,
        };
        message.attributes =
            vec![AddressAttribute::Local(address.addr()), AddressAttribute::Address(address.addr())];
        if let IpNet::V4(net) = address
            && net.prefix_len() < 31
        {
            message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
        }
        let message = RouteNetlinkMessage::NewAddress(message);
        Self::new(message, NLM_F_CREATE | NLM_F_EXCL, "add address", address.to_string())
    }
}

impl RouteSocket {
    /// Removes an address.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn delete_address(&mut self, index: u32, address: IpNet) -> Result<(), NetworkError> {
        let mut message = AddressMessage::default();
        message.header.family = family(address.addr());
        message.header.prefix_len = address.prefix_len();
        message.header.index = index;
        message.attributes = vec![AddressAttribute::Local(address.addr())];
        self.change(RouteNetlinkMessage::DelAddress(message), 0).map_err(|cause| NetworkError::Refused {
            verb: "delete address",
            what: address.to_string(),
            cause,
        })
    }

    /// The addresses of all interfaces, in the kernel's order.
    pub(in crate::net) fn all_addresses(&mut self) -> Result<Vec<AddressMessage>, NetworkError> {
        let found = self
            .dump(RouteNetlinkMessage::GetAddress(AddressMessage::default()))
            .map_err(|cause| NetworkError::Refused { verb: "list", what: "addresses".to_owned(), cause })?;
        let address = |message| match message {
            RouteNetlinkMessage::NewAddress(message) => Some(message),
            _ => None,
        };
        Ok(found.into_iter().filter_map(address).collect())
    }

    /// All addresses, each with the index of its interface.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn address_owners(&mut self) -> Result<Vec<(IpAddr, u32)>, NetworkError> {
        let found = self.all_addresses()?;
        Ok(found.iter().filter_map(|message| Some((address_in(message)?, message.header.index))).collect())
    }

    /// The addresses of the interface with that index, in the kernel's order.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn addresses(&mut self, index: u32) -> Result<Vec<IpNet>, NetworkError> {
        let mut message = AddressMessage::default();
        message.header.index = index;
        let found = self
            .dump(RouteNetlinkMessage::GetAddress(message))
            .map_err(|cause| NetworkError::Refused { verb: "list", what: "addresses".to_owned(), cause })?;
        Ok(found.into_iter().filter_map(|message| address_of(&message, index)).collect())
    }
}

fn address_of(message: &RouteNetlinkMessage, index: u32) -> Option<IpNet> {
    let RouteNetlinkMessage::NewAddress(message) = message else { return None };
    if message.header.index != index {
        return None;
    }
    IpNet::new(address_in(message)?, message.header.prefix_len).ok()
}

/// The address that a message is about.
pub(in crate::net) fn address_in(message: &AddressMessage) -> Option<IpAddr> {
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    // IPv6 addresses have only the attribute `Address`.
    local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })
}
