//! What ADD makes for one interface of a container, so that DEL and GC can undo it:
//! `/run/podhosts/networks/<network>/attachments/<container id>:<interface>`.
//!
//! The file is written before the address book is changed for good, so a lost address book can be made from the files.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use pod::json::Object;
use sys::net::nft::{PodInterface, PortMapping, Rules};
use sys::net::rtnetlink::{Mac, NamespaceId, SourceCheck};

/// The holder of addresses: CNI's container id and interface name, which together name an attachment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// `CNI_CONTAINERID`.
    pub container: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, {}", self.container, self.ifname)
    }
}

/// The version that this program writes, and the only one that it reads.
pub const ATTACHMENT_VERSION: u32 = 1;
/// Largest file that is read, in bytes.
pub(crate) const ATTACHMENT_MAX: usize = 1 << 20;

/// One interface of a container.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    /// [`ATTACHMENT_VERSION`].
    pub version: u32,
    /// `CNI_CONTAINERID`.
    #[serde(rename = "containerID")]
    pub container_id: String,
    /// `CNI_IFNAME`.
    pub ifname: String,
    /// `CNI_NETNS`.
    #[serde(default)]
    pub netns: String,
    /// The identity of that namespace, to tell it from a later one at the same path.
    #[serde(default)]
    pub netns_id: Option<NamespaceId>,
    /// The boot in which it was made; attachments of other boots are gone.
    #[serde(default, rename = "bootID")]
    pub boot_id: String,
    /// MAC address of the interface, if ADD made one.
    #[serde(default)]
    pub mac: Option<Mac>,
    /// The node's end of the veth pair, if ADD made one.
    #[serde(default)]
    pub host_interface: Option<String>,
    /// Its addresses, in the order of the result.
    pub addresses: Vec<IpAddr>,
    /// Whether there are rules in the packet filter.
    #[serde(default)]
    pub has_rules: bool,
    /// The settings of those rules, so that they can be made again.
    #[serde(default)]
    pub filter: Option<Filter>,
}

/// What an attachment's rules in the packet filter need beside its addresses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Filter {
    /// Whether packets that leave the network carry the node's address.
    pub masquerade: bool,
    /// The subnets of its network.
    pub subnets: Vec<(IpAddr, u8)>,
    /// Its host ports.
    pub ports: Vec<PortMapping>,
    /// Whether the node's interface is a port of a bridge.
    pub is_port: bool,
    /// Which sender addresses are checked there.
    pub check: SourceCheck,
}

impl Attachment {
    /// Reads the file of an attachment.
    ///
    /// # Errors
    /// Describes the invalid part.
    pub(crate) fn parse(json: &[u8]) -> Result<Self, String> {
        let Object(attachment): Object<Self> =
            serde_json::from_slice(json).map_err(|error| error.to_string())?;
        if attachment.version != ATTACHMENT_VERSION {
            return Err(format!("it has version {}, expected {ATTACHMENT_VERSION}", attachment.version));
        }
        Ok(attachment)
    }

    /// Its rules in the packet filter, if they are known.
    pub fn rules(&self, network: &str) -> Option<Rules> {
        let filter = self.filter.as_ref()?;
        let interface = self.host_interface.clone().zip(self.mac).map(|(name, mac)| PodInterface {
            name,
            mac,
            is_port: filter.is_port,
            check: filter.check,
        });
        Some(Rules {
            network: network.to_owned(),
            subnets: filter.subnets.clone(),
            addresses: self.addresses.clone(),
            masquerade: filter.masquerade,
            ports: filter.ports.clone(),
            interface,
        })
    }

    /// Its holder.
    pub fn holder(&self) -> Holder {
        Holder { container: self.container_id.clone(), ifname: self.ifname.clone() }
    }
}

/// The name of a holder's file. Neither part can contain a colon or a slash.
pub(crate) fn file_name(holder: &Holder) -> String {
    format!("{}:{}", holder.container, holder.ifname)
}

/// The holder of a file, by its name.
pub(crate) fn holder_of(name: &str) -> Option<Holder> {
    let (container, ifname) = name.split_once(':')?;
    let own = !container.is_empty() && !ifname.is_empty() && !name.starts_with('.');
    own.then(|| Holder { container: container.to_owned(), ifname: ifname.to_owned() })
}
