//! Frames of ARP (RFC 826, RFC 5227) and of IPv6's neighbour discovery (RFC 4861) on Ethernet, as bytes.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::net::rtnetlink::Mac;

const ETHERTYPE_ARP: [u8; 2] = [0x08, 0x06];
const ETHERTYPE_IPV6: [u8; 2] = [0x86, 0xdd];
const BROADCAST: Mac = Mac([0xff; 6]);
const NO_MAC: Mac = Mac([0; 6]);
/// Lengths of headers, and where the content of a frame begins.
const ETHERNET: usize = 14;
const IPV6: usize = 40;
/// Ethernet, IPv4, and the lengths of their addresses: the only kind of ARP here.
const ARP_KIND: [u8; 6] = [0, 1, 8, 0, 6, 4];
const ARP_REQUEST: u8 = 1;
const ARP_REPLY: u8 = 2;
const ICMPV6: u8 = 58;
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;
/// A router lowers the hop limit: a packet with this one comes from the link.
const HOP_LIMIT: u8 = 255;
/// Length of a solicitation or advertisement without options.
const MESSAGE: usize = 24;
const OPTION_SOURCE: u8 = 1;
const OPTION_TARGET: u8 = 2;
const SOLICITED: u8 = 0x40;
const OVERRIDE: u8 = 0x20;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

/// What another machine has said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Heard {
    /// The machine.
    pub(super) by: Mac,
    /// The address that it says it has.
    pub(super) claims: Option<IpAddr>,
    /// The address whose owner it looks for.
    pub(super) asks: Option<Question>,
}

/// Who has this address?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) target: IpAddr,
    /// Who wants to know. A machine that asks before it takes the address has none yet.
    pub(super) asker: Option<IpAddr>,
}

/// Reads a frame. `None` for one that is damaged, that this machine has sent itself, or that says nothing of addresses.
pub(super) fn parse(frame: &[u8], own: Mac) -> Option<Heard> {
    let source = mac(frame.get(6..12)?)?;
    let content = frame.get(ETHERNET..)?;
    let heard = match frame.get(12..14)?.try_into().ok()? {
        ETHERTYPE_ARP => arp(content),
        ETHERTYPE_IPV6 => discovery(content, source),
        _ => None,
    }?;
    (source != own && heard.by != own).then_some(heard)
}

fn arp(content: &[u8]) -> Option<Heard> {
    if content.get(..6)? != ARP_KIND {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(content.get(at..at + 4)?).ok()?));
    let (by, sender, target) = (mac(content.get(8..14)?)?, address(14)?, address(24)?);
    let asker = (!sender.is_unspecified()).then_some(IpAddr::from(sender));
    let asks = match content.get(6..8)? {
        // Who asks for its own address announces it.
        [0, ARP_REQUEST] => (sender != target).then_some(Question { target: target.into(), asker }),
        [0, ARP_REPLY] => None,
        _ => return None,
    };
    Some(Heard { by, claims: asker, asks })
}

/// A packet of neighbour discovery, with the checks of RFC 4861, 7.1.
fn discovery(packet: &[u8], frame_source: Mac) -> Option<Heard> {
    let length = usize::from(u16::from_be_bytes(packet.get(4..6)?.try_into().ok()?));
    let message = packet.get(IPV6..IPV6 + length)?;
    let is_valid = packet.first()? >> 4 == 6
        && packet.get(6..8)? == [ICMPV6, HOP_LIMIT]
        && length >= MESSAGE
        && message.get(1) == Some(&0);
    let (source, destination) = (address(packet.get(8..24)?)?, address(packet.get(24..40)?)?);
    let target = address(message.get(8..24)?)?;
    if !is_valid || target.is_multicast() || source.is_multicast() {
        return None;
    }
    if checksum(source, destination, message) != 0 {
        return None;
    }
    let option = |kind| link_layer_address(message.get(MESSAGE..)?, kind);
    match *message.first()? {
        SOLICITATION => {
            let asker = (!source.is_unspecified()).then_some(IpAddr::from(source));
            let by = option(OPTION_SOURCE)?;
            if asker.is_none() && (by.is_some() || destination != group(target)) {
                return None;
            }
            let asks = Some(Question { target: target.into(), asker });
            Some(Heard { by: by.unwrap_or(frame_source), claims: None, asks })
        }
        ADVERTISEMENT => {
            let by = option(OPTION_TARGET)?.unwrap_or(frame_source);
            if destination.is_multicast() && message.get(4)? & SOLICITED != 0 {
                return None;
            }
            Some(Heard { by, claims: Some(target.into()), asks: None })
        }
        _ => None,
    }
}

/// The MAC address in an option of this kind; the outer `None` if the options are damaged.
fn link_layer_address(mut options: &[u8], kind: u8) -> Option<Option<Mac>> {
    let mut found = None;
    while !options.is_empty() {
        let length = usize::from(*options.get(1)?) * 8;
        let option = options.get(..length).filter(|option| !option.is_empty())?;
        if option[0] == kind && found.is_none() {
            found = Some(mac(option.get(2..8)?)?);
        }
        options = &options[length..];
    }
    Some(found)
}

