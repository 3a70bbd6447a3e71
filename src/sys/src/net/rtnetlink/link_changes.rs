//! Changes of existing interfaces.

use netlink_packet_core::{DefaultNla, NLA_F_NESTED};
use netlink_packet_route::link::{
    AfSpecBridge, AfSpecInet, AfSpecInet6, AfSpecUnspec, BridgeFlag, BridgeVlanInfo, BridgeVlanInfoFlags,
    In6AddrGenMode, InfoBridgePort, InfoPortData, InfoPortKind, LinkAttribute, LinkFlags, LinkInfo,
    LinkMessage,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::links::link;
use super::netlink::NetworkChange;
use pod::addresses::IpFamily;

/// `IFLA_INET_CONF` of linux/if_link.h, and in it `IPV4_DEVCONF_ARP_NOTIFY` of linux/ip.h.
const INET_CONF: u16 = 1;
const ARP_NOTIFY: u16 = 22;

/// The settings of a bridge's port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BridgePort {
    /// Index of the bridge.
    pub bridge: u32,
    /// Whether frames may leave through the port on which they arrived.
    pub hairpin: bool,
    /// Whether it cannot reach other isolated ports.
    pub isolated: bool,
}

fn set(message: LinkMessage, verb: &'static str, what: impl Into<String>) -> NetworkChange {
    NetworkChange::new(RouteNetlinkMessage::SetLink(message), 0, verb, what)
}

impl NetworkChange {
    /// Brings an interface up.
    pub fn up(index: u32, name: &str) -> Self {
        let mut message = link(index);
        message.header.flags = LinkFlags::Up;
        message.header.change_mask = LinkFlags::Up;
        set(message, "bring up", name)
    }

    /// Stops the kernel from giving the interface a link-local address.
    pub fn no_link_local(index: u32, name: &str) -> Self {
        let mut message = link(index);
        let mode = AfSpecInet6::AddrGenMode(In6AddrGenMode::None);
        message.attributes.push(LinkAttribute::AfSpecUnspec(vec![AfSpecUnspec::Inet6(vec![mode])]));
        set(message, "set addrgenmode of", name)
    }

    /// For each of `families`: IPv4 announces a new MAC address to its neighbours (`arp_notify`), and IPv6 derives the
    /// link-local address from the MAC address (`addr_gen_mode`).
    pub fn tells_its_mac(index: u32, name: &str, families: &[IpFamily]) -> Self {
        let mut message = link(index);
        let settings = families.iter().map(|family| match family {
            IpFamily::V4 => {
                // A nested attribute: length, type, value.
                let number =
                    [&8_u16.to_ne_bytes()[..], &ARP_NOTIFY.to_ne_bytes(), &1_u32.to_ne_bytes()].concat();
                let conf = AfSpecInet::Other(DefaultNla::new(INET_CONF | NLA_F_NESTED, number));
                AfSpecUnspec::Inet(vec![conf])
            }
            IpFamily::V6 => AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::Eui64)]),
        });
        message.attributes.push(LinkAttribute::AfSpecUnspec(settings.collect()));
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
            // RTM_SETLINK ignores the settings of a port.
            let message = RouteNetlinkMessage::NewLink(message);
            changes.push(Self::new(message, 0, "set the bridge port", name));
        }
        changes
    }

    /// Adds a VLAN: untagged to a bridge's port, or tagged to the bridge itself.
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
