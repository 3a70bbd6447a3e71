//! The network configuration on standard input.
//!
//! What every command needs is read first and with patience, so that DEL works with whatever a configuration has become
//! since ADD. Everything else is checked as a whole before anything is touched.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::{DeserializeOwned, IgnoredAny};
use serde_json::Value;

use crate::config::runtime_config::RuntimeConfig;
use crate::ipam::ranges::{RangeConfig, RangeSet, optional_address};
use crate::protocol::environment::{Command, is_name};
use crate::protocol::error::{CniError, Code};
use crate::protocol::previous_result::Previous;
use crate::protocol::result::{CniResult, Dns, Route};
use crate::protocol::version::Version;
use pod::json::{Object, object_lists, objects};
use records::DATA_DIR;
use records::attachment::Holder;

/// The name of this plugin in configurations.
pub const PLUGIN: &str = "podhosts-cni";
/// Longest name of a network, in bytes. It becomes a directory's name.
pub(crate) const NAME_MAX: usize = 200;

/// Most ranges of a network, those that the runtime adds included.
const RANGES_MAX: usize = 1024;
/// Most addresses that one attachment can have: it gets one of each list of ranges.
pub(crate) const ADDRESSES_MAX: usize = 64;

/// What this plugin is in a configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// It makes the interface, with addresses of its own address book.
    Main,
    /// Another plugin asks it for addresses.
    Ipam,
    /// It writes down what the plugins before it did.
    Chained,
}

/// A configuration of which the outlines are known.
#[derive(Debug)]
pub struct Document {
    value: Value,
    /// `cniVersion`.
    pub version: Version,
    /// `name`.
    pub name: String,
    /// What this plugin is in it.
    pub role: Role,
    /// The network's directory.
    pub dir: PathBuf,
}

/// `ipam`, checked.
#[derive(Debug)]
pub struct Ipam {
    /// A pod gets one address of each.
    pub sets: Vec<RangeSet>,
    /// `routes`.
    pub routes: Vec<Route>,
    /// `resolvConf`.
    pub resolv_conf: Option<PathBuf>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct RawIpam {
    #[serde(rename = "podCIDRs")]
    pod_cidrs: Option<Vec<String>>,
    subnet: Option<String>,
    #[serde(default, deserialize_with = "optional_address")]
    range_start: Option<IpAddr>,
    #[serde(default, deserialize_with = "optional_address")]
    range_end: Option<IpAddr>,
    #[serde(default, deserialize_with = "optional_address")]
    gateway: Option<IpAddr>,
    #[serde(default, deserialize_with = "object_lists")]
    ranges: Vec<Vec<RangeConfig>>,
    #[serde(default, deserialize_with = "objects")]
    routes: Vec<Route>,
    resolv_conf: Option<PathBuf>,
}

impl Ipam {
    /// All subnets that pods of this network can be in.
    pub(crate) fn subnets(&self) -> Vec<(IpAddr, u8)> {
        let ranges = self.sets.iter().flat_map(|set| &set.ranges);
        ranges.map(|range| (range.subnet.network(), range.subnet.prefix_len())).collect()
    }
}

/// What GC is told to keep, under the name of the specification and the one that libcni writes.
const ATTACHMENTS: [&str; 2] = ["cni.dev/valid-attachments", "cni.dev/attachments"];

impl Document {
    /// Reads the outlines of a configuration.
    ///
    /// # Errors
    /// [`CniError`] naming the key.
    pub fn parse(stdin: &[u8], command: Command) -> Result<Self, CniError> {
        let value: Value = serde_json::from_slice(stdin).map_err(|error| {
            CniError::new(Code::Decode, format!("cannot read the network configuration from stdin: {error}"))
        })?;
        if !value.is_object() {
            let msg = "cannot read the network configuration from stdin: expected a JSON object";
            return Err(CniError::new(Code::Decode, msg));
        }
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        // The specification's word for a configuration without a version.
        let version = if value["cniVersion"].is_null() { "0.1.0" } else { text("cniVersion") };
        let version = Version::of_config(version, command)?;
        let name = text("name").to_owned();
        if name.is_empty() {
            return Err(CniError::config("missing network name: name is absent or no string"));
        }
        if !is_name(&name, NAME_MAX) {
            return Err(CniError::config(format!(
                "name: {name:?} is invalid, expected a letter or digit, then letters, digits, '_', '.' and '-', \
                 at most {NAME_MAX}"
            )));
        }
        // Without one this would be the chained role.
        if matches!(command, Command::Add | Command::Check | Command::Status) && !value["ipam"].is_null() {
            read_value::<Object<BTreeMap<String, IgnoredAny>>>(&value["ipam"], "ipam")?;
        }
        let role = match (text("type") == PLUGIN, value["ipam"].is_object()) {
            (true, true) => Role::Main,
            (true, false) => Role::Chained,
            (false, _) => Role::Ipam,
        };
        let data_dir = value["ipam"]["dataDir"].as_str().filter(|dir| !dir.is_empty()).unwrap_or(DATA_DIR);
        let dir = Path::new(data_dir).join(&name);
        Ok(Self { version, name, role, dir, value })
    }

