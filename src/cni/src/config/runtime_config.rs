//! `runtimeConfig`: the runtime's settings for this one pod, for the capabilities that the configuration declares.
//!
//! containerd's keys begin with capitals, as Go writes structs without tags; those of other runtimes do not.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::Deserialize;

use super::document::Document;
use crate::ipam::ranges::RangeConfig;
use crate::protocol::addresses::parse_ip;
use crate::protocol::environment::Args;
use crate::protocol::error::{CniError, Code};
use crate::protocol::result::Dns;
use pod::json::{object, object_lists, objects};
use sys::net::nft::{PortMapping, Protocol};
use sys::net::rtnetlink::Mac;

/// Most addresses that one attachment can have: it gets one of each list of ranges.
pub(crate) const ADDRESSES_MAX: usize = 64;
/// Most host ports of a pod. With its addresses they are one message to the kernel, which has to fit in a socket's
/// default buffer (`net.core.wmem_default`).
const PORTS_MAX: usize = 900;

/// The settings of the runtime, checked.
#[derive(Debug, Default)]
pub struct RuntimeConfig {
    /// Requested addresses.
    pub ips: Vec<IpAddr>,
    pub(crate) mac: Option<Mac>,
    /// Ports of the node that lead to the pod.
    pub(crate) port_mappings: Vec<PortMapping>,
    pub(crate) dns: Option<Dns>,
    /// Ranges in addition to those of the configuration.
    pub(crate) ip_ranges: Vec<Vec<RangeConfig>>,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Deserialize, Default)]
#[serde(rename_all = "camelCase", default)]
struct Raw {
    ips: Option<Vec<String>>,
    mac: Option<String>,
    #[serde(alias = "PortMappings", deserialize_with = "objects")]
    port_mappings: Vec<RawPort>,
    #[serde(alias = "Bandwidth", deserialize_with = "object")]
    bandwidth: Option<RawBandwidth>,
    #[serde(alias = "DNS", alias = "Dns", deserialize_with = "object")]
    dns: Option<RawDns>,
    #[serde(alias = "IPRanges", alias = "IpRanges", deserialize_with = "object_lists")]
    ip_ranges: Vec<Vec<RangeConfig>>,
    #[serde(rename = "io.kubernetes.cri.pod-annotations")]
    annotations: Option<BTreeMap<String, String>>,
}

#[derive(Deserialize)]
struct RawPort {
    #[serde(rename = "hostPort", alias = "HostPort", default)]
    host_port: u16,
    #[serde(rename = "containerPort", alias = "ContainerPort")]
    container_port: u16,
    #[serde(alias = "Protocol", default)]
    protocol: String,
    #[serde(rename = "hostIP", alias = "HostIP", default)]
    host_ip: Option<String>,
}

#[derive(Deserialize)]
struct RawBandwidth {
    #[serde(rename = "ingressRate", alias = "IngressRate", default)]
    ingress_rate: u64,
    #[serde(rename = "egressRate", alias = "EgressRate", default)]
    egress_rate: u64,
}

#[derive(Deserialize)]
struct RawDns {
    #[serde(alias = "Servers", default)]
    servers: Option<Vec<String>>,
    #[serde(alias = "Searches", default)]
    searches: Option<Vec<String>>,
    #[serde(alias = "Options", default)]
    options: Option<Vec<String>>,
}

