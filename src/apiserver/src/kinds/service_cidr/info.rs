//! The names and columns of ServiceCIDRs.

use super::super::columns::{AGE, NAME, column};
use super::super::verbs;
use crate::resource::ResourceInfo;

/// `servicecidrs`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "networking.k8s.io",
    version: "v1",
    kind: "ServiceCIDR",
    plural: "servicecidrs",
    singular: "servicecidr",
    short_names: &[],
    categories: &[],
    namespaced: false,
    verbs: verbs::ALL,
    columns: &[
        NAME,
        column("CIDRs", "The blocks that cluster IPs are taken from, one of a family at most."),
        AGE,
    ],
    fields: &[],
};
