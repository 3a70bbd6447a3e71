//! What a kind does when an object changes, and the transaction in which it does it.

use ipnet::IpNet;
use serde_json::Value;

use super::accounts::Account;
use super::kind::{Kind, Subresource};
use super::object::Object;
use super::status::ApiError;

/// What a kind does when one of its objects changes. Everything happens inside one transaction: an error leaves
/// nothing, and so does a dry run.
pub trait Resource: Send + Sync {
    /// The kind whose objects these are.
    fn kind(&self) -> &'static Kind;

    /// Fills in what is left open, checks what is given, and allocates, before `object` is stored for the first time.
    /// Metadata (name, uid, creationTimestamp) is there already. Kinds that are only read have no such thing.
    ///
    /// # Errors
    /// What the API server would answer.
    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        let _ = (transaction, object);
        Err(ApiError::method_not_allowed())
    }

    /// The same before `object` takes the place of `old`. Metadata that nobody may change has been taken from `old`.
    ///
    /// # Errors
    /// What the API server would answer.
    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let _ = (transaction, object, old);
        Err(ApiError::method_not_allowed())
    }

    /// The same before a part of `object` takes the place of that part of `old`. What else was sent is not kept.
    ///
    /// # Errors
    /// What the API server would answer.
    fn update_part(
        &self,
        transaction: &mut dyn Transaction,
        part: Subresource,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let _ = (transaction, part, object, old);
        Err(ApiError::no_such_path())
    }

    /// What the client is to be told about `object`, which it creates, or makes of `old`: called when `object` has been
    /// filled in and found valid. In the words of the kind's `WarningsOnCreate` and `WarningsOnUpdate`.
    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let _ = (object, old);
        Vec::new()
    }

    /// The answer to `object`, for kinds whose objects are questions ([`crate::kind::Source::Question`]).
    ///
    /// # Errors
    /// What the API server would answer.
    fn answer(&self, object: &Object) -> Result<Object, ApiError> {
        let _ = object;
        Err(ApiError::method_not_allowed())
    }

    /// What goes with `object`, which is about to be removed for good: its finalizers are done.
    ///
    /// # Errors
    /// What the API server would answer.
    fn delete(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let _ = (transaction, object);
        Ok(())
    }

    /// The cells of its row in a table, one for each column; `now` is in seconds since 1970.
    fn cells(&self, object: &Object, now: i64) -> Vec<Value>;

    /// What follows from the removal of `gone`: called right after [`Self::delete`] and the removal of each, in the same
    /// transaction.
    ///
    /// # Errors
    /// What the API server would answer.
    fn deleted(&self, transaction: &mut dyn Transaction, gone: &[Object]) -> Result<(), ApiError> {
        let _ = (transaction, gone);
        Ok(())
    }

    /// What follows from a change of `old` to `object`, which is stored: called right after that, in the same transaction.
    ///
    /// # Errors
    /// What the API server would answer.
    fn updated(
        &self,
        transaction: &mut dyn Transaction,
        object: &Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let _ = (transaction, object, old);
        Ok(())
    }

    /// Whether `object` may be deleted at all.
    ///
    /// # Errors
    /// `Forbidden`.
    fn may_delete(&self, object: &Object) -> Result<(), ApiError> {
        let _ = object;
        Ok(())
    }

    /// Whether `object`, which is to be deleted, stays even when it has no finalizer in its metadata any more.
    fn is_held(&self, object: &Object) -> bool {
        let _ = object;
        false
    }

    /// Says in `object` that its deletion has begun, besides in its metadata.
    fn mark_deleted(&self, object: &mut Object) {
        let _ = object;
    }

    /// Whether an update of an object that is not there creates it (`AllowCreateOnUpdate`).
    fn may_be_created_by_update(&self) -> bool {
        false
    }

    /// Whether a deletion is answered with the object that is gone, and not with a `Status` (`ReturnDeletedObject`).
    fn is_returned_when_deleted(&self) -> bool {
        false
    }

    /// All objects by namespace and name, with all of their metadata, for kinds whose objects are found on the machine
    /// ([`crate::kind::Source::Machine`]).
    fn found(&self) -> Vec<Object> {
        Vec::new()
    }

    /// Brings what follows from all objects up to date: called in the same transaction after every change, and at the
    /// time that the last call gave, in seconds since 1970. Has to cost nothing where nothing is to be done.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        let _ = transaction;
        Ok(None)
    }
}

/// How an address came to be asked for, in the words of Kubernetes' metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Any address would do.
    Dynamic,
    /// This one was wanted.
    Static,
}

/// One attempt to get an address, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Allocation {
    /// The block that was asked.
    pub network: IpNet,
    /// How.
    pub scope: Scope,
    /// Whether it gave an address.
    pub succeeded: bool,
}

/// The objects as a change sees them, and changes them.
pub trait Transaction {
    /// Whether nothing of this will be kept.
    fn is_dry_run(&self) -> bool;

    /// The API group by which this change was asked for; empty for the core, and where nobody asked.
    fn group(&self) -> &'static str {
        ""
    }

    /// The time of this change, in seconds since 1970.
    fn now(&self) -> i64;

    /// A number below `bound`, at random; `bound` is not 0.
    fn random(&mut self, bound: u128) -> u128;

    /// The lowest number from `first` to `last`, both included, that is not in use by the objects as they are now in this
    /// transaction. Costs the logarithm of what is in use.
    fn free(&mut self, account: Account, first: u128, last: u128) -> Option<u128>;

    /// How many numbers from `first` to `last` are in use.
    fn used(&mut self, account: Account, first: u128, last: u128) -> u128;

    /// Counts an attempt to get an address, whatever becomes of the change; not in a dry run.
    fn count(&mut self, allocation: Allocation) {
        let _ = allocation;
    }

    /// An object; the namespace is empty for kinds without one.
    ///
    /// # Errors
    /// The store cannot be read.
    fn get(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Option<Object>, ApiError>;

    /// All objects of a kind, by namespace and name.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&mut self, kind: &'static Kind) -> Result<Vec<Object>, ApiError>;

    /// The objects of a kind in one namespace, by name. Costs nothing for those elsewhere.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list_in(&mut self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, ApiError>;

    /// Stores an object of a kind whose own rules are not asked: `create` and `update` call this for *other* objects
    /// (a Service for its IPAddresses). It gets a resource version and, where it is new, a uid and a time.
    ///
    /// # Errors
    /// The store cannot be written.
    fn put(&mut self, kind: &'static Kind, object: &mut Object) -> Result<(), ApiError>;

    /// Removes an object, if it is there, without asking its kind.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remove(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<(), ApiError>;
}