/// `args.cni`, the older place of the same settings.
#[derive(Deserialize, Default)]
#[serde(default)]
struct RawArgs {
    #[serde(deserialize_with = "object")]
    cni: Option<RawCniArgs>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct RawCniArgs {
    ips: Option<Vec<String>>,
    mac: Option<String>,
}

/// Only the pod's annotations, for the chained role.
pub(crate) fn annotations(document: &Document) -> Result<BTreeMap<String, String>, CniError> {
    #[derive(Deserialize, Default)]
    struct Raw {
        #[serde(rename = "io.kubernetes.cri.pod-annotations")]
        annotations: Option<BTreeMap<String, String>>,
    }
    let raw: Option<Raw> = document.read_object("runtimeConfig")?;
    Ok(raw.and_then(|raw| raw.annotations).unwrap_or_default())
}

impl RuntimeConfig {
    /// Reads `runtimeConfig`, `args.cni` and `CNI_ARGS`: of a setting the first one counts.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn read(document: &Document, args: &Args) -> Result<Self, CniError> {
        let raw: Raw = document.read_object("runtimeConfig")?.unwrap_or_default();
        if raw.bandwidth.is_some_and(|limits| limits.ingress_rate > 0 || limits.egress_rate > 0) {
            let msg = "runtimeConfig.bandwidth: not supported, expected the bandwidth plugin behind this one";
            return Err(CniError::new(Code::UnsupportedField, msg));
        }
        let older = document.read_object::<RawArgs>("args")?.and_then(|args| args.cni).unwrap_or_default();
        let mut ips = parse_ips(raw.ips.as_deref(), "runtimeConfig.ips")?;
        if ips.is_empty() {
            ips = parse_ips(older.ips.as_deref(), "args.cni.ips")?;
        }
        if ips.is_empty() {
            ips.clone_from(&args.ips);
        }
        if ips.len() > ADDRESSES_MAX {
            let msg =
                format!("requested addresses: there are {}, expected at most {ADDRESSES_MAX}", ips.len());
            return Err(CniError::config(msg));
        }
        let mac = match parse_mac(raw.mac.as_deref(), "runtimeConfig.mac")? {
            None => parse_mac(older.mac.as_deref(), "args.cni.mac")?.or(args.mac),
            mac => mac,
        };
        let is_mapped = |(_, port): &(usize, &RawPort)| port.host_port != 0;
        let ports = raw.port_mappings.iter().enumerate().filter(is_mapped);
        let count = ports.clone().count();
        if count > PORTS_MAX {
            let msg = format!("runtimeConfig.portMappings: {count} host ports, expected at most {PORTS_MAX}");
            return Err(CniError::config(msg));
        }
        Ok(Self {
            ips,
            mac,
            port_mappings: ports.map(|(index, port)| port.check(index)).collect::<Result<_, _>>()?,
            dns: raw.dns.map(RawDns::into_dns).filter(|dns| !dns.is_empty()),
            ip_ranges: raw.ip_ranges,
            annotations: raw.annotations.unwrap_or_default(),
        })
    }
}

fn parse_ips(texts: Option<&[String]>, key: &str) -> Result<Vec<IpAddr>, CniError> {
    let parse = |(index, text): (usize, &String)| {
        parse_ip(text).ok_or_else(|| {
            CniError::config(format!("{key}[{index}]: {text:?} is no IP address, with or without prefix"))
        })
    };
    texts.unwrap_or_default().iter().enumerate().map(parse).collect()
}

fn parse_mac(text: Option<&str>, key: &str) -> Result<Option<Mac>, CniError> {
    let parse = |text: &str| text.parse().map_err(|why| CniError::config(format!("{key}: {text:?}: {why}")));
    text.filter(|text| !text.is_empty()).map(parse).transpose()
}

impl RawPort {
    fn check(&self, index: usize) -> Result<PortMapping, CniError> {
        let wrong = |key: &str, value: &str, expected: &str| {
            CniError::config(format!(
                "runtimeConfig.portMappings[{index}].{key}: {value:?}, expected {expected}"
            ))
        };
        let protocol = match self.protocol.to_ascii_lowercase().as_str() {
            "" | "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            "sctp" => Protocol::Sctp,
            _ => return Err(wrong("protocol", &self.protocol, "tcp, udp or sctp")),
        };
        if self.container_port == 0 {
            return Err(wrong("containerPort", "0", "a port from 1 to 65535"));
        }
        let host_ip = match self.host_ip.as_deref().unwrap_or_default() {
            "" => None,
            ip => Some(ip.parse().map_err(|_| wrong("hostIP", ip, "an IP address"))?),
        };
        Ok(PortMapping { host_ip, host_port: self.host_port, container_port: self.container_port, protocol })
    }
}

impl RawDns {
    fn into_dns(self) -> Dns {
        Dns {
            nameservers: self.servers.unwrap_or_default(),
            domain: String::new(),
            search: self.searches.unwrap_or_default(),
            options: self.options.unwrap_or_default(),
        }
    }
}

#[cfg(test)]
#[path = "runtime_config_tests.rs"]
mod tests;
