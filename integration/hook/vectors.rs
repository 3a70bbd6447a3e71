//! The 500 recorded cases: what kubelet 1.36.2's own code wrote and said.

use pod::host_aliases::{self, HostAlias};
use pod::host_name::{NameFields, Naming};
use pod::validation::ip::IpRules;
use pod::{Network, Pod};
use serde::Deserialize;

/// One case of `vectors/kubelet-hosts.jsonl`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Case {
    pub(crate) case: String,
    pub(crate) name: String,
    pub(crate) namespace: String,
    pub(crate) hostname: Option<String>,
    pub(crate) subdomain: Option<String>,
    pub(crate) hostname_override: Option<String>,
    pub(crate) cluster_domain: String,
    #[serde(rename = "podIPs")]
    pub(crate) pod_ips: Vec<String>,
    pub(crate) host_network: bool,
    node_hosts: Option<String>,
    /// As they stand in the case, to be handed on.
    #[serde(rename = "hostAliases")]
    pub(crate) raw_aliases: serde_json::Value,
    pub(crate) expect: Expect,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Expect {
    pub(crate) alias_errors: Vec<String>,
    pub(crate) hostname_error: Option<String>,
    pub(crate) host_name: String,
    pub(crate) host_domain: String,
    pub(crate) content: String,
}

pub(crate) fn all() -> Vec<Case> {
    let text = include_str!("../vectors/kubelet-hosts.jsonl");
    let cases: Vec<Case> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cases.len(), 500);
    cases
}

impl Case {
    fn pod(&self) -> Pod {
        let names = NameFields {
            naming: Naming::Kubernetes,
            engine_hostname: None,
            pod_name: self.name.clone(),
            namespace: self.namespace.clone(),
            hostname: self.hostname.clone(),
            subdomain: self.subdomain.clone(),
            hostname_override: self.hostname_override.clone(),
        };
        let aliases: Vec<HostAlias> = serde_json::from_value(self.raw_aliases.clone()).unwrap();
        Pod { names, aliases }
    }

    /// The node's file, of a pod on its network; an empty one is not written down in the case.
    pub(crate) fn node_hosts(&self) -> Option<String> {
        self.host_network.then(|| self.node_hosts.clone().unwrap_or_default())
    }

    pub(crate) fn errors(&self) -> Vec<String> {
        self.expect.alias_errors.iter().chain(&self.expect.hostname_error).cloned().collect()
    }
}

#[test]
fn names_and_errors_and_content_are_the_kubelets() {
    for case in all() {
        let pod = case.pod();
        let alias_errors: Vec<String> =
            host_aliases::validate(&pod.aliases, IpRules::Strict).iter().map(ToString::to_string).collect();
        assert_eq!(alias_errors, case.expect.alias_errors, "{}", case.case);
        match pod.names.generate(&case.cluster_domain) {
            Ok(name) => {
                assert_eq!(case.expect.hostname_error, None, "{}", case.case);
                assert_eq!(
                    (name.host, name.domain),
                    (case.expect.host_name.clone(), case.expect.host_domain.clone())
                );
            }
            Err(error) => assert_eq!(Some(error.to_string()), case.expect.hostname_error, "{}", case.case),
        }
        let network = match &case.node_hosts() {
            Some(node_hosts) => Network::Host(node_hosts.clone().into_bytes()),
            None => Network::Pod(case.pod_ips.clone()),
        };
        match pod.hosts_file(&network, &case.cluster_domain, IpRules::Strict) {
            Ok(file) => assert_eq!(String::from_utf8(file).unwrap(), case.expect.content, "{}", case.case),
            Err(errors) => {
                assert_eq!(errors, case.errors(), "{}", case.case);
                assert_eq!(case.expect.content, "");
            }
        }
    }
}
