//! The keys of the main role.

use serde::Deserialize;

use super::document::Document;
use super::ipam_config::IpamConfig;
use super::roles::PLUGIN;
use super::runtime_config::RuntimeConfig;
use crate::protocol::environment::IFNAME_MAX;
use crate::protocol::error::{CniError, Code};
use pod::addresses::IpFamily;
use records::attachment::Filter;
use sys::net::rtnetlink::SourceCheck;

/// How pods reach the node, and through it everything else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Each pod by its own route, without a bridge.
    Routed,
    /// All pods on one bridge.
    Bridge(Bridge),
}

/// The keys of mode `bridge`, which are those of the reference plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Bridge {
    pub(crate) name: String,
    /// Whether the bridge has the gateway's address.
    pub(crate) is_gateway: bool,
    /// Whether the pod's default route leads to the gateway.
    pub(crate) is_default_gateway: bool,
    /// Whether addresses on the bridge that overlap the gateway's subnet are replaced.
    pub(crate) force_address: bool,
    /// Whether a port may send frames back to where they came from.
    pub(crate) hairpin: bool,
    pub(crate) promiscuous: bool,
    /// Whether pods cannot reach each other.
    pub(crate) isolated: bool,
    /// The pods' VLAN.
    pub(crate) vlan: Option<u16>,
}

/// The keys of the main role, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MainConfig {
    pub(crate) mode: Mode,
    /// Whether packets that leave the network carry the node's address.
    pub(crate) ip_masq: bool,
    pub(crate) mtu: Option<u32>,
    /// Which sender addresses of pods are checked.
    pub(crate) check: SourceCheck,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Raw {
    mode: Option<String>,
    ip_masq: Option<bool>,
    ip_masq_backend: Option<String>,
    mtu: Option<u32>,
    bridge: Option<String>,
    is_gateway: Option<bool>,
    is_default_gateway: Option<bool>,
    force_address: Option<bool>,
    hairpin_mode: Option<bool>,
    promisc_mode: Option<bool>,
    port_isolation: Option<bool>,
    vlan: Option<u16>,
    vlan_trunk: Option<serde_json::Value>,
    preserve_default_vlan: Option<bool>,
    macspoofchk: Option<bool>,
    spoof_check: Option<bool>,
    enabledad: Option<bool>,
    disable_container_interface: Option<bool>,
    ipam: Option<RawIpamType>,
}

#[derive(Deserialize)]
struct RawIpamType {
    #[serde(rename = "type")]
    plugin: Option<String>,
}

/// Smallest MTU for IPv4, and largest of any interface.
const MTU: std::ops::RangeInclusive<u32> = 68..=65535;

/// The name of the bridge's interface in a VLAN.
pub(crate) fn vlan_interface(bridge: &str, vlan: u16) -> String {
    format!("{bridge}.{vlan}")
}

impl MainConfig {
    /// Reads and checks the keys.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn read(document: &Document) -> Result<Self, CniError> {
        let raw: Raw = document.read_all()?;
        raw.refuse_unsupported()?;
        let mtu = raw.mtu.filter(|mtu| *mtu != 0);
        if let Some(mtu) = mtu.filter(|mtu| !MTU.contains(mtu)) {
            return Err(CniError::config(format!("mtu: {mtu}, expected 68 to 65535, or 0 for the default")));
        }
        let mode = match raw.mode.as_deref() {
            None | Some("routed") => {
                raw.refuse_bridge_keys()?;
                Mode::Routed
            }
            Some("bridge") => Mode::Bridge(raw.bridge_keys()?),
            Some(other) => {
                return Err(CniError::config(format!("mode: {other:?}, expected \"routed\" or \"bridge\"")));
            }
        };
        let check = match (raw.spoof_check, raw.macspoofchk) {
            (None | Some(true), _) => SourceCheck::Addresses,
            (Some(false), Some(true)) => SourceCheck::Mac,
            (Some(false), _) => SourceCheck::None,
        };
        Ok(Self { mode, ip_masq: raw.ip_masq.unwrap_or(false), mtu, check })
    }
}

/// Smallest MTU for IPv6.
const MTU_IPV6: u32 = 1280;

impl MainConfig {
    /// Whether a pod needs rules in the packet filter.
    pub(crate) fn has_rules(&self, runtime: &RuntimeConfig) -> bool {
        self.check != SourceCheck::None || self.ip_masq || !runtime.port_mappings.is_empty()
    }

    /// The rules that a pod needs in the packet filter, if any.
    pub(crate) fn filter(&self, ipam: &IpamConfig, runtime: &RuntimeConfig) -> Option<Filter> {
        self.has_rules(runtime).then(|| Filter {
            masquerade: self.ip_masq,
            subnets: ipam.subnets(),
            ports: runtime.port_mappings.clone(),
            is_port: matches!(self.mode, Mode::Bridge(_)),
            check: self.check,
        })
    }

