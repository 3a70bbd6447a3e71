//! HostAliases: the list that a Pod carries in `spec.hostAliases`, and our annotation carries as JSON.

use serde::{Deserialize, Deserializer, Serialize};

use crate::json::Object;
use crate::validation::dns::subdomain_errors;
use crate::validation::ip::{IpRules, ip_error};
use crate::validation::{FieldError, go_quote};

/// One entry of `spec.hostAliases`: an address and the names it gets, both written as they were given.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HostAlias {
    /// The address, verbatim: the kubelet does not bring it into a canonical form, so neither do we.
    pub ip: String,
    /// The names, in order. None at all is valid and gives a line with the address alone.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub hostnames: Vec<String>,
}

/// Go writes an empty list as `null`.
fn null_is_empty<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

/// Checks `aliases` as the API server checks `spec.hostAliases`: every error, in order.
pub fn validate(aliases: &[HostAlias], rules: IpRules) -> Vec<FieldError> {
    let mut errors = Vec::new();
    for (i, alias) in aliases.iter().enumerate() {
        if let Some(detail) = ip_error(&alias.ip, rules) {
            errors.push(FieldError::invalid(format!("spec.hostAliases[{i}].ip"), &alias.ip, detail));
        }
        for (j, name) in alias.hostnames.iter().enumerate() {
            for detail in subdomain_errors(name) {
                let path = format!("spec.hostAliases[{i}].hostnames[{j}]");
                errors.push(FieldError::invalid(path, name, detail));
            }
        }
    }
    errors
}

/// Reads the JSON of the `podhosts.io/host-aliases` annotation; `null` and `[]` are no aliases.
///
/// # Errors
/// The error in the JSON and its place. The entries themselves are checked by [`validate`].
pub(crate) fn from_json(json: &str) -> Result<Vec<HostAlias>, String> {
    let list: Result<Option<Vec<Object<HostAlias>>>, _> = serde_json::from_str(json);
    let aliases = |list: Option<Vec<_>>| list.into_iter().flatten().map(|Object(alias)| alias).collect();
    list.map(aliases).map_err(|error| {
        let start: String = json.chars().take(40).collect();
        format!("{error}; got {}, expected a JSON list as in spec.hostAliases", go_quote(&start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_as_in_the_pod_spec() {
        let two =
            from_json(r#"[{"ip":"127.0.0.1","hostnames":["foo.local","bar.local"]},{"ip":"::1"}]"#).unwrap();
        assert_eq!(two[0].hostnames, ["foo.local", "bar.local"]);
        assert!(two[1].hostnames.is_empty());
        for empty in ["[]", "null", r#"[{"ip":"1.1.1.1","hostnames":null}]"#] {
            assert!(from_json(empty).unwrap().iter().all(|alias| alias.hostnames.is_empty()), "{empty}");
        }
    }

    #[test]
    fn json_of_another_shape_says_what_was_expected() {
        for bad in [
            "",
            "{}",
            "[1]",
            r#"[["1.1.1.1",["a"]]]"#,
            r#"[{"ip":1}]"#,
            r#"[{"ip":"1.1.1.1","hostname":"a"}]"#,
            r#"{"ip":"1.1.1.1"}"#,
            "[] []",
        ] {
            let error = from_json(bad).unwrap_err();
            assert!(error.contains("expected a JSON list as in spec.hostAliases"), "{bad}: {error}");
        }
        assert!(from_json(&"[".repeat(100_000)).is_err());
    }
}
