//! Lists in pieces.

use crate::kind::Kind;
use crate::object::Object;
use crate::selector::Selector;
use crate::status::ApiError;
use crate::store::{Store, Stored};

/// Selects objects of a kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListQuery {
    /// One namespace, or all.
    pub namespace: Option<String>,
    /// By labels and fields.
    pub selector: Selector,
    /// Most objects of the list; 0 for all.
    pub limit: u64,
    /// The token of the list before this one.
    pub continue_token: String,
}

/// A list of objects, or a piece of it.
#[derive(Debug, Clone, Default)]
pub struct List {
    /// The objects, by namespace and name.
    pub items: Vec<Stored>,
    /// The resource version of the list.
    pub resource_version: u64,
    /// The token for the next piece, if there is more.
    pub continue_token: Option<String>,
    /// How many objects follow this piece, if that is known.
    pub remaining: Option<u64>,
}

/// The place of an object in lists: namespace and name.
pub type Key = (String, String);

/// A piece of a list, at one version.
#[derive(Debug, Clone)]
pub struct Piece {
    /// The objects that the query selects.
    pub items: Vec<Stored>,
    /// The version.
    pub version: u64,
    /// The last key that was read; `None` at the end of the list.
    pub end: Option<Key>,
}

/// Objects that are read from the store at a time.
const CHUNK: i64 = 500;

impl ListQuery {
    /// Whether the query selects `object`.
    pub fn means(&self, object: &Object) -> bool {
        self.namespace.as_ref().is_none_or(|namespace| namespace == object.namespace())
            && self.selector.matches(object)
    }

    /// The place where the list goes on.
    ///
    /// # Errors
    /// `BadRequest` for an invalid token.
    pub(super) fn token(&self) -> Result<Option<Token>, ApiError> {
        if self.continue_token.is_empty() {
            return Ok(None);
        }
        let token = Token::parse(&self.continue_token);
        token.map(Some).ok_or_else(|| ApiError::bad_request("continue key is not valid"))
    }
}

/// Reads a piece of a list, with the token for the next one.
pub(super) fn list(
    store: &Store,
    kind: &Kind,
    query: &ListQuery,
    token: Option<Token>,
) -> Result<List, ApiError> {
    let (version, after, seen) = match token {
        Some(token) => (Some(token.version), token.after, token.seen),
        None => (None, Key::default(), 0),
    };
    let piece = piece(store, kind, query, after)?;
    let resource_version = version.unwrap_or(piece.version);
    let Some(after) = piece.end else {
        return Ok(List { items: piece.items, resource_version, continue_token: None, remaining: None });
    };
    let seen = seen.saturating_add(piece.items.len() as u64);
    let remaining = if query.selector.is_everything() {
        let count = store.count(kind, query.namespace.as_deref()).map_err(ApiError::internal)?;
        Some(count.saturating_sub(seen))
    } else {
        None
    };
    let token = Token { version: resource_version, after, seen };
    Ok(List { items: piece.items, resource_version, continue_token: Some(token.to_text()), remaining })
}

/// Reads the objects after `after`, up to the query's limit.
pub(super) fn piece(
    store: &Store,
    kind: &Kind,
    query: &ListQuery,
    mut after: Key,
) -> Result<Piece, ApiError> {
    let version = store.version().map_err(ApiError::internal)?;
    let namespace = query.namespace.as_deref();
    let limit = usize::try_from(query.limit).ok().filter(|limit| *limit > 0).unwrap_or(usize::MAX);
    let mut items: Vec<Stored> = Vec::new();
    loop {
        let chunk = store.list(kind, namespace, (&after.0, &after.1), CHUNK).map_err(ApiError::internal)?;
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

/// The place where a list was interrupted. Each piece has the objects as they are when it is read.
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