    /// Reads the key `key` as a `T`.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    fn read<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CniError> {
        match &self.value[key] {
            Value::Null => Ok(None),
            value => read_value(value, key).map(Some),
        }
    }

    /// Reads the object `key` as a `T`.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub(crate) fn read_object<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, CniError> {
        Ok(self.read::<Object<T>>(key)?.map(|Object(value)| value))
    }

    /// Reads the whole configuration as a `T`.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub(crate) fn read_all<T: DeserializeOwned>(&self) -> Result<T, CniError> {
        read_value(&self.value, "")
    }

    /// Checks `ipam` and what the runtime says of addresses.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn ipam(&self, runtime: &RuntimeConfig) -> Result<Ipam, CniError> {
        let raw: RawIpam =
            self.read_object("ipam")?.ok_or_else(|| CniError::config("ipam: missing, expected an object"))?;
        match self.value["ipam"]["dataDir"] {
            Value::Null => {}
            Value::String(ref dir) if dir.is_empty() || dir.starts_with('/') => {}
            ref other => {
                return Err(CniError::config(format!("ipam.dataDir: {other}, expected an absolute path")));
            }
        }
        let sets = raw.sets(&runtime.ip_ranges)?;
        RangeSet::check_apart(&sets, "ipam.ranges")?;
        for (index, route) in raw.routes.iter().enumerate() {
            if let Some(gw) = route.gw.filter(|gw| gw.is_ipv4() != route.dst.addr().is_ipv4()) {
                let msg = format!("ipam.routes[{index}].gw: {gw} is of another family than {}", route.dst);
                return Err(CniError::config(msg));
            }
        }
        let resolv_conf = raw.resolv_conf.filter(|path| !path.as_os_str().is_empty());
        Ok(Ipam { sets, routes: raw.routes, resolv_conf })
    }

    /// `prevResult`, checked.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn prev_result(&self) -> Result<Option<CniResult>, CniError> {
        let result: Option<CniResult> = self.read_object("prevResult")?;
        if let Some(CniResult { ips, interfaces, .. }) = &result {
            for (at, ip) in ips.iter().enumerate() {
                if let Some(index) = ip.interface.filter(|index| *index >= interfaces.len()) {
                    let count = interfaces.len();
                    return Err(CniError::config(format!(
                        "prevResult.ips[{at}].interface: {index}, expected the index of one of {count} interfaces"
                    )));
                }
            }
        }
        Ok(result)
    }

    /// `prevResult` as the chained role needs it.
    ///
    /// # Errors
    /// [`CniError`] where the addresses cannot be read.
    pub fn previous(&self) -> Result<Option<Previous>, CniError> {
        self.read_object("prevResult")
    }

    /// `prevResult` as it came, to be handed on.
    pub fn raw_prev_result(&self) -> Value {
        let mut result = self.value["prevResult"].clone();
        result["cniVersion"] = self.version.name().into();
        result
    }

    /// `dns`.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn dns(&self) -> Result<Option<Dns>, CniError> {
        Ok(self.read_object::<Dns>("dns")?.filter(|dns| !dns.is_empty()))
    }

    /// Whether `key` is true: `disableCheck` and `disableGC`, which the runtime should have seen to.
    pub fn is_set(&self, key: &str) -> bool {
        self.value[key] == true
    }

    /// The attachments that GC has to keep; `None` where the runtime gave no list at all.
    ///
    /// # Errors
    /// [`CniError`] where there is something else than a list.
    pub fn valid_attachments(&self) -> Result<Option<Vec<Holder>>, CniError> {
        #[derive(Deserialize)]
        struct Valid {
            #[serde(rename = "containerID")]
            container: String,
            ifname: String,
        }
        let present: Vec<&str> =
            ATTACHMENTS.into_iter().filter(|key| self.value.get(key).is_some()).collect();
        if present.is_empty() {
            return Ok(None);
        }
        let mut holders = Vec::new();
        for key in present {
            // libcni writes null for an empty list.
            let valid: Vec<Object<Valid>> = self.read(key)?.unwrap_or_default();
            holders.extend(
                valid.into_iter().map(|Object(v)| Holder { container: v.container, ifname: v.ifname }),
            );
        }
        holders.sort_unstable();
        Ok(Some(holders))
    }
}

