//! The record of a cluster's pod that `podhosts-node` leaves for the hook: `/run/podhosts/cluster-pods/<uid>.json`.
//!
//! It has what the kubelet makes the pod's hosts file of, from the cluster's API, in a place where no container can write.
//! /run is emptied by a boot, which no sandbox outlives either, and its files are memory: a write waits for no disk.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::record;
use pod::host_aliases::{self, HostAlias};
use pod::host_name::HostName;
use pod::json::{Object, objects};
use pod::pod_ip_errors;
use pod::validation::FieldError;
use pod::validation::dns::{is_label, is_subdomain, label_errors, subdomain_errors};
use pod::validation::ip::IpRules;
use sys::fs::files::{self, FileError};

/// The directory of the records.
pub const CLUSTER_POD_DIR: &str = "/run/podhosts/cluster-pods";
/// Largest record that is written and read, in bytes: of HostAliases for a hosts file of 1 MiB, the largest that is sealed.
pub const CLUSTER_POD_MAX: usize = 4 << 20;
/// The version that is written, and the only one that is read.
pub const CLUSTER_POD_VERSION: u32 = 1;
/// Most addresses in `status.podIPs`. Kubernetes has one of each family; each is looked for among all that a pod has.
const POD_IPS_MAX: usize = 16;
/// Longest host name that the kubelet gives a pod, in bytes.
const HOSTNAME_MAX: usize = 63;

/// A pod as the cluster's API describes it. Unknown fields are ignored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterPod {
    /// [`CLUSTER_POD_VERSION`].
    pub version: u32,
    /// The uid by which the kubelet and the engine know the pod: `metadata.uid`, of a static pod the hash of its manifest.
    pub uid: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The pod's host name as the kubelet makes it of `hostname`, `hostnameOverride` and the pod's name.
    pub hostname: String,
    /// `<subdomain>.<namespace>.svc.<cluster domain>`, or empty.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub domain: String,
    /// `spec.hostNetwork`.
    pub host_network: bool,
    /// `status.podIPs`, which the kubelet reports some time after the pod's containers have started.
    #[serde(rename = "podIPs")]
    pub pod_ips: Vec<String>,
    /// `spec.hostAliases`.
    #[serde(deserialize_with = "objects")]
    pub host_aliases: Vec<HostAlias>,
}

/// A record that exists and cannot be read or used.
#[derive(Debug, Error)]
pub enum ClusterPodError {
    /// The file cannot be read, or is not root's alone.
    #[error(transparent)]
    File(#[from] FileError),
    /// The content cannot be used.
    #[error("{cause}, in {path}")]
    Content {
        /// The record.
        path: PathBuf,
        /// What is wrong.
        #[source]
        cause: ContentError,
    },
}

/// What is wrong with a record.
#[derive(Debug, Error)]
pub enum ContentError {
    /// Not JSON, or a field is missing or of the wrong type.
    #[error("cannot read the record of the cluster's pod: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by a later podhosts.
    #[error("cannot use the record of the cluster's pod: it has version {0}, expected {CLUSTER_POD_VERSION}")]
    Version(u32),
    /// It is the record of another pod.
    #[error("cannot use the record of the cluster's pod: it is of uid {0:?}, expected {1:?}")]
    Uid(String, String),
    /// A value that no pod in Kubernetes has.
    #[error("cannot use the record of the cluster's pod: {0}")]
    Field(String),
    /// It is larger than what is read.
    #[error(
        "cannot use the record of the cluster's pod: it has {0} bytes, expected at most {CLUSTER_POD_MAX}"
    )]
    TooLarge(usize),
}

/// The file of a pod under `dir`; `None` for a uid that cannot name a file, which no API server and no kubelet gives.
pub fn path(dir: &Path, uid: &str) -> Option<PathBuf> {
    record::check_id(uid).ok()?;
    Some(dir.join(format!("{uid}.json")))
}

/// The uid of a record, by the name of its file.
pub fn uid_of(file_name: &str) -> Option<&str> {
    record::id_of(file_name).filter(|uid| record::check_id(uid).is_ok())
}

