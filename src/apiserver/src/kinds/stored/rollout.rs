//! How DaemonSets and Deployments replace their pods, and which pods they mean: validation
//! (`pkg/apis/apps/validation/validation.go`).

use serde_json::{Map, Value, json};

use crate::kinds::faults::{MOST, forbidden, invalid, required};
use crate::kinds::meta;
use crate::status::Cause;
use pod::validation::labels::qualified_name_errors;

const NOT_NEGATIVE: &str = "must be greater than or equal to 0";

/// The faults of a Deployment's numbers and strategy (`ValidateDeploymentSpec`), apart from `replicas`.
pub(super) fn deployment_faults(spec: &Value) -> Vec<Cause> {
    let mut faults = strategy_faults(spec);
    faults.extend(negative(spec, "minReadySeconds"));
    faults.extend(negative(spec, "revisionHistoryLimit"));
    faults.extend(negative(spec, "progressDeadlineSeconds"));
    let least = spec["minReadySeconds"].as_i64().unwrap_or_default();
    if spec["progressDeadlineSeconds"].as_i64().is_some_and(|seconds| seconds <= least) {
        let given = &spec["progressDeadlineSeconds"];
        faults.push(invalid("spec.progressDeadlineSeconds", given, "must be greater than minReadySeconds"));
    }
    faults
}

/// The faults of a DaemonSet's numbers and strategy (`ValidateDaemonSetSpec`).
pub(super) fn daemon_set_faults(spec: &Value) -> Vec<Cause> {
    let mut faults: Vec<Cause> = negative(spec, "minReadySeconds").into_iter().collect();
    faults.extend(update_strategy_faults(spec));
    faults.extend(negative(spec, "revisionHistoryLimit"));
    faults
}

/// The fault of a number that is below 0.
pub(super) fn negative(spec: &Value, key: &str) -> Option<Cause> {
    let is_negative = spec[key].as_i64().is_some_and(|number| number < 0);
    is_negative.then(|| invalid(format!("spec.{key}"), &spec[key], NOT_NEGATIVE))
}

/// `ValidateDeploymentStrategy`.
fn strategy_faults(spec: &Value) -> Vec<Cause> {
    let (path, strategy) = ("spec.strategy", &spec["strategy"]);
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "Recreate" if !rolling.is_null() => {
            let why = "may not be specified when strategy `type` is 'Recreate'";
            vec![forbidden(format!("{path}.rollingUpdate"), why)]
        }
        "Recreate" => Vec::new(),
        "RollingUpdate" => {
            let [unavailable, surge] = rates(path);
            let mut faults: Vec<Cause> =
                rate_fault(rolling, "maxUnavailable", &unavailable).into_iter().collect();
            faults.extend(rate_fault(rolling, "maxSurge", &surge));
            if rate(rolling, "maxUnavailable") == 0 && rate(rolling, "maxSurge") == 0 {
                let why = "may not be 0 when `maxSurge` is 0";
                faults.push(invalid(&unavailable, &rolling["maxUnavailable"], why));
            }
            faults.extend(share_fault(rolling, "maxUnavailable", &unavailable));
            faults
        }
        _ => vec![unknown(path, strategy, "\"Recreate\", \"RollingUpdate\"")],
    }
}

/// `ValidateDaemonSetUpdateStrategy`.
fn update_strategy_faults(spec: &Value) -> Vec<Cause> {
    let (path, strategy) = ("spec.updateStrategy", &spec["updateStrategy"]);
    let rolling = &strategy["rollingUpdate"];
    match strategy["type"].as_str().unwrap_or_default() {
        "OnDelete" => Vec::new(),
        "RollingUpdate" => {
            let [unavailable, surge] = rates(path);
            let mut faults: Vec<Cause> =
                rate_fault(rolling, "maxUnavailable", &unavailable).into_iter().collect();
            faults.extend(rate_fault(rolling, "maxSurge", &surge));
            faults.extend(share_fault(rolling, "maxUnavailable", &unavailable));
            faults.extend(share_fault(rolling, "maxSurge", &surge));
            match (rate(rolling, "maxUnavailable"), rate(rolling, "maxSurge")) {
                (0, 0) => faults.push(required(unavailable, "cannot be 0 when maxSurge is 0")),
                (0, _) | (_, 0) => {}
                _ => {
                    let why = "may not be set when maxUnavailable is non-zero";
                    faults.push(invalid(surge, &rolling["maxSurge"], why));
                }
            }
            faults
        }
        _ => vec![unknown(path, strategy, "\"RollingUpdate\", \"OnDelete\"")],
    }
}

fn rates(path: &str) -> [String; 2] {
    ["maxUnavailable", "maxSurge"].map(|key| format!("{path}.rollingUpdate.{key}"))
}

