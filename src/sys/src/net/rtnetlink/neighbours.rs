//! Entries of the neighbour table.

use std::net::IpAddr;

use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState,
};

use super::addresses::family;
use super::links::Mac;
use super::netlink::NetworkChange;

impl NetworkChange {
    /// Adds a permanent entry for `address` on the interface with that index: the kernel never resolves the address,
    /// and ignores answers of others.
    pub fn add_neighbour(index: u32, address: IpAddr, mac: Mac) -> Self {
        let mut message = entry(index, address);
        message.header.state = NeighbourState::Permanent;
        message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
        let message = RouteNetlinkMessage::NewNeighbour(message);
        Self::new(message, NLM_F_CREATE | NLM_F_REPLACE, "add neighbour", address.to_string())
    }

    /// Removes an entry.
    pub fn remove_neighbour(index: u32, address: IpAddr) -> Self {
        let message = RouteNetlinkMessage::DelNeighbour(entry(index, address));
        Self::new(message, 0, "remove neighbour", address.to_string())
    }
}

fn entry(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut message = NeighbourMessage::default();
    message.header.family = family(address);
    message.header.ifindex = index;
    message.attributes = vec![NeighbourAttribute::Destination(NeighbourAddress::from(address))];
    message
}
