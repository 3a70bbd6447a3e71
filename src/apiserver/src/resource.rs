//! What tells one kind from another: names, versions, columns, and what happens when an object changes.

use ipnet::IpNet;
use serde_json::{Map, Value};

use super::object::Object;
use super::status::ApiError;

/// The names of a kind, as discovery tells them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResourceInfo {
    /// The API group, empty for the core.
    pub group: &'static str,
    /// Its version.
    pub version: &'static str,
    /// `Service`.
    pub kind: &'static str,
    /// `services`.
    pub plural: &'static str,
    /// `service`.
    pub singular: &'static str,
    /// `svc`.
    pub short_names: &'static [&'static str],
    /// `all`, for kinds that `kubectl get all` lists.
    pub categories: &'static [&'static str],
    /// Whether objects are in namespaces.
    pub namespaced: bool,
    /// What may be done.
    pub verbs: &'static [&'static str],
    /// The columns of its table.
    pub columns: &'static [Column],
    /// The fields that can be selected by, besides name and namespace.
    pub fields: &'static [&'static str],
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading, in mixed case as the API server writes it.
    pub name: &'static str,
    /// `string`, `integer`.
    pub kind: &'static str,
    /// `name` for the name's, else empty.
    pub format: &'static str,
    /// What it is, as `kubectl explain` has it.
    pub description: &'static str,
    /// 0 for columns that are always shown, 1 for those of `-o wide`.
    pub priority: u8,
}

impl ResourceInfo {
    /// `services`, `servicecidrs.networking.k8s.io`.
    pub fn qualified_plural(&self) -> String {
        with_group(self.plural, self.group)
    }

    /// `Service`, `ServiceCIDR.networking.k8s.io`.
    pub fn qualified_kind(&self) -> String {
        with_group(self.kind, self.group)
    }

    /// `v1`, `networking.k8s.io/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }
}

fn with_group(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// A part of an object that is written on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// `status`.
    Status,
    /// `finalize`: `spec.finalizers` of a Namespace.
    Finalize,
}

/// A kind whose objects are those of another kind, which stores them, with other names for some of their fields.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// The kind that stores them; it has the same `plural`.
    pub info: &'static ResourceInfo,
    /// The fields that have another name here, each with its name there.
    pub fields: &'static [(&'static str, &'static str)],
}

impl View {
    /// Makes an object of this kind, or a part of one, what is stored.
    pub fn to_stored(self, object: &mut Object) {
        let there = self.fields.iter().map(|(here, there)| (*here, *there));
        rename(object, there, self.info);
    }

    /// What is stored for a part of an object of this kind.
    pub fn stored(self, part: &Map<String, Value>) -> Map<String, Value> {
        let mut object = Object(part.clone());
        self.to_stored(&mut object);
        object.0
    }

    /// What is stored as an object of the kind `info`.
    pub fn shown(self, stored: &Object, info: &ResourceInfo) -> Object {
        let mut object = stored.clone();
        self.to_shown(&mut object, info);
        object
    }

    /// Makes what is stored an object of the kind `info`.
    pub fn to_shown(self, object: &mut Object, info: &ResourceInfo) {
        let here = self.fields.iter().map(|(here, there)| (*there, *here));
        rename(object, here, info);
    }
}

fn rename(
    object: &mut Object,
    names: impl Iterator<Item = (&'static str, &'static str)>,
    info: &ResourceInfo,
) {
    for (from, to) in names {
        if let Some(value) = object.0.remove(from) {
            object.0.insert(to.to_owned(), value);
        }
    }
    object.0.insert("apiVersion".to_owned(), info.api_version().into());
}

/// What a kind does when one of its objects changes. Everything happens inside one transaction: an error leaves
/// nothing, and so does a dry run.
pub trait Resource: Send + Sync {
    /// Its names and columns.
    fn info(&self) -> &'static ResourceInfo;

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

    /// The same about a part of `object` that was written.
    fn part_warnings(&self, object: &Object) -> Vec<String> {
        let _ = object;
        Vec::new()
    }

    /// What stores the objects, where that is another kind.
    fn view(&self) -> Option<View> {
        None
    }

    /// The answer to `object`, for kinds of which nothing is stored: reviews, which ask something of the server.
    fn review(&self, object: &Object) -> Option<Result<Object, ApiError>> {
        let _ = object;
        None
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

    /// What follows from the removal of `object`, which is gone from the store: called right after [`Self::delete`] and
    /// the removal, in the same transaction.
    ///
    /// # Errors
    /// What the API server would answer.
    fn deleted(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let _ = (transaction, object);
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

    /// Whether objects go with their owners, and may be owners (`rest.GarbageCollectionPolicy`).
    fn has_owners(&self) -> bool {
        true
    }

    /// Whether an update of an object that is not there creates it (`AllowCreateOnUpdate`).
    fn may_be_created_by_update(&self) -> bool {
        false
    }

    /// Whether a deletion is answered with the object that is gone, and not with a `Status` (`ReturnDeletedObject`).
    fn is_returned_when_deleted(&self) -> bool {
        false
    }

    /// All objects of a kind that is not in the store but found on the machine (Nodes, Pods), by namespace and name,
    /// with all of their metadata; `None` for kinds that are stored. Such kinds are only read.
    fn list_virtual(&self) -> Option<Vec<Object>> {
        None
    }

    /// Whether objects are found on the machine, and not stored.
    fn is_virtual(&self) -> bool {
        false
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

/// What the registry keeps account of, so that nothing has to be searched for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// IPv4 addresses that IPAddresses name.
    V4,
    /// IPv6 addresses that IPAddresses name.
    V6,
    /// `spec.ports[].nodePort` of Services, and `spec.healthCheckNodePort`.
    NodePort,
    /// IPv4 addresses in `status.loadBalancer.ingress` of Services.
    LoadBalancerV4,
    /// IPv6 addresses there.
    LoadBalancerV6,
    /// The families, 4 or 6, of which Services wait for an address there.
    Waiting,
    /// 0, where a Namespace is being deleted.
    Terminating,
    /// The uids of owners, in `metadata.ownerReferences` of objects of all kinds.
    Owner,
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
    fn get(&mut self, plural: &str, namespace: &str, name: &str) -> Result<Option<Object>, ApiError>;

    /// All objects of a kind, by namespace and name.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list(&mut self, plural: &str) -> Result<Vec<Object>, ApiError>;

    /// The objects of a kind in one namespace, by name. Costs nothing for those elsewhere.
    ///
    /// # Errors
    /// The store cannot be read.
    fn list_in(&mut self, plural: &str, namespace: &str) -> Result<Vec<Object>, ApiError>;

    /// Stores an object of a kind whose own rules are not asked: `create` and `update` call this for *other* objects
    /// (a Service for its IPAddresses). It gets a resource version and, where it is new, a uid and a time.
    ///
    /// # Errors
    /// The store cannot be written.
    fn put(&mut self, plural: &str, object: &mut Object) -> Result<(), ApiError>;

    /// Removes an object, if it is there, without asking its kind.
    ///
    /// # Errors
    /// The store cannot be written.
    fn remove(&mut self, plural: &str, namespace: &str, name: &str) -> Result<(), ApiError>;
}
