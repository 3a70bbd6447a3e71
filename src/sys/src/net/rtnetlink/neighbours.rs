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
        let mut message = NeighbourMessage::default();
        message.header.family = family(address);
        message.header.ifindex = index;
        message.header.state = NeighbourState::Permanent;
        message.attributes = vec![
            NeighbourAttribute::Destination(NeighbourAddress::from(address)),
            NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()),
        ];
        let message = RouteNetlinkMessage::NewNeighbour(message);
        Self::new(message, NLM_F_CREATE | NLM_F_REPLACE, "add neighbour", address.to_string())
    }
}
