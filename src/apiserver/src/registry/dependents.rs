//! Which objects name which owners, so that the garbage collector need not search for them.

use std::collections::{BTreeSet, HashMap};

use serde::Deserialize;

use super::owners::Key;
use crate::accounts::number_of_uid;
use crate::kind::Kind;
use crate::object::Object;
use crate::small_set::SmallSet;

/// The objects by the uids that they name in `metadata.ownerReferences`: at least one for each Service with endpoints.
#[derive(Debug, Default)]
pub(super) struct Dependents(HashMap<u128, SmallSet<Dependent>>);

/// The place of an object, in little memory.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Dependent {
    kind: &'static Kind,
    /// `<namespace>/<name>`; neither has a slash in it.
    place: Box<str>,
}

impl Dependent {
    fn at((kind, namespace, name): &Key) -> Self {
        Self { kind, place: format!("{namespace}/{name}").into() }
    }

    fn key(&self) -> Key {
        let (namespace, name) = self.place.split_once('/').unwrap_or_default();
        (self.kind, namespace.to_owned(), name.to_owned())
    }
}

/// The uids that an object names, each once.
pub(super) fn uids_of(object: &Object) -> BTreeSet<u128> {
    object.owners().filter_map(|owner| number_of_uid(owner["uid"].as_str()?)).collect()
}

/// The same of an object as it is stored. Reads nothing else of it, for at the start there may be many.
///
/// # Errors
/// The text is not an object.
pub(super) fn uids_in(text: &str) -> Result<BTreeSet<u128>, serde_json::Error> {
    let object: Owned = serde_json::from_str(text)?;
    let owners = object.metadata.owner_references.unwrap_or_default();
    Ok(owners.iter().filter_map(|owner| number_of_uid(&owner.uid)).collect())
}

#[derive(Deserialize)]
struct Owned {
    #[serde(default)]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    owner_references: Option<Vec<Owner>>,
}

#[derive(Deserialize)]
struct Owner {
    #[serde(default)]
    uid: String,
}

impl Dependents {
    /// Notes that the object at `key` names these uids.
    pub(super) fn add(&mut self, uids: &BTreeSet<u128>, key: &Key) {
        for uid in uids {
            self.0.entry(*uid).or_default().insert(Dependent::at(key));
        }
    }

    /// Forgets that the object at `key` names these uids.
    pub(super) fn remove(&mut self, uids: &BTreeSet<u128>, key: &Key) {
        for uid in uids {
            let Some(keys) = self.0.get_mut(uid) else { continue };
            keys.remove(&Dependent::at(key));
            if keys.is_empty() {
                self.0.remove(uid);
            }
        }
    }

    /// The objects that name the uid, in the order of their kinds.
    pub(super) fn of(&self, uid: &str) -> impl Iterator<Item = Key> {
        let found = number_of_uid(uid).and_then(|uid| self.0.get(&uid));
        found.into_iter().flat_map(SmallSet::iter).map(Dependent::key)
    }
}
