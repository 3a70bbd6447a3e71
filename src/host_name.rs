//! The name a pod goes by in its own hosts file.
//!
//! Followed: `GeneratePodHostNameAndDomain` and `truncatePodHostnameIfNeeded` of the kubelet 1.36.

use thiserror::Error;

use crate::validation::dns::{LABEL_MAX, label_errors, subdomain_errors};
use crate::validation::go_quote;

/// The fields of a Pod that its name is made of; `None` and the empty string both mean "not set".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameFields {
    /// `metadata.name`.
    pub pod_name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.hostname`.
    pub hostname: Option<String>,
    /// `spec.subdomain`.
    pub subdomain: Option<String>,
    /// `spec.hostnameOverride`. Unlike the others, an empty one is set (and invalid), as in Kubernetes.
    pub hostname_override: Option<String>,
}

/// A host name and, where the pod has a subdomain, the domain that makes it fully qualified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostName {
    /// At most 63 bytes; may contain dots when it comes from the pod's name or from `hostnameOverride`.
    pub host: String,
    /// `<subdomain>.<namespace>.svc.<cluster domain>`, or empty.
    pub domain: String,
}

/// A name that Kubernetes would refuse, in the kubelet's words.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NameError {
    /// `spec.hostname` is not an RFC 1123 label.
    #[error("pod Hostname {} is not a valid DNS label: {}", go_quote(.0), .1.join(";"))]
    Hostname(String, Vec<&'static str>),
    /// `spec.subdomain` is not an RFC 1123 label.
    #[error("pod Subdomain {} is not a valid DNS label: {}", go_quote(.0), .1.join(";"))]
    Subdomain(String, Vec<&'static str>),
    /// `spec.hostnameOverride` is not an RFC 1123 subdomain.
    #[error("pod HostnameOverride {} is not a valid DNS subdomain: {}", go_quote(.0), .1.join(";"))]
    Override(String, Vec<&'static str>),
    /// Nothing is left after truncation.
    #[error("hostname for pod {} was invalid: {}", go_quote(.0), go_quote(.1))]
    Truncated(String, String),
}

impl NameFields {
    /// The host name and domain that the kubelet would give the pod in a cluster of `cluster_domain`.
    ///
    /// # Errors
    /// [`NameError`] for the first field that is not a valid name.
    pub fn generate(&self, cluster_domain: &str) -> Result<HostName, NameError> {
        if let Some(name) = &self.hostname_override {
            check(name, subdomain_errors, NameError::Override)?;
            return Ok(HostName { host: truncate(&self.pod_name, name)?, domain: String::new() });
        }
        let hostname = self.hostname.as_deref().filter(|name| !name.is_empty());
        if let Some(name) = hostname {
            check(name, label_errors, NameError::Hostname)?;
        }
        let host = truncate(&self.pod_name, hostname.unwrap_or(&self.pod_name))?;
        let domain = match self.subdomain.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => {
                check(name, label_errors, NameError::Subdomain)?;
                format!("{name}.{}.svc.{cluster_domain}", self.namespace)
            }
            None => String::new(),
        };
        Ok(HostName { host, domain })
    }
}

fn check(
    name: &str,
    errors: fn(&str) -> Vec<&'static str>,
    error: fn(String, Vec<&'static str>) -> NameError,
) -> Result<(), NameError> {
    let found = errors(name);
    if found.is_empty() { Ok(()) } else { Err(error(name.to_owned(), found)) }
}

/// Cuts `name` to 63 bytes and drops what a name may not end with.
fn truncate(pod_name: &str, name: &str) -> Result<String, NameError> {
    if name.len() <= LABEL_MAX {
        return Ok(name.to_owned());
    }
    let cut = name.floor_char_boundary(LABEL_MAX);
    let truncated = name[..cut].trim_end_matches(['-', '.']);
    if truncated.is_empty() {
        return Err(NameError::Truncated(pod_name.to_owned(), name.to_owned()));
    }
    Ok(truncated.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str) -> NameFields {
        NameFields { pod_name: name.into(), namespace: "default".into(), ..NameFields::default() }
    }

    /// The cases of the kubelet's own TestTruncatePodHostname.
    #[test]
    fn truncation() {
        let cases = [
            ("valid", "test.pod.hostname", "test.pod.hostname"),
            (
                "too long",
                "1234567.1234567.1234567.1234567.1234567.1234567.1234567.1234567.1234567.",
                "1234567.1234567.1234567.1234567.1234567.1234567.1234567.1234567",
            ),
            (
                "cut at a dot",
                "1234567.1234567.1234567.1234567.1234567.1234567.1234567.123456.1234567.",
                "1234567.1234567.1234567.1234567.1234567.1234567.1234567.123456",
            ),
            (
                "cut at a hyphen",
                "1234567.1234567.1234567.1234567.1234567.1234567.1234567.123456-1234567.",
                "1234567.1234567.1234567.1234567.1234567.1234567.1234567.123456",
            ),
        ];
        for (what, name, expected) in cases {
            assert_eq!(truncate("pod", name).unwrap(), expected, "{what}");
        }
        assert_eq!(
            truncate("p", &".".repeat(64)).unwrap_err().to_string().get(..20),
            Some("hostname for pod \"p\"")
        );
    }

    /// The cases of the kubelet's own TestGeneratePodHostNameAndDomain.
    #[test]
    fn generation() {
        let with = |hostname: Option<&str>, subdomain: Option<&str>, over: Option<&str>| {
            let fields = NameFields {
                hostname: hostname.map(str::to_owned),
                subdomain: subdomain.map(str::to_owned),
                hostname_override: over.map(str::to_owned),
                ..pod("test-pod")
            };
            fields.generate("cluster.local").map(|name| (name.host, name.domain)).map_err(|e| e.to_string())
        };
        let ok = |host: &str, domain: &str| Ok((host.to_owned(), domain.to_owned()));
        assert_eq!(with(None, None, None), ok("test-pod", ""));
        assert_eq!(with(Some("h"), None, None), ok("h", ""));
        assert_eq!(with(None, Some("sub"), None), ok("test-pod", "sub.default.svc.cluster.local"));
        assert_eq!(with(Some("h"), Some("sub"), None), ok("h", "sub.default.svc.cluster.local"));
        assert_eq!(with(Some(""), Some(""), None), ok("test-pod", ""));
        assert_eq!(with(Some("h"), Some("sub"), Some("over.ride")), ok("over.ride", ""));
        assert!(with(Some("BAD"), None, Some("over")).is_ok(), "an override hides what it overrides");
        assert!(with(None, None, Some("")).unwrap_err().starts_with("pod HostnameOverride \"\" is not"));
        assert!(
            with(None, None, Some("a_b")).unwrap_err().starts_with("pod HostnameOverride \"a_b\" is not")
        );
        assert!(with(Some("a.b"), None, None).unwrap_err().ends_with("DNS label: must not contain dots"));
        assert!(with(None, Some("_"), None).unwrap_err().starts_with("pod Subdomain \"_\" is not"));
        let long = pod(&"a".repeat(65)).generate("cluster.local").unwrap();
        assert_eq!(long.host, "a".repeat(63));
    }
}
