//! Reading: one object, or a list in pieces.

use std::sync::PoisonError;

use super::Registry;
use crate::object::Object;
use crate::selector::Selector;
use crate::status::ApiError;
use crate::store::{Store, Stored};

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
#[derive(Debug, Clone, Default)]
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

/// The place of an object in lists: namespace and name.
pub type Key = (String, String);

/// Objects that follow each other in a list, as they were at one version.
#[derive(Debug, Clone)]
pub struct Piece {
    /// Those that are meant.
    pub items: Vec<Stored>,
    /// The version.
    pub version: u64,
    /// The last key that was looked at; `None` at the end of the list.
    pub end: Option<Key>,
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
            None => self.read(|store| store.get(plural, namespace, name).map_err(ApiError::internal))?,
        };
        found.ok_or_else(|| ApiError::not_found(resource.info(), name))
    }

    /// The objects that a query means.
    ///
    /// # Errors
    /// `BadRequest` for a token that is none.
    pub fn list(&self, plural: &'static str, query: &ListQuery) -> Result<List, ApiError> {
        let token = query.token()?;
        if let Some(all) = self.found(plural, query)? {
            // There are as many as pods fit on one machine: they come in one piece.
            let items = all.iter().map(Stored::of).collect::<Result<_, _>>()?;
            let resource_version = self.resource_version();
            return Ok(List { items, resource_version, continue_token: None, remaining: None });
        }
        self.read_at_once(|store| list(store, plural, query, token))
    }

    /// The objects behind `after` that a query means, at most as many as its limit.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn piece(&self, plural: &'static str, query: &ListQuery, after: Key) -> Result<Piece, ApiError> {
        self.read_at_once(|store| piece(store, plural, query, after))
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

    /// Reads in one snapshot: the version, and everything in the list.
    fn read_at_once<T>(&self, work: impl FnOnce(&Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        self.read(|store| {
            let snapshot = store.db.unchecked_transaction().map_err(ApiError::internal)?;
            let found = work(store);
            snapshot.finish().map_err(ApiError::internal)?;
            found
        })
    }

    fn read<T>(&self, work: impl FnOnce(&Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let store = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        work(&store)
    }
}

impl ListQuery {
    /// Where the list is to go on.
    ///
    /// # Errors
    /// `BadRequest` for a token that is none.
    pub(super) fn token(&self) -> Result<Option<Token>, ApiError> {
        if self.continue_token.is_empty() {
            return Ok(None);
        }
        let token = Token::parse(&self.continue_token);
        token.map(Some).ok_or_else(|| ApiError::bad_request("continue key is not valid"))
    }
}

/// A piece of a list, with what a client needs to ask for the next one.
pub(super) fn list(
    store: &Store,
    plural: &str,
    query: &ListQuery,
    token: Option<Token>,
) -> Result<List, ApiError> {
    let (version, after, seen) = match token {
        Some(token) => (Some(token.version), token.after, token.seen),
        None => (None, Key::default(), 0),
    };
    let piece = piece(store, plural, query, after)?;
    let resource_version = version.unwrap_or(piece.version);
    let Some(after) = piece.end else {
        return Ok(List { items: piece.items, resource_version, continue_token: None, remaining: None });
    };
    let seen = seen.saturating_add(piece.items.len() as u64);
    let remaining = if query.selector.is_everything() {
        let count = store.count(plural, query.namespace.as_deref()).map_err(ApiError::internal)?;
        Some(count.saturating_sub(seen))
    } else {
        None
    };
    let token = Token { version: resource_version, after, seen };
    Ok(List { items: piece.items, resource_version, continue_token: Some(token.to_text()), remaining })
}

/// The objects behind `after`, at most as many as the query's limit.
fn piece(store: &Store, plural: &str, query: &ListQuery, mut after: Key) -> Result<Piece, ApiError> {
    let version = store.version().map_err(ApiError::internal)?;
    let namespace = query.namespace.as_deref();
    let limit = usize::try_from(query.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut items: Vec<Stored> = Vec::new();
    loop {
        let chunk = store.list(plural, namespace, (&after.0, &after.1), CHUNK).map_err(ApiError::internal)?;
        let is_last = i64::try_from(chunk.len()).is_ok_and(|len| len < CHUNK);
        for row in chunk {
            let is_meant = query.selector.is_everything() || query.selector.matches(&row.stored.object()?);
            if is_meant && items.len() == limit {
                return Ok(Piece { items, version, end: Some(after) });
            }
            after = (row.namespace, row.name);
            if is_meant {
                items.push(row.stored);
            }
        }
        if is_last {
            return Ok(Piece { items, version, end: None });
        }
    }
}

/// Where a list was interrupted. The pieces are of the objects as they are when each is asked for.
pub(super) struct Token {
    version: u64,
    after: Key,
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
