//! The names and columns of ServiceCIDRs.

use super::schema;
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column};
use crate::kinds::verbs;

/// `servicecidrs`.
pub static KIND: Kind = Kind {
    namespaced: false,
    verbs: verbs::ALL,
    columns: &[
        NAME,
        column("CIDRs", "The blocks that cluster IPs are taken from, one of a family at most."),
        AGE,
    ],
    subresources: &[verbs::STATUS],
    ..Kind::new("networking.k8s.io", "ServiceCIDR", "servicecidrs", "servicecidr", &schema::SERVICE_CIDR)
};
