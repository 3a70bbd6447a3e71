//! Follows the objects of a kind, over everything that happens to the connection.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::pin::pin;
use std::time::Duration;

use futures::StreamExt;
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

    fn next(&mut self) -> Duration {
        let pause = self.0;
        self.0 = (pause * 2).min(Self::LAST);
        pause.mul_f64(1.0 + fastrand::f64() / 2.0)
    }

    fn reset(&mut self) {
        self.0 = Self::FIRST;
    }
}

/// Tells `tell` of all objects, and of every change. It does not end.
pub(crate) async fn follow<K>(api: Api<K>, config: Config, tell: impl FnMut(News<K>))
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    follow_pausing(api, config, tell, tokio::time::sleep).await;
}

/// Does what `follow` does, and calls `pause` for the pauses.
async fn follow_pausing<K, P: Future<Output = ()>>(
    api: Api<K>,
    config: Config,
    mut tell: impl FnMut(News<K>),
    pause: impl Fn(Duration) -> P,
) where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let mut events = pin!(watcher(api, config));
    let (mut known, mut pauses) = (Known::default(), Pauses(Pauses::FIRST));
    // The stream of a watcher does not end.
    while let Some(event) = events.next().await {
        match event {
            Ok(event) => {
                // `Init` comes before the API server is asked. `kube`'s own backoff takes it for an answer, and never
                // grows where the list fails.
                if !matches!(event, Event::Init) {
                    pauses.reset();
                }
                known.take(event, &mut tell);
            }
            Err(error) => {
                tell(News::Lost(fault::text(&error)));
                pause(pauses.next()).await;
            }
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
    use std::cell::RefCell;

    use kube::Client;
    use tokio::sync::Notify;

    use super::*;
    use crate::api::node::NodeObject;

    /// The first `count` pauses of a watch whose API server's port is closed.
    fn pauses_of_a_refused_watch(count: usize) -> Vec<Duration> {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        drop(listener);
        let (pauses, enough) = (RefCell::new(Vec::new()), Notify::new());
        let pause = async |pause| {
            pauses.borrow_mut().push(pause);
            if pauses.borrow().len() == count {
                enough.notify_one();
                std::future::pending::<()>().await;
            }
        };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let client = Client::try_from(kube::Config::new(server.parse().unwrap())).unwrap();
            let api: Api<NodeObject> = Api::all(client);
            tokio::select! {
                () = follow_pausing(api, Config::default(), |_| {}, pause) => {}
                () = enough.notified() => {}
            }
        });
        pauses.into_inner()
    }

    #[test]
    fn pauses_grow_to_a_limit_while_the_api_server_is_away() {
        let all = pauses_of_a_refused_watch(12);
        assert!(all.is_sorted_by(|one, next| one < next || *one >= Pauses::LAST), "{all:?}");
        let last = Pauses::LAST..=Pauses::LAST.mul_f64(1.5);
        assert!(last.contains(&all[11]), "{all:?}");
    }

    #[test]
    fn pauses_begin_anew_after_an_answer() {
        let mut pauses = Pauses(Pauses::FIRST);
        let first = Pauses::FIRST..=Pauses::FIRST.mul_f64(1.5);
        assert!(first.contains(&pauses.next()) && !first.contains(&pauses.next()));
        pauses.reset();
        assert!(first.contains(&pauses.next()));
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
