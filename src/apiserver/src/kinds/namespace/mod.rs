//! Namespaces, and the removal of their content.

mod content;
pub(super) mod schema;

use serde_json::{Value, json};

use super::columns::{AGE, NAME, column};
use super::faults::{MOST, invalid};
use super::{age, meta, verbs};
use crate::accounts::{Account, Entry, NAMESPACE_NUMBER};
use crate::kind::{Kind, Subresource, Verb};
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::{ApiError, Cause};
use crate::time;
pub use content::Contents;

/// `namespaces`.
pub static KIND: Kind = Kind {
    short_names: &["ns"],
    namespaced: false,
    verbs: verbs::ONE_BY_ONE,
    columns: &[NAME, column("Status", "Active, or Terminating."), AGE],
    fields: &["status.phase"],
    subresources: &[(Subresource::Finalize, &[Verb::Update]), verbs::STATUS],
    numbers: Some(numbers),
    ..Kind::new("", "Namespace", "namespaces", "namespace", &schema::NAMESPACE)
};

/// Namespaces that the server creates where they are missing
/// (`pkg/controlplane/controller/systemnamespaces/system_namespaces_controller.go`).
const ALWAYS: [&str; 4] = ["default", "kube-system", "kube-public", "kube-node-lease"];
/// Namespaces that cannot be deleted (`plugin/pkg/admission/namespace/lifecycle`).
const IMMORTAL: [&str; 3] = ["default", "kube-system", "kube-public"];
const NAME_LABEL: &str = "kubernetes.io/metadata.name";
/// Seconds for which the content of a deleted namespace stays (`namespaceDeletionGracePeriod` in
/// `pkg/controller/namespace/namespace_controller.go`), so that clients that delete it as well still find it.
const GRACE: i64 = 5;
/// The server's finalizer in `spec.finalizers`.
const FINALIZER: &str = "kubernetes";

/// Its entry while it is being deleted.
fn numbers(object: &Object) -> Vec<Entry> {
    if object.is_being_deleted() { vec![(Account::Terminating, NAMESPACE_NUMBER)] } else { Vec::new() }
}

/// Refuses a new object if its namespace does not exist or is being deleted.
///
/// # Errors
/// `NotFound`, `Forbidden`.
pub(super) fn must_exist(
    transaction: &mut dyn Transaction,
    kind: &Kind,
    object: &Object,
) -> Result<(), ApiError> {
    let name = object.namespace();
    match transaction.get(&KIND, "", name)? {
        Some(namespace) if namespace.is_being_deleted() => {
            let why =
                format!("unable to create new content in namespace {name} because it is being terminated");
            let mut error = ApiError::forbidden(kind, object.name(), &why);
            error.details["causes"] = json!([{"reason": "NamespaceTerminating",
                "message": format!("namespace {name} is being terminated"), "field": "metadata.namespace"}]);
            Err(error)
        }
        Some(_) => Ok(()),
        None => Err(ApiError::not_found(&KIND, name)),
    }
}

/// The rules of Namespaces.
pub struct Namespaces {
    contents: Contents,
}

impl Namespaces {
    /// Rules for namespaces with this in them.
    pub fn new(contents: Contents) -> Self {
        Self { contents }
    }
}

impl Resource for Namespaces {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, _: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        label(object);
        let mut faults = meta::faults(object, meta::label);
        faults.extend(finalizer_faults(object, |_| "spec.finalizers".to_owned()));
        meta::checked(&KIND, object, &faults)?;
        fill(object);
        Ok(())
    }

    fn update(&self, _: &mut dyn Transaction, object: &mut Object, old: &Object) -> Result<(), ApiError> {
        label(object);
        let mut faults = meta::change_faults(object, old);
        faults.extend(meta::faults(object, meta::label));
        meta::checked(&KIND, object, &faults)?;
        for key in ["spec", "status"] {
            match old.0.get(key) {
                Some(value) => object.0.insert(key.to_owned(), value.clone()),
                None => object.0.remove(key),
            };
        }
        Ok(())
    }

    /// `namespaceStatusStrategy` and `namespaceFinalizeStrategy` in `pkg/registry/core/namespace/strategy.go`.
    fn update_part(
        &self,
        _: &mut dyn Transaction,
        part: Subresource,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        object.keep_only(if part == Subresource::Status { "status" } else { "spec" }, old);
        if part == Subresource::Status {
            // `SetDefaults_NamespaceStatus` in `pkg/apis/core/v1/defaults.go`.
            object.status_mut().entry("phase").or_insert_with(|| "Active".into());
        }
        let mut faults = meta::change_faults(object, old);
        faults.extend(meta::kept_faults(object));
        faults.extend(match part {
            Subresource::Status => phase_fault(object).into_iter().collect(),
            Subresource::Finalize => finalizer_faults(object, |index| format!("spec.finalizers[{index}]")),
            _ => Vec::new(),
        });
        meta::checked(&KIND, object, &faults)?;
        label(object);
        Ok(())
    }

    /// Removes the content, in case a client removed the server's finalizer.
    fn delete(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        content::remove(transaction, &self.contents, object.name()).map(drop)
    }

    fn may_delete(&self, object: &Object) -> Result<(), ApiError> {
        let name = object.name();
        if IMMORTAL.contains(&name) {
            return Err(ApiError::forbidden(&KIND, name, "this namespace may not be deleted"));
        }
        Ok(())
    }

    fn is_held(&self, object: &Object) -> bool {
        !spec_finalizers(object).is_empty()
    }

    fn mark_deleted(&self, object: &mut Object) {
        // `Delete` in `pkg/registry/core/namespace/storage/storage.go` sets no grace period.
        object.metadata_mut().remove("deletionGracePeriodSeconds");
        object.status_mut().insert("phase".to_owned(), "Terminating".into());
    }

    fn is_returned_when_deleted(&self) -> bool {
        true
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let phase = object.0.get("status").and_then(|status| status["phase"].as_str()).unwrap_or_default();
        vec![object.name().into(), phase.into(), age::cell(object, now)]
    }

    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        let mut wake: Option<i64> = None;
        if transaction.used(Account::Terminating, NAMESPACE_NUMBER, NAMESPACE_NUMBER) > 0 {
            for object in transaction.list(&KIND)?.iter().filter(|object| object.is_being_deleted()) {
                wake = [wake, self.empty(transaction, object)?].into_iter().flatten().min();
            }
        }
        let changed = transaction.changed(&KIND);
        let is_due = |name: &&str| changed.iter().flatten().any(|(_, changed)| changed == name);
        for name in ALWAYS.into_iter().filter(|name| changed.is_none() || is_due(name)) {
            if transaction.get(&KIND, "", name)?.is_none() {
                let json = json!({"apiVersion": "v1", "kind": KIND.name, "metadata": {"name": name}});
                let mut object = Object::from_value(json).unwrap_or_default();
                fill(&mut object);
                transaction.put(&KIND, &mut object)?;
            }
        }
        Ok(wake)
    }
}