impl RawIpam {
    fn sets(&self, at_runtime: &[Vec<RangeConfig>]) -> Result<Vec<RangeSet>, CniError> {
        let old_style = self.subnet.as_ref().map(|subnet| RangeConfig {
            subnet: subnet.clone(),
            range_start: self.range_start,
            range_end: self.range_end,
            gateway: self.gateway,
        });
        let ranges = &self.ranges[..];
        self.check_number(at_runtime)?;
        if let Some(cidrs) = &self.pod_cidrs {
            let parts = self.range_start.or(self.range_end).or(self.gateway);
            if old_style.is_some() || parts.is_some() || !ranges.is_empty() || !at_runtime.is_empty() {
                let msg = "ipam.podCIDRs: given together with other ranges, expected one of them";
                return Err(CniError::config(msg));
            }
            return Ok(RangeSet::of_pod_cidrs(cidrs, "ipam.podCIDRs")?);
        }
        let mut sets = Vec::new();
        if let Some(range) = old_style {
            let range = crate::ipam::ranges::Range::new(&range, "ipam")?;
            sets.push(RangeSet { ranges: vec![range] });
        }
        for (key, list) in [("runtimeConfig.ipRanges", at_runtime), ("ipam.ranges", ranges)] {
            for (index, ranges) in list.iter().enumerate() {
                sets.push(RangeSet::new(ranges, &format!("{key}[{index}]"))?);
            }
        }
        if sets.is_empty() {
            let msg = "ipam: no IP ranges specified, expected podCIDRs, ranges or subnet";
            return Err(CniError::config(msg));
        }
        Ok(sets)
    }
}

impl RawIpam {
    /// Refuses so many ranges that a call would take long: each is compared with all others, and asked for an address.
    fn check_number(&self, at_runtime: &[Vec<RangeConfig>]) -> Result<(), CniError> {
        let lists = || self.ranges.iter().chain(at_runtime);
        let ranges = lists().map(Vec::len).sum::<usize>() + self.pod_cidrs.as_ref().map_or(0, Vec::len);
        let sets = lists().count();
        if ranges > RANGES_MAX || sets > ADDRESSES_MAX {
            return Err(CniError::config(format!(
                "ipam: {ranges} ranges in {sets} lists, expected at most {RANGES_MAX} in {ADDRESSES_MAX}"
            )));
        }
        Ok(())
    }
}

/// Reads a value that is called `key` in errors.
fn read_value<T: DeserializeOwned>(value: &Value, key: &str) -> Result<T, CniError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = match (error.path().to_string(), key) {
            (path, "") => path,
            (path, key) if path == "." => key.to_owned(),
            (path, key) if path.starts_with('[') => format!("{key}{path}"),
            (path, key) => format!("{key}.{path}"),
        };
        CniError::config(format!("{path}: {}", error.into_inner()))
    })
}

#[cfg(test)]
#[path = "document_tests.rs"]
mod tests;
