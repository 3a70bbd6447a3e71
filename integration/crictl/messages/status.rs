//! How a container is, and how the engine is.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{ContainerMetadata, EnumNumber, ImageSpec, LinuxContainerResources, Mount};
use crate::proto_json;

/// `CONTAINER_CREATED`: it was never started.
pub(crate) const CREATED: EnumNumber = 0;
/// `CONTAINER_RUNNING`.
pub(crate) const RUNNING: EnumNumber = 1;
/// `SANDBOX_READY`.
pub(crate) const READY: EnumNumber = 0;

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerStatusRequest {
    #[prost(string, tag = "1")]
    pub(crate) container_id: String,
    #[prost(bool, tag = "2")]
    pub(crate) verbose: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct ContainerResources {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) linux: Option<LinuxContainerResources>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct LinuxContainerUser {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) uid: i64,
    #[prost(int64, tag = "2")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) gid: i64,
    #[prost(int64, repeated, tag = "3")]
    #[serde(serialize_with = "proto_json::int64s")]
    pub(crate) supplemental_groups: Vec<i64>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct ContainerUser {
    #[prost(message, optional, tag = "1")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) linux: Option<LinuxContainerUser>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct ContainerStatus {
    #[prost(string, tag = "1")]
    pub(crate) id: String,
    #[prost(message, optional, tag = "2")]
    pub(crate) metadata: Option<ContainerMetadata>,
    #[prost(int32, tag = "3")]
    #[serde(serialize_with = "proto_json::container_state")]
    pub(crate) state: EnumNumber,
    /// In nanoseconds since 1970, as all times are.
    #[prost(int64, tag = "4")]
    #[serde(serialize_with = "proto_json::time")]
    pub(crate) created_at: i64,
    #[prost(int64, tag = "5")]
    #[serde(serialize_with = "proto_json::time")]
    pub(crate) started_at: i64,
    #[prost(int64, tag = "6")]
    #[serde(serialize_with = "proto_json::time")]
    pub(crate) finished_at: i64,
    #[prost(int32, tag = "7")]
    pub(crate) exit_code: i32,
    #[prost(message, optional, tag = "8")]
    pub(crate) image: Option<ImageSpec>,
    #[prost(string, tag = "9")]
    pub(crate) image_ref: String,
    #[prost(string, tag = "10")]
    pub(crate) reason: String,
    #[prost(string, tag = "11")]
    pub(crate) message: String,
    #[prost(btree_map = "string, string", tag = "12")]
    pub(crate) labels: BTreeMap<String, String>,
    #[prost(btree_map = "string, string", tag = "13")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "14")]
    pub(crate) mounts: Vec<Mount>,
    #[prost(string, tag = "15")]
    pub(crate) log_path: String,
    #[prost(message, optional, tag = "16")]
    pub(crate) resources: Option<ContainerResources>,
    #[prost(string, tag = "17")]
    pub(crate) image_id: String,
    #[prost(message, optional, tag = "18")]
    pub(crate) user: Option<ContainerUser>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct ContainerStatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<ContainerStatus>,
    #[prost(btree_map = "string, string", tag = "2")]
    pub(crate) info: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatusRequest {
    #[prost(bool, tag = "1")]
    pub(crate) verbose: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RuntimeCondition {
    #[prost(string, tag = "1")]
    pub(crate) r#type: String,
    #[prost(bool, tag = "2")]
    pub(crate) status: bool,
    #[prost(string, tag = "3")]
    pub(crate) reason: String,
    #[prost(string, tag = "4")]
    pub(crate) message: String,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RuntimeStatus {
    #[prost(message, repeated, tag = "1")]
    pub(crate) conditions: Vec<RuntimeCondition>,
}

/// Printed by crictl with the API's own names, and without what is false.
#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RuntimeHandlerFeatures {
    #[prost(bool, tag = "1")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) recursive_read_only_mounts: bool,
    #[prost(bool, tag = "2")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) user_namespaces: bool,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RuntimeHandler {
    #[prost(string, tag = "1")]
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    #[prost(message, optional, tag = "2")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) features: Option<RuntimeHandlerFeatures>,
}

#[derive(Clone, PartialEq, prost::Message, Serialize)]
pub(crate) struct RuntimeFeatures {
    #[prost(bool, tag = "1")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) supplemental_groups_policy: bool,
    #[prost(bool, tag = "2")]
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(crate) user_namespaces_host_network: bool,
}

#[derive(Clone, PartialEq, prost::Message)]
pub(crate) struct StatusResponse {
    #[prost(message, optional, tag = "1")]
    pub(crate) status: Option<RuntimeStatus>,
    #[prost(btree_map = "string, string", tag = "2")]
    pub(crate) info: BTreeMap<String, String>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) runtime_handlers: Vec<RuntimeHandler>,
    #[prost(message, optional, tag = "4")]
    pub(crate) features: Option<RuntimeFeatures>,
}
