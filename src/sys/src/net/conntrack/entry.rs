//! Entries of connection tracking as attributes of linux/netfilter/nfnetlink_conntrack.h.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

use pod::addresses::IpFamily;

use super::{Entry, Flow};
use crate::net::netfilter::message::{Attributes, find, find_in};
use crate::net::nft::Protocol;

/// Of an entry.
const ORIGINAL: u16 = 1;
const REPLY: u16 = 2;
const ID: u16 = 12;
const ZONE: u16 = 18;
const FILTER: u16 = 25;
/// Of a tuple.
const TUPLE_IP: u16 = 1;
const TUPLE_PROTO: u16 = 2;
const TUPLE_ZONE: u16 = 3;
/// Of a tuple's addresses.
const V4_SOURCE: u16 = 1;
const V4_DESTINATION: u16 = 2;
const V6_SOURCE: u16 = 3;
const V6_DESTINATION: u16 = 4;
/// Of a tuple's protocol.
const NUMBER: u16 = 1;
const SOURCE_PORT: u16 = 2;
const DESTINATION_PORT: u16 = 3;
/// Which parts of the original tuple have to be the same, and the bit for the protocol.
const ORIGINAL_FLAGS: u16 = 1;
const SAME_PROTOCOL: u32 = 1 << 3;

/// The addresses and ports of one direction.
struct Tuple {
    protocol: Protocol,
    source: SocketAddr,
    destination: SocketAddr,
    zone: Option<u16>,
}

impl Flow {
    pub(super) fn family(&self) -> IpFamily {
        if self.destination.is_ipv4() { IpFamily::V4 } else { IpFamily::V6 }
    }
}

impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} from {} to {}", self.protocol, self.client, self.destination)
    }
}

/// Asks for the entries of this protocol only.
pub(super) fn filter(protocol: Protocol) -> Attributes {
    let number = Attributes::new().bytes(NUMBER, &[protocol.number()]);
    let tuple = Attributes::new().nested(TUPLE_PROTO, &number);
    // Unlike other numbers of netfilter's, the flags are in the byte order of the machine.
    let flags = Attributes::new().bytes(ORIGINAL_FLAGS, &SAME_PROTOCOL.to_ne_bytes());
    Attributes::new().nested(ORIGINAL, &tuple).nested(FILTER, &flags)
}

/// Names exactly this entry.
pub(super) fn encode(flow: &Flow) -> Attributes {
    let addresses = match (flow.client.ip(), flow.destination.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            Attributes::new().bytes(V4_SOURCE, &source.octets()).bytes(V4_DESTINATION, &destination.octets())
        }
        (source, destination) => {
            Attributes::new().bytes(V6_SOURCE, &in_six(source)).bytes(V6_DESTINATION, &in_six(destination))
        }
    };
    let protocol = Attributes::new()
        .bytes(NUMBER, &[flow.protocol.number()])
        .bytes(SOURCE_PORT, &flow.client.port().to_be_bytes())
        .bytes(DESTINATION_PORT, &flow.destination.port().to_be_bytes());
    let tuple = Attributes::new().nested(TUPLE_IP, &addresses).nested(TUPLE_PROTO, &protocol);
    let Entry { id, zone, original_zone } = flow.entry;
    let tuple = with_zone(tuple, TUPLE_ZONE, original_zone);
    let entry = Attributes::new().nested(ORIGINAL, &tuple).number(ID, id);
    with_zone(entry, ZONE, zone)
}

fn with_zone(attributes: Attributes, kind: u16, zone: Option<u16>) -> Attributes {
    match zone {
        Some(zone) => attributes.bytes(kind, &zone.to_be_bytes()),
        None => attributes,
    }
}

fn in_six(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
        IpAddr::V6(address) => address.octets(),
    }
}

/// The flow of an entry, if its protocol is one of ours.
pub(super) fn decode(entry: &[u8]) -> Option<Flow> {
    let original = tuple(find(entry, ORIGINAL)?)?;
    let reply = tuple(find(entry, REPLY)?)?;
    let id = u32::from_be_bytes(find(entry, ID)?.try_into().ok()?);
    Some(Flow {
        protocol: original.protocol,
        client: original.source,
        destination: original.destination,
        answered_by: reply.source,
        entry: Entry { id, zone: find(entry, ZONE).and_then(number_of), original_zone: original.zone },
    })
}

fn tuple(bytes: &[u8]) -> Option<Tuple> {
    let addresses = find(bytes, TUPLE_IP)?;
    let address = |four: u16, six: u16| -> Option<IpAddr> {
        match (find(addresses, four), find(addresses, six)) {
            (Some(four), _) => Some(<[u8; 4]>::try_from(four).ok()?.into()),
            (None, six) => Some(<[u8; 16]>::try_from(six?).ok()?.into()),
        }
    };
    let port = |kind: u16| find_in(bytes, &[TUPLE_PROTO, kind]).and_then(number_of);
    let number = *find_in(bytes, &[TUPLE_PROTO, NUMBER])?.first()?;
    Some(Tuple {
        protocol: Protocol::ALL.into_iter().find(|protocol| protocol.number() == number)?,
        source: SocketAddr::new(address(V4_SOURCE, V6_SOURCE)?, port(SOURCE_PORT)?),
        destination: SocketAddr::new(address(V4_DESTINATION, V6_DESTINATION)?, port(DESTINATION_PORT)?),
        zone: find(bytes, TUPLE_ZONE).and_then(number_of),
    })
}

fn number_of(bytes: &[u8]) -> Option<u16> {
    Some(u16::from_be_bytes(bytes.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(client: &str, destination: &str, entry: Entry) -> Flow {
        Flow {
            protocol: Protocol::Udp,
            client: client.parse().unwrap(),
            destination: destination.parse().unwrap(),
            answered_by: client.parse().unwrap(),
            entry,
        }
    }

    /// With the direction of answers, which is not needed to name an entry: from the client back to itself.
    fn listed(flow: &Flow) -> Vec<u8> {
        let back = Flow { destination: flow.client, ..*flow };
        let back = encode(&back);
        let reply = Attributes::new().bytes(REPLY, find(back.as_bytes(), ORIGINAL).unwrap());
        [encode(flow).as_bytes(), reply.as_bytes()].concat()
    }

    #[test]
    fn an_entry_is_read_back_with_its_zones() {
        let zones = [None, Some(0), Some(7)];
        for (client, destination) in [("10.0.0.1:5", "10.96.0.10:53"), ("[fd00::1]:65535", "[fd00:96::a]:53")]
        {
            for (zone, original_zone) in zones.into_iter().flat_map(|a| zones.map(|b| (a, b))) {
                let flow = flow(client, destination, Entry { id: 0x0102_0304, zone, original_zone });
                assert_eq!(decode(&listed(&flow)), Some(flow));
            }
        }
    }

    #[test]
    fn other_protocols_and_what_is_cut_off_are_no_flow() {
        let whole = listed(&flow("10.0.0.1:5", "10.96.0.10:53", Entry::default()));
        for end in 0..whole.len() {
            assert_eq!(decode(&whole[..end]), None, "{end}");
        }
        // ICMP has no ports; a protocol without a name here.
        let mut other = whole.clone();
        let at = other.windows(5).position(|bytes| bytes == [5, 0, 1, 0, 17]).unwrap();
        other[at + 4] = 47;
        assert_eq!(decode(&other), None);
    }
}
