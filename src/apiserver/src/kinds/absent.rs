//! Kinds without objects. `kubectl apply --prune` lists all of these before it removes anything
//! (`pkg/util/prune/prune.go` of kubectl), and fails if one is unknown. Discovery has them without verbs, so that clients
//! do not use them; their lists are empty.

use serde_json::{Value, json};

use crate::kind::{Kind, Source};
use crate::schema::Type;

/// Nothing is known of the fields of these.
static NO_FIELDS: Type = Type::open("", "", &[]);

const fn absent(
    group: &'static str,
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> Kind {
    Kind { source: Source::Nowhere, ..Kind::new(group, name, plural, singular, &NO_FIELDS) }
}

/// `secrets`.
pub(crate) static SECRET: Kind = absent("", "Secret", "secrets", "secret");

/// All of them.
pub static ALL: &[Kind] = &[
    absent("", "ConfigMap", "configmaps", "configmap"),
    Kind { namespaced: false, ..absent("", "PersistentVolume", "persistentvolumes", "persistentvolume") },
    absent("", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim"),
    absent("", "ReplicationController", "replicationcontrollers", "replicationcontroller"),
    SECRET,
    absent("apps", "DaemonSet", "daemonsets", "daemonset"),
    absent("apps", "Deployment", "deployments", "deployment"),
    absent("apps", "ReplicaSet", "replicasets", "replicaset"),
    absent("apps", "StatefulSet", "statefulsets", "statefulset"),
    absent("batch", "CronJob", "cronjobs", "cronjob"),
    absent("batch", "Job", "jobs", "job"),
    absent("networking.k8s.io", "Ingress", "ingresses", "ingress"),
    // Older kubectls evict pods only where this group is.
    absent("policy", "PodDisruptionBudget", "poddisruptionbudgets", "poddisruptionbudget"),
];

/// The empty list of a kind.
pub fn list(kind: &Kind, resource_version: u64) -> Value {
    json!({
        "kind": format!("{}List", kind.name), "apiVersion": kind.api_version(),
        "metadata": {"resourceVersion": resource_version.to_string()}, "items": [],
    })
}

/// The same as a table, in a version of `meta.k8s.io`.
pub fn table(version: &str, resource_version: u64) -> Value {
    let name = json!({"name": "Name", "type": "string", "format": "name", "description": "The name.", "priority": 0});
    json!({
        "kind": "Table", "apiVersion": format!("meta.k8s.io/{version}"),
        "metadata": {"resourceVersion": resource_version.to_string()}, "columnDefinitions": [name], "rows": [],
    })
}
