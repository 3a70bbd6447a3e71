//! `spec` of a Service, as a typed structure.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::kind::KIND;
use crate::kinds::family::{FamilyExt, IpFamily};
use crate::object::Object;
use crate::status::ApiError;
use pod::validation::ip::parse_sloppy;

/// No address, in `spec.clusterIP`.
pub(super) const NONE: &str = "None";
pub(super) const CLUSTER_IP: &str = "ClusterIP";
pub(super) const NODE_PORT: &str = "NodePort";
pub(super) const LOAD_BALANCER: &str = "LoadBalancer";
pub(super) const EXTERNAL_NAME: &str = "ExternalName";
pub(super) const SINGLE: &str = "SingleStack";
pub(super) const PREFER_DUAL: &str = "PreferDualStack";
pub(super) const REQUIRE_DUAL: &str = "RequireDualStack";

/// `spec`. Empty lists and texts are the same as missing ones.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::kinds) struct Spec {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ports: Vec<Port>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) selector: BTreeMap<String, String>,
    #[serde(rename = "clusterIP", skip_serializing_if = "String::is_empty")]
    pub(super) cluster_ip: String,
    #[serde(rename = "clusterIPs", skip_serializing_if = "Vec::is_empty")]
    pub(super) cluster_ips: Vec<String>,
    #[serde(rename = "type", skip_serializing_if = "String::is_empty")]
    pub(super) kind: String,
    #[serde(rename = "externalIPs", skip_serializing_if = "Vec::is_empty")]
    pub(super) external_ips: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) session_affinity: String,
    #[serde(rename = "loadBalancerIP", skip_serializing_if = "String::is_empty")]
    pub(super) load_balancer_ip: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) load_balancer_source_ranges: Vec<String>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) external_name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) external_traffic_policy: String,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) health_check_node_port: i32,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) publish_not_ready_addresses: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) session_affinity_config: Option<AffinityConfig>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) ip_families: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ip_family_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) allocate_load_balancer_node_ports: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) load_balancer_class: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) internal_traffic_policy: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) traffic_distribution: Option<String>,
}

/// One of `spec.ports`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Port {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(super) protocol: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_protocol: Option<String>,
    pub(super) port: i32,
    pub(super) target_port: TargetPort,
    #[serde(skip_serializing_if = "is_zero")]
    pub(super) node_port: i32,
}

/// A port of the pods, by number or by name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum TargetPort {
    Number(i32),
    Name(String),
}

/// `spec.sessionAffinityConfig`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct AffinityConfig {
    #[serde(rename = "clientIP", skip_serializing_if = "Option::is_none")]
    pub(super) client_ip: Option<ClientIpConfig>,
}

/// `spec.sessionAffinityConfig.clientIP`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct ClientIpConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) timeout_seconds: Option<i32>,
}

impl Default for TargetPort {
    fn default() -> Self {
        Self::Number(0)
    }
}

fn is_zero(number: &i32) -> bool {
    *number == 0
}

impl Spec {
    /// Reads `spec`; keys that Services do not have are dropped.
    ///
    /// # Errors
    /// `BadRequest` naming the field that has the wrong type.
    pub(in crate::kinds) fn of(object: &Object) -> Result<Self, ApiError> {
        let mut spec = object.spec().clone();
        if spec.is_null() {
            return Ok(Self::default());
        }
        drop_nulls(&mut spec);
        serde_path_to_error::deserialize(spec).map_err(|error| {
            let (kind, version) = (KIND.name, KIND.version);
            let place = error.path().to_string();
            let cause = error.into_inner();
            ApiError::bad_request(format!(
                "{kind} in version {version:?} cannot be handled as a {kind}: spec.{place}: {cause}"
            ))
        })
    }

    /// Writes it into an object.
    ///
    /// # Errors
    /// It cannot be written as JSON, which does not happen.
    pub(super) fn put_into(&self, object: &mut Object) -> Result<(), ApiError> {
        let spec = serde_json::to_value(self).map_err(ApiError::internal)?;
        object.0.insert("spec".to_owned(), spec);
        Ok(())
    }

    pub(super) fn is(&self, kind: &str) -> bool {
        self.kind == kind
    }

    /// Whether `spec.clusterIPs` says that there is no address.
    pub(super) fn is_headless(&self) -> bool {
        self.cluster_ips == [NONE]
    }

    pub(super) fn needs_cluster_ip(&self) -> bool {
        !self.is(EXTERNAL_NAME)
    }

    pub(super) fn needs_node_ports(&self) -> bool {
        self.is(NODE_PORT) || self.is(LOAD_BALANCER)
    }

    pub(super) fn needs_health_check(&self) -> bool {
        self.is(LOAD_BALANCER) && self.external_traffic_policy == "Local"
    }

    pub(super) fn is_externally_accessible(&self) -> bool {
        self.needs_node_ports() || self.is(CLUSTER_IP) && !self.external_ips.is_empty()
    }

    pub(super) fn has_policy(&self, policy: &str) -> bool {
        self.ip_family_policy.as_deref() == Some(policy)
    }

    /// The known families of `spec.ipFamilies`.
    pub(super) fn families(&self) -> impl Iterator<Item = IpFamily> {
        self.ip_families.iter().filter_map(|name| IpFamily::from_name(name))
    }

    /// The valid addresses of `spec.clusterIPs`.
    pub(in crate::kinds) fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.cluster_ips.iter().filter_map(|ip| parse_sloppy(ip))
    }
}

/// Reads `null` like a missing field.
fn drop_nulls(value: &mut Value) {
    match value {
        Value::Object(map) => {
            map.retain(|_, value| !value.is_null());
            map.values_mut().for_each(drop_nulls);
        }
        Value::Array(list) => list.iter_mut().for_each(drop_nulls),
        _ => {}
    }
}
