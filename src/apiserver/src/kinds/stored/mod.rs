//! Kinds that are stored as clients write them. Each is a [`Shape`]: its fields are checked against Kubernetes' own tables
//! ([`crate::schema::published`]), and its rules are the few that clients notice.
//!
//! They are served with `--nodes=stored` only, for tests of programs that a cluster's API server would serve.

pub(crate) mod account;
mod everywhere;
mod lease;
mod manifest;
mod node;
mod pod;
#[cfg(test)]
mod published_tests;
pub(crate) mod rbac;
mod rollout;
mod workload;

use serde_json::Value;

use super::meta::{self, NameRule};
use super::{Config, age, namespace};
use crate::kind::{Kind, Subresource};
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::schema::tidy;
use crate::status::{ApiError, Cause};

/// All of them, in the order in which discovery has them.
const ALL: &[&Shape] = &[
    &node::SHAPE,
    &pod::SHAPE,
    &lease::SHAPE,
    &account::SHAPE,
    &manifest::CONFIG_MAP_SHAPE,
    &workload::DAEMON_SET_SHAPE,
    &workload::DEPLOYMENT_SHAPE,
    &manifest::PRIORITY_CLASS_SHAPE,
    &manifest::RUNTIME_CLASS_SHAPE,
    &rbac::CLUSTER_ROLE_SHAPE,
    &rbac::ROLE_SHAPE,
    &rbac::CLUSTER_ROLE_BINDING_SHAPE,
    &rbac::ROLE_BINDING_SHAPE,
];

/// The rules of all of them.
pub(super) fn resources(config: &Config) -> impl Iterator<Item = Box<dyn Resource>> {
    ALL.iter().map(|shape| {
        let everywhere = shape.everywhere.map(|object| object(config));
        Box::new(Stored { shape, everywhere }) as Box<dyn Resource>
    })
}

/// Decides about an object that may replace another one.
type Allowed = fn(&mut dyn Transaction, &Object, Option<&Object>) -> Result<(), ApiError>;

/// The rules of a kind. `..Shape::new(&KIND)` fills in the usual ones.
struct Shape {
    kind: &'static Kind,
    /// Which names objects may have.
    name: NameRule,
    /// Whether finalizers need no domain, as where the kind's rules leave their names to the API machinery.
    has_any_finalizer: bool,
    /// Whether `metadata.generation` counts the changes of everything but the metadata and the status.
    has_generation: bool,
    /// Whether it counts changes of the annotations as well.
    counts_annotations: bool,
    /// Whether PUT creates an object that is not there.
    may_be_created_by_update: bool,
    /// Whether PUT has to say which version it replaces.
    needs_version: bool,
    /// Whether the answer to a deletion is the object.
    is_returned_when_deleted: bool,
    /// Prepares a new object, before defaults are filled in. Usually removes the status if that is written on its own.
    begin: fn(&mut Object),
    /// Fills in defaults.
    fill: fn(&mut Object),
    /// Refuses or completes a new object by others, as admission plugins do. The object has its defaults.
    admit: fn(&mut dyn Transaction, &mut Object) -> Result<(), ApiError>,
    /// Takes over what a client that replaces an object need not say.
    keep: fn(&mut Object, &Object),
    /// Takes over what a client that writes the status cannot change, besides everything but the metadata.
    keep_in_status: fn(&mut Object, &Object),
    /// The faults of an object, which may replace another one, besides those of its metadata.
    faults: fn(&Object, Option<&Object>) -> Vec<Cause>,
    /// Warnings about an object, which may replace another one.
    warnings: fn(&Object, Option<&Object>) -> Vec<String>,
    /// Refuses a valid object if the author of the change may not write it.
    allowed: Allowed,
    /// Why an object may not be deleted at all.
    fixed: fn(&Object) -> Option<&'static str>,
    /// The seconds that a deleted object may take to end; the number is what the client asked for.
    grace: Option<fn(&Object, Option<i64>) -> i64>,
    /// The cells of its row, one for each column.
    cells: fn(&Object, i64) -> Vec<Value>,
    /// The conditions of its row.
    row_conditions: fn(&Object) -> Vec<Value>,
    /// The object that each namespace has.
    everywhere: Option<fn(&Config) -> Object>,
    /// The objects that a start makes where they are missing.
    at_start: Option<fn() -> Vec<Object>>,
}

impl Shape {
    /// A kind without rules of its own: objects have DNS names, and a table of names and ages.
    const fn new(kind: &'static Kind) -> Self {
        Self {
            kind,
            name: meta::subdomain,
            has_any_finalizer: false,
            has_generation: false,
            counts_annotations: false,
            may_be_created_by_update: false,
            needs_version: false,
            is_returned_when_deleted: false,
            begin: if has_status(kind) { without_status } else { |_| {} },
            fill: |_| {},
            admit: |_, _| Ok(()),
            keep: |_, _| {},
            keep_in_status: |_, _| {},
            faults: |_, _| Vec::new(),
            warnings: |_, _| Vec::new(),
            allowed: |_, _, _| Ok(()),
            fixed: |_| None,
            grace: None,
            cells: |object, now| vec![object.name().into(), age::cell(object, now)],
            row_conditions: |_| Vec::new(),
            everywhere: None,
            at_start: None,
        }
    }
}