/// A MAC address that one machine can have.
fn mac(bytes: &[u8]) -> Option<Mac> {
    let mac = Mac(bytes.try_into().ok()?);
    (mac.0[0] & 1 == 0 && mac != NO_MAC).then_some(mac)
}

fn address(bytes: &[u8]) -> Option<Ipv6Addr> {
    Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?))
}

/// The solicited-node multicast group, to which questions about an address are sent.
pub(super) fn group(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::from([0xff, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, a, b, c])
}

/// The frame that asks whether anybody has `address`, before it is taken.
pub(super) fn probe(own: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => arp_frame(BROADCAST, ARP_REQUEST, [own, NO_MAC], [Ipv4Addr::UNSPECIFIED, v4]),
        IpAddr::V6(v6) => {
            let message = Message { kind: SOLICITATION, flags: 0, target: v6, option: None };
            ipv6_frame(own, multicast_mac(group(v6)), [Ipv6Addr::UNSPECIFIED, group(v6)], &message)
        }
    }
}

/// The frame that tells everybody that this machine has `address`.
pub(super) fn announcement(own: Mac, address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(v4) => arp_frame(BROADCAST, ARP_REQUEST, [own, NO_MAC], [v4, v4]),
        IpAddr::V6(v6) => advertisement(own, v6, None, multicast_mac(ALL_NODES)),
    }
}

/// The frame that tells an asker that this machine has the address.
pub(super) fn answer(own: Mac, question: Question, to: Mac) -> Option<Vec<u8>> {
    match (question.target, question.asker) {
        (IpAddr::V4(target), None) => {
            Some(arp_frame(to, ARP_REPLY, [own, to], [target, Ipv4Addr::UNSPECIFIED]))
        }
        (IpAddr::V4(target), Some(IpAddr::V4(asker))) => {
            Some(arp_frame(to, ARP_REPLY, [own, to], [target, asker]))
        }
        (IpAddr::V6(target), None) => Some(advertisement(own, target, None, multicast_mac(ALL_NODES))),
        (IpAddr::V6(target), Some(IpAddr::V6(asker))) => Some(advertisement(own, target, Some(asker), to)),
        _ => None,
    }
}

/// `macs` and `addresses` are the sender's and the target's.
fn arp_frame(to: Mac, operation: u8, macs: [Mac; 2], addresses: [Ipv4Addr; 2]) -> Vec<u8> {
    let mut frame = ethernet(to, macs[0], ETHERTYPE_ARP);
    frame.extend(ARP_KIND);
    frame.extend([0, operation]);
    for (mac, address) in macs.iter().zip(addresses) {
        frame.extend(mac.0);
        frame.extend(address.octets());
    }
    frame
}

fn advertisement(own: Mac, target: Ipv6Addr, asker: Option<Ipv6Addr>, to: Mac) -> Vec<u8> {
    let flags = if asker.is_some() { SOLICITED | OVERRIDE } else { OVERRIDE };
    let message = Message { kind: ADVERTISEMENT, flags, target, option: Some((OPTION_TARGET, own)) };
    ipv6_frame(own, to, [target, asker.unwrap_or(ALL_NODES)], &message)
}

struct Message {
    kind: u8,
    flags: u8,
    target: Ipv6Addr,
    option: Option<(u8, Mac)>,
}

fn ipv6_frame(own: Mac, to: Mac, [source, destination]: [Ipv6Addr; 2], message: &Message) -> Vec<u8> {
    let mut content = vec![message.kind, 0, 0, 0, message.flags, 0, 0, 0];
    content.extend(message.target.octets());
    if let Some((kind, mac)) = message.option {
        content.extend([kind, 1]);
        content.extend(mac.0);
    }
    let sum = checksum(source, destination, &content);
    content[2..4].copy_from_slice(&sum.to_be_bytes());
    let mut frame = ethernet(to, own, ETHERTYPE_IPV6);
    frame.extend([0x60, 0, 0, 0]);
    // At most 32 bytes.
    frame.extend(u16::try_from(content.len()).unwrap_or(u16::MAX).to_be_bytes());
    frame.extend([ICMPV6, HOP_LIMIT]);
    frame.extend(source.octets());
    frame.extend(destination.octets());
    frame.extend(content);
    frame
}

fn ethernet(to: Mac, from: Mac, kind: [u8; 2]) -> Vec<u8> {
    [&to.0[..], &from.0, &kind].concat()
}

fn multicast_mac(group: Ipv6Addr) -> Mac {
    let [.., a, b, c, d] = group.octets();
    Mac([0x33, 0x33, a, b, c, d])
}

/// The checksum of an ICMPv6 message; 0 for one that has the right checksum in it.
fn checksum(source: Ipv6Addr, destination: Ipv6Addr, message: &[u8]) -> u16 {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX).to_be_bytes();
    let mut bytes =
        [&source.octets()[..], &destination.octets(), &length, &[0, 0, 0, ICMPV6], message].concat();
    bytes.resize(bytes.len().next_multiple_of(2), 0);
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair[1]);
    let sum: u32 = bytes.chunks_exact(2).map(word).sum();
    let folded = (sum >> 16) + (sum & 0xffff);
    let folded = (folded >> 16) + (folded & 0xffff);
    !u16::try_from(folded).unwrap_or(u16::MAX)
}

#[cfg(test)]
#[path = "packet_tests.rs"]
mod tests;
