//! Validation of the probes of a container (`validateLivenessProbe`, `validateReadinessProbe` and `validateStartupProbe` in
//! `pkg/apis/core/validation/validation.go`).

use serde_json::Value;

use super::validation::{list, one_of, text};
use crate::kinds::faults::{forbidden, invalid, required};
use crate::status::Cause;
use pod::validation::labels::port_name_errors;

const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
/// In the order in which upstream looks for them.
const HANDLERS: [&str; 4] = ["exec", "httpGet", "tcpSocket", "grpc"];
const SECONDS_AND_COUNTS: [&str; 5] =
    ["initialDelaySeconds", "timeoutSeconds", "periodSeconds", "successThreshold", "failureThreshold"];

/// The faults of a container's probes; one that ends before the others start `may_have` none.
pub(super) fn faults(container: &Value, may_have: bool, path: &str) -> Vec<Cause> {
    let given = PROBES.into_iter().filter(|key| !container[*key].is_null());
    given
        .flat_map(|key| {
            let path = format!("{path}.{key}");
            if may_have {
                return probe_faults(&container[key], key, &path);
            }
            vec![forbidden(path, "may not be set for init containers without restartPolicy=Always")]
        })
        .collect()
}

fn probe_faults(probe: &Value, kind: &str, path: &str) -> Vec<Cause> {
    let mut faults = handler_faults(probe, path);
    for key in SECONDS_AND_COUNTS {
        if probe[key].as_i64() < Some(0) && probe[key].is_i64() {
            let why = "must be greater than or equal to 0";
            faults.push(invalid(format!("{path}.{key}"), &probe[key], why));
        }
    }
    let grace = (format!("{path}.terminationGracePeriodSeconds"), &probe["terminationGracePeriodSeconds"]);
    if grace.1.as_i64().is_some_and(|seconds| seconds <= 0) {
        faults.push(invalid(grace.0.clone(), grace.1, "must be greater than 0"));
    }
    if kind == "readinessProbe" {
        if !grace.1.is_null() {
            faults.push(invalid(grace.0, grace.1, "must not be set for readinessProbes"));
        }
    } else if probe["successThreshold"] != 1 {
        faults.push(invalid(format!("{path}.successThreshold"), &probe["successThreshold"], "must be 1"));
    }
    faults
}

/// `validateHandler`.
fn handler_faults(probe: &Value, path: &str) -> Vec<Cause> {
    let mut given = HANDLERS.into_iter().filter(|key| !probe[*key].is_null());
    let Some(first) = given.next() else {
        return vec![required(path, "must specify a handler type")];
    };
    let (handler, own) = (&probe[first], format!("{path}.{first}"));
    let mut faults = Vec::new();
    match first {
        "exec" if list(&handler["command"]).next().is_none() => {
            faults.push(required(format!("{own}.command"), ""));
        }
        "exec" => {}
        "httpGet" => {
            if text(handler, "path").is_empty() {
                faults.push(required(format!("{own}.path"), ""));
            }
            faults.extend(port_faults(&handler["port"], &format!("{own}.port")));
            faults.extend(one_of(handler, "scheme", &["HTTP", "HTTPS"], &own));
        }
        _ => faults.extend(port_faults(&handler["port"], &format!("{own}.port"))),
    }
    let more =
        given.map(|key| forbidden(format!("{path}.{key}"), "may not specify more than 1 handler type"));
    faults.extend(more);
    faults
}

/// `ValidatePortNumOrName`.
fn port_faults(port: &Value, path: &str) -> Vec<Cause> {
    if let Some(name) = port.as_str() {
        return port_name_errors(name).iter().map(|why| invalid(path, port, why)).collect();
    }
    let number = port.as_i64().unwrap_or_default();
    if (1..=65535).contains(&number) {
        return Vec::new();
    }
    vec![invalid(path, &number.into(), "must be between 1 and 65535, inclusive")]
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// Each as kube-apiserver 1.36.2 tells it, after defaults.
    #[test]
    fn faults_are_those_of_upstream() {
        let ready = json!({"tcpSocket": {"port": 1}, "successThreshold": 1});
        let table = [
            (json!({"livenessProbe": ready, "readinessProbe": ready, "startupProbe": ready}), vec![]),
            (
                json!({"livenessProbe": {"successThreshold": 1}}),
                vec!["c.livenessProbe: Required value: must specify a handler type"],
            ),
            (
                json!({"livenessProbe": {"httpGet": {"port": 0, "path": "/", "scheme": "HTTP"}, "successThreshold": 1}}),
                vec![
                    "c.livenessProbe.httpGet.port: Invalid value: 0: must be between 1 and 65535, inclusive",
                ],
            ),
            (
                json!({"livenessProbe": {"exec": {}, "successThreshold": 2}}),
                vec![
                    "c.livenessProbe.exec.command: Required value",
                    "c.livenessProbe.successThreshold: Invalid value: 2: must be 1",
                ],
            ),
            (
                json!({"readinessProbe": {"exec": {"command": ["a"]}, "tcpSocket": {"port": 1}, "periodSeconds": -1,
                    "successThreshold": 2, "terminationGracePeriodSeconds": 1}}),
                vec![
                    "c.readinessProbe.tcpSocket: Forbidden: may not specify more than 1 handler type",
                    "c.readinessProbe.periodSeconds: Invalid value: -1: must be greater than or equal to 0",
                    "c.readinessProbe.terminationGracePeriodSeconds: Invalid value: 1: must not be set for readinessProbes",
                ],
            ),
            (
                json!({"startupProbe": {"grpc": {"port": 70000, "service": ""}, "successThreshold": 1}}),
                vec![
                    "c.startupProbe.grpc.port: Invalid value: 70000: must be between 1 and 65535, inclusive",
                ],
            ),
        ];
        for (container, expected) in table {
            let found: Vec<String> = faults(&container, true, "c")
                .iter()
                .map(|fault| format!("{}: {}", fault.field, fault.message))
                .collect();
            assert_eq!(found, expected, "{container}");
        }
        let early = faults(&json!({"livenessProbe": {}}), false, "c");
        assert_eq!(
            early[0].message,
            "Forbidden: may not be set for init containers without restartPolicy=Always"
        );
    }
}
