//! The messages of the NRI API (`nri.pkg.api.v1alpha1`) that podhosts sends and reads; fields it has no use for are
//! left out, which protocol buffers allow.

use std::collections::BTreeMap;

/// The service that plugins offer.
pub const PLUGIN_SERVICE: &str = "nri.pkg.api.v1alpha1.Plugin";
/// The service that engines offer.
pub const RUNTIME_SERVICE: &str = "nri.pkg.api.v1alpha1.Runtime";

/// The event of a container that is made, as a set: `CREATE_CONTAINER` is number 4.
pub const CREATE_CONTAINER: i32 = 1 << 3;

/// An answer with nothing in it.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct Empty {}

/// `RegisterPluginRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct RegisterPluginRequest {
    /// The plugin's name.
    #[prost(string, tag = "1")]
    pub plugin_name: String,
    /// Two digits: plugins are asked in their order.
    #[prost(string, tag = "2")]
    pub plugin_idx: String,
}

/// `ConfigureRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ConfigureRequest {
    /// `containerd`, `cri-o`.
    #[prost(string, tag = "2")]
    pub runtime_name: String,
    /// The engine's own version.
    #[prost(string, tag = "3")]
    pub runtime_version: String,
}

/// `ConfigureResponse`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct ConfigureResponse {
    /// The events that the plugin wants to be asked about.
    #[prost(int32, tag = "2")]
    pub events: i32,
}

/// `SynchronizeRequest`, without the pods and containers there are already.
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct SynchronizeRequest {
    /// Whether there are more of them to come.
    #[prost(bool, tag = "3")]
    pub more: bool,
}

/// `SynchronizeResponse`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct SynchronizeResponse {
    /// Whether more are expected: the request's answer.
    #[prost(bool, tag = "2")]
    pub more: bool,
}

/// `CreateContainerRequest`
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateContainerRequest {
    /// The pod.
    #[prost(message, optional, tag = "1")]
    pub pod: Option<PodSandbox>,
    /// Its new container.
    #[prost(message, optional, tag = "2")]
    pub container: Option<Container>,
}

/// `CreateContainerResponse`
#[derive(Clone, PartialEq, prost::Message)]
pub struct CreateContainerResponse {
    /// The changes to make in the container.
    #[prost(message, optional, tag = "1")]
    pub adjust: Option<ContainerAdjustment>,
}

/// `PodSandbox`
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandbox {
    /// The sandbox's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// `metadata.name`
    #[prost(string, tag = "2")]
    pub name: String,
    /// `metadata.uid`
    #[prost(string, tag = "3")]
    pub uid: String,
    /// `metadata.namespace`
    #[prost(string, tag = "4")]
    pub namespace: String,
    /// The pod's annotations, and the engine's own.
    #[prost(btree_map = "string, string", tag = "6")]
    pub annotations: BTreeMap<String, String>,
    /// The pod's addresses, primary first (containerd from 2.1 on, CRI-O).
    #[prost(string, repeated, tag = "10")]
    pub ips: Vec<String>,
}

/// `Container`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    /// The container's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its name in the pod.
    #[prost(string, tag = "3")]
    pub name: String,
    /// Those of its config.json, and what the CRI's caller gave the container.
    #[prost(btree_map = "string, string", tag = "6")]
    pub annotations: BTreeMap<String, String>,
    /// Those of its config.json.
    #[prost(message, repeated, tag = "9")]
    pub mounts: Vec<Mount>,
    /// Those of its config.json.
    #[prost(message, optional, tag = "10")]
    pub hooks: Option<Hooks>,
}

/// `Mount`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Mount {
    /// Where; behind a `-` in an adjustment, the mount there is removed.
    #[prost(string, tag = "1")]
    pub destination: String,
    /// What, a path on the node for a bind mount.
    #[prost(string, tag = "3")]
    pub source: String,
}

/// `Hooks`
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hooks {
    /// `createRuntime`
    #[prost(message, repeated, tag = "2")]
    pub create_runtime: Vec<Hook>,
}

/// `Hook`. Its environment is left empty.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Hook {
    /// The program.
    #[prost(string, tag = "1")]
    pub path: String,
    /// Its arguments, the program's name first.
    #[prost(string, repeated, tag = "2")]
    pub args: Vec<String>,
    /// When the runtime kills it.
    #[prost(message, optional, tag = "4")]
    pub timeout: Option<OptionalInt>,
}

/// `OptionalInt`
#[derive(Clone, Copy, PartialEq, prost::Message)]
pub struct OptionalInt {
    /// The number; seconds in a hook.
    #[prost(int64, tag = "1")]
    pub value: i64,
}

/// `ContainerAdjustment`
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerAdjustment {
    /// Annotations to set in config.json.
    #[prost(btree_map = "string, string", tag = "2")]
    pub annotations: BTreeMap<String, String>,
    /// Mounts to remove.
    #[prost(message, repeated, tag = "3")]
    pub mounts: Vec<Mount>,
    /// Hooks to add.
    #[prost(message, optional, tag = "5")]
    pub hooks: Option<Hooks>,
}
