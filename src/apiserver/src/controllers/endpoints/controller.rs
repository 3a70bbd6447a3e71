//! The loop: from changes of Services, pods, slices and Endpoints to the Services that they concern, and from there to writes.

use std::collections::HashSet;
use std::convert::Infallible;
use std::time::Duration;

use tokio::time::Instant;

use super::index::{Index, Key, key_of};
use super::mirror;
use super::own::{self, Address};
use super::pod::Pod;
use super::queue::Queue;
use super::service::Service;
use super::slices::Node;
use super::sync::Sync;
use crate::kind::Kind;
use crate::kinds::{ZONE_LABEL, endpoint_slice, endpoints, node, pod, service};
use crate::object::Object;
use crate::registry::{Event, EventKind, ListQuery, Registry, Watch, Write};
use crate::status::ApiError;

/// Most Services that are looked at before other changes are.
const BATCH: usize = 64;
/// Most Services whose endpoints are one change: other clients wait for it.
const TOGETHER: usize = 16;
/// How long changes are gathered after the first one, and at most while more follow without a pause. Writing each at once
/// would cost a sync of the disk for each, for which the client that makes the next change waits, too.
/// kube-controller-manager has `--endpointslice-updates-batch-period` for the same.
const GATHER: Duration = Duration::from_millis(2);
const GATHER_MOST: Duration = Duration::from_millis(16);
/// A change that comes later than this after the ones before finds the controller at rest.
const REST: Duration = Duration::from_millis(50);
/// Most objects of one piece of a list.
const PIECE: u64 = 500;
/// The pause before everything is listed again.
const RELIST: Duration = Duration::from_millis(100);

/// Keeps the endpoints of all Services until the server stops. `own` is where pods reach the server.
pub async fn run(registry: Registry, own: Address) {
    loop {
        let Err(error) = follow(registry.clone(), own.clone()).await;
        // A watch that fell behind the log of changes is no failure: everything is listed again.
        if error.code != 410 {
            tracing::error!(cause = %error.message, "endpoints of Services are not kept; listing everything again");
        }
        tokio::time::sleep(RELIST).await;
    }
}

async fn follow(registry: Registry, own: Address) -> Result<Infallible, ApiError> {
    let mut watches = Watches::begin(&registry)?;
    let mut controller = Controller {
        registry,
        own,
        node: Node::default(),
        index: Index::default(),
        queue: Queue::default(),
        gone: HashSet::new(),
        written: HashSet::new(),
    };
    controller.list()?;
    let (mut pause, mut last) = (GATHER, Instant::now());
    loop {
        controller.catch_up(&mut watches).await?;
        if controller.queue.is_empty() {
            controller.wait(&mut watches).await?;
            pause = if last.elapsed() < REST { (pause * 2).min(GATHER_MOST) } else { GATHER };
            tokio::time::sleep(pause).await;
            last = Instant::now();
        } else {
            controller.work().await;
        }
    }
}

/// The watches that the controller follows.
struct Watches {
    services: Watch,
    slices: Watch,
    endpoints: Watch,
    pods: Watch,
    nodes: Watch,
}

impl Watches {
    fn begin(registry: &Registry) -> Result<Self, ApiError> {
        let version = registry.resource_version();
        let watch = |kind: &'static Kind| registry.watch(kind, &ListQuery::default(), version);
        Ok(Self {
            services: watch(&service::KIND)?,
            slices: watch(&endpoint_slice::KIND)?,
            endpoints: watch(&endpoints::KIND)?,
            pods: watch(&pod::KIND)?,
            nodes: watch(&node::KIND)?,
        })
    }
}

struct Controller {
    registry: Registry,
    own: Address,
    node: Node,
    index: Index,
    queue: Queue,
    /// Services that were deleted, whose Endpoints have to go.
    gone: HashSet<Key>,
    /// Versions of the controller's own changes that no watch has told yet.
    written: HashSet<u64>,
}

impl Controller {
    /// Lists everything. The watches may tell earlier changes once more, which does no harm.
    fn list(&mut self) -> Result<(), ApiError> {
        let registry = self.registry.clone();
        each(&registry, &node::KIND, |object| self.node(&object))?;
        each(&registry, &pod::KIND, |object| {
            self.index.set_pod(Pod::of(&object));
        })?;
        let mut services = HashSet::new();
        each(&registry, &service::KIND, |object| {
            self.is(&Service::of(&object), key_of(&object));
            services.insert(key_of(&object));
        })?;
        each(&registry, &endpoint_slice::KIND, |object| {
            self.index.set_slice(&object).into_iter().for_each(|key| self.queue.add(key));
        })?;
        each(&registry, &endpoints::KIND, |object| {
            let key = key_of(&object);
            if !mirror::is_mirrored(&object) {
                return;
            }
            self.index.set_mirrored(&key, true);
            // As upstream: somebody may have deleted the Service while the server was stopped.
            if !services.contains(&key) {
                self.gone.insert(key.clone());
            }
            self.queue.add(key);
        })
    }

    /// Notes all changes that were made until now.
    async fn catch_up(&mut self, watches: &mut Watches) -> Result<(), ApiError> {
        let version = self.registry.resource_version();
        while let Some(event) = watches.services.next_until(version).await? {
            self.service(&event)?;
        }
        while let Some(event) = watches.slices.next_until(version).await? {
            self.slice(&event)?;
        }
        while let Some(event) = watches.endpoints.next_until(version).await? {
            self.endpoints(&event)?;
        }
        while let Some(event) = watches.pods.next_until(version).await? {
            self.pod(&event)?;
        }
        while let Some(event) = watches.nodes.next_until(version).await? {
            self.node(&event.stored.object()?);
        }
        self.queue.retry(Instant::now());
        Ok(())
    }

