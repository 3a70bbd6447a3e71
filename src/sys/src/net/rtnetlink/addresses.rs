//! Addresses on interfaces.

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
    let local = message.attributes.iter().find_map(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    // IPv6 addresses have only the attribute `Address`.
    let address = local.or_else(|| {
        message.attributes.iter().find_map(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    })?;
    IpNet::new(address, message.header.prefix_len).ok()
}
