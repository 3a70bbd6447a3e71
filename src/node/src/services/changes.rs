//! Changes on their way from the watches to the proxy's thread.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};

use proxy::ObjectName;
use proxy::thread::{News, Source};
use tokio::sync::watch;

/// What the news are about. The proxy is told in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The Nodes: this one, and the networks of all.
    Nodes,
    ServiceNetworks,
    Services,
    Slices,
}

impl Kind {
    /// The name in the API's paths.
    pub(super) fn resource(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::ServiceNetworks => "servicecidrs",
            Self::Services => "services",
            Self::Slices => "endpointslices",
        }
    }
}

/// Where the watches put changes.
#[derive(Debug)]
pub(super) struct Changes {
    pending: Arc<Mutex<Pending>>,
    wake: watch::Sender<()>,
    /// Whether all objects of all kinds were told.
    is_complete: watch::Sender<bool>,
}

/// Where the proxy's thread takes them from.
pub(super) struct ChangesSource {
    pending: Arc<Mutex<Pending>>,
    woken: watch::Receiver<()>,
}

/// The changes that the thread has not taken yet. However long it is busy, there is one of each object: the last.
#[derive(Debug)]
struct Pending {
    news: BTreeMap<Subject, News>,
    /// The kinds of which not all objects are known yet.
    unlisted: BTreeSet<Kind>,
    /// Whether the proxy may make its table.
    is_permitted: bool,
    /// The newest resource version that was told.
    version: u64,
}

/// An object. Those without a name are this node, and the addresses of all.
type Subject = (Kind, Option<ObjectName>);

/// Both ends, of which nothing is known yet.
pub(super) fn changes() -> (Changes, ChangesSource) {
    let unlisted = [Kind::Nodes, Kind::ServiceNetworks, Kind::Services, Kind::Slices].into();
    let pending = Pending { news: BTreeMap::new(), unlisted, is_permitted: false, version: 0 };
    let pending = Arc::new(Mutex::new(pending));
    let (wake, woken) = watch::channel(());
    let is_complete = watch::Sender::new(false);
    (Changes { pending: Arc::clone(&pending), wake, is_complete }, ChangesSource { pending, woken })
}

impl Changes {
    /// Tells of an object. `version` is its resource version, if it has one of interest.
    pub(super) fn tell(&self, news: News, version: Option<&str>) {
        // Kubernetes orders the versions of its objects by these numbers. Another API may not: its are left out.
        let version = version.and_then(|version| version.parse().ok()).unwrap_or_default();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        pending.version = pending.version.max(version);
        pending.news.insert(subject(&news), news);
        drop(pending);
        self.wake.send_replace(());
    }

    /// All objects of the kind were told.
    pub(super) fn listed(&self, kind: Kind) {
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = pending.unlisted.remove(&kind);
        self.is_complete.send_replace(pending.unlisted.is_empty());
        drop(pending);
        if is_news {
            self.wake.send_replace(());
        }
    }

    /// Waits until all objects of all kinds were told.
    pub(super) async fn complete(&self) {
        // It cannot fail: the sender is here.
        let _ = self.is_complete.subscribe().wait_for(|is_complete| *is_complete).await;
    }

    /// Lets the proxy make its table, once all objects were told.
    pub(super) fn permit(&self) {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner).is_permitted = true;
        self.wake.send_replace(());
    }
}

impl Source for ChangesSource {
    async fn changed(&mut self) -> bool {
        self.woken.changed().await.is_ok()
    }

    async fn take(&mut self, tell: impl FnMut(News)) -> Result<Option<u64>, String> {
        self.woken.mark_unchanged();
        let mut pending = self.pending.lock().unwrap_or_else(PoisonError::into_inner);
        let news = std::mem::take(&mut pending.news);
        let is_due = pending.is_permitted && pending.unlisted.is_empty();
        let version = is_due.then_some(pending.version);
        drop(pending);
        news.into_values().for_each(tell);
        Ok(version)
    }
}

fn subject(news: &News) -> Subject {
    match news {
        News::Node(_) => (Kind::Nodes, None),
        News::PodNetworks(name, _) => (Kind::Nodes, Some(name.clone())),
        News::Machines(_) => (Kind::ServiceNetworks, None),
        News::ServiceNetworks(name, _) => (Kind::ServiceNetworks, Some(name.clone())),
        News::Service(name, _) => (Kind::Services, Some(name.clone())),
        News::Slice(name, _) => (Kind::Slices, Some(name.clone())),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proxy::Service;
    use proxy::thread::NodeFacts;
    use tokio::time::timeout;

    use super::*;

    fn service(name: &str, created: i64) -> News {
        News::Service(ObjectName::new("default", name), Some(Service { created, ..Service::default() }))
    }

    fn block_on<T>(future: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
    }

    #[test]
    fn of_each_object_the_last_state_is_taken_once() {
        block_on(async {
            let (changes, mut source) = changes();
            changes.tell(service("b", 1), Some("5"));
            changes.tell(service("a", 1), Some("9"));
            changes.tell(service("b", 2), Some("7"));
            changes.tell(News::Node(NodeFacts::default()), None);
            assert!(source.changed().await);
            let mut told = Vec::new();
            assert_eq!(source.take(|news| told.push(news)).await, Ok(None));
            assert_eq!(told, [News::Node(NodeFacts::default()), service("a", 1), service("b", 2)]);
            assert!(timeout(Duration::ZERO, source.changed()).await.is_err());
            for kind in [Kind::Nodes, Kind::Services, Kind::Slices] {
                changes.listed(kind);
                assert_eq!(source.take(|_| panic!("told twice")).await, Ok(None));
            }
            assert!(timeout(Duration::ZERO, changes.complete()).await.is_err());
            changes.listed(Kind::ServiceNetworks);
            changes.complete().await;
            assert_eq!(source.take(|_| panic!("told twice")).await, Ok(None));
            changes.permit();
            assert!(source.changed().await);
            assert_eq!(source.take(|_| panic!("told twice")).await, Ok(Some(9)));
            changes.listed(Kind::Services);
            assert!(timeout(Duration::ZERO, source.changed()).await.is_err());
            drop(changes);
            assert!(!source.changed().await);
        });
    }
}
