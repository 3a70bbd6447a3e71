//! The objects of a kind, and their changes.

use std::collections::BTreeSet;

use crate::kind::Kind;
use crate::registry::{Event, EventKind, Key, ListQuery, Registry, Watch};
use crate::status::ApiError;
use crate::store::Stored;

/// A new state of an object.
pub(super) enum News {
    /// The object is there.
    Is(Key, Stored),
    /// It is gone.
    Gone(Key),
}

/// Follows the objects of a kind.
pub(super) struct Feed {
    registry: Registry,
    kind: &'static Kind,
    /// `None` before the first list, and after the watch fell behind.
    watch: Option<Watch>,
    known: BTreeSet<Key>,
}

impl Feed {
    pub(super) fn new(registry: Registry, kind: &'static Kind) -> Self {
        Self { registry, kind, watch: None, known: BTreeSet::new() }
    }

    /// Tells everything that changed up to `version`. The registry has reached it already, so this does not wait.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(super) async fn until(&mut self, version: u64, mut tell: impl FnMut(News)) -> Result<(), ApiError> {
        loop {
            let Some(watch) = &mut self.watch else {
                self.list(&mut tell)?;
                continue;
            };
            match watch.next_until(version).await {
                Ok(Some(event)) => self.take(event, &mut tell)?,
                Ok(None) => return Ok(()),
                // The log no longer has all changes.
                Err(_) => self.watch = None,
            }
        }
    }

    fn take(&mut self, event: Event, tell: &mut impl FnMut(News)) -> Result<(), ApiError> {
        let key = key(&event.stored)?;
        if event.kind == EventKind::Deleted {
            self.known.remove(&key);
            tell(News::Gone(key));
        } else {
            self.known.insert(key.clone());
            tell(News::Is(key, event.stored));
        }
        Ok(())
    }

    /// Tells of all objects, and of those that are gone since the last list.
    fn list(&mut self, tell: &mut impl FnMut(News)) -> Result<(), ApiError> {
        let list = self.registry.list(self.kind, &ListQuery::default())?;
        let mut gone = std::mem::take(&mut self.known);
        for stored in list.items {
            let key = key(&stored)?;
            gone.remove(&key);
            self.known.insert(key.clone());
            tell(News::Is(key, stored));
        }
        gone.into_iter().for_each(|key| tell(News::Gone(key)));
        self.watch = Some(self.registry.watch(self.kind, &ListQuery::default(), list.resource_version)?);
        Ok(())
    }
}

fn key(stored: &Stored) -> Result<Key, ApiError> {
    #[derive(serde::Deserialize)]
    struct Named {
        metadata: Metadata,
    }
    #[derive(serde::Deserialize)]
    struct Metadata {
        #[serde(default)]
        namespace: String,
        name: String,
    }
    let Named { metadata } = serde_json::from_str(&stored.text).map_err(ApiError::internal)?;
    Ok((metadata.namespace, metadata.name))
}