/// A strategy of an unknown type, with the names that it has in Go.
fn unknown(path: &str, strategy: &Value, supported: &str) -> Cause {
    let rolling = strategy["rollingUpdate"].as_object().map(|given| {
        let rate = |key: &str| given.get(key).cloned().unwrap_or_else(|| 0.into());
        format!("{{\"MaxUnavailable\":{},\"MaxSurge\":{}}}", rate("maxUnavailable"), rate("maxSurge"))
    });
    let shown = format!(
        "{{\"Type\":{},\"RollingUpdate\":{}}}",
        json!(strategy["type"].as_str().unwrap_or_default()),
        rolling.as_deref().unwrap_or("null")
    );
    let message = format!("Unsupported value: {shown}: supported values: {supported}");
    Cause { reason: "FieldValueNotSupported", message, field: path.to_owned() }
}

/// The digits of a percentage.
fn percent(rate: &Value) -> Option<&str> {
    let digits = rate.as_str()?.strip_suffix('%')?;
    (!digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())).then_some(digits)
}

/// A number or a percentage as a number; anything else is 0 (`getIntOrPercentValue`).
fn rate(rolling: &Value, key: &str) -> i64 {
    let rate = &rolling[key];
    let share = percent(rate).map(|digits| digits.parse().unwrap_or(i64::MAX));
    rate.as_i64().or(share).unwrap_or_default()
}

/// `ValidatePositiveIntOrPercent`.
fn rate_fault(rolling: &Value, key: &str, path: &str) -> Option<Cause> {
    let rate = &rolling[key];
    let why = match rate {
        Value::String(_) if percent(rate).is_none() => {
            "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex \
             used for validation is '[0-9]+%')"
        }
        Value::Number(number) if number.as_i64() < Some(0) => NOT_NEGATIVE,
        _ => return None,
    };
    Some(invalid(path, rate, why))
}

/// `IsNotMoreThan100Percent`.
fn share_fault(rolling: &Value, key: &str, path: &str) -> Option<Cause> {
    let is_share = percent(&rolling[key]).is_some();
    let is_more = is_share && rate(rolling, key) > 100;
    is_more.then(|| invalid(path, &rolling[key], "must not be greater than 100%"))
}

/// The faults of a selector (`ValidateLabelSelector` in
/// `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`).
pub(super) fn selector_faults(selector: &Value, path: &str) -> Vec<Cause> {
    let mut faults = meta::label_faults(selector.get("matchLabels"), &format!("{path}.matchLabels"));
    let expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    for (index, expression) in expressions.enumerate() {
        if faults.len() >= MOST {
            break;
        }
        faults.extend(expression_faults(expression, &format!("{path}.matchExpressions[{index}]")));
    }
    faults
}

fn expression_faults(expression: &Value, path: &str) -> Vec<Cause> {
    let mut faults = Vec::new();
    let has_values = expression["values"].as_array().is_some_and(|values| !values.is_empty());
    let values = format!("{path}.values");
    match expression["operator"].as_str().unwrap_or_default() {
        "In" | "NotIn" if !has_values => {
            faults.push(required(values, "must be specified when `operator` is 'In' or 'NotIn'"));
        }
        "Exists" | "DoesNotExist" if has_values => {
            let why = "may not be specified when `operator` is 'Exists' or 'DoesNotExist'";
            faults.push(forbidden(values, why));
        }
        "In" | "NotIn" | "Exists" | "DoesNotExist" => {}
        other => {
            faults.push(invalid(format!("{path}.operator"), &other.into(), "not a valid selector operator"));
        }
    }
    let key = expression["key"].as_str().unwrap_or_default();
    faults.extend(
        qualified_name_errors(key).iter().map(|why| invalid(format!("{path}.key"), &key.into(), why)),
    );
    faults
}

/// Whether a selector selects objects with these labels.
pub(super) fn selects(selector: &Value, labels: &Value) -> bool {
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    let is_there = selector.is_object();
    is_there
        && equal.all(|(key, value)| labels[key] == *value)
        && expressions.all(|expression| holds(expression, labels))
}

fn holds(expression: &Value, labels: &Value) -> bool {
    let own = &labels[expression["key"].as_str().unwrap_or_default()];
    let is_one = || expression["values"].as_array().is_some_and(|values| values.contains(own));
    match expression["operator"].as_str() {
        Some("In") => is_one(),
        Some("NotIn") => !is_one(),
        Some("Exists") => !own.is_null(),
        Some("DoesNotExist") => own.is_null(),
        _ => false,
    }
}

/// Whether a selector is there and selects everything.
pub(super) fn is_empty(selector: &Value) -> bool {
    selector.as_object().is_some_and(Map::is_empty)
}
