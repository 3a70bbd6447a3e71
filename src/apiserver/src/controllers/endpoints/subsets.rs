//! The subsets of v1 Endpoints in their canonical form, after `RepackSubsets` in `pkg/api/v1/endpoints/util.go`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::slice::Port;

/// An address.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Address {
    pub(super) ip: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) hostname: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_ref: Option<Map<String, Value>>,
}

/// Addresses with the same ports.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Subset {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) not_ready_addresses: Vec<Address>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<Port>,
}

/// What tells one address from another: the IP address, and the uid of what is behind it.
type Identity = (String, String);

impl Address {
    fn identity(&self) -> Identity {
        let target = self.target_ref.as_ref().and_then(|target| target.get("uid"));
        (self.ip.clone(), target.and_then(Value::as_str).unwrap_or_default().to_owned())
    }

    fn without_version(&self) -> Self {
        let mut address = self.clone();
        if let Some(target) = &mut address.target_ref {
            target.remove("resourceVersion");
        }
        address
    }
}

/// Has each combination of addresses and ports once, and addresses with the same ports together. An address that is
/// both ready and not ready for a port is not ready.
pub(super) fn repacked(subsets: &[Subset]) -> Vec<Subset> {
    let mut addresses: BTreeMap<Identity, &Address> = BTreeMap::new();
    // `None` for addresses without ports.
    let mut by_port: BTreeMap<Option<&Port>, BTreeMap<Identity, bool>> = BTreeMap::new();
    for subset in subsets {
        let ports: Vec<Option<&Port>> =
            if subset.ports.is_empty() { vec![None] } else { subset.ports.iter().map(Some).collect() };
        let ready = subset.addresses.iter().map(|address| (address, true));
        let all: Vec<_> =
            ready.chain(subset.not_ready_addresses.iter().map(|address| (address, false))).collect();
        for port in ports {
            let of_port = by_port.entry(port).or_default();
            for (address, is_ready) in &all {
                let identity = address.identity();
                addresses.entry(identity.clone()).or_insert(address);
                let known = of_port.entry(identity).or_insert(*is_ready);
                *known &= is_ready;
            }
        }
    }
    let mut by_addresses: BTreeMap<BTreeMap<Identity, bool>, Vec<Port>> = BTreeMap::new();
    for (port, of_port) in by_port {
        by_addresses.entry(of_port).or_default().extend(port.cloned());
    }
    let subset = |(found, ports): (BTreeMap<Identity, bool>, Vec<Port>)| {
        let mut subset = Subset { ports, ..Subset::default() };
        for (identity, is_ready) in found {
            let Some(address) = addresses.get(&identity) else { continue };
            let list = if is_ready { &mut subset.addresses } else { &mut subset.not_ready_addresses };
            list.push((*address).clone());
        }
        subset
    };
    by_addresses.into_iter().map(subset).collect()
}

/// Whether two lists of subsets are equal, apart from their order and from the versions of the pods that they refer to.
pub(super) fn are_equal(one: &[Subset], other: &[Subset]) -> bool {
    let plain = |subsets: &[Subset]| {
        let mut subsets = repacked(subsets);
        let lists =
            subsets.iter_mut().flat_map(|subset| [&mut subset.addresses, &mut subset.not_ready_addresses]);
        lists.flatten().for_each(|address| *address = address.without_version());
        subsets
    };
    plain(one) == plain(other)
}
