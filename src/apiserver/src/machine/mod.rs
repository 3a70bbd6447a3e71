//! What is found on this machine, for the registry: the Node, and its Pods.
//!
//! One task owns it. It looks when the engine tells of a change, when a record of a pod's network changes, and from time to
//! time. The registry is told everything each time, and changes what differs.

mod engine;
mod record_changes;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use crate::kinds::Config;
use crate::kinds::{node, pod};
use crate::registry::Registry;
use crate::time::now;
use engine::Engine;
use record_changes::RecordChanges;

/// Shortest pause between two looks. One of a thousand pods takes longer, and then the pause does, too.
const SHORTEST: Duration = Duration::from_millis(10);

/// Looks at this machine, and tells the registry.
pub(crate) struct Machine {
    registry: Registry,
    engine: Engine,
    records: RecordChanges,
    changed: Arc<Notify>,
    nodes: node::Finder,
    pods: pod::Finder,
}

impl Machine {
    /// A machine under this configuration.
    pub(crate) fn new(registry: Registry, config: Config) -> Self {
        let (config, changed) = (Arc::new(config), Arc::new(Notify::new()));
        Self {
            registry,
            engine: Engine::new(config.cri_endpoint.clone(), Arc::clone(&changed)),
            records: RecordChanges::new(config.pod_records.clone()),
            changed,
            nodes: node::Finder::new(Arc::clone(&config)),
            pods: pod::Finder::new(config),
        }
    }

    /// Looks again and again.
    pub(crate) async fn run(mut self) {
        loop {
            let pause = self.engine.pause().min(self.records.pause());
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = self.changed.notified() => {}
                () = self.records.changed() => {}
            }
            let begin = Instant::now();
            self.look().await;
            // However much changes, half of the time is left for other work.
            tokio::time::sleep(begin.elapsed().max(SHORTEST)).await;
        }
    }

    /// Looks once.
    pub(crate) async fn look(&mut self) {
        // Before the records are read, so that no change is missed between the two.
        self.records.begin();
        self.engine.look().await;
        let node = self.nodes.node(&self.engine.shown, now());
        let pods = self.pods.pods(&self.engine.seen);
        for (kind, objects) in [(&node::KIND, vec![node]), (&pod::KIND, pods)] {
            if let Err(error) = self.registry.find(kind, objects).await {
                tracing::error!(kind = kind.name, cause = %error.message, "what is found cannot be shown");
            }
        }
    }
}
