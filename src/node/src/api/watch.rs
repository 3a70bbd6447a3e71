//! Follows the objects of a kind, over everything that happens to the connection.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
use kube::runtime::WatchStreamExt;
use kube::runtime::utils::Backoff;
use kube::runtime::watcher::{Config, Event, watcher};
use kube::{Api, Resource};
use serde::de::DeserializeOwned;

use super::fault;

/// Namespace (empty for what has none) and name.
pub(crate) type Key = (String, String);

/// What a watch tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum News<K> {
    /// The object is there, in this state.
    Is(Key, K),
    /// It is gone.
    Gone(Key),
    /// Everything was told that the API server has. This comes once for each complete list.
    Listed,
    /// The API server does not answer, or refuses. What was told before may be old.
    Lost(String),
}

/// The pauses after failures double from the first to the second. They stay short, so that an API server that comes back is
/// heard soon, and up to half as long again, so that all nodes do not ask at once.
#[derive(Debug)]
struct Pauses(Duration);

impl Pauses {
    const FIRST: Duration = Duration::from_millis(200);
    const LAST: Duration = Duration::from_secs(5);
}

impl Iterator for Pauses {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LAST);
        Some(pause.mul_f64(1.0 + fastrand::f64() / 2.0))
    }
}

impl Backoff for Pauses {
    fn reset(&mut self) {
        self.0 = Self::FIRST;
    }
}

/// Tells `tell` of all objects, and of every change. It does not end.
pub(crate) async fn follow<K>(api: Api<K>, config: Config, mut tell: impl FnMut(News<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = pin!(watcher(api, config).backoff(Pauses(Pauses::FIRST)));
    let mut known = Known::default();
    // The stream of a watcher does not end.
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => known.take(event, &mut tell),
            Err(error) => tell(News::Lost(fault::text(&error))),
        }
    }
}

/// The names of the objects that were told, so that those which are missing in a new list are told as gone.
#[derive(Debug, Default)]
struct Known {
    keys: BTreeSet<Key>,
    /// What the list that is under way did not have yet.
    unlisted: BTreeSet<Key>,
}

impl Known {
    fn take<K: Resource>(&mut self, event: Event<K>, tell: &mut impl FnMut(News<K>)) {
        match event {
            Event::Init => self.unlisted.clone_from(&self.keys),
            Event::InitApply(object) | Event::Apply(object) => {
                let key = key(&object);
                self.unlisted.remove(&key);
                self.keys.insert(key.clone());
                tell(News::Is(key, object));
            }
            Event::Delete(object) => {
                let key = key(&object);
                self.keys.remove(&key);
                tell(News::Gone(key));
            }
            Event::InitDone => {
                for key in std::mem::take(&mut self.unlisted) {
                    self.keys.remove(&key);
                    tell(News::Gone(key));
                }
                tell(News::Listed);
            }
        }
    }
}

fn key(object: &impl Resource) -> Key {
    let meta = object.meta();
    (meta.namespace.clone().unwrap_or_default(), meta.name.clone().unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::node::NodeObject;

    #[test]
    fn pauses_grow_to_a_limit() {
        let mut pauses = Pauses(Pauses::FIRST);
        let all: Vec<Duration> = pauses.by_ref().take(20).collect();
        assert!(
            all.iter().all(|pause| (Pauses::FIRST..=Pauses::LAST.mul_f64(1.5)).contains(pause)),
            "{all:?}"
        );
        assert!(all[19] >= Pauses::LAST);
        pauses.reset();
        assert!(pauses.next().unwrap() <= Pauses::FIRST.mul_f64(1.5));
    }

    fn node(name: &str) -> NodeObject {
        let mut node = NodeObject::default();
        node.metadata.name = Some(name.to_owned());
        node
    }

    #[test]
    fn what_a_new_list_does_not_have_is_gone() {
        let mut known = Known::default();
        let mut told = Vec::new();
        let events = [
            Event::Init,
            Event::InitApply(node("a")),
            Event::InitApply(node("b")),
            Event::InitDone,
            Event::Apply(node("c")),
            Event::Delete(node("a")),
            Event::Init,
            Event::InitApply(node("b")),
            Event::InitDone,
        ];
        for event in events {
            known.take(event, &mut |news| {
                told.push(match news {
                    News::Is((_, name), _) => format!("+{name}"),
                    News::Gone((_, name)) => format!("-{name}"),
                    News::Listed => "listed".to_owned(),
                    News::Lost(error) => error,
                });
            });
        }
        assert_eq!(told, ["+a", "+b", "listed", "+c", "-a", "+b", "-c", "listed"]);
    }
}
