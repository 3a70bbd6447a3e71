//! A Pod as far as its hosts file goes, and the way from it to the file.

use crate::host_aliases::{self, HostAlias};
use crate::host_name::{NameFields, Naming};
use crate::hosts_file;
use crate::validation::dns::{label_errors, subdomain_errors};
use crate::validation::ip::{IpRules, ip_error};
use crate::validation::{FieldError, go_quote};

/// A Pod as far as its hosts file goes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// The fields its name is made of.
    pub names: NameFields,
    /// `spec.hostAliases`.
    pub aliases: Vec<HostAlias>,
}

/// The network a pod is on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Network {
    /// Its own: the addresses, primary first.
    Pod(Vec<String>),
    /// The node's: the bytes of the node's hosts file.
    Host(Vec<u8>),
}

impl Pod {
    /// The pod's hosts file in a cluster of `cluster_domain`.
    ///
    /// # Errors
    /// Every field error in Kubernetes' words, those of the HostAliases first.
    pub fn hosts_file(
        &self,
        network: &Network,
        cluster_domain: &str,
        rules: IpRules,
    ) -> Result<Vec<u8>, Vec<String>> {
        let mut errors: Vec<String> =
            host_aliases::validate(&self.aliases, rules).iter().map(ToString::to_string).collect();
        errors.extend(self.metadata_errors().iter().map(ToString::to_string));
        if let Some(detail) = subdomain_errors(cluster_domain).first() {
            errors.push(format!("invalid cluster domain {}: {detail}", go_quote(cluster_domain)));
        }
        if let Network::Pod(ips) = network {
            errors.extend(pod_ip_errors(ips).iter().map(ToString::to_string));
        }
        match self.names.generate(cluster_domain) {
            Err(error) => errors.push(error.to_string()),
            Ok(name) if errors.is_empty() => {
                return Ok(match network {
                    Network::Pod(ips) => hosts_file::pod_network(ips, &name, &self.aliases),
                    Network::Host(node_hosts) => hosts_file::host_network(node_hosts, &self.aliases),
                });
            }
            Ok(_) => {}
        }
        Err(errors)
    }

    /// Errors in the author's metadata. An engine's names are not the author's, so they are none.
    fn metadata_errors(&self) -> Vec<FieldError> {
        if self.names.naming == Naming::Engine {
            return Vec::new();
        }
        let (name, namespace) = (&self.names.pod_name, &self.names.namespace);
        let names = subdomain_errors(name).into_iter();
        let names = names.map(|detail| FieldError::invalid("metadata.name", name, detail));
        let namespaces = label_errors(namespace).into_iter();
        names.chain(namespaces.map(|d| FieldError::invalid("metadata.namespace", namespace, d))).collect()
    }
}

/// Checks a pod's addresses. They are written as they are given, so they have to be clean.
pub fn pod_ip_errors(ips: &[String]) -> Vec<FieldError> {
    let errors = ips.iter().enumerate().filter_map(|(i, ip)| {
        let detail = ip_error(ip, IpRules::Strict)?;
        Some(FieldError::invalid(format!("status.podIPs[{i}].ip"), ip, detail))
    });
    errors.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod(name: &str, namespace: &str) -> Pod {
        let names =
            NameFields { pod_name: name.into(), namespace: namespace.into(), ..NameFields::default() };
        Pod { names, aliases: Vec::new() }
    }

    #[test]
    fn no_name_of_an_engines_adds_a_line() {
        let ips = Network::Pod(vec!["10.0.0.1".into(), "fd00::1".into()]);
        for (name, namespace) in [("p\n6.6.6.6 evil", "n"), ("", ""), ("A_b", "N\t\r"), ("a\u{2028}", "#")] {
            let mut pod = pod(name, namespace);
            pod.names.naming = Naming::Engine;
            pod.names.subdomain = Some("sub".into());
            let file = String::from_utf8(pod.hosts_file(&ips, "d", IpRules::Strict).unwrap()).unwrap();
            assert_eq!(file.lines().count(), 9, "{file}");
        }
    }

    #[test]
    fn everything_that_reaches_the_file_is_checked() {
        let ips = Network::Pod(vec!["10.0.0.1".into()]);
        let errors = |pod: &Pod, network: &Network, domain: &str| {
            pod.hosts_file(network, domain, IpRules::Strict).unwrap_err().join("\n")
        };
        assert!(pod("p", "n").hosts_file(&ips, "cluster.local", IpRules::Strict).is_ok());
        assert!(
            errors(&pod("p\n6.6.6.6 evil", "n"), &ips, "d")
                .starts_with("metadata.name: Invalid value: \"p\\n")
        );
        assert!(
            errors(&pod("p", "n.x"), &ips, "d").starts_with("metadata.namespace: Invalid value: \"n.x\"")
        );
        assert!(errors(&pod("p", "n"), &ips, "a b").starts_with("invalid cluster domain \"a b\""));
        for bad in ["10.0.0.1\n6.6.6.6 evil", "010.0.0.1", "::ffff:10.0.0.1", "10.0.0.1#", ""] {
            let network = Network::Pod(vec!["::1".into(), bad.into()]);
            assert!(errors(&pod("p", "n"), &network, "d").starts_with("status.podIPs[1].ip: "), "{bad:?}");
        }
    }
}
