//! The names and columns of Services.

use super::{numbers, schema};
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column, wide};
use crate::kinds::verbs;

/// `services`.
pub static KIND: Kind = Kind {
    short_names: &["svc"],
    categories: &["all"],
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
    subresources: &[verbs::STATUS],
    numbers: Some(numbers::of),
    ..Kind::new("", "Service", "services", "service", &schema::SERVICE)
};
