//! What a kind does when an object changes, and the transaction in which it does it.

use ipnet::IpNet;
use serde_json::Value;

use super::accounts::Account;
use super::auth::{Judge, User};
use super::kind::{Kind, Subresource};
use super::object::Object;
use super::status::ApiError;

/// The rules of a kind. A change happens inside one transaction: an error undoes all of it, and so does a dry run.
pub trait Resource: Send + Sync {
    /// The kind whose objects these are.
    fn kind(&self) -> &'static Kind;

    /// Sets defaults, validates and allocates, before `object` is stored for the first time. Name, uid and
    /// creationTimestamp are set already.
    ///
    /// # Errors
    /// The answer that the API server gives.
    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        let _ = (transaction, object);
        Err(ApiError::method_not_allowed())
    }

    /// Does the same before `object` replaces `old`. Immutable metadata has been copied from `old`.
    ///
    /// # Errors
    /// The answer that the API server gives.
    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let _ = (transaction, object, old);
        Err(ApiError::method_not_allowed())
    }

    /// Does the same before a part of `object` replaces that part of `old`. Keeps the rest of `old`.
    ///
    /// # Errors
    /// The answer that the API server gives.
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

    /// Warnings about `object`, which the client creates, or changes from `old`. Called after validation; the texts are
    /// those of the kind's `WarningsOnCreate` and `WarningsOnUpdate`.
    fn warnings(&self, object: &Object, old: Option<&Object>) -> Vec<String> {
        let _ = (object, old);
        Vec::new()
    }

    /// Warnings about a part of `object` that was written.
    fn part_warnings(&self, object: &Object) -> Vec<String> {
        let _ = object;
        Vec::new()
    }

    /// The answer to `object`, for kinds whose objects are questions ([`crate::kind::Source::Question`]).
    ///
    /// # Errors
    /// The answer that the API server gives.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        let _ = (judge, object);
        Err(ApiError::method_not_allowed())
    }

    /// Removes what belongs to `object`, which is about to be removed and has no finalizers left.
    ///
    /// # Errors
    /// The answer that the API server gives.
    fn delete(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let _ = (transaction, object);
        Ok(())
    }

    /// The cells of the object's row in a table, one for each column; `now` is in seconds since 1970.
    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let _ = (object, now);
        Vec::new()
    }

    /// The conditions of the object's row in a table.
    fn row_conditions(&self, object: &Object) -> Vec<Value> {
        let _ = object;
        Vec::new()
    }

    /// Follows up on the removal of `gone`. Called right after the removal, in the same transaction.
    ///
    /// # Errors
    /// The answer that the API server gives.
    fn deleted(&self, transaction: &mut dyn Transaction, gone: &[Object]) -> Result<(), ApiError> {
        let _ = (transaction, gone);
        Ok(())
    }

    /// Follows up on a change of `old` to `object`. Called right after `object` was stored, in the same transaction.
    ///
    /// # Errors
    /// The answer that the API server gives.
    fn updated(
        &self,
        transaction: &mut dyn Transaction,
        object: &Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let _ = (transaction, object, old);
        Ok(())
    }

    /// Checks whether `object` may be deleted at all.
    ///
    /// # Errors
    /// `Forbidden`.
    fn may_delete(&self, object: &Object) -> Result<(), ApiError> {
        let _ = object;
        Ok(())
    }

    /// Whether `object` stays while it is being deleted, though its metadata has no finalizer.
    fn is_held(&self, object: &Object) -> bool {
        let _ = object;
        false
    }

    /// The seconds that `object` may take to end once it is deleted; `asked` is what the client asked for. `None` for
    /// kinds whose objects end at once.
    fn grace(&self, object: &Object, asked: Option<i64>) -> Option<i64> {
        let _ = (object, asked);
        None
    }

    /// Notes in `object` that its deletion has begun, besides in its metadata.
    fn mark_deleted(&self, object: &mut Object) {
        let _ = object;
    }

    /// Whether an update of a missing object creates it (`AllowCreateOnUpdate`).
    fn may_be_created_by_update(&self) -> bool {
        false
    }

    /// Whether an update has to say which version it replaces (the opposite of `AllowUnconditionalUpdate`).
    fn needs_version(&self) -> bool {
        false
    }

    /// Whether a deletion is answered with the deleted object instead of a `Status` (`ReturnDeletedObject`).
    fn is_returned_when_deleted(&self) -> bool {
        false
    }

    /// Brings everything that depends on several objects up to date. Called in the same transaction after every change, and
    /// at the time that the last call returned, in seconds since 1970. Must be cheap if there is nothing to do.
    ///
    /// # Errors
    /// The store cannot be read or written.
    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        let _ = transaction;
        Ok(None)
    }
}

/// Whether the client asked for a certain address. The names are those of Kubernetes' metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// No.
    Dynamic,
    /// Yes.
    Static,
}

/// An attempt to allocate an address, for the metrics.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Allocation {
    /// The block that was tried.
    pub network: IpNet,
    /// Whether a certain address was asked for.
    pub scope: Scope,
    /// Whether the block had an address.
    pub succeeded: bool,
}

/// The objects, as one change sees and changes them.
pub trait Transaction {
    /// Whether the change is undone even if it succeeds.
    fn is_dry_run(&self) -> bool;

    /// The API group in the request's path; empty for the core and for the server's own changes.
    fn group(&self) -> &'static str {
        ""
    }

    /// The user who asks for the change, if roles decide what users may do; `None` for the server's own changes.
    fn author(&self) -> Option<&User> {
        None
    }

    /// The time of this change, in seconds since 1970.
    fn now(&self) -> i64;

    /// A number below `bound`, at random; `bound` is not 0.
    fn random(&mut self, bound: u128) -> u128;

    /// The lowest number from `first` to `last`, both included, that no object uses in this transaction. Takes logarithmic
    /// time.
    fn free(&mut self, account: Account, first: u128, last: u128) -> Option<u128>;

    /// How many numbers from `first` to `last` are in use.
    fn used(&mut self, account: Account, first: u128, last: u128) -> u128;

    /// Counts an attempt to allocate an address, even if the change fails; not in a dry run.
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

    /// The objects of a kind in one namespace, by name. Does not read other namespaces.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list_in(&mut self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, ApiError>;

    /// The objects of a kind that this transaction has changed so far, by namespace and name. `None` where there is no change
    /// to follow up on, as at the start: then any object may have to be looked at.
    fn changed(&self, kind: &Kind) -> Option<Vec<(String, String)>> {
        let _ = kind;
        None
    }

    /// Whether there may be something to follow up on in objects of a kind.
    fn may_have_changed(&self, kind: &Kind) -> bool {
        self.changed(kind).is_none_or(|names| !names.is_empty())
    }

    /// Stores an object without calling the rules of its kind: `create` and `update` use this for *other* objects (a Service
    /// for its IPAddresses). Sets the resource version and, for a new object, uid and creationTimestamp.
    ///
    /// # Errors
    /// The store cannot be written.
    fn put(&mut self, kind: &'static Kind, object: &mut Object) -> Result<(), ApiError>;

    /// Removes what the store has of a kind in a namespace. The kind is not served, so nothing follows from it.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remove_unserved(&mut self, kind: &'static Kind, namespace: &str) -> Result<(), ApiError> {
        let _ = (kind, namespace);
        Ok(())
    }

    /// Removes an object, if there is one, without calling the rules of its kind.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remove(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<(), ApiError>;
}