    /// Refuses an MTU that is too small for IPv6 if pods get IPv6 addresses.
    pub(crate) fn check_mtu(&self, ipam: &IpamConfig) -> Result<(), CniError> {
        let has_ipv6 = ipam.sets.iter().any(|set| set.family() == IpFamily::V6);
        match self.mtu.filter(|mtu| has_ipv6 && *mtu < MTU_IPV6) {
            Some(mtu) => Err(CniError::config(format!("mtu: {mtu}, expected {MTU_IPV6} or more for IPv6"))),
            None => Ok(()),
        }
    }
}

impl Raw {
    fn refuse_unsupported(&self) -> Result<(), CniError> {
        let on = |value: Option<bool>| value == Some(true);
        let refused = [
            ("enabledad", on(self.enabledad)),
            ("disableContainerInterface", on(self.disable_container_interface)),
            ("vlanTrunk", self.vlan_trunk.as_ref().is_some_and(|trunk| !trunk.is_null())),
            ("preserveDefaultVlan", self.preserve_default_vlan == Some(false)),
        ];
        if let Some((key, _)) = refused.iter().find(|(_, is_given)| *is_given) {
            return Err(CniError::new(Code::UnsupportedField, format!("{key}: not supported")));
        }
        if let Some(backend) = self.ip_masq_backend.as_deref().filter(|backend| *backend != "nftables") {
            let msg = format!("ipMasqBackend: {backend:?} is not supported, expected \"nftables\"");
            return Err(CniError::new(Code::UnsupportedField, msg));
        }
        let plugin = self.ipam.as_ref().and_then(|ipam| ipam.plugin.as_deref()).unwrap_or(PLUGIN);
        if plugin != PLUGIN {
            let msg = format!("ipam.type: {plugin:?} is not supported, expected {PLUGIN:?} or nothing");
            return Err(CniError::new(Code::UnsupportedField, msg));
        }
        Ok(())
    }

    fn refuse_bridge_keys(&self) -> Result<(), CniError> {
        let given = [
            ("bridge", self.bridge.is_some()),
            ("isGateway", self.is_gateway.is_some()),
            ("isDefaultGateway", self.is_default_gateway.is_some()),
            ("forceAddress", self.force_address.is_some()),
            ("hairpinMode", self.hairpin_mode.is_some()),
            ("promiscMode", self.promisc_mode.is_some()),
            ("portIsolation", self.port_isolation.is_some()),
            ("vlan", self.vlan.is_some()),
            ("macspoofchk", self.macspoofchk == Some(true)),
        ];
        match given.iter().find(|(_, is_given)| *is_given) {
            Some((key, _)) => {
                Err(CniError::config(format!("{key}: has no meaning here, expected \"mode\": \"bridge\"")))
            }
            None => Ok(()),
        }
    }

    fn bridge_keys(&self) -> Result<Bridge, CniError> {
        let name = self.bridge.as_deref().filter(|name| !name.is_empty()).unwrap_or("cni0");
        let fits =
            name.len() <= IFNAME_MAX && name.bytes().all(|b| b.is_ascii_graphic() && !b"/:%".contains(&b));
        if !fits || name == "." || name == ".." {
            return Err(CniError::config(format!("bridge: {name:?} is no name of an interface")));
        }
        let vlan = self.vlan.filter(|vlan| *vlan != 0);
        if let Some(vlan) = vlan.filter(|vlan| *vlan > 4094) {
            return Err(CniError::config(format!("vlan: {vlan}, expected 1 to 4094, or 0 for none")));
        }
        let is_default_gateway = self.is_default_gateway == Some(true);
        let is_gateway = is_default_gateway || self.is_gateway == Some(true);
        let of_vlan = vlan.filter(|_| is_gateway).map(|vlan| vlan_interface(name, vlan));
        if let Some(of_vlan) = of_vlan.filter(|of_vlan| of_vlan.len() > IFNAME_MAX) {
            return Err(CniError::config(format!(
                "bridge: {of_vlan:?}, which the VLAN needs, is too long for a name"
            )));
        }
        let (hairpin, promiscuous) = (self.hairpin_mode == Some(true), self.promisc_mode == Some(true));
        if hairpin && promiscuous {
            return Err(CniError::config(
                "hairpinMode: true together with promiscMode, expected one of them",
            ));
        }
        Ok(Bridge {
            name: name.to_owned(),
            is_gateway,
            is_default_gateway,
            force_address: self.force_address == Some(true),
            hairpin,
            promiscuous,
            isolated: self.port_isolation == Some(true),
            vlan,
        })
    }
}
