//! What is kept of the objects that the Service proxy follows. The rest is skipped while it is read.

use ipnet::IpNet;
use kube::core::{ClusterResourceScope, NamespaceResourceScope, ObjectMeta};
use proxy::Service;
use proxy::read::{Metadata, ReadSlice, ServiceObject, SliceObject};
use serde::Deserialize;

use crate::api::object::object;

/// A Service.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "ServiceObject")]
pub(super) struct KeptService {
    metadata: ObjectMeta,
    /// `None` if it leads nowhere.
    pub(super) service: Option<Service>,
}

/// An EndpointSlice.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "SliceObject")]
pub(super) struct KeptSlice {
    metadata: ObjectMeta,
    pub(super) read: ReadSlice,
}

/// A ServiceCIDR.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "CidrObject")]
pub(super) struct KeptCidr {
    metadata: ObjectMeta,
    /// `spec.cidrs`. One that is no network is left out.
    pub(super) networks: Vec<IpNet>,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CidrObject {
    metadata: Metadata,
    spec: CidrSpec,
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct CidrSpec {
    cidrs: Vec<String>,
}

object!(KeptService, "Service", "", "v1", "services", NamespaceResourceScope);
object!(KeptSlice, "EndpointSlice", "discovery.k8s.io", "v1", "endpointslices", NamespaceResourceScope);
object!(KeptCidr, "ServiceCIDR", "networking.k8s.io", "v1", "servicecidrs", ClusterResourceScope);

impl From<ServiceObject> for KeptService {
    fn from(object: ServiceObject) -> Self {
        let metadata = kept(&object.metadata);
        Self { metadata, service: object.into_service() }
    }
}

impl From<SliceObject> for KeptSlice {
    fn from(object: SliceObject) -> Self {
        Self { metadata: kept(&object.metadata), read: object.into() }
    }
}

impl From<CidrObject> for KeptCidr {
    fn from(object: CidrObject) -> Self {
        let networks = object.spec.cidrs.iter().filter_map(|cidr| cidr.parse().ok()).collect();
        Self { metadata: kept(&object.metadata), networks }
    }
}

/// What a watch needs of an object's `metadata`.
fn kept(metadata: &Metadata) -> ObjectMeta {
    let Metadata { namespace, name, resource_version, .. } = metadata;
    ObjectMeta {
        namespace: Some(namespace.clone()).filter(|namespace| !namespace.is_empty()),
        name: Some(name.clone()),
        resource_version: Some(resource_version.clone()),
        ..ObjectMeta::default()
    }
}

#[cfg(test)]
mod tests {
    use kube::ResourceExt;
    use serde_json::json;

    use super::*;

    #[test]
    fn objects_are_read_with_the_names_that_a_watch_needs() {
        let metadata = json!({
            "namespace": "default", "name": "web", "resourceVersion": "7", "managedFields": [{"manager": "x"}],
            "labels": {"kubernetes.io/service-name": "web"},
        });
        let service =
            json!({"metadata": metadata, "spec": {"clusterIPs": ["10.96.0.5"], "ports": [{"port": 80}]}});
        let service: KeptService = serde_json::from_value(service).unwrap();
        assert_eq!(service.name_any(), "web");
        assert_eq!(service.resource_version().as_deref(), Some("7"));
        assert_eq!(service.service.unwrap().ports.len(), 1);
        let slice =
            json!({"metadata": metadata, "addressType": "IPv4", "endpoints": [{"addresses": ["10.0.0.1"]}]});
        let slice: KeptSlice = serde_json::from_value(slice).unwrap();
        assert_eq!(slice.namespace().as_deref(), Some("default"));
        assert_eq!(slice.read.slice.unwrap().endpoints.len(), 1);
        let cidr = json!({"metadata": {"name": "kubernetes"}, "spec": {"cidrs": ["10.96.0.0/16", "x", "fd00::/112"]}});
        let cidr: KeptCidr = serde_json::from_value(cidr).unwrap();
        assert_eq!((cidr.namespace(), cidr.networks.len()), (None, 2));
    }

    #[test]
    fn a_service_without_a_cluster_ip_is_not_kept() {
        for spec in [json!({"clusterIPs": ["None"]}), json!({"type": "ExternalName", "externalName": "x"})] {
            let service = json!({"metadata": {"name": "web"}, "spec": spec});
            assert_eq!(serde_json::from_value::<KeptService>(service).unwrap().service, None);
        }
    }
}
