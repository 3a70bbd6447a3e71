//! The name a pod goes by in its own hosts file.
//!
//! Followed: `GeneratePodHostNameAndDomain` and `truncatePodHostnameIfNeeded` of the kubelet 1.36.

use thiserror::Error;

use crate::validation::dns::{LABEL_MAX, is_label, label_errors, subdomain_errors};
use crate::validation::go_quote;
use crate::validation::word::{dashed, is_word};

/// The name in a hosts file of a pod that an engine named with the empty string.
pub(crate) const SUBSTITUTE: &str = "pod";

/// By which rules a pod was named.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Naming {
    /// Kubernetes': a name that its API server would refuse is an error.
    #[default]
    Kubernetes,
    /// The CRI's and the other engines': any text names a pod. Characters that cannot stand in a hosts file are replaced:
    /// no container may fail because of a name that its engine took.
    Engine,
}

/// The fields of a Pod that its name is made of; `None` and the empty string both mean "not set".
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameFields {
    /// Who gave `pod_name`, `namespace` and `engine_hostname`. The other fields are a Pod's or annotations of ours,
    /// for which Kubernetes' rules hold always.
    pub naming: Naming,
    /// Host name that the engine gave the pod; asked where `hostname` is not set.
    pub engine_hostname: Option<String>,
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
    /// At most 63 bytes, 253 where it is an engine's host name. It may contain dots when it comes from the pod's name,
    /// `hostnameOverride` or an engine.
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
    /// The host name and domain that the kubelet would give the pod in a cluster of `cluster_domain`. Both are words of a
    /// hosts file, whatever an engine called the pod ([`Naming::Engine`]).
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
        let domain = match self.subdomain.as_deref().filter(|name| !name.is_empty()) {
            Some(name) => {
                check(name, label_errors, NameError::Subdomain)?;
                // Where the namespace cannot be part of a name there is no full name.
                let has_domain = self.naming == Naming::Kubernetes || is_word(&self.namespace);
                let domain = has_domain.then(|| format!("{name}.{}.svc.{cluster_domain}", self.namespace));
                domain.unwrap_or_default()
            }
            None => String::new(),
        };
        match (hostname, self.naming) {
            (Some(name), _) => Ok(HostName { host: truncate(&self.pod_name, name)?, domain }),
            (None, Naming::Kubernetes) => {
                Ok(HostName { host: truncate(&self.pod_name, &self.pod_name)?, domain })
            }
            (None, Naming::Engine) => Ok(self.engines_name(domain, cluster_domain)),
        }
    }

    /// The name of a pod that an engine named: by its host name where that can stand in a hosts file, else by what can
    /// of the pod's own name, which is cut as the kubelet cuts it.
    fn engines_name(&self, domain: String, cluster_domain: &str) -> HostName {
        let Some(hostname) = self.engine_hostname.as_deref().filter(|name| is_word(name)) else {
            let host = truncate(&self.pod_name, &dashed(&self.pod_name)).unwrap_or_default();
            let host = if host.is_empty() { SUBSTITUTE.to_owned() } else { host };
            return HostName { host, domain };
        };
        if !hostname.contains('.') {
            return HostName { host: hostname.to_owned(), domain };
        }
        // The kubelet gives a pod with setHostnameAsFQDN both names; any other full name is all there is.
        let suffix = format!(".{}.svc.{cluster_domain}", self.namespace);
        let labels = hostname.strip_suffix(suffix.as_str()).and_then(|labels| labels.split_once('.'));
        match labels.filter(|(host, subdomain)| is_label(host) && is_label(subdomain)) {
            Some((host, subdomain)) => HostName { host: host.into(), domain: format!("{subdomain}{suffix}") },
            None => HostName { host: hostname.to_owned(), domain: String::new() },
        }
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

    fn engines(
        name: &str,
        hostname: Option<&str>,
        subdomain: Option<&str>,
        namespace: &str,
    ) -> (String, String) {
        let fields = NameFields {
            naming: Naming::Engine,
            engine_hostname: hostname.map(str::to_owned),
            subdomain: subdomain.map(str::to_owned),
            namespace: namespace.into(),
            ..pod(name)
        };
        let name = fields.generate("cluster.local").unwrap();
        assert!(is_word(&name.host) && (name.domain.is_empty() || is_word(&name.domain)), "{name:?}");
        (name.host, name.domain)
    }

    #[test]
    fn an_engine_names_a_pod_as_it_likes() {
        let long = |last: &str| format!("{}{last}", "x".repeat(62));
        for (name, expected) in [
            ("create-PodSandbox-for-container-0f5a", "create-PodSandbox-for-container-0f5a"),
            ("a_b", "a_b"),
            (".a-", ".a-"),
            ("a/../b@c", "a/../b@c"),
            ("日本", "日本"),
            ("10.0.0.1", "10.0.0.1"),
            ("localhost", "localhost"),
            ("my pod", "my-pod"),
            ("web\n6.6.6.6 evil # x", "web-6.6.6.6-evil---x"),
            ("\0\t\u{9b}\u{2028}\u{202e}", "-----"),
            ("", "pod"),
            (&long("xx"), &long("x")),
            (&long(".x"), &long("")),
            (&long("日"), &long("")),
            (&"x".repeat(1 << 20), &long("x")),
            // Nothing is left of it.
            (&"\n".repeat(64), "pod"),
            (&".".repeat(300), "pod"),
        ] {
            assert_eq!(engines(name, None, None, "ns"), (expected.to_owned(), String::new()), "{name:?}");
        }
    }

    #[test]
    fn an_engines_host_name_goes_before_the_pods() {
        let fqdn = "sub.ns.svc.cluster.local";
        for (hostname, subdomain, namespace, expected) in [
            ("My_Host", None, "ns", ("My_Host", "")),
            ("my host", None, "ns", ("web", "")),
            ("", None, "ns", ("web", "")),
            ("front.example.com", None, "ns", ("front.example.com", "")),
            ("Front", Some("sub"), "ns", ("Front", fqdn)),
            ("front.sub.ns.svc.cluster.local", Some("sub"), "ns", ("front", fqdn)),
            ("front.sub.ns.svc.cluster.local", None, "ns", ("front", fqdn)),
            ("front.sub.ns.svc.cluster.local", None, "other", ("front.sub.ns.svc.cluster.local", "")),
            ("a.b.sub.ns.svc.cluster.local", None, "ns", ("a.b.sub.ns.svc.cluster.local", "")),
            ("front.example.com", Some("sub"), "ns", ("front.example.com", "")),
            (fqdn, Some("sub"), "ns", (fqdn, "")),
            ("front", Some("sub"), "N_s", ("front", "sub.N_s.svc.cluster.local")),
            ("front", Some("sub"), "n s", ("front", "")),
            ("front", Some("sub"), "", ("front", "")),
        ] {
            let (host, domain) = engines("web", Some(hostname), subdomain, namespace);
            assert_eq!(
                (host.as_str(), domain.as_str()),
                expected,
                "{hostname:?} {subdomain:?} {namespace:?}"
            );
        }
        let ours = NameFields { naming: Naming::Engine, hostname: Some("NOT".into()), ..pod("web") };
        assert!(ours.generate("cluster.local").is_err(), "an annotation of ours is checked");
    }
}
