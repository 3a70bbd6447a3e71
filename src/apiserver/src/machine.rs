//! What is found on this machine, for the registry: the Node, and its Pods.

use std::sync::Arc;
use std::time::Duration;

use crate::kinds::Config;
use crate::kinds::node::{self, Nodes};
use crate::kinds::pod::{self, Pods};
use crate::registry::Registry;

/// How often the machine is looked at.
const LOOK_TIME: Duration = Duration::from_secs(2);

/// Looks at this machine, and tells the registry.
pub(crate) struct Machine {
    registry: Registry,
    nodes: Nodes,
    pods: Pods,
}

impl Machine {
    /// A machine under this configuration.
    pub(crate) fn new(registry: Registry, config: Config) -> Self {
        let config = Arc::new(config);
        Self { registry, nodes: Nodes::new(Arc::clone(&config)), pods: Pods::new(config) }
    }

    /// Looks again and again.
    pub(crate) async fn run(self) {
        loop {
            tokio::time::sleep(LOOK_TIME).await;
            self.look().await;
        }
    }

    /// Looks once.
    pub(crate) async fn look(&self) {
        for (kind, objects) in [(&node::KIND, vec![self.nodes.node()]), (&pod::KIND, self.pods.look())] {
            if let Err(error) = self.registry.find(kind, objects).await {
                tracing::error!(kind = kind.name, cause = %error.message, "what is found cannot be shown");
            }
        }
    }
}
