//! The names and columns of ServiceCIDRs.

use super::schema;
use crate::accounts::{Account, Entry, SERVICE_CIDR_NUMBER};
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column};
use crate::kinds::verbs;
use crate::object::Object;

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
    numbers: Some(numbers),
    ..Kind::new("networking.k8s.io", "ServiceCIDR", "servicecidrs", "servicecidr", &schema::SERVICE_CIDR)
};

/// Its entry while it is being deleted.
fn numbers(object: &Object) -> Vec<Entry> {
    if object.is_being_deleted() { vec![(Account::Terminating, SERVICE_CIDR_NUMBER)] } else { Vec::new() }
}
