//! Namespaces.

use std::sync::Arc;

use serde_json::{Value, json};

use super::columns::{AGE, NAME, column};
use super::{Config, age, endpoint_slice, event, meta, service, verbs};
use crate::serve::object::Object;
use crate::serve::resource::{Resource, ResourceInfo, Transaction};
use crate::serve::status::ApiError;

/// `namespaces`.
pub const INFO: ResourceInfo = ResourceInfo {
    group: "",
    version: "v1",
    kind: "Namespace",
    plural: "namespaces",
    singular: "namespace",
    short_names: &["ns"],
    categories: &[],
    namespaced: false,
    verbs: verbs::ONE_BY_ONE,
    columns: &[NAME, column("Status", "Active, or Terminating."), AGE],
    fields: &["status.phase"],
};

/// The namespaces that are always there; the first is looked at to tell whether they are.
const ALWAYS: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// Those of them that nobody may delete.
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
const NAME_LABEL: &str = "kubernetes.io/metadata.name";

/// Refuses an object that is to be created in a namespace that is not there, or that is about to go.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub(super) fn must_exist(
    transaction: &mut dyn Transaction,
    info: &ResourceInfo,
    object: &Object,
) -> Result<(), ApiError> {
    let name = object.namespace();
    match transaction.get(INFO.plural, "", name)? {
        Some(namespace) if namespace.is_being_deleted() => {
            let why =
                format!("unable to create new content in namespace {name} because it is being terminated");
            let mut error = ApiError::forbidden(info, object.name(), &why);
            error.details["causes"] = json!([{"reason": "NamespaceTerminating",
                "message": format!("namespace {name} is being terminated"), "field": "metadata.namespace"}]);
            Err(error)
        }
        Some(_) => Ok(()),
        None => Err(ApiError::not_found(&INFO, name)),
    }
}

/// The kind.
pub struct Namespaces {
    config: Arc<Config>,
}

impl Namespaces {
    /// The kind, with what Services in a namespace go by.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config }
    }
}

impl Resource for Namespaces {
    fn info(&self) -> &'static ResourceInfo {
        &INFO
    }

    fn create(&self, _: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        meta::checked(&INFO, object, &meta::faults(object, meta::label))?;
        fill(object);
        Ok(())
    }

    fn update(&self, _: &mut dyn Transaction, object: &mut Object, _: &Object) -> Result<(), ApiError> {
        meta::checked(&INFO, object, &meta::faults(object, meta::label))?;
        fill(object);
        Ok(())
    }

    fn may_delete(&self, object: &Object) -> Result<(), ApiError> {
        let name = object.name();
        if IMMORTAL.contains(&name) {
            return Err(ApiError::forbidden(&INFO, name, "this namespace may not be deleted"));
        }
        Ok(())
    }

    /// What is in a namespace goes with it.
    fn delete(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let mut gone = Vec::new();
        for kind in [&service::INFO, &endpoint_slice::INFO, &event::INFO] {
            for content in transaction.list(kind.plural)? {
                if content.namespace() != object.name() {
                    continue;
                }
                if kind.plural == service::INFO.plural {
                    service::release(transaction, &content)?;
                }
                transaction.remove(kind.plural, content.namespace(), content.name())?;
                gone.push(content);
            }
        }
        service::pass_on(transaction, &self.config, &gone)
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let phase = object.0.get("status").and_then(|status| status["phase"].as_str()).unwrap_or_default();
        vec![object.name().into(), phase.into(), age::cell(object, now)]
    }

    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        if transaction.get(INFO.plural, "", ALWAYS[0])?.is_some() {
            return Ok(None);
        }
        for name in ALWAYS {
            if transaction.get(INFO.plural, "", name)?.is_none() {
                let json = json!({"apiVersion": "v1", "kind": INFO.kind, "metadata": {"name": name}});
                let mut object = Object::from_value(json).unwrap_or_default();
                fill(&mut object);
                transaction.put(INFO.plural, &mut object)?;
            }
        }
        Ok(None)
    }
}

/// What every namespace has.
fn fill(object: &mut Object) {
    let name = object.name().to_owned();
    let labels = object.metadata_mut().entry("labels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[NAME_LABEL] = name.into();
    object.0.insert("spec".to_owned(), json!({"finalizers": ["kubernetes"]}));
    object.0.insert("status".to_owned(), json!({"phase": "Active"}));
}
