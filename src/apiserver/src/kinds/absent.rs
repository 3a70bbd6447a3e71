//! Kinds of which there are no objects here. `kubectl apply --prune` asks for all of these before it looks for what to
//! remove (`pkg/util/prune/prune.go` of kubectl), and gives up where one is not known. Discovery has them without any verb,
//! so that nobody takes them for kinds that can be used; their lists are empty.

use serde_json::{Value, json};

use crate::api::path::Target;
use crate::resource::ResourceInfo;

const fn absent(
    group: &'static str,
    kind: &'static str,
    plural: &'static str,
    singular: &'static str,
) -> ResourceInfo {
    ResourceInfo {
        group,
        version: "v1",
        kind,
        plural,
        singular,
        short_names: &[],
        categories: &[],
        namespaced: true,
        verbs: &[],
        columns: &[],
        fields: &[],
    }
}

/// The kinds.
pub static ALL: &[ResourceInfo] = &[
    absent("", "ConfigMap", "configmaps", "configmap"),
    absent("", "Endpoints", "endpoints", "endpoints"),
    ResourceInfo {
        namespaced: false,
        ..absent("", "PersistentVolume", "persistentvolumes", "persistentvolume")
    },
    absent("", "PersistentVolumeClaim", "persistentvolumeclaims", "persistentvolumeclaim"),
    absent("", "ReplicationController", "replicationcontrollers", "replicationcontroller"),
    absent("", "Secret", "secrets", "secret"),
    absent("apps", "DaemonSet", "daemonsets", "daemonset"),
    absent("apps", "Deployment", "deployments", "deployment"),
    absent("apps", "ReplicaSet", "replicasets", "replicaset"),
    absent("apps", "StatefulSet", "statefulsets", "statefulset"),
    absent("batch", "CronJob", "cronjobs", "cronjob"),
    absent("batch", "Job", "jobs", "job"),
    absent("networking.k8s.io", "Ingress", "ingresses", "ingress"),
];

/// The kind that a path means.
pub fn find(target: &Target) -> Option<&'static ResourceInfo> {
    let is_it = |info: &&ResourceInfo| {
        info.group == target.group && info.version == target.version && info.plural == target.plural
    };
    let found = ALL.iter().find(is_it)?;
    let is_possible = match (found.namespaced, &target.namespace, &target.name) {
        (true, None, Some(_)) | (false, Some(_), _) => false,
        _ => target.subresource.is_none(),
    };
    is_possible.then_some(found)
}

/// The empty list of a kind.
pub fn list(info: &ResourceInfo, resource_version: u64) -> Value {
    json!({
        "kind": format!("{}List", info.kind), "apiVersion": info.api_version(),
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
