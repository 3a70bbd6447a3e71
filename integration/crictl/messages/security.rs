//! What pods and containers have in common: namespaces, users, resources.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::proto_json;

/// The number of `CONTAINER_RUNNING`, `NODE` and their like.
pub(crate) type EnumNumber = i32;

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default, rename_all(serialize = "camelCase"))]
pub(crate) struct IdMapping {
    #[prost(uint32, tag = "1")]
    pub(crate) host_id: u32,
    #[prost(uint32, tag = "2")]
    pub(crate) container_id: u32,
    #[prost(uint32, tag = "3")]
    pub(crate) length: u32,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default, rename_all(serialize = "camelCase"))]
pub(crate) struct UserNamespace {
    #[prost(int32, tag = "1")]
    #[serde(serialize_with = "proto_json::namespace_mode")]
    pub(crate) mode: EnumNumber,
    #[prost(message, repeated, tag = "2")]
    pub(crate) uids: Vec<IdMapping>,
    #[prost(message, repeated, tag = "3")]
    pub(crate) gids: Vec<IdMapping>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default, rename_all(serialize = "camelCase"))]
pub(crate) struct NamespaceOption {
    #[prost(int32, tag = "1")]
    #[serde(serialize_with = "proto_json::namespace_mode")]
    pub(crate) network: EnumNumber,
    #[prost(int32, tag = "2")]
    #[serde(serialize_with = "proto_json::namespace_mode")]
    pub(crate) pid: EnumNumber,
    #[prost(int32, tag = "3")]
    #[serde(serialize_with = "proto_json::namespace_mode")]
    pub(crate) ipc: EnumNumber,
    #[prost(string, tag = "4")]
    pub(crate) target_id: String,
    #[prost(message, optional, tag = "5")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) userns_options: Option<UserNamespace>,
}

/// A number that may be absent.
#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default)]
pub(crate) struct Int64Value {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) value: i64,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct SecurityProfile {
    #[prost(int32, tag = "1")]
    pub(crate) profile_type: EnumNumber,
    #[prost(string, tag = "2")]
    pub(crate) localhost_ref: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct SeLinuxOption {
    #[prost(string, tag = "1")]
    pub(crate) user: String,
    #[prost(string, tag = "2")]
    pub(crate) role: String,
    #[prost(string, tag = "3")]
    pub(crate) r#type: String,
    #[prost(string, tag = "4")]
    pub(crate) level: String,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize)]
#[serde(default)]
pub(crate) struct Capability {
    #[prost(string, repeated, tag = "1")]
    pub(crate) add_capabilities: Vec<String>,
    #[prost(string, repeated, tag = "2")]
    pub(crate) drop_capabilities: Vec<String>,
    #[prost(string, repeated, tag = "3")]
    pub(crate) add_ambient_capabilities: Vec<String>,
}

#[derive(Clone, PartialEq, prost::Message, Deserialize, Serialize)]
#[serde(default, rename_all(serialize = "camelCase"))]
pub(crate) struct LinuxContainerResources {
    #[prost(int64, tag = "1")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) cpu_period: i64,
    #[prost(int64, tag = "2")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) cpu_quota: i64,
    #[prost(int64, tag = "3")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) cpu_shares: i64,
    #[prost(int64, tag = "4")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) memory_limit_in_bytes: i64,
    #[prost(int64, tag = "5")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) oom_score_adj: i64,
    #[prost(string, tag = "6")]
    pub(crate) cpuset_cpus: String,
    #[prost(string, tag = "7")]
    pub(crate) cpuset_mems: String,
    #[prost(btree_map = "string, string", tag = "9")]
    pub(crate) unified: BTreeMap<String, String>,
    #[prost(int64, tag = "10")]
    #[serde(serialize_with = "proto_json::int64")]
    pub(crate) memory_swap_limit_in_bytes: i64,
}
