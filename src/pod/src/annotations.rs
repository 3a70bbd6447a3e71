//! The annotations that a pod may carry for podhosts.
//!
//! None of them chooses a path, a mount option, a program or a log file: they come from the pod's author.

use std::borrow::Cow;
use std::collections::BTreeMap;

use thiserror::Error;

use crate::host_aliases::{self, HostAlias};
use crate::pod_ip_errors;
use crate::validation::go_quote;

/// Annotations of a container or a pod.
pub type Annotations = BTreeMap<String, String>;

/// The prefix of all our keys.
pub const PREFIX: &str = "podhosts.io/";
/// JSON, the same list as `spec.hostAliases`.
pub const HOST_ALIASES: &str = "podhosts.io/host-aliases";
/// As `spec.hostname`.
pub const HOSTNAME: &str = "podhosts.io/hostname";
/// As `spec.hostnameOverride`.
pub(crate) const HOSTNAME_OVERRIDE: &str = "podhosts.io/hostname-override";
/// As `spec.subdomain`.
pub(crate) const SUBDOMAIN: &str = "podhosts.io/subdomain";
/// The pod's addresses, separated by commas, primary first; the last source that is asked.
pub const POD_IPS: &str = "podhosts.io/pod-ips";
/// Begins the key of an environment variable, whose name follows; the value is a `fieldPath` of the downward API.
pub const ENV_PREFIX: &str = "podhosts.io/env.";
/// `false` opts the pod out, where the node's configuration allows it.
pub(crate) const SEAL: &str = "podhosts.io/seal";

/// An annotation with a value that cannot be used.
#[derive(Debug, Error)]
#[error("cannot read annotation {key}: {cause}")]
pub struct AnnotationError {
    key: Cow<'static, str>,
    cause: String,
}

impl AnnotationError {
    /// An error in the value of `key`.
    pub fn new(key: impl Into<Cow<'static, str>>, cause: String) -> Self {
        Self { key: key.into(), cause }
    }
}

/// A pod's annotations: those in config.json, and behind them those that the CNI record or NRI tells.
#[derive(Debug, Clone, Copy)]
pub struct PodAnnotations<'a> {
    sources: [Option<&'a Annotations>; 2],
}

impl<'a> PodAnnotations<'a> {
    /// The annotations of `config`, and behind them those of `pod`: an engine may pass only some of the pod's on to the
    /// container.
    pub fn new(config: Option<&'a Annotations>, pod: Option<&'a Annotations>) -> Self {
        Self { sources: [config, pod] }
    }

    /// The value of any annotation, ours or not.
    pub fn value_of(&self, key: &str) -> Option<&'a str> {
        self.sources.iter().flatten().find_map(|annotations| annotations.get(key)).map(String::as_str)
    }

    /// The name and the `fieldPath` of each variable that the pod asks for by [`ENV_PREFIX`].
    pub fn env(&self) -> BTreeMap<&'a str, &'a str> {
        // The first source goes before the second, so it is taken last.
        let all = self.sources.iter().rev().flatten().flat_map(|annotations| annotations.iter());
        all.filter_map(|(key, value)| Some((key.strip_prefix(ENV_PREFIX)?, value.as_str()))).collect()
    }

    /// Whether the pod carries any annotation of ours.
    pub fn any(&self) -> bool {
        self.sources.iter().flatten().any(|annotations| annotations.keys().any(|key| key.starts_with(PREFIX)))
    }

    /// Whether the pod asks to be left alone.
    ///
    /// # Errors
    /// A value other than `true` or `false`.
    pub fn opted_out(&self) -> Result<bool, AnnotationError> {
        match self.value_of(SEAL) {
            None | Some("true") => Ok(false),
            Some("false") => Ok(true),
            Some(other) => {
                let cause = format!("got {}, expected \"true\" or \"false\"", go_quote(other));
                Err(AnnotationError::new(SEAL, cause))
            }
        }
    }

    /// The HostAliases, not validated yet.
    ///
    /// # Errors
    /// The error in the JSON.
    pub fn host_aliases(&self) -> Result<Vec<HostAlias>, AnnotationError> {
        let json = self.value_of(HOST_ALIASES).unwrap_or("null");
        host_aliases::from_json(json).map_err(|cause| AnnotationError::new(HOST_ALIASES, cause))
    }

    /// The addresses, each one checked; empty when the annotation is absent or empty.
    ///
    /// # Errors
    /// The first address that is none.
    pub fn pod_ips(&self) -> Result<Vec<String>, AnnotationError> {
        let list = self.value_of(POD_IPS).unwrap_or_default();
        let ips: Vec<String> =
            if list.is_empty() { Vec::new() } else { list.split(',').map(str::to_owned).collect() };
        match pod_ip_errors(&ips).first() {
            Some(error) => Err(AnnotationError::new(POD_IPS, error.to_string())),
            None => Ok(ips),
        }
    }

    /// As `spec.hostname`.
    pub fn hostname(&self) -> Option<&'a str> {
        self.value_of(HOSTNAME)
    }

    /// As `spec.hostnameOverride`.
    pub fn hostname_override(&self) -> Option<&'a str> {
        self.value_of(HOSTNAME_OVERRIDE)
    }

    /// As `spec.subdomain`.
    pub fn subdomain(&self) -> Option<&'a str> {
        self.value_of(SUBDOMAIN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(pairs: &[(&str, &str)]) -> Annotations {
        pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn config_json_goes_before_the_record() {
        let config = map(&[(HOSTNAME, "a")]);
        let record = map(&[(HOSTNAME, "b"), (SUBDOMAIN, "c")]);
        let both = PodAnnotations::new(Some(&config), Some(&record));
        assert_eq!((both.hostname(), both.subdomain()), (Some("a"), Some("c")));
        assert!(both.any());
        assert!(!PodAnnotations::new(Some(&map(&[("podhosts.iox", "")])), None).any());
    }

    #[test]
    fn seal_is_true_or_false() {
        for (value, out) in
            [("true", Some(false)), ("false", Some(true)), ("no", None), ("", None), ("False", None)]
        {
            let config = map(&[(SEAL, value)]);
            assert_eq!(PodAnnotations::new(Some(&config), None).opted_out().ok(), out, "{value}");
        }
        assert!(!PodAnnotations::new(None, None).opted_out().unwrap());
    }

    #[test]
    fn pod_ips_are_checked_one_by_one() {
        let ips = |value: &str| PodAnnotations::new(Some(&map(&[(POD_IPS, value)])), None).pod_ips();
        assert_eq!(ips("10.244.1.4,2001:db8::4").unwrap(), ["10.244.1.4", "2001:db8::4"]);
        assert!(ips("").unwrap().is_empty());
        for bad in [
            ",",
            "10.0.0.1,",
            "10.0.0.1, ::1",
            "010.0.0.1",
            "::ffff:1.2.3.4",
            "10.0.0.1\n",
            "10.0.0.1\t",
            "a",
        ] {
            let error = ips(bad).unwrap_err().to_string();
            assert!(
                error.starts_with("cannot read annotation podhosts.io/pod-ips: status.podIPs["),
                "{error}"
            );
        }
    }
}
