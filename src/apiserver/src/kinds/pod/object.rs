//! Pod objects, of what the engine tells and of the records that podhosts-cni leaves.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde_json::{Value, json};

use super::KIND;
use super::containers;
use super::seen::{Sandbox, Seen};
use super::status::State;
use crate::kinds::config::Config;
use crate::kinds::read_only::Found;
use crate::object::Object;
use crate::time;
use pod::validation::dns::{is_label, is_subdomain};
use records::record::PodRecord;

/// Labels that the kubelet adds to a sandbox. They are not the pod's.
const OF_KUBELET: [&str; 3] =
    ["io.kubernetes.pod.name", "io.kubernetes.pod.namespace", "io.kubernetes.pod.uid"];

/// What is known of a pod: from the engine, from the record of its network, or from both.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Known<'a> {
    sandbox: Option<&'a Sandbox>,
    record: Option<&'a PodRecord>,
}

impl<'a> Known<'a> {
    fn name(&self) -> (&'a str, &'a str) {
        match (self.sandbox.and_then(|sandbox| sandbox.status.metadata.as_ref()), self.record) {
            (Some(metadata), _) => (&metadata.namespace, &metadata.name),
            (None, Some(record)) => (&record.namespace, &record.name),
            (None, None) => ("", ""),
        }
    }

    fn sandbox_id(&self) -> &'a str {
        match (self.sandbox, self.record) {
            (Some(sandbox), _) => &sandbox.status.id,
            (None, Some(record)) => &record.sandbox_id,
            (None, None) => "",
        }
    }

    fn uid(&self) -> &'a str {
        let metadata = self.sandbox.and_then(|sandbox| sandbox.status.metadata.as_ref());
        let uids = [metadata.map(|metadata| &metadata.uid), self.record.map(|record| &record.uid)];
        let uid = uids.into_iter().flatten().find(|uid| !uid.is_empty());
        // crictl takes pods without one.
        uid.map_or(self.sandbox_id(), String::as_str)
    }

    /// In seconds since 1970.
    fn created(&self) -> i64 {
        let recorded = || time::parse(&self.record?.since);
        self.sandbox.map(Sandbox::created).or_else(recorded).unwrap_or_default()
    }

    /// Its addresses, at most one of each family: those of the record first, for it has the order of the CNI result.
    /// For a stopped sandbox the engine still tells its addresses, which may be another pod's by now.
    fn addresses(&self, node: &[IpAddr]) -> Vec<IpAddr> {
        let recorded = self.record.into_iter().flat_map(|record| &record.pod_ips).map(String::as_str);
        let sandbox = self.sandbox.filter(|sandbox| sandbox.is_ready());
        let told = sandbox.into_iter().flat_map(Sandbox::addresses);
        let mut addresses: Vec<IpAddr> = Vec::new();
        let mut add = |address: IpAddr| {
            if !addresses.iter().any(|other| other.is_ipv4() == address.is_ipv4()) {
                addresses.push(address);
            }
        };
        recorded.chain(told).filter_map(|ip| ip.parse().ok()).for_each(&mut add);
        if sandbox.is_some_and(Sandbox::is_on_host) {
            node.iter().copied().for_each(add);
        }
        addresses
    }
}

/// The names of a pod that is left out, since Kubernetes does not allow them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LeftOut {
    pub(super) sandbox_id: String,
    pub(super) namespace: String,
    pub(super) name: String,
}

/// The pods of this machine by namespace and name, and those that are left out.
pub(super) fn pods(config: &Config, seen: &Seen, records: &[PodRecord]) -> (Vec<Object>, BTreeSet<LeftOut>) {
    let mut pods: BTreeMap<(&str, &str), Known<'_>> = BTreeMap::new();
    let mut left_out = BTreeSet::new();
    for known in join(seen, records) {
        let (namespace, name) = known.name();
        if !is_label(namespace) || !is_subdomain(name) {
            left_out.insert(LeftOut {
                sandbox_id: known.sandbox_id().to_owned(),
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            });
            continue;
        }
        // A pod may have sandboxes that have ended: the newest one counts.
        let other = pods.get(&(namespace, name));
        if other.is_none_or(|other| other.created() <= known.created()) {
            pods.insert((namespace, name), known);
        }
    }
    (pods.values().map(|known| object(config, seen, known)).collect(), left_out)
}

fn join<'a>(seen: &'a Seen, records: &'a [PodRecord]) -> Vec<Known<'a>> {
    let mut left: BTreeMap<&str, &PodRecord> =
        records.iter().map(|record| (record.sandbox_id.as_str(), record)).collect();
    let mut all: Vec<Known<'a>> = Vec::new();
    for sandbox in &seen.sandboxes {
        let record = left.remove(sandbox.status.id.as_str());
        all.push(Known { sandbox: Some(sandbox), record });
    }
    all.extend(left.into_values().map(|record| Known { sandbox: None, record: Some(record) }));
    all
}

fn object(config: &Config, seen: &Seen, known: &Known<'_>) -> Object {
    let (namespace, name) = known.name();
    let found = Found { namespace, name, uid: known.uid(), since: known.created() };
    let containers =
        known.sandbox.map(|sandbox| containers::by_name(&sandbox.containers)).unwrap_or_default();
    let state = match known.sandbox {
        Some(sandbox) => State::of_sandbox(sandbox, &containers),
        None => {
            // A pod of the kubelet's or crictl's that the engine has not finished making.
            let is_pending = seen.is_connected && known.record.is_some_and(|record| !record.uid.is_empty());
            State::of_record(known.created(), !is_pending)
        }
    };
    let mut status = json!({
        "phase": state.phase.name(), "startTime": time::format(known.created()),
        "conditions": state.conditions(),
    });
    put_addresses(&mut status, ("podIP", "podIPs"), &known.addresses(&config.node_ips));
    put_addresses(&mut status, ("hostIP", "hostIPs"), &config.node_ips);
    if let Some(sandbox) = known.sandbox {
        let all = containers.iter().map(|container| container.status(&seen.engine, sandbox.is_ready()));
        status["containerStatuses"] = all.collect();
    }
    let mut spec = json!({
        "containers": containers.iter().map(|container| container.spec()).collect::<Vec<_>>(),
        "nodeName": config.node_name, "enableServiceLinks": true,
    });
    if known.sandbox.is_some_and(Sandbox::is_on_host) {
        spec["hostNetwork"] = true.into();
    }
    if let Some(record) = known.record.filter(|record| !record.hostname.is_empty()) {
        spec["hostname"] = record.hostname.as_str().into();
    }
    let (labels, annotations) = metadata(known);
    found.object(&KIND, &labels, &annotations, spec, status)
}

/// Labels and annotations.
fn metadata(known: &Known<'_>) -> (Value, Value) {
    match (known.sandbox, known.record) {
        (Some(sandbox), _) => {
            let own = sandbox.status.labels.iter().filter(|(key, _)| !OF_KUBELET.contains(&key.as_str()));
            (json!(own.collect::<BTreeMap<_, _>>()), json!(sandbox.status.annotations))
        }
        (None, Some(record)) => (json!(record.labels), json!(record.annotations)),
        (None, None) => (Value::Null, Value::Null),
    }
}

fn put_addresses(status: &mut Value, (first, all): (&str, &str), addresses: &[IpAddr]) {
    if let Some(address) = addresses.first() {
        status[first] = address.to_string().into();
    }
    status[all] = addresses.iter().map(|address| json!({"ip": address.to_string()})).collect();
}
