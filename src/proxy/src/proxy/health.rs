//! What the node's health check ports answer.

use std::collections::BTreeSet;
use std::sync::Arc;

use pod::addresses::IpFamily;

use super::Proxy;
use crate::endpoints::candidates;
use crate::objects::ObjectName;

/// What a health check port of the node answers.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct HealthCheck {
    /// The node's port.
    pub port: u16,
    /// The Service.
    pub service: Arc<ObjectName>,
    /// The number of ready endpoints on this node over IPv4. Without one, the port answers 503.
    pub endpoints_v4: usize,
    /// The same over IPv6.
    pub endpoints_v6: usize,
}

impl Proxy {
    /// What the node's health check ports answer: an entry for each Service that has such a port.
    pub fn health(&self) -> Vec<HealthCheck> {
        self.health.iter().filter_map(|name| self.health_of(name)).collect()
    }

    fn health_of(&self, name: &Arc<ObjectName>) -> Option<HealthCheck> {
        let entry = self.services.get(name)?;
        let service = entry.service.as_deref()?;
        // An endpoint with two ports is one endpoint; endpoints that terminate do not count.
        let ready = |family| {
            let ports = service.ports.iter();
            let found = ports.flat_map(|port| candidates(&entry.slices, port, family, &self.node));
            let local = found.filter(|candidate| candidate.local && candidate.ready);
            local.map(|candidate| candidate.endpoint.address).collect::<BTreeSet<_>>().len()
        };
        Some(HealthCheck {
            port: service.health_check_node_port?,
            service: Arc::clone(name),
            endpoints_v4: ready(IpFamily::V4),
            endpoints_v6: ready(IpFamily::V6),
        })
    }
}
