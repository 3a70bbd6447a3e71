//! Endpoints: where connections to Services go, for clients that do not know EndpointSlices.

mod cells;
mod rules;
pub(super) mod schema;

use serde_json::Value;

use super::columns::{AGE, NAME, column};
use super::faults::MOST;
use super::{age, meta, namespace, verbs};
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::ApiError;
use pod::validation::ip::ip_warning;

/// `endpoints`.
pub static KIND: Kind = Kind {
    short_names: &["ep"],
    verbs: verbs::ALL,
    columns: &[NAME, column("Endpoints", "The addresses that take connections, with their ports."), AGE],
    deprecated: Some("v1 Endpoints is deprecated in v1.33+; use discovery.k8s.io/v1 EndpointSlice"),
    ..Kind::new("", "Endpoints", "endpoints", "endpoints", &schema::ENDPOINTS)
};

/// The label of the objects that the controller keeps.
pub(crate) const MANAGED_LABEL: &str = "endpoints.kubernetes.io/managed-by";
/// Its value.
pub(crate) const CONTROLLER: &str = "endpoint-controller";

/// The rules of Endpoints (`pkg/registry/core/endpoint/strategy.go`).
pub struct Endpoints;

impl Resource for Endpoints {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        namespace::must_exist(transaction, &KIND, object)?;
        rules::fill(object);
        meta::checked(&KIND, object, &rules::faults(object, None))
    }

    fn update(&self, _: &mut dyn Transaction, object: &mut Object, old: &Object) -> Result<(), ApiError> {
        rules::fill(object);
        let mut faults = meta::change_faults(object, old);
        faults.extend(rules::faults(object, Some(old)));
        meta::checked(&KIND, object, &faults)
    }

    fn may_be_created_by_update(&self) -> bool {
        true
    }

    /// The controller writes canonical addresses only.
    fn warnings(&self, object: &Object, _: Option<&Object>) -> Vec<String> {
        if object.labels().any(|label| label == (MANAGED_LABEL, CONTROLLER)) {
            return Vec::new();
        }
        let subsets = rules::list(object.0.get("subsets")).iter().enumerate();
        let addresses = subsets.flat_map(|(index, subset)| {
            let lists = ["addresses", "notReadyAddresses"];
            lists.into_iter().flat_map(move |key| {
                let addresses = rules::list(subset.get(key)).iter().enumerate();
                addresses.map(move |(place, one)| (format!("subsets[{index}].{key}[{place}].ip"), one))
            })
        });
        let warnings = addresses.filter_map(|(path, one)| ip_warning(&path, one["ip"].as_str()?));
        warnings.take(MOST).collect()
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        vec![object.name().into(), cells::endpoints(object).into(), age::cell(object, now)]
    }
}
