//! Pods, with the fields that their hosts files are made of.

use kube::core::{NamespaceResourceScope, ObjectMeta};
use serde::Deserialize;

use crate::api::object::object;
use pod::host_aliases::HostAlias;
use pod::host_name::{NameFields, Naming};
use pod::json::or_default;
use pod::pod_ip_errors;
use records::cluster_pod::{CLUSTER_POD_VERSION, ClusterPod};

/// The annotation by which the kubelet knows the Pods in the API that stand for its static pods. Its value is the hash of the
/// pod's manifest, and that is the uid of the static pod itself.
const MIRROR: &str = "kubernetes.io/config.mirror";

/// A Pod as the API server sends it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct PodObject {
    pub(crate) metadata: ObjectMeta,
    spec: Spec,
    status: Status,
}

object!(PodObject, "Pod", "", "v1", "pods", NamespaceResourceScope);

/// `setHostnameAsFQDN` is not among them: with it the kubelet gives the container's kernel another name, and the hosts file
/// stays the same.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Spec {
    hostname: Option<String>,
    subdomain: Option<String>,
    hostname_override: Option<String>,
    host_network: Option<bool>,
    #[serde(deserialize_with = "or_default")]
    host_aliases: Vec<Alias>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Alias {
    ip: String,
    #[serde(deserialize_with = "or_default")]
    hostnames: Vec<String>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct Status {
    phase: String,
    #[serde(rename = "podIPs", deserialize_with = "or_default")]
    pod_ips: Vec<PodIp>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
struct PodIp {
    ip: String,
}

/// What the agent keeps of a Pod.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodePod {
    /// The record under the Pod's own uid.
    pub(crate) record: ClusterPod,
    /// The uid of the static pod that it stands for.
    pub(crate) mirrors: Option<String>,
    /// Whether its containers have ended for good. Its addresses are free then.
    pub(crate) has_ended: bool,
}

impl PodObject {
    /// What the agent keeps of it in a cluster of `cluster_domain`.
    ///
    /// # Errors
    /// Says why the kubelet makes no hosts file for it.
    pub(crate) fn into_pod(self, cluster_domain: &str) -> Result<NodePod, String> {
        let Self { metadata, spec, status } = self;
        let names = NameFields {
            naming: Naming::Kubernetes,
            engine_hostname: None,
            pod_name: metadata.name.unwrap_or_default(),
            namespace: metadata.namespace.unwrap_or_default(),
            hostname: spec.hostname,
            subdomain: spec.subdomain,
            hostname_override: spec.hostname_override,
        };
        let host_name = names.generate(cluster_domain).map_err(|error| error.to_string())?;
        let mut pod_ips: Vec<String> = status.pod_ips.into_iter().map(|pod_ip| pod_ip.ip).collect();
        if !pod_ip_errors(&pod_ips).is_empty() {
            // The hook knows others.
            pod_ips.clear();
        }
        let alias = |Alias { ip, hostnames }| HostAlias { ip, hostnames };
        let record = ClusterPod {
            version: CLUSTER_POD_VERSION,
            uid: metadata.uid.unwrap_or_default(),
            namespace: names.namespace,
            name: names.pod_name,
            hostname: host_name.host,
            domain: host_name.domain,
            host_network: spec.host_network.unwrap_or_default(),
            pod_ips,
            host_aliases: spec.host_aliases.into_iter().map(alias).collect(),
        };
        record.to_json().map_err(|error| error.to_string())?;
        let mirrors = metadata.annotations.and_then(|mut annotations| annotations.remove(MIRROR));
        let has_ended = matches!(status.phase.as_str(), "Succeeded" | "Failed");
        Ok(NodePod { record, mirrors, has_ended })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use pod::hosts_file;

    fn pod(value: Value) -> Result<NodePod, String> {
        serde_json::from_value::<PodObject>(value).unwrap().into_pod("k8s.example")
    }

    #[test]
    fn a_pod_is_read() {
        let found = pod(json!({
            "metadata": {"name": "web-0", "namespace": "shop", "uid": "u", "annotations": {"a": "b"}},
            "spec": {
                "hostname": "front", "subdomain": "web", "setHostnameAsFQDN": true, "nodeName": "n1",
                "hostAliases": [{"ip": "10.1.1.1", "hostnames": ["db", "db.example"]}, {"ip": "10.001.1.1"}],
                "containers": [{"name": "c", "image": "i"}],
            },
            "status": {"phase": "Running", "podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]},
        }));
        let alias = |ip: &str, names: &[&str]| HostAlias {
            ip: ip.to_owned(),
            hostnames: names.iter().map(|&name| name.to_owned()).collect(),
        };
        let record = ClusterPod {
            version: 1,
            uid: "u".to_owned(),
            namespace: "shop".to_owned(),
            name: "web-0".to_owned(),
            hostname: "front".to_owned(),
            domain: "web.shop.svc.k8s.example".to_owned(),
            host_network: false,
            pod_ips: vec!["10.0.0.1".to_owned(), "fd00::1".to_owned()],
            host_aliases: vec![alias("10.1.1.1", &["db", "db.example"]), alias("10.001.1.1", &[])],
        };
        assert_eq!(found, Ok(NodePod { record, mirrors: None, has_ended: false }));
    }

    #[test]
    fn a_static_pod_is_known_by_the_hash_of_its_manifest() {
        let metadata = json!({"name": "etcd-n1", "namespace": "kube-system", "uid": "u", "annotations": {MIRROR: "5c0e"}});
        let found =
            pod(json!({"metadata": metadata, "spec": {"hostNetwork": true, "hostAliases": null}})).unwrap();
        assert_eq!(found.mirrors.as_deref(), Some("5c0e"));
        assert!(found.record.host_network && found.record.pod_ips.is_empty());
    }

    #[test]
    fn what_the_kubelet_refuses_has_no_record() {
        let with = |spec: Value| {
            pod(json!({"metadata": {"name": "web", "namespace": "ns", "uid": "u"}, "spec": spec}))
                .unwrap_err()
        };
        assert!(
            with(json!({"hostname": "A_b"})).starts_with("pod Hostname \"A_b\" is not a valid DNS label")
        );
        assert!(with(json!({"hostnameOverride": ""})).starts_with("pod HostnameOverride \"\" is not"));
        let error = with(json!({"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a\n6.6.6.6 b"]}]}));
        assert!(error.contains("spec.hostAliases[0].hostnames[0]"), "{error}");
        assert!(pod(json!({})).is_err());
        // An address that the hook would refuse is one that it does not need.
        let ips = json!({"metadata": {"name": "web", "namespace": "ns", "uid": "u"}, "status": {"podIPs": [{"ip": "x"}]}});
        assert_eq!(pod(ips).unwrap().record.pod_ips, [""; 0]);
    }

    /// The inputs for which the kubelet's own code wrote down its files.
    #[test]
    fn files_are_the_kubelets_byte_for_byte() {
        let cases = include_str!("../../../../integration/vectors/kubelet-hosts.jsonl");
        let mut files = 0;
        for case in cases.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()) {
            let ips: Vec<Value> =
                case["podIPs"].as_array().unwrap().iter().map(|ip| json!({"ip": ip})).collect();
            let object = json!({
                "metadata": {"name": case["name"], "namespace": case["namespace"], "uid": "u"},
                "spec": {
                    "hostname": case["hostname"], "subdomain": case["subdomain"],
                    "hostnameOverride": case["hostnameOverride"], "hostNetwork": case["hostNetwork"],
                    "hostAliases": case["hostAliases"],
                },
                "status": {"podIPs": ips},
            });
            let object: PodObject = serde_json::from_value(object).unwrap();
            let expected = case["expect"]["content"].as_str().unwrap();
            let Ok(pod) = object.into_pod(case["clusterDomain"].as_str().unwrap()) else {
                assert_eq!(expected, "", "{case}");
                continue;
            };
            if expected.is_empty() {
                // The API server refuses it, and the kubelet does not look again.
                assert_ne!(case["expect"]["aliasErrors"], json!([]), "{case}");
                continue;
            }
            let ClusterPod { pod_ips, host_aliases, host_network, .. } = &pod.record;
            let node = case["nodeHosts"].as_str().unwrap_or_default().as_bytes();
            let file = match host_network {
                true => hosts_file::host_network(node, host_aliases),
                false => hosts_file::pod_network(pod_ips, &pod.record.host_name(), host_aliases),
            };
            assert_eq!(String::from_utf8(file).unwrap(), expected, "{case}");
            files += 1;
        }
        assert!(files > 300, "{files}");
    }
}