    /// Waits for a change, and notes it.
    async fn wait(&mut self, watches: &mut Watches) -> Result<(), ApiError> {
        let retry = self.queue.next();
        tokio::select! {
            event = watches.services.next() => self.service(&event?),
            event = watches.slices.next() => self.slice(&event?),
            event = watches.endpoints.next() => self.endpoints(&event?),
            event = watches.pods.next() => self.pod(&event?),
            event = watches.nodes.next() => { self.node(&event?.stored.object()?); Ok(()) }
            () = tokio::time::sleep_until(retry.unwrap_or_else(Instant::now)), if retry.is_some() => Ok(()),
        }
    }

    fn service(&mut self, event: &Event) -> Result<(), ApiError> {
        let object = event.stored.object()?;
        let key = key_of(&object);
        if event.kind == EventKind::Deleted {
            self.index.remove_service(&key);
            self.gone.insert(key.clone());
            self.queue.add(key);
        } else {
            self.gone.remove(&key);
            self.is(&Service::of(&object), key);
        }
        Ok(())
    }

    /// Notes a Service. One without a selector needs nothing as long as nobody writes endpoints for it.
    fn is(&mut self, service: &Service, key: Key) {
        self.index.set_service(service);
        if self.index.knows(&key) || own::is_own(&key) {
            self.queue.add(key);
        }
    }

    fn slice(&mut self, event: &Event) -> Result<(), ApiError> {
        let object = event.stored.object()?;
        let concerned = match event.kind {
            EventKind::Deleted => self.index.remove_slice(&key_of(&object)),
            _ => self.index.set_slice(&object),
        };
        if !self.written.remove(&event.version) {
            concerned.into_iter().for_each(|key| self.queue.add(key));
        }
        Ok(())
    }

    fn endpoints(&mut self, event: &Event) -> Result<(), ApiError> {
        let (is_own, is_gone) = (self.written.remove(&event.version), event.kind == EventKind::Deleted);
        if is_own && !is_gone {
            return Ok(());
        }
        let object = event.stored.object()?;
        let key = key_of(&object);
        self.index.set_mirrored(&key, !is_gone && mirror::is_mirrored(&object));
        if !is_own {
            self.queue.add(key);
        }
        Ok(())
    }

    fn pod(&mut self, event: &Event) -> Result<(), ApiError> {
        let object = event.stored.object()?;
        let concerned = match event.kind {
            EventKind::Deleted => self.index.remove_pod(&key_of(&object)),
            _ => self.index.set_pod(Pod::of(&object)),
        };
        concerned.into_iter().for_each(|key| self.queue.add(key));
        Ok(())
    }

    /// Notes the Node. If its zone has changed, all Services are looked at.
    fn node(&mut self, object: &Object) {
        let zone = object.labels().find(|(key, _)| *key == ZONE_LABEL).map(|(_, zone)| zone.to_owned());
        let node = Node { name: object.name().to_owned(), zone: zone.filter(|zone| !zone.is_empty()) };
        if self.node != node {
            self.node = node;
            self.index.services().for_each(|key| self.queue.add(key));
        }
    }

    /// Writes what the next Services in the queue need.
    async fn work(&mut self) {
        let mut planned = Vec::new();
        for key in self.queue.take(BATCH) {
            let mut sync =
                Sync { registry: &self.registry, index: &mut self.index, node: &self.node, own: &self.own };
            match sync.plan(&key, self.gone.contains(&key)) {
                Ok(changes) if changes.is_empty() => self.succeeded(&key),
                Ok(changes) => planned.push((key, changes)),
                Err(error) => self.failed(key, &error),
            }
        }
        // Each change has a fixed cost, so the changes of several Services are made as one.
        while !planned.is_empty() {
            let rest = planned.split_off(planned.len().min(TOGETHER));
            self.write(std::mem::replace(&mut planned, rest)).await;
        }
        // Planning alone never waits.
        tokio::task::yield_now().await;
    }

    /// Writes the changes of some Services as one; if that fails, those of each Service as one.
    async fn write(&mut self, planned: Vec<(Key, Vec<Write>)>) {
        let all = planned.iter().flat_map(|(_, changes)| changes).cloned().collect();
        if let Ok(versions) = self.registry.write(all).await {
            self.written.extend(versions);
            planned.iter().for_each(|(key, _)| self.succeeded(key));
            return;
        }
        for (key, changes) in planned {
            match self.registry.write(changes).await {
                Ok(versions) => {
                    self.written.extend(versions);
                    self.succeeded(&key);
                }
                Err(error) => self.failed(key, &error),
            }
        }
    }

    fn succeeded(&mut self, key: &Key) {
        self.gone.remove(key);
        self.queue.succeeded(key);
    }

    fn failed(&mut self, key: Key, error: &ApiError) {
        let (namespace, name) = &key;
        match error.code {
            // A namespace that is being deleted takes no new objects.
            403 => return self.succeeded(&key),
            // Somebody else was faster: it is planned again with what they wrote.
            404 | 409 => {
                tracing::debug!(%namespace, %name, cause = %error.message, "endpoints changed meanwhile")
            }
            _ => {
                tracing::warn!(%namespace, %name, cause = %error.message, "endpoints of a Service cannot be written")
            }
        }
        self.queue.failed(key, Instant::now());
    }
}

/// Calls `take` for each object of a kind.
fn each(registry: &Registry, kind: &'static Kind, mut take: impl FnMut(Object)) -> Result<(), ApiError> {
    let mut query = ListQuery { limit: PIECE, ..ListQuery::default() };
    loop {
        let list = registry.list(kind, &query)?;
        for stored in &list.items {
            take(stored.object()?);
        }
        match list.continue_token {
            Some(token) => query.continue_token = token,
            None => return Ok(()),
        }
    }
}