impl Namespaces {
    /// Removes the content of a namespace that is being deleted, and then its finalizer. Returns when to look again.
    fn empty(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<Option<i64>, ApiError> {
        if !spec_finalizers(object).contains(&FINALIZER) {
            return Ok(None);
        }
        let since = object.metadata().get("deletionTimestamp").and_then(Value::as_str).and_then(time::parse);
        let end = since.unwrap_or(transaction.now()) + GRACE;
        if transaction.now() < end {
            return Ok(Some(end));
        }
        let left = content::remove(transaction, &self.contents, object.name())?;
        let mut object = object.clone();
        if !left.is_empty() {
            // Every change runs this check again.
            if content::tell(&mut object, &left, transaction.now()) {
                transaction.put(&KIND, &mut object)?;
            }
            return Ok(None);
        }
        let finalizers = spec_finalizers(&object);
        let finalizers: Vec<&str> = finalizers.into_iter().filter(|name| *name != FINALIZER).collect();
        if finalizers.is_empty() && object.finalizers().is_empty() {
            transaction.remove(&KIND, "", object.name())?;
            return Ok(None);
        }
        let finalizers = if finalizers.is_empty() { json!({}) } else { json!({"finalizers": finalizers}) };
        object.0.insert("spec".to_owned(), finalizers);
        transaction.put(&KIND, &mut object)?;
        Ok(None)
    }
}

fn spec_finalizers(object: &Object) -> Vec<&str> {
    let list = object.spec().get("finalizers").and_then(Value::as_array).into_iter().flatten();
    list.filter_map(Value::as_str).collect()
}

/// The fault of `status.phase`, which only the server sets (`ValidateNamespaceStatusUpdate`).
fn phase_fault(object: &Object) -> Option<Cause> {
    let phase = object.0.get("status").map_or(&Value::Null, |status| &status["phase"]);
    let phase = Value::from(phase.as_str().unwrap_or_default());
    let (wanted, why) = if object.is_being_deleted() {
        ("Terminating", "may only be 'Terminating' if `deletionTimestamp` is not empty")
    } else {
        ("Active", "may only be 'Active' if `deletionTimestamp` is empty")
    };
    (phase != wanted).then(|| invalid("status.Phase", &phase, why))
}

/// The faults of `spec.finalizers` (`validateFinalizerName`). `path` makes a finalizer's path from its index, which
/// only some requests show.
fn finalizer_faults(object: &Object, path: fn(usize) -> String) -> Vec<Cause> {
    let names = spec_finalizers(object).into_iter().enumerate();
    names.flat_map(|(index, name)| meta::finalizer_name_faults(name, &path(index))).take(MOST).collect()
}

/// Sets the label, finalizer and phase of a new namespace.
fn fill(object: &mut Object) {
    label(object);
    let mut finalizers: Vec<&str> = spec_finalizers(object);
    if !finalizers.contains(&FINALIZER) {
        finalizers.push(FINALIZER);
    }
    let spec = json!({"finalizers": finalizers});
    object.0.insert("spec".to_owned(), spec);
    object.0.insert("status".to_owned(), json!({"phase": "Active"}));
}

fn label(object: &mut Object) {
    let name = object.name().to_owned();
    let labels = object.metadata_mut().entry("labels").or_insert_with(|| json!({}));
    if !labels.is_object() {
        *labels = json!({});
    }
    labels[NAME_LABEL] = name.into();
}
