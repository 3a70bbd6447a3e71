//! IPAddresses: the addresses in use, and the object that uses each.

pub(super) mod schema;

use std::net::IpAddr;

use serde_json::{Value, json};

use super::columns::{NAME, column};
use super::family::{FamilyExt, IpFamily, number};
use super::faults::{invalid, required};
use super::service::kind::KIND as SERVICE;
use super::service::spec::Spec;
use super::{meta, verbs};
use crate::accounts::Entry;
use crate::kind::Kind;
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::{ApiError, Cause};
use pod::validation::dns;
use pod::validation::ip::canonical_error;

/// `ipaddresses`.
pub static KIND: Kind = Kind {
    short_names: &["ip"],
    namespaced: false,
    verbs: verbs::ALL,
    columns: &[NAME, column("ParentRef", "The object that the address belongs to.")],
    numbers: Some(numbers),
    ..Kind::new("networking.k8s.io", "IPAddress", "ipaddresses", "ipaddress", &schema::IP_ADDRESS)
};

const FAMILY_LABEL: &str = "ipaddress.kubernetes.io/ip-family";
const MANAGED_LABEL: &str = "ipaddress.kubernetes.io/managed-by";
const MANAGER: &str = "ipallocator.k8s.io";
const PARENT: &str = "spec.parentRef";

/// The number of the address.
fn numbers(object: &Object) -> Vec<Entry> {
    let address: Option<IpAddr> = object.name().parse().ok();
    address.map(|address| (IpFamily::of(address).account(), number(address))).into_iter().collect()
}

/// Whether the server created it for a Service.
pub(super) fn is_managed(object: &Object) -> bool {
    object.labels().any(|label| label == (MANAGED_LABEL, MANAGER))
}

/// Gives `address` to a Service.
///
/// # Errors
/// The store cannot be written.
pub(super) fn give(
    transaction: &mut dyn Transaction,
    address: IpAddr,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    let mut object = Object::from_value(json!({
        "apiVersion": KIND.api_version(), "kind": KIND.name,
        "metadata": {"name": address.to_string()},
        "spec": {"parentRef": {"resource": SERVICE.plural, "namespace": namespace, "name": name}},
    }))
    .unwrap_or_default();
    label(&mut object, address);
    transaction.put(&KIND, &mut object)
}

/// Takes `address` from a Service. Does nothing if it belongs to another object.
///
/// # Errors
/// The store cannot be written.
pub(super) fn take(
    transaction: &mut dyn Transaction,
    address: IpAddr,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    let address = address.to_string();
    match transaction.get(&KIND, "", &address)? {
        Some(object) if owner(&object) == Some((namespace, name)) => transaction.remove(&KIND, "", &address),
        _ => Ok(()),
    }
}

fn label(object: &mut Object, address: IpAddr) {
    let labels = object.metadata_mut().entry("labels").or_insert_with(|| json!({}));
    if labels.is_object() {
        labels[FAMILY_LABEL] = IpFamily::of(address).name().into();
        labels[MANAGED_LABEL] = MANAGER.into();
    }
}

/// The namespace and name of the Service that an address belongs to.
fn owner(object: &Object) -> Option<(&str, &str)> {
    let field = |key: &str| parent(object).get(key).and_then(Value::as_str).unwrap_or_default();
    let is_service = field("resource") == SERVICE.plural && field("group").is_empty();
    is_service.then(|| (field("namespace"), field("name")))
}

fn parent(object: &Object) -> &Value {
    object.spec().get("parentRef").unwrap_or(&Value::Null)
}

/// Whether the Service that the IPAddress names has the address.
fn is_in_use(transaction: &mut dyn Transaction, object: &Object) -> Result<bool, ApiError> {
    let Some((namespace, name)) = owner(object) else { return Ok(false) };
    let service = transaction.get(&SERVICE, namespace, name)?;
    let address = object.name().parse().ok();
    let spec = service.and_then(|service| Spec::of(&service).ok()).unwrap_or_default();
    Ok(spec.addresses().any(|own| Some(own) == address))
}

/// The rules of IPAddresses.
pub struct IpAddresses;

impl Resource for IpAddresses {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, _: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        object.0.remove("status");
        let mut faults = meta::faults(object, name_errors);
        faults.extend(parent_faults(parent(object)));
        meta::checked(&KIND, object, &faults)
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let mut faults = meta::change_faults(object, old);
        faults.extend(meta::faults(object, name_errors));
        faults.extend(parent_faults(parent(object)));
        let (new_parent, old_parent) = (go_parent(parent(object)), go_parent(parent(old)));
        if new_parent != old_parent {
            faults.push(invalid(PARENT, &new_parent, "field is immutable"));
        }
        meta::checked(&KIND, object, &faults)?;
        if is_in_use(transaction, object)?
            && let Ok(address) = object.name().parse()
        {
            label(object, address);
        }
        Ok(())
    }

    /// Creates the IPAddress again if its Service still has the address.
    fn deleted(&self, transaction: &mut dyn Transaction, gone: &[Object]) -> Result<(), ApiError> {
        for object in gone {
            if let (Some((namespace, name)), Ok(address)) = (owner(object), object.name().parse())
                && is_in_use(transaction, object)?
            {
                give(transaction, address, namespace, name)?;
            }
        }
        Ok(())
    }

    fn cells(&self, object: &Object, _: i64) -> Vec<Value> {
        let field = |key: &str| parent(object).get(key).and_then(Value::as_str).unwrap_or_default();
        let parts = ["group", "resource", "namespace", "name"].map(field);
        let given: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        let parent = if given.is_empty() { "<none>".to_owned() } else { given.join("/") };
        vec![object.name().into(), parent.into()]
    }
}

fn name_errors(name: &str) -> Vec<String> {
    canonical_error(name).into_iter().collect()
}

fn parent_faults(parent: &Value) -> Vec<Cause> {
    if parent.is_null() {
        return vec![required(PARENT, "")];
    }
    let field = |key: &str| parent.get(key).and_then(Value::as_str).unwrap_or_default();
    let mut faults = Vec::new();
    if !field("group").is_empty() {
        let errors = dns::subdomain_errors(field("group"));
        faults
            .extend(errors.iter().map(|why| invalid(format!("{PARENT}.group"), &field("group").into(), why)));
    }
    for (key, needed) in [("resource", true), ("name", true), ("namespace", false)] {
        if field(key).is_empty() && needed {
            faults.push(required(format!("{PARENT}.{key}"), ""));
        }
        let errors = meta::path_segment(field(key));
        faults.extend(errors.iter().map(|why| invalid(format!("{PARENT}.{key}"), &field(key).into(), why)));
    }
    faults
}

/// A reference as Go shows it in faults.
fn go_parent(parent: &Value) -> Value {
    if parent.is_null() {
        return Value::Null;
    }
    let field = |key: &str| parent.get(key).and_then(Value::as_str).unwrap_or_default();
    json!([
        ["Group", field("group")],
        ["Resource", field("resource")],
        ["Namespace", field("namespace")],
        ["Name", field("name")],
    ])
}
