//! Pods: what the engine tells over the CRI, joined with the records of podhosts-cni.
//!
//! The CRI accepts any name for a pod. Clients of the Kubernetes API rely on its rules for names: they make paths, label
//! values, DNS names and shell commands of them. So pods whose names break the rules are left out. The log mentions each
//! once, and `podhosts list` shows it.

mod cells;
mod containers;
mod object;
pub(super) mod schema;
mod seen;
mod status;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;

use super::columns::{AGE, NAME, column, wide};
use super::config::Config;
use super::verbs;
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::resource::Resource;
use object::LeftOut;
use records::record::{self, PodRecord, RECORD_MAX};
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir;

pub use seen::{Sandbox, Seen};

/// `pods`.
pub static KIND: Kind = Kind {
    short_names: &["po"],
    categories: &["all"],
    verbs: verbs::READ_ONLY,
    columns: &[
        NAME,
        column("Ready", "How many of the containers are ready."),
        column("Status", "What state the pod is in."),
        column("Restarts", "How often its containers were started again."),
        AGE,
        wide("IP", "The first address of the pod."),
        wide("Node", "The node that it runs on."),
        wide("Nominated Node", "The node that it is meant for."),
        wide("Readiness Gates", "The conditions that it has to meet beyond its containers."),
    ],
    fields: &[
        "spec.nodeName",
        "spec.restartPolicy",
        "spec.schedulerName",
        "spec.serviceAccountName",
        "spec.hostNetwork",
        "status.phase",
        "status.podIP",
        "status.podIPs",
        "status.nominatedNodeName",
        "spec.host",
    ],
    source: Source::Machine,
    ..Kind::new("", "Pod", "pods", "pod", &schema::POD)
};

/// The rules of Pods.
pub struct Pods;

impl Resource for Pods {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        cells::cells(object, now)
    }

    fn row_conditions(&self, object: &Object) -> Vec<Value> {
        cells::conditions(object)
    }
}

/// The pods of this machine.
#[derive(Debug)]
pub struct Finder {
    config: Arc<Config>,
    /// Pods that were logged as left out.
    left_out: BTreeSet<LeftOut>,
}

impl Finder {
    /// Finds pods under this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, left_out: BTreeSet::new() }
    }

    /// All pods by namespace and name, from what the engine told and from the records as they are now.
    pub fn pods(&mut self, seen: &Seen) -> Vec<Object> {
        let (pods, left_out) = object::pods(&self.config, seen, &records(&self.config.pod_records));
        for pod in left_out.difference(&self.left_out) {
            tracing::error!(
                namespace = %pod.namespace,
                name = %pod.name,
                sandboxID = %pod.sandbox_id,
                "a pod is left out, whose name or namespace Kubernetes does not allow"
            );
        }
        self.left_out = left_out;
        pods
    }
}

/// The records in `dir`; files that cannot be read are ignored.
fn records(dir: &Path) -> Vec<PodRecord> {
    let names = state_dir::names(dir).unwrap_or_default();
    names.iter().filter_map(|name| read(dir, record::id_of(name)?)).collect()
}

fn read(dir: &Path, sandbox_id: &str) -> Option<PodRecord> {
    let path = record::path(dir, sandbox_id).ok()?;
    let json = files::read(&path, RECORD_MAX, LastLink::Refuse).ok()?;
    PodRecord::parse(&json, sandbox_id).ok()
}
