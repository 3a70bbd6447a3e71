//! The names and columns of Services.

use super::super::columns::{AGE, NAME, column, wide};
use super::super::verbs;
use crate::resource::ResourceInfo;

/// `services`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "",
    version: "v1",
    kind: "Service",
    plural: "services",
    singular: "service",
    short_names: &["svc"],
    categories: &["all"],
    namespaced: true,
    verbs: verbs::ALL,
    columns: &[
        NAME,
        column("Type", "How the Service is reached: ClusterIP, NodePort, LoadBalancer or ExternalName."),
        column("Cluster-IP", "The first of the addresses inside the cluster, None where there is none."),
        column("External-IP", "The addresses outside the cluster."),
        column("Port(s)", "The ports, with their node ports and protocols."),
        AGE,
        wide("Selector", "The labels of the pods that answer."),
    ],
    fields: &["spec.clusterIP", "spec.type"],
};
