//! A kind: its names, what may be done with its objects, their fields and columns.
//!
//! The folder of each kind in [`crate::kinds`] has one as a static. A path is resolved to it once (`api::path`);
//! everything behind takes the kind itself.

use std::cmp::Ordering;
use std::fmt;

use serde::Serialize;
use serde_json::{Map, Value};

use super::accounts::Entry;
use super::object::Object;
use super::schema::Type;

/// A kind. Two are equal if they are served under the same path.
#[derive(Clone, Copy)]
pub struct Kind {
    /// The API group, empty for the core.
    pub group: &'static str,
    /// The version of the group.
    pub version: &'static str,
    /// `Service`.
    pub name: &'static str,
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
    /// What may be done with objects.
    pub verbs: &'static [Verb],
    /// The parts of an object that are written on their own, each with what may be done with it.
    pub subresources: &'static [(Subresource, &'static [Verb])],
    /// The columns of its table.
    pub columns: &'static [Column],
    /// The fields that can be selected by, besides name and namespace.
    pub fields: &'static [&'static str],
    /// The fields of an object.
    pub schema: &'static Type,
    /// Whether objects go with their owners, and may be owners (`rest.GarbageCollectionPolicy`).
    pub has_owners: bool,
    /// Where the objects come from.
    pub source: Source,
    /// The warning with every answer about such objects, for kinds that clients should leave.
    pub deprecated: Option<&'static str>,
    /// The numbers that an object takes, for kinds whose objects take any.
    pub numbers: Option<fn(&Object) -> Vec<Entry>>,
}

/// Where the objects of a kind come from.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Source {
    /// The store has them.
    Stored,
    /// The store has them as objects of another kind.
    View(View),
    /// They are found on the machine, kept in memory, and only read.
    Machine,
    /// Each is a question, which is answered and forgotten.
    Question,
    /// There are none, ever.
    Nowhere,
}

impl Kind {
    /// A stored, namespaced kind in version `v1` with these names and fields, and nothing else.
    pub const fn new(
        group: &'static str,
        name: &'static str,
        plural: &'static str,
        singular: &'static str,
        schema: &'static Type,
    ) -> Self {
        Self {
            group,
            version: "v1",
            name,
            plural,
            singular,
            short_names: &[],
            categories: &[],
            namespaced: true,
            verbs: &[],
            subresources: &[],
            columns: &[],
            fields: &[],
            schema,
            has_owners: true,
            source: Source::Stored,
            deprecated: None,
            numbers: None,
        }
    }

    /// `services`, `servicecidrs.networking.k8s.io`.
    pub fn qualified_plural(&self) -> String {
        with_group(self.plural, self.group)
    }

    /// `Service`, `ServiceCIDR.networking.k8s.io`.
    pub fn qualified_name(&self) -> String {
        with_group(self.name, self.group)
    }

    /// `v1`, `networking.k8s.io/v1`.
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_owned()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    /// Whether it is served under these names.
    pub fn is(&self, group: &str, version: &str, plural: &str) -> bool {
        self.path() == (group, version, plural)
    }

    /// The names in its paths.
    fn path(&self) -> (&'static str, &'static str, &'static str) {
        (self.group, self.version, self.plural)
    }

    /// Whether something may be done with an object, or with a part of one.
    pub fn allows(&self, part: Option<Subresource>, verb: Verb) -> bool {
        match part {
            None => self.verbs.contains(&verb),
            Some(_) => {
                self.subresources.iter().any(|(own, verbs)| Some(*own) == part && verbs.contains(&verb))
            }
        }
    }

    /// The part of its objects with this name.
    pub fn subresource(&self, name: &str) -> Option<Subresource> {
        self.subresources.iter().map(|(part, _)| *part).find(|part| part.name() == name)
    }

    /// The view, if the objects are stored as those of another kind.
    pub fn view(&self) -> Option<View> {
        match self.source {
            Source::View(view) => Some(view),
            _ => None,
        }
    }