/// The rules of a kind that is stored as clients write it.
struct Stored {
    shape: &'static Shape,
    /// See [`Shape::everywhere`].
    everywhere: Option<Object>,
}

impl Stored {
    /// Leaves out what Go leaves out, and fills in defaults.
    fn prepare(&self, object: &mut Object) {
        tidy::structure(&mut object.0, self.shape.kind.schema);
        (self.shape.fill)(object);
    }

    fn check(&self, object: &Object, old: Option<&Object>) -> Result<(), ApiError> {
        let mut faults = match old {
            None => meta::common_faults(object, self.shape.name),
            Some(old) => meta::change_faults(object, old),
        };
        if !self.shape.has_any_finalizer {
            faults.extend(meta::finalizer_kind_faults(object));
        }
        faults.extend((self.shape.faults)(object, old));
        meta::checked(self.shape.kind, object, &faults)
    }
}

impl Resource for Stored {
    fn kind(&self) -> &'static Kind {
        self.shape.kind
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        if self.shape.kind.namespaced {
            namespace::must_exist(transaction, self.shape.kind, object)?;
        }
        (self.shape.begin)(object);
        self.prepare(object);
        (self.shape.admit)(transaction, object)?;
        if self.shape.has_generation {
            object.metadata_mut().insert("generation".to_owned(), 1.into());
        }
        self.check(object, None)?;
        (self.shape.allowed)(transaction, object, None)
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        if has_status(self.shape.kind) {
            take_over(object, old, "status");
        }
        self.prepare(object);
        (self.shape.keep)(object, old);
        self.check(object, Some(old))?;
        (self.shape.allowed)(transaction, object, Some(old))?;
        let annotations = |object: &Object| object.metadata().get("annotations").cloned();
        let is_annotated = self.shape.counts_annotations && annotations(object) != annotations(old);
        if self.shape.has_generation && (is_annotated || !is_same_but_metadata(object, old)) {
            let before = old.metadata().get("generation").and_then(Value::as_i64).unwrap_or_default();
            object.metadata_mut().insert("generation".to_owned(), before.saturating_add(1).into());
        }
        Ok(())
    }

    fn update_part(
        &self,
        _: &mut dyn Transaction,
        part: Subresource,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        if part.is_request() {
            // The request was checked; what it changes is not the client's word.
            return Ok(());
        }
        object.keep_only("status", old);
        self.prepare(object);
        (self.shape.keep)(object, old);
        (self.shape.keep_in_status)(object, old);
        self.check(object, Some(old))
    }

    fn may_delete(&self, object: &Object) -> Result<(), ApiError> {
        let refused = |why| Err(ApiError::forbidden(self.shape.kind, object.name(), why));
        (self.shape.fixed)(object).map_or(Ok(()), refused)
    }

    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        (self.shape.warnings)(object, old)
    }

    fn grace(&self, object: &Object, asked: Option<i64>) -> Option<i64> {
        self.shape.grace.map(|grace| grace(object, asked))
    }

    fn is_held(&self, object: &Object) -> bool {
        self.shape.grace.is_some() && object.deletion_grace() > Some(0)
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        (self.shape.cells)(object, now)
    }

    fn row_conditions(&self, object: &Object) -> Vec<Value> {
        (self.shape.row_conditions)(object)
    }

    fn may_be_created_by_update(&self) -> bool {
        self.shape.may_be_created_by_update
    }

    fn needs_version(&self) -> bool {
        self.shape.needs_version
    }

    fn is_returned_when_deleted(&self) -> bool {
        self.shape.is_returned_when_deleted
    }

    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        if let Some(object) = &self.everywhere {
            everywhere::keep(transaction, self.shape.kind, object)?;
        }
        if let Some(objects) = self.shape.at_start {
            everywhere::begin(transaction, self.shape.kind, objects)?;
        }
        Ok(None)
    }
}

/// Whether the status is written on its own. It is the last of an object's parts.
const fn has_status(kind: &Kind) -> bool {
    matches!(kind.subresources, [.., (Subresource::Status, _)])
}

fn without_status(object: &mut Object) {
    object.0.remove("status");
}

/// Gives `object` the member `part` of `old`.
fn take_over(object: &mut Object, old: &Object, part: &str) {
    match old.0.get(part) {
        Some(value) => object.0.insert(part.to_owned(), value.clone()),
        None => object.0.remove(part),
    };
}

fn is_same_but_metadata(one: &Object, other: &Object) -> bool {
    let rest = |(key, _): &(&String, &Value)| *key != "metadata";
    one.0.iter().filter(rest).eq(other.0.iter().filter(rest))
}
