//! Reading: one object, or a list in pieces.

use std::sync::PoisonError;

use super::Registry;
use crate::serve::object::Object;
use crate::serve::selector::Selector;
use crate::serve::status::ApiError;
use crate::serve::store::{Store, Stored};

/// Which objects are meant.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// Those of one namespace, or of all.
    pub namespace: Option<String>,
    /// By labels and fields.
    pub selector: Selector,
    /// At most so many; 0 for all.
    pub limit: u64,
    /// What the list before this one ended with.
    pub continue_token: String,
}

/// A list of objects, or a piece of it.
#[derive(Debug, Clone)]
pub struct List {
    /// The objects, by namespace and name.
    pub items: Vec<Stored>,
    /// The resource version at which they are so.
    pub resource_version: u64,
    /// For the next piece, where there is more.
    pub continue_token: Option<String>,
    /// How many there are behind this piece, where that is known.
    pub remaining: Option<u64>,
}

/// So many objects are read at a time where a selector leaves some out.
const CHUNK: i64 = 500;

impl Registry {
    /// An object.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, plural: &'static str, namespace: &str, name: &str) -> Result<Stored, ApiError> {
        let resource = &self.resources()[self.index(plural)?];
        let found = match resource.list_virtual() {
            Some(all) => {
                let is_it = |object: &&Object| object.namespace() == namespace && object.name() == name;
                all.iter().find(is_it).map(Stored::of).transpose()?
            }
            None => self.read(|store| store.get(plural, namespace, name))?,
        };
        found.ok_or_else(|| ApiError::not_found(resource.info(), name))
    }

    /// The objects that a query means.
    ///
    /// # Errors
    /// `BadRequest` for a token that is none.
    pub fn list(&self, plural: &'static str, query: &ListQuery) -> Result<List, ApiError> {
        let token = match query.continue_token.as_str() {
            "" => None,
            token => {
                Some(Token::parse(token).ok_or_else(|| ApiError::bad_request("continue key is not valid"))?)
            }
        };
        if let Some(all) = self.found(plural, query)? {
            // There are as many as pods fit on one machine: they come in one piece.
            let items = all.iter().map(Stored::of).collect::<Result<_, _>>()?;
            let resource_version = self.resource_version();
            return Ok(List { items, resource_version, continue_token: None, remaining: None });
        }
        self.read(|store| {
            // One snapshot for the version and everything in the list.
            let snapshot = store.db.unchecked_transaction()?;
            let list = pieces(store, plural, query, token);
            snapshot.finish()?;
            list
        })
    }

    /// The objects that a query means, of a kind that is found on the machine; `None` for kinds that are stored.
    ///
    /// # Errors
    /// No such kind.
    pub fn found(&self, plural: &'static str, query: &ListQuery) -> Result<Option<Vec<Object>>, ApiError> {
        let found = self.resources()[self.index(plural)?].list_virtual();
        let is_meant = |object: &Object| {
            query.namespace.as_ref().is_none_or(|namespace| namespace == object.namespace())
                && query.selector.matches(object)
        };
        Ok(found.map(|all| all.into_iter().filter(is_meant).collect()))
    }

    fn read<T>(&self, work: impl FnOnce(&Store) -> rusqlite::Result<T>) -> Result<T, ApiError> {
        let store = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        work(&store).map_err(ApiError::internal)
    }
}

fn pieces(store: &Store, plural: &str, query: &ListQuery, token: Option<Token>) -> rusqlite::Result<List> {
    let version = token.as_ref().map_or_else(|| store.version(), |token| Ok(token.version))?;
    let namespace = query.namespace.as_deref();
    let limit = usize::try_from(query.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let (mut after, seen) = token.map_or_else(Default::default, |token| (token.after, token.seen));
    let mut items: Vec<Stored> = Vec::new();
    loop {
        let chunk = store.list(plural, namespace, (&after.0, &after.1), CHUNK)?;
        let is_last = i64::try_from(chunk.len()).is_ok_and(|len| len < CHUNK);
        for stored in chunk {
            let object = stored.object();
            let is_meant = query.selector.is_everything() || query.selector.matches(&object);
            if is_meant && items.len() == limit {
                let seen = seen.saturating_add(items.len() as u64);
                let total =
                    if query.selector.is_everything() { Some(store.count(plural, namespace)?) } else { None };
                let token = Token { version, after, seen };
                let remaining = total.map(|total| total.saturating_sub(seen));
                return Ok(List {
                    items,
                    resource_version: version,
                    continue_token: Some(token.to_text()),
                    remaining,
                });
            }
            after = (object.namespace().to_owned(), object.name().to_owned());
            if is_meant {
                items.push(stored);
            }
        }
        if is_last {
            return Ok(List { items, resource_version: version, continue_token: None, remaining: None });
        }
    }
}

/// Where a list was interrupted. The pieces are of the objects as they are when each is asked for.
struct Token {
    version: u64,
    after: (String, String),
    seen: u64,
}

impl Token {
    /// `<version>.<seen>.<namespace>/<name>`
    fn to_text(&self) -> String {
        format!("{}.{}.{}/{}", self.version, self.seen, self.after.0, self.after.1)
    }

    fn parse(text: &str) -> Option<Self> {
        let (version, rest) = text.split_once('.')?;
        let (seen, after) = rest.split_once('.')?;
        let (namespace, name) = after.split_once('/')?;
        Some(Self {
            version: version.parse().ok()?,
            seen: seen.parse().ok()?,
            after: (namespace.to_owned(), name.to_owned()),
        })
    }
}