impl ClusterPod {
    /// Reads the record of `uid`.
    ///
    /// # Errors
    /// [`ContentError`] naming the field.
    pub fn parse(json: &[u8], uid: &str) -> Result<Self, ContentError> {
        let Object(record): Object<Self> = serde_json::from_slice(json)?;
        if record.version != CLUSTER_POD_VERSION {
            return Err(ContentError::Version(record.version));
        }
        if record.uid != uid {
            return Err(ContentError::Uid(record.uid, uid.to_owned()));
        }
        record.check()?;
        Ok(record)
    }

    /// The record's text.
    ///
    /// # Errors
    /// [`ContentError`] for a record that [`parse`](Self::parse) would refuse.
    pub fn to_json(&self) -> Result<Vec<u8>, ContentError> {
        self.check()?;
        let json = serde_json::to_vec(self)?;
        if json.len() > CLUSTER_POD_MAX { Err(ContentError::TooLarge(json.len())) } else { Ok(json) }
    }

    /// Checks what reaches the hosts file: each value has to be one word there. Addresses of HostAliases may be those of Pods
    /// that older API servers stored, for the kubelet writes them as they are.
    fn check(&self) -> Result<(), ContentError> {
        let invalid = |path: &str, value: &str, details: Vec<&'static str>| {
            let error = |detail: &&'static str| FieldError::invalid(path, value, detail);
            details.first().map(error)
        };
        let fields = [
            invalid("namespace", &self.namespace, label_errors(&self.namespace)),
            invalid("name", &self.name, subdomain_errors(&self.name)),
            pod_ip_errors(&self.pod_ips).into_iter().next(),
            host_aliases::validate(&self.host_aliases, IpRules::Legacy).into_iter().next(),
        ];
        if let Some(error) = fields.into_iter().flatten().next() {
            return Err(ContentError::Field(error.to_string()));
        }
        if self.pod_ips.len() > POD_IPS_MAX {
            let error = format!("it has {} podIPs, expected at most {POD_IPS_MAX}", self.pod_ips.len());
            return Err(ContentError::Field(error));
        }
        if self.hostname.len() > HOSTNAME_MAX || !is_subdomain(&self.hostname) {
            let error =
                format!("hostname is {:?}, expected a name of at most {HOSTNAME_MAX} bytes", self.hostname);
            return Err(ContentError::Field(error));
        }
        let mut labels = self.domain.splitn(4, '.');
        let is_full = labels.next().is_some_and(is_label)
            && labels.next() == Some(&self.namespace)
            && labels.next() == Some("svc")
            && labels.next().is_some_and(is_subdomain);
        if !self.domain.is_empty() && !is_full {
            let expected = format!("<subdomain>.{}.svc.<cluster domain>", self.namespace);
            return Err(ContentError::Field(format!("domain is {:?}, expected {expected}", self.domain)));
        }
        Ok(())
    }

    /// The name that the pod's addresses have in its hosts file.
    pub fn host_name(&self) -> HostName {
        HostName { host: self.hostname.clone(), domain: self.domain.clone() }
    }
}

/// Reads the record of the pod with this uid, if it has one.
///
/// # Errors
/// [`ClusterPodError`] naming the file.
pub fn read(uid: &str) -> Result<Option<ClusterPod>, ClusterPodError> {
    read_in(Path::new(CLUSTER_POD_DIR), uid)
}