    /// The kind under which the objects are stored.
    pub fn storage(&'static self) -> &'static Self {
        self.view().map_or(self, |view| view.kind)
    }

    /// The numbers that `object` takes.
    pub fn entries(&self, object: &Object) -> Vec<Entry> {
        self.numbers.map(|numbers| numbers(object)).unwrap_or_default()
    }
}

impl PartialEq for Kind {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other) || self.path() == other.path()
    }
}

impl Eq for Kind {}

impl PartialOrd for Kind {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Kind {
    fn cmp(&self, other: &Self) -> Ordering {
        self.path().cmp(&other.path())
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.qualified_name())
    }
}

fn with_group(name: &str, group: &str) -> String {
    if group.is_empty() { name.to_owned() } else { format!("{name}.{group}") }
}

/// What may be done with objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// POST.
    Create,
    /// DELETE of one object.
    Delete,
    /// DELETE of all objects that a list would have.
    DeleteCollection,
    /// GET of one object.
    Get,
    /// GET of all objects.
    List,
    /// PATCH.
    Patch,
    /// PUT.
    Update,
    /// GET with `watch`.
    Watch,
}

impl Verb {
    /// The name that discovery and the metrics have.
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Delete => "delete",
            Self::DeleteCollection => "deletecollection",
            Self::Get => "get",
            Self::List => "list",
            Self::Patch => "patch",
            Self::Update => "update",
            Self::Watch => "watch",
        }
    }
}

/// A part of an object that is written on its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subresource {
    /// The status.
    Status,
    /// `spec.finalizers` of a Namespace.
    Finalize,
    /// A token of a ServiceAccount.
    Token,
    /// The node of a Pod.
    Binding,
    /// The end of a Pod that may be put off.
    Eviction,
}

impl Subresource {
    /// The last part of its path.
    pub fn name(self) -> &'static str {
        match self {
            Self::Status => "status",
            Self::Finalize => "finalize",
            Self::Token => "token",
            Self::Binding => "binding",
            Self::Eviction => "eviction",
        }
    }

    /// Whether it is asked for with an object of another kind, and not stored.
    pub fn is_request(self) -> bool {
        matches!(self, Self::Token | Self::Binding | Self::Eviction)
    }
}

/// A column of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Column {
    /// Its heading, in mixed case as the API server writes it.
    pub name: &'static str,
    /// `string`, `integer`.
    pub kind: &'static str,
    /// `name` for the column of names, else empty.
    pub format: &'static str,
    /// The text that `kubectl explain` shows.
    pub description: &'static str,
    /// 0 for columns that are always shown, 1 for those of `-o wide`.
    pub priority: u8,
}

/// How objects of a kind are stored as those of another kind, with other names for some of their fields.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct View {
    /// The kind that is stored.
    pub kind: &'static Kind,
    /// The fields that have another name here, each with its name there.
    pub fields: &'static [(&'static str, &'static str)],
}

impl View {
    /// Turns an object of this kind, or a part of one, into the stored form.
    pub fn to_stored(self, object: &mut Object) {
        let there = self.fields.iter().map(|(here, there)| (*here, *there));
        rename(object, there, self.kind);
    }

    /// The stored form of a part of an object of this kind.
    pub fn stored(self, part: &Map<String, Value>) -> Map<String, Value> {
        let mut object = Object(part.clone());
        self.to_stored(&mut object);
        object.0
    }

    /// A copy of a stored object, as an object of `kind`.
    pub fn shown(self, stored: &Object, kind: &Kind) -> Object {
        let mut object = stored.clone();
        self.to_shown(&mut object, kind);
        object
    }

    /// Turns a stored object into one of `kind`.
    pub fn to_shown(self, object: &mut Object, kind: &Kind) {
        let here = self.fields.iter().map(|(here, there)| (*there, *here));
        rename(object, here, kind);
    }
}

fn rename(object: &mut Object, names: impl Iterator<Item = (&'static str, &'static str)>, kind: &Kind) {
    for (from, to) in names {
        if let Some(value) = object.0.remove(from) {
            object.0.insert(to.to_owned(), value);
        }
    }
    object.0.insert("apiVersion".to_owned(), kind.api_version().into());
}
