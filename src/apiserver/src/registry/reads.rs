//! Reads of objects, in the store or found on the machine.

use std::sync::PoisonError;

use super::found::Found;
use super::read;
use super::{Key, List, ListQuery, Piece, Registry};
use crate::kind::{Kind, Source};
use crate::status::ApiError;
use crate::store::{Store, Stored};

impl Registry {
    /// Reads an object.
    ///
    /// # Errors
    /// `NotFound`.
    pub fn get(&self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Stored, ApiError> {
        let kind = self.kept_as(kind);
        let found = if kind.source == Source::Machine {
            self.found(|found| found.get(kind, namespace, name).cloned())
        } else {
            self.read(|store| store.get(kind, namespace, name).map_err(ApiError::internal))?
        };
        found.ok_or_else(|| ApiError::not_found(kind, name))
    }

    /// Lists the objects that a query selects.
    ///
    /// # Errors
    /// `BadRequest` for an invalid token.
    pub fn list(&self, kind: &'static Kind, query: &ListQuery) -> Result<List, ApiError> {
        let (kind, token) = (self.kept_as(kind), query.token()?);
        if kind.source == Source::Machine {
            let Piece { items, version, .. } = self.piece(kind, query, Key::default())?;
            return Ok(List { items, resource_version: version, continue_token: None, remaining: None });
        }
        self.read_at_once(|store| read::list(store, kind, query, token))
    }

    /// Lists the objects after `after` that a query selects, up to its limit.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn piece(&self, kind: &'static Kind, query: &ListQuery, after: Key) -> Result<Piece, ApiError> {
        let kind = self.kept_as(kind);
        if kind.source == Source::Machine {
            return self.found(|found| found.piece(kind, query, self.resource_version()));
        }
        self.read_at_once(|store| read::piece(store, kind, query, after))
    }

    pub(super) fn found<T>(&self, work: impl FnOnce(&Found) -> T) -> T {
        work(&self.found.lock().unwrap_or_else(PoisonError::into_inner))
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

    pub(super) fn read<T>(&self, work: impl FnOnce(&Store) -> Result<T, ApiError>) -> Result<T, ApiError> {
        let store = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        work(&store)
    }
}
