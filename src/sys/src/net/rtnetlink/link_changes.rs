//! What is set of an interface that is there.

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::link::{
    AfSpecBridge, AfSpecInet, AfSpecInet6, AfSpecUnspec, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags,
    In6AddrGenMode, InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::link;
use super::netlink::Change;

/// `IFLA_INET_CONF` of linux/if_link.h, and in it `IPV4_DEVCONF_ARP_NOTIFY` of linux/ip.h.
const INET_CONF: u16 = 1;
const ARP_NOTIFY: u16 = 22;

/// What an interface is to be as a port of a bridge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgePort {
    /// Index of the bridge.
    pub bridge: u32,
    /// Whether frames may leave through the port they came from.
    pub hairpin: bool,
    /// Whether it may not talk to other isolated ports.
    pub isolated: bool,
}

fn set(message: LinkMessage, verb: &'static str, what: impl Into<String>) -> Change {
    Change::new(RouteNetlinkMessage::SetLink(message), 0, verb, what)
}

impl Change {
    /// Brings an interface up.
    pub fn up(index: u32, name: &str) -> Self {
        let mut message = link(index);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        set(message, "bring up", name)
    }

    /// Keeps the kernel from giving the interface a link-local address of its own.
    pub fn no_link_local(index: u32, name: &str) -> Self {
        let mut message = link(index);
        let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        message.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]));
        set(message, "set addrgenmode of", name)
    }

    /// Of the families that it has: has the interface tell its neighbours of a new MAC address (`arp_notify`), and the
    /// kernel make its link-local address of that (`addr_gen_mode`).
    pub fn tells_its_mac(index: u32, name: &str, has_ipv4: bool, has_ipv6: bool) -> Self {
        let mut message = link(index);
        let mut families = Vec::new();
        if has_ipv4 {
            // An attribute in an attribute: its length, its type, its value.
            let number = [&8_u16.to_ne_bytes()[..], &ARP_NOTIFY.to_ne_bytes(), &1_u32.to_ne_bytes()].concat();
            let conf = AfSpecInet::Other(DefaultNla::new(INET_CONF | NLA_F_NESTED, number));
            families.push(AfSpecUnspec::Inet(vec![conf]));
        }
        if has_ipv6 {
            let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::Eui64);
            families.push(AfSpecUnspec::Inet6(vec![mode]));
        }
        message.attributes.push(LinkAttribute::AfSpecUnspec(families));
        set(message, "set arp_notify and addrgenmode of", name)
    }

    /// Makes an interface a port of a bridge.
    pub fn join_bridge(index: u32, name: &str, port: BridgePort) -> Vec<Self> {
        let mut message = link(index);
        message.attributes.push(LinkAttribute::Controller(port.bridge));
        let mut changes = vec![set(message, "add to its bridge", name)];
        if port.hairpin || port.isolated {
            let mut message = link(index);
            let settings =
                vec![InfoBridgePort::HairpinMode(port.hairpin), InfoBridgePort::Isolated(port.isolated)];
            message.attributes.push(LinkAttribute::LinkInfo(vec![
                LinkInfo::PortKind(InfoPortKind::Bridge),
                LinkInfo::PortData(InfoPortData::BridgePort(settings)),
            ]));
            // Only this one of the two requests looks at the settings of a port.
            let message = RouteNetlinkMessage::NewLink(message);
            changes.push(Self::new(message, 0, "set the bridge port", name));
        }
        changes
    }

    /// Gives a bridge's port a VLAN: untagged, for everything that comes in; or, of the bridge itself, tagged.
    pub fn bridge_vlan(index: u32, vlan: u16, of_bridge: bool) -> Self {
        let mut message = link(index);
        message.header.interface_family = AddressFamily::Bridge;
        let untagged = BridgeVlanInfoFlags::Pvid | BridgeVlanInfoFlags::Untagged;
        let flags = if of_bridge { BridgeVlanInfoFlags::Brentry } else { untagged };
        let mut spec = vec![AfSpecBridge::VlanInfo(BridgeVlanInfo { flags, vid: vlan })];
        if of_bridge {
            spec.insert(0, AfSpecBridge::Flags(BridgeFlag::LowerDev));
        }
        message.attributes.push(LinkAttribute::AfSpecBridge(spec));
        set(message, "set VLAN", vlan.to_string())
    }
}
