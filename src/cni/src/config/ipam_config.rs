//! `ipam`: the ranges of addresses, and the routes.

use std::net::IpAddr;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use super::document::Document;
use super::runtime_config::{ADDRESSES_MAX, RuntimeConfig};
use crate::ipam::ranges::{Range, RangeConfig, RangeSet};
use crate::protocol::addresses::optional_address;
use crate::protocol::error::CniError;
use crate::protocol::result::Route;
use pod::addresses::IpFamily;
use pod::json::{object_lists, objects};

/// Most ranges of a network, those that the runtime adds included.
const RANGES_MAX: usize = 1024;

/// `ipam`, checked.
#[derive(Debug)]
pub struct IpamConfig {
    /// The ranges: a pod gets one address of each set.
    pub sets: Vec<RangeSet>,
    pub(crate) routes: Vec<Route>,
    pub(crate) resolv_conf: Option<PathBuf>,
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

impl IpamConfig {
    /// Reads and checks `ipam` together with the ranges that the runtime adds.
    ///
    /// # Errors
    /// [`CniError`] naming the key and what was expected.
    pub fn read(document: &Document, runtime: &RuntimeConfig) -> Result<Self, CniError> {
        let raw: RawIpam = document
            .read_object("ipam")?
            .ok_or_else(|| CniError::config("ipam: missing, expected an object"))?;
        match document.data_dir() {
            Value::Null => {}
            Value::String(dir) if dir.is_empty() || dir.starts_with('/') => {}
            other => {
                return Err(CniError::config(format!("ipam.dataDir: {other}, expected an absolute path")));
            }
        }
        let sets = raw.sets(&runtime.ip_ranges)?;
        RangeSet::check_apart(&sets, "ipam.ranges")?;
        for (index, route) in raw.routes.iter().enumerate() {
            if let Some(gw) = route.gw.filter(|gw| IpFamily::of(*gw) != IpFamily::of(route.dst.addr())) {
                let msg = format!("ipam.routes[{index}].gw: {gw} is of another family than {}", route.dst);
                return Err(CniError::config(msg));
            }
        }
        let resolv_conf = raw.resolv_conf.filter(|path| !path.as_os_str().is_empty());
        Ok(Self { sets, routes: raw.routes, resolv_conf })
    }

    /// The subnets of all ranges.
    pub(crate) fn subnets(&self) -> Vec<(IpAddr, u8)> {
        let ranges = self.sets.iter().flat_map(|set| &set.ranges);
        ranges.map(|range| (range.subnet.network(), range.subnet.prefix_len())).collect()
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
            let range = Range::new(&range, "ipam")?;
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

    /// Refuses a number of ranges with which a call would take long: each is compared with all others.
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

#[cfg(test)]
#[path = "ipam_config_tests.rs"]
mod tests;
