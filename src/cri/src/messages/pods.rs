//! Pods and their containers.

use std::collections::BTreeMap;

/// `PodSandboxState.SANDBOX_READY`.
pub const SANDBOX_READY: i32 = 0;
/// `PodSandboxState.SANDBOX_NOTREADY`.
pub const SANDBOX_NOTREADY: i32 = 1;
/// `ContainerState.CONTAINER_CREATED`: it was never started.
pub const CONTAINER_CREATED: i32 = 0;
/// `ContainerState.CONTAINER_RUNNING`.
pub const CONTAINER_RUNNING: i32 = 1;
/// `ContainerState.CONTAINER_EXITED`.
pub const CONTAINER_EXITED: i32 = 2;
/// `NamespaceMode.NODE`: the namespace of the node.
pub const NAMESPACE_OF_NODE: i32 = 2;

/// `PodSandboxMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxMetadata {
    /// `metadata.name` of the pod.
    #[prost(string, tag = "1")]
    pub name: String,
    /// `metadata.uid` of the pod.
    #[prost(string, tag = "2")]
    pub uid: String,
    /// `metadata.namespace` of the pod.
    #[prost(string, tag = "3")]
    pub namespace: String,
    /// How often the pod had a sandbox before.
    #[prost(uint32, tag = "4")]
    pub attempt: u32,
}

/// `ListPodSandboxRequest`, without a filter.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListPodSandboxRequest {}

/// `PodSandbox`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandbox {
    /// The engine's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// [`SANDBOX_READY`] or [`SANDBOX_NOTREADY`].
    #[prost(int32, tag = "3")]
    pub state: i32,
}

/// `ListPodSandboxResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListPodSandboxResponse {
    /// All sandboxes.
    #[prost(message, repeated, tag = "1")]
    pub items: Vec<PodSandbox>,
}

/// `PodSandboxStatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxStatusRequest {
    /// The sandbox.
    #[prost(string, tag = "1")]
    pub pod_sandbox_id: String,
}

/// `PodIP`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodIp {
    /// An address.
    #[prost(string, tag = "1")]
    pub ip: String,
}

/// `PodSandboxNetworkStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxNetworkStatus {
    /// The first address; empty for a pod on the node's network.
    #[prost(string, tag = "1")]
    pub ip: String,
    /// The others.
    #[prost(message, repeated, tag = "2")]
    pub additional_ips: Vec<PodIp>,
}

/// `NamespaceOption`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct NamespaceOption {
    /// Whose network the pod has, [`NAMESPACE_OF_NODE`] for example.
    #[prost(int32, tag = "1")]
    pub network: i32,
}

/// `Namespace`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Namespace {
    /// Which namespaces the pod shares.
    #[prost(message, optional, tag = "2")]
    pub options: Option<NamespaceOption>,
}

/// `LinuxPodSandboxStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct LinuxPodSandboxStatus {
    /// The pod's namespaces.
    #[prost(message, optional, tag = "1")]
    pub namespaces: Option<Namespace>,
}

/// `PodSandboxStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxStatus {
    /// The engine's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Whose sandbox it is.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<PodSandboxMetadata>,
    /// [`SANDBOX_READY`] or [`SANDBOX_NOTREADY`].
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// In nanoseconds since 1970, as all times are.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// Its addresses.
    #[prost(message, optional, tag = "5")]
    pub network: Option<PodSandboxNetworkStatus>,
    /// What only Linux has.
    #[prost(message, optional, tag = "6")]
    pub linux: Option<LinuxPodSandboxStatus>,
    /// The pod's labels.
    #[prost(btree_map = "string, string", tag = "7")]
    pub labels: BTreeMap<String, String>,
    /// The pod's annotations.
    #[prost(btree_map = "string, string", tag = "8")]
    pub annotations: BTreeMap<String, String>,
}

/// `PodSandboxStatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct PodSandboxStatusResponse {
    /// The sandbox.
    #[prost(message, optional, tag = "1")]
    pub status: Option<PodSandboxStatus>,
}

/// `ListContainersRequest`, without a filter.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContainersRequest {}

/// `Container`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct Container {
    /// The engine's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// The sandbox that it is in.
    #[prost(string, tag = "2")]
    pub pod_sandbox_id: String,
    /// [`CONTAINER_RUNNING`], for example.
    #[prost(int32, tag = "6")]
    pub state: i32,
}

/// `ListContainersResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ListContainersResponse {
    /// All containers.
    #[prost(message, repeated, tag = "1")]
    pub containers: Vec<Container>,
}

/// `ContainerMetadata`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerMetadata {
    /// The name, unique in the pod.
    #[prost(string, tag = "1")]
    pub name: String,
    /// How often it was made before.
    #[prost(uint32, tag = "2")]
    pub attempt: u32,
}

/// `ImageSpec`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ImageSpec {
    /// A name or an id.
    #[prost(string, tag = "1")]
    pub image: String,
    /// The name that the user gave.
    #[prost(string, tag = "18")]
    pub user_specified_image: String,
}

/// `ContainerStatusRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerStatusRequest {
    /// The container.
    #[prost(string, tag = "1")]
    pub container_id: String,
}

/// `ContainerStatus`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerStatus {
    /// The engine's id.
    #[prost(string, tag = "1")]
    pub id: String,
    /// Its name.
    #[prost(message, optional, tag = "2")]
    pub metadata: Option<ContainerMetadata>,
    /// [`CONTAINER_RUNNING`], for example.
    #[prost(int32, tag = "3")]
    pub state: i32,
    /// In nanoseconds since 1970, as all times are; 0 if it did not happen.
    #[prost(int64, tag = "4")]
    pub created_at: i64,
    /// When it was started.
    #[prost(int64, tag = "5")]
    pub started_at: i64,
    /// When it ended.
    #[prost(int64, tag = "6")]
    pub finished_at: i64,
    /// Of its first process.
    #[prost(int32, tag = "7")]
    pub exit_code: i32,
    /// What it was made of.
    #[prost(message, optional, tag = "8")]
    pub image: Option<ImageSpec>,
    /// The digest of the image, or its id.
    #[prost(string, tag = "9")]
    pub image_ref: String,
    /// Why it ended, in one word.
    #[prost(string, tag = "10")]
    pub reason: String,
    /// Why it ended, for people.
    #[prost(string, tag = "11")]
    pub message: String,
    /// Its annotations; labels are the pod's matter.
    #[prost(btree_map = "string, string", tag = "13")]
    pub annotations: BTreeMap<String, String>,
}

/// `ContainerStatusResponse`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerStatusResponse {
    /// The container.
    #[prost(message, optional, tag = "1")]
    pub status: Option<ContainerStatus>,
}

/// `GetEventsRequest`.
#[derive(Clone, PartialEq, prost::Message)]
pub struct GetEventsRequest {}

/// `ContainerEventResponse`: something changed. What is to be known about it is asked for.
#[derive(Clone, PartialEq, prost::Message)]
pub struct ContainerEventResponse {
    /// The container, or the sandbox.
    #[prost(string, tag = "1")]
    pub container_id: String,
}
