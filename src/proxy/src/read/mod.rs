//! What the proxy reads of objects' JSON. Everything else in it is skipped while it is read.

mod service;
mod slice;

use std::time::SystemTime;

use serde::Deserialize;
use serde::de::IgnoredAny;
use sys::net::nft::Protocol;

use crate::objects::ObjectName;

pub use service::ServiceObject;
pub use slice::{ReadSlice, SliceObject};

/// Selects the Services that no other proxy serves, as kube-proxy selects them.
pub const SERVICES: &str = "!service.kubernetes.io/service-proxy-name";
/// Selects the EndpointSlices of Services that are not headless, as kube-proxy selects them.
pub const SLICES: &str = "!service.kubernetes.io/headless";

/// An object's `metadata`.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Metadata {
    /// The namespace; empty for objects that are in none.
    pub namespace: String,
    /// The name.
    pub name: String,
    /// The version of this state of the object.
    pub resource_version: String,
    creation_timestamp: String,
    labels: Labels,
    annotations: Annotations,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Labels {
    #[serde(rename = "kubernetes.io/service-name")]
    service: Option<String>,
    // Present with any value, as `SERVICES` and `SLICES` have it.
    #[serde(rename = "service.kubernetes.io/service-proxy-name")]
    proxy_name: Option<IgnoredAny>,
    #[serde(rename = "service.kubernetes.io/headless")]
    headless: Option<IgnoredAny>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Annotations {
    #[serde(rename = "endpoints.kubernetes.io/last-change-trigger-time")]
    triggered: Option<String>,
}

impl Metadata {
    /// The object's name with its namespace.
    pub fn object_name(&self) -> ObjectName {
        ObjectName::new(self.namespace.as_str(), self.name.as_str())
    }
}

/// A time in RFC 3339; `None` if it is none.
fn time(text: &str) -> Option<SystemTime> {
    humantime::parse_rfc3339(text).ok()
}

/// TCP is the default.
fn protocol(name: Option<&str>) -> Option<Protocol> {
    match name {
        None | Some("" | "TCP") => Some(Protocol::Tcp),
        Some("UDP") => Some(Protocol::Udp),
        Some("SCTP") => Some(Protocol::Sctp),
        Some(_) => None,
    }
}