/// Reads the record of the pod with this uid under `dir`, if it has one.
///
/// # Errors
/// [`ClusterPodError`] naming the file.
pub fn read_in(dir: &Path, uid: &str) -> Result<Option<ClusterPod>, ClusterPodError> {
    let Some(path) = path(dir, uid) else { return Ok(None) };
    match files::read_of_root(&path, CLUSTER_POD_MAX) {
        Ok(json) => match ClusterPod::parse(&json, uid) {
            Ok(pod) => Ok(Some(pod)),
            Err(cause) => Err(ClusterPodError::Content { path, cause }),
        },
        Err(error) if error.is_absent() => Ok(None),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn value() -> Value {
        json!({
            "version": 1, "uid": "u1", "namespace": "default", "name": "web", "hostname": "front",
            "domain": "shop.default.svc.k8s.example", "hostNetwork": false, "podIPs": ["10.244.1.4", "2001:db8::4"],
            "hostAliases": [{"ip": "10.1.1.001", "hostnames": ["db", "db.example"]}, {"ip": "::1", "hostnames": []}],
        })
    }

    fn parse(value: &Value) -> Result<ClusterPod, String> {
        ClusterPod::parse(value.to_string().as_bytes(), "u1").map_err(|error| error.to_string())
    }

    #[test]
    fn a_record_comes_back_as_it_was_written() {
        let pod = parse(&value()).unwrap();
        let json = pod.to_json().unwrap();
        assert_eq!(ClusterPod::parse(&json, "u1").unwrap(), pod);
        assert_eq!(serde_json::from_slice::<Value>(&json).unwrap(), value());
        let mut short = value();
        short.as_object_mut().unwrap().remove("domain");
        short["later"] = true.into();
        assert_eq!(
            parse(&short).unwrap().host_name(),
            HostName { host: "front".into(), domain: String::new() }
        );
    }

    #[test]
    fn what_no_pod_has_is_refused_when_it_is_read_and_when_it_is_written() {
        for (key, bad, expected) in [
            ("version", json!(2), "it has version 2, expected 1"),
            ("uid", json!("u2"), "it is of uid \"u2\", expected \"u1\""),
            ("namespace", json!("a.b"), "namespace: Invalid value: \"a.b\": must not contain dots"),
            ("name", json!("a\n6.6.6.6 evil"), "name: Invalid value: \"a\\n6.6.6.6 evil\": a lowercase"),
            ("hostname", json!("a b"), "hostname is \"a b\", expected a name of at most 63 bytes"),
            ("hostname", json!("a".repeat(64)), "expected a name of at most 63 bytes"),
            ("hostname", json!(""), "hostname is \"\", expected a name"),
            (
                "domain",
                json!("shop.other.svc.k8s.example"),
                "expected <subdomain>.default.svc.<cluster domain>",
            ),
            ("domain", json!("shop.default.svc"), "domain is \"shop.default.svc\", expected"),
            ("domain", json!("shop.default.svc.a b"), "domain is \"shop.default.svc.a b\", expected"),
            ("podIPs", json!(vec!["10.0.0.1"; 17]), "it has 17 podIPs, expected at most 16"),
            ("podIPs", json!(["010.0.0.1"]), "status.podIPs[0].ip: Invalid value"),
            (
                "hostAliases",
                json!([{"ip": "10.0.0.1", "hostnames": ["a b"]}]),
                "spec.hostAliases[0].hostnames[0]",
            ),
            ("hostAliases", json!([{"ip": "x", "hostnames": []}]), "spec.hostAliases[0].ip: Invalid value"),
        ] {
            let mut value = value();
            value[key] = bad;
            let error = parse(&value).unwrap_err();
            assert!(error.starts_with("cannot use the record of the cluster's pod: "), "{error}");
            assert!(error.contains(expected), "{error} lacks {expected}");
            if !matches!(key, "version" | "uid") {
                let pod: ClusterPod = serde_json::from_value(value).unwrap();
                assert_eq!(pod.to_json().unwrap_err().to_string(), error);
            }
        }
        for key in ["version", "uid", "namespace", "name", "hostname", "hostNetwork", "podIPs", "hostAliases"]
        {
            let mut value = value();
            value.as_object_mut().unwrap().remove(key);
            let error = parse(&value).unwrap_err();
            assert!(error.contains(&format!("pod: missing field `{key}`")), "{error}");
        }
        let mut pod = parse(&value()).unwrap();
        pod.host_aliases = vec![pod.host_aliases[0].clone(); CLUSTER_POD_MAX / 40];
        assert!(pod.to_json().unwrap_err().to_string().ends_with("bytes, expected at most 4194304"));
    }

    #[test]
    fn a_uid_never_leaves_the_directory() {
        let dir = Path::new(CLUSTER_POD_DIR);
        let uid = "0d1b58f5-3b4b-4f4c-9c0f-0a4f1c2f3d4e";
        assert_eq!(path(dir, uid).unwrap(), dir.join(format!("{uid}.json")));
        assert_eq!(uid_of(&format!("{uid}.json")), Some(uid));
        for bad in ["", ".", "..", "../x", "a/b", "a\0", ".hidden", &"a".repeat(129)] {
            assert_eq!(path(dir, bad), None, "{bad}");
        }
        for other in [".tmp123", ".json", ".x.json", "README", "a b.json"] {
            assert_eq!(uid_of(other), None, "{other}");
        }
    }
}
