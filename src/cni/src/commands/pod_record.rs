//! The record that the hook reads. Only the pod's own interface has one.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::Path;

use crate::protocol::environment::Parameters;
use crate::protocol::error::{CniError, Code};
use records::record::{self, PodRecord, RECORD_DIR, RECORD_MAX, RECORD_VERSION};
use sys::fs::state_dir;
use sys::report;

/// The interface whose addresses are the pod's, in every engine.
const POD_INTERFACE: &str = "eth0";

/// The record for a call, if it is about a pod's own interface and the runtime names the pod.
pub(crate) fn of(
    parameters: &Parameters,
    network: &str,
    addresses: &[IpAddr],
    annotations: &BTreeMap<String, String>,
) -> Option<PodRecord> {
    let args = &parameters.args;
    let name = args.pod_name.clone().filter(|_| parameters.ifname == POD_INTERFACE)?;
    Some(PodRecord {
        version: RECORD_VERSION,
        sandbox_id: parameters.container_id.clone(),
        namespace: args.pod_namespace.clone(),
        name,
        uid: args.pod_uid.clone(),
        pod_ips: addresses.iter().map(ToString::to_string).collect(),
        hostname: String::new(),
        annotations: annotations.clone(),
        labels: None,
        network: network.to_owned(),
        since: report::now(),
    })
}

pub(crate) fn write(record: &PodRecord) -> Result<(), CniError> {
    let path = record::path(Path::new(RECORD_DIR), &record.sandbox_id)
        .map_err(|error| CniError::new(Code::InvalidEnvironment, format!("CNI_CONTAINERID: {error}")))?;
    let json = serde_json::to_vec(record).unwrap_or_default();
    if json.len() > RECORD_MAX {
        let msg =
            format!("cannot write {}: the annotations have more than {RECORD_MAX} bytes", path.display());
        return Err(CniError::new(Code::Io, msg));
    }
    Ok(state_dir::replace(&path, &json)?)
}

/// Removes the record of a container if `ifname` is the pod's own interface and the record is of `network`.
pub(crate) fn remove(network: &str, container_id: &str, ifname: &str) -> Result<(), CniError> {
    let Ok(path) = record::path(Path::new(RECORD_DIR), container_id) else { return Ok(()) };
    if ifname != POD_INTERFACE {
        return Ok(());
    }
    // A record that cannot be read belongs to no network.
    let others =
        read(container_id).is_some_and(|record| !record.network.is_empty() && record.network != network);
    if !others {
        state_dir::remove(&path)?;
    }
    Ok(())
}

/// The record of a container, if it can be read.
pub(crate) fn read(container_id: &str) -> Option<PodRecord> {
    record::read(container_id).ok().flatten()
}

/// The containers that have a record of `network`.
pub(crate) fn containers(network: &str) -> Result<Vec<String>, CniError> {
    let names = state_dir::names(Path::new(RECORD_DIR))?;
    let ids = names.iter().filter_map(|name| record::id_of(name));
    let of_network = |id: &&str| read(id).is_some_and(|record| record.network == network);
    Ok(ids.filter(of_network).map(str::to_owned).collect())
}

/// Removes the record of a container, if it is of `network`.
pub(crate) fn remove_of(network: &str, container_id: &str) -> Result<(), CniError> {
    remove(network, container_id, POD_INTERFACE)
}

/// Whether this is the name of a pod's own interface.
pub(crate) fn is_pod_interface(ifname: &str) -> bool {
    ifname == POD_INTERFACE
}
