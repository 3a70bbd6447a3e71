//! The messages of the CRI API (`runtime.v1`) that podhosts sends and reads; fields it has no use for are left out,
//! which protocol buffers allow.

mod events;
mod pods;

use std::collections::BTreeMap;

pub use events::*;
pub use pods::*;

/// `VersionRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionRequest {
    /// The kubelet's version; engines pass over it.
    #[prost(string, tag = "1")]
    pub version: String,
}

/// `VersionResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct VersionResponse {
    /// Of the kubelet's runtime API.
    #[prost(string, tag = "1")]
    pub version: String,
    /// `containerd`, `cri-o`.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// The engine's own version.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
    /// `v1`.
    #[prost(string, tag = "4")]
    pub runtime_api_version: String,
}

/// `StatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusRequest {
    /// Whether [`StatusResponse::info`] is wanted.
    #[prost(bool, tag = "1")]
    pub verbose: bool,
}

/// `StatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct StatusResponse {
    /// What the kubelet looks at.
    #[prost(message, optional, tag = "1")]
    pub status: Option<RuntimeStatus>,
    /// What the engine tells of itself; containerd and CRI-O have their configuration under `config`.
    #[prost(btree_map = "string, string", tag = "2")]
    pub info: BTreeMap<String, String>,
}

/// `RuntimeStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RuntimeStatus {
    /// `RuntimeReady` and `NetworkReady`, at least.
    #[prost(message, repeated, tag = "1")]
    pub conditions: Vec<RuntimeCondition>,
}

/// `RuntimeCondition`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct RuntimeCondition {
    /// Its name.
    #[prost(string, tag = "1")]
    pub r#type: String,
    /// Whether it holds.
    #[prost(bool, tag = "2")]
    pub status: bool,
    /// Why not, in one word.
    #[prost(string, tag = "3")]
    pub reason: String,
    /// Why not, for people.
    #[prost(string, tag = "4")]
    pub message: String,
}
