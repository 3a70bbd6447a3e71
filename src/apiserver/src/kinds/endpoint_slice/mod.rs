//! EndpointSlices: where connections to Services go.

mod rules;
pub(super) mod schema;

use serde_json::{Map, Value};

use super::columns::{AGE, NAME, column};
use super::faults::MOST;
use super::{age, meta, namespace, verbs};
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::ApiError;
use pod::validation::ip::ip_warning;

/// `endpointslices`.
pub static KIND: Kind = Kind {
    verbs: verbs::ALL,
    columns: &[
        NAME,
        column("AddressType", "The family of the addresses, or FQDN."),
        column("Ports", "The ports."),
        column("Endpoints", "The addresses."),
        AGE,
    ],
    ..Kind::new(
        "discovery.k8s.io",
        "EndpointSlice",
        "endpointslices",
        "endpointslice",
        &schema::ENDPOINT_SLICE,
    )
};

/// The label that names the controller of a slice.
pub(crate) const MANAGED_LABEL: &str = "endpointslice.kubernetes.io/managed-by";
/// The label with the name of the Service.
pub(crate) const SERVICE_LABEL: &str = "kubernetes.io/service-name";
/// Kubernetes' own controllers, which write canonical addresses only.
const CONTROLLERS: [&str; 2] =
    ["endpointslice-controller.k8s.io", "endpointslicemirroring-controller.k8s.io"];
/// How many ports or addresses a row shows.
const SHOWN: usize = 3;

/// The rules of EndpointSlices.
pub struct EndpointSlices;

impl Resource for EndpointSlices {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        namespace::must_exist(transaction, &KIND, object)?;
        rules::fill(object, None);
        object.metadata_mut().insert("generation".to_owned(), 1.into());
        meta::checked(&KIND, object, &rules::faults(object, None))
    }

    /// Counts the changes as `PrepareForUpdate` does in `pkg/registry/discovery/endpointslice/strategy.go`.
    fn update(&self, _: &mut dyn Transaction, object: &mut Object, old: &Object) -> Result<(), ApiError> {
        rules::fill(object, Some(old));
        let mut faults = meta::change_faults(object, old);
        faults.extend(rules::faults(object, Some(old)));
        meta::checked(&KIND, object, &faults)?;
        let labels = |object: &Object| {
            object.metadata().get("labels").cloned().unwrap_or_else(|| Value::Object(Map::default()))
        };
        let is_same = is_same_but_metadata(object, old) && labels(object) == labels(old);
        // Slices from before generations were counted have none.
        let before = old.metadata().get("generation").and_then(Value::as_i64).unwrap_or_default();
        let generation = if is_same { before } else { before.saturating_add(1) };
        if generation > 0 {
            object.metadata_mut().insert("generation".to_owned(), generation.into());
        } else {
            object.metadata_mut().remove("generation");
        }
        Ok(())
    }

    /// `WarningsOnCreate` and `WarningsOnUpdate` of `pkg/registry/discovery/endpointslice/strategy.go`.
    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let mut warnings = Vec::new();
        if old.is_none() && rules::text(object, "addressType") == "FQDN" {
            // As Kubernetes writes it.
            warnings.push("spec.addressType: FQDN endpoints are deprecated".to_owned());
        }
        if !object.labels().any(|(key, by)| key == MANAGED_LABEL && CONTROLLERS.contains(&by)) {
            warnings.extend(address_warnings(object));
        }
        warnings
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let list = |key: &str| object.0.get(key).and_then(Value::as_array).into_iter().flatten();
        // A port without a number shows its name, even an empty one.
        let ports = list("ports").map(|port| match port["port"].as_i64() {
            Some(number) => number.to_string(),
            None => port["name"].as_str().unwrap_or("*").to_owned(),
        });
        let addresses = list("endpoints").flat_map(|one| one["addresses"].as_array().into_iter().flatten());
        let addresses = addresses.filter_map(Value::as_str).map(str::to_owned);
        vec![
            object.name().into(),
            rules::text(object, "addressType").into(),
            shown(ports.collect()).into(),
            shown(addresses.collect()).into(),
            age::cell(object, now),
        ]
    }
}

fn is_same_but_metadata(one: &Object, other: &Object) -> bool {
    let rest = |(key, _): &(&String, &Value)| *key != "metadata";
    one.0.iter().filter(rest).eq(other.0.iter().filter(rest))
}

fn address_warnings(object: &Object) -> Vec<String> {
    let endpoints = object.0.get("endpoints").and_then(Value::as_array).into_iter().flatten().enumerate();
    let addresses = endpoints.flat_map(|(endpoint, one)| {
        let addresses =
            one["addresses"].as_array().into_iter().flatten().filter_map(Value::as_str).enumerate();
        addresses.map(move |(index, address)| (format!("endpoints[{endpoint}].addresses[{index}]"), address))
    });
    addresses.filter_map(|(path, address)| ip_warning(&path, address)).take(MOST).collect()
}

/// `listWithMoreString` in `pkg/printers/internalversion/printers.go`.
fn shown(all: Vec<String>) -> String {
    if all.len() > SHOWN {
        return format!("{} + {} more...", all[..SHOWN].join(","), all.len() - SHOWN);
    }
    Some(all.join(",")).filter(|text| !text.is_empty()).unwrap_or_else(|| "<unset>".to_owned())
}
