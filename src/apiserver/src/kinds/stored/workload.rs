//! DaemonSets and Deployments. No controller here makes pods of them.

use serde_json::{Value, json};

use super::Shape;
use super::pod::{defaults, validation};
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column, typed, wide};
use crate::kinds::faults::{invalid, required, unsupported};
use crate::kinds::{age, meta, verbs};
use crate::object::Object;
use crate::schema::{Type, published};
use crate::status::Cause;

static DAEMON_SET: Kind = Kind {
    short_names: &["ds"],
    columns: &[
        NAME,
        typed("integer", "Desired", "How many nodes should run its pod."),
        typed("integer", "Current", "How many nodes run its pod."),
        typed("integer", "Ready", "How many of its pods are ready."),
        typed("integer", "Up-to-date", "How many of its pods are of the present template."),
        typed("integer", "Available", "How many of its pods are available."),
        column("Node Selector", "The labels of the nodes that it is for."),
        AGE,
        wide("Containers", "The names of its containers."),
        wide("Images", "The images of its containers."),
        wide("Selector", "The labels of its pods."),
    ],
    ..workload("DaemonSet", "daemonsets", "daemonset", &published::DaemonSet)
};
static DEPLOYMENT: Kind = Kind {
    short_names: &["deploy"],
    columns: &[
        NAME,
        column("Ready", "How many of its pods are ready, of how many."),
        column("Up-to-date", "How many of its pods are of the present template."),
        column("Available", "How many of its pods are available."),
        AGE,
        wide("Containers", "The names of its containers."),
        wide("Images", "The images of its containers."),
        wide("Selector", "The labels of its pods."),
    ],
    ..workload("Deployment", "deployments", "deployment", &published::Deployment)
};

const fn workload(
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
    schema: &'static Type,
) -> Kind {
    Kind {
        verbs: verbs::ALL,
        subresources: &[verbs::STATUS],
        categories: &["all"],
        ..Kind::new("apps", name, plural, singular, schema)
    }
}

pub(super) static DAEMON_SET_SHAPE: Shape = Shape {
    has_generation: true,
    fill: |object| {
        let rolling = json!({"maxSurge": 0, "maxUnavailable": 1});
        fill(object, "updateStrategy", &rolling, &[("revisionHistoryLimit", 10)]);
    },
    faults: |object, old| faults(object, old, "daemonset"),
    cells: daemon_set_cells,
    ..Shape::new(&DAEMON_SET)
};

pub(super) static DEPLOYMENT_SHAPE: Shape = Shape {
    has_generation: true,
    fill: |object| {
        let rolling = json!({"maxSurge": "25%", "maxUnavailable": "25%"});
        let numbers = [("replicas", 1), ("revisionHistoryLimit", 10), ("progressDeadlineSeconds", 600)];
        fill(object, "strategy", &rolling, &numbers);
    },
    faults: |object, old| faults(object, old, "deployment"),
    cells: deployment_cells,
    ..Shape::new(&DEPLOYMENT)
};

/// `pkg/apis/apps/v1/defaults.go`.
fn fill(object: &mut Object, strategy: &str, rolling: &Value, numbers: &[(&str, i64)]) {
    let spec = object.spec_mut();
    if let Value::Object(own) = spec.entry(strategy).or_insert_with(|| json!({})) {
        own.entry("type").or_insert_with(|| "RollingUpdate".into());
        if own["type"] == "RollingUpdate" {
            let rates = own.entry("rollingUpdate").or_insert_with(|| json!({}));
            for (key, value) in rolling.as_object().into_iter().flatten() {
                rates.as_object_mut().map(|rates| rates.entry(key).or_insert_with(|| value.clone()));
            }
        }
    }
    for (key, value) in numbers {
        spec.entry(*key).or_insert_with(|| (*value).into());
    }
    let pod = spec.get_mut("template").and_then(|template| template.get_mut("spec")?.as_object_mut());
    pod.into_iter().for_each(defaults::fill);
}

/// `ValidateDaemonSetSpec` and `ValidateDeploymentSpec` in `pkg/apis/apps/validation/validation.go`.
fn faults(object: &Object, old: Option<&Object>, what: &str) -> Vec<Cause> {
    let (spec, mut faults) = (object.spec(), Vec::new());
    let (selector, labels) = (&spec["selector"], &spec["template"]["metadata"]["labels"]);
    let field = "spec.selector";
    if selector.is_null() {
        faults.push(required(field, ""));
    } else if selector.as_object().is_some_and(serde_json::Map::is_empty) {
        faults.push(invalid(field, selector, format!("empty selector is invalid for {what}")));
    } else if !selects(selector, labels) {
        let why = "`selector` does not match template `labels`";
        faults.push(invalid("spec.template.metadata.labels", labels, why));
    }
    if old.is_some_and(|old| old.spec()["selector"] != *selector) {
        faults.push(invalid(field, selector, "field is immutable"));
    }
    let pods = &spec["template"]["spec"];
    faults.extend(meta::label_faults(Some(labels), "spec.template.labels"));
    faults.extend(validation::faults(pods, "spec.template.spec"));
    let policy = pods["restartPolicy"].as_str().unwrap_or_default();
    if policy != "Always" {
        faults.push(unsupported("spec.template.spec.restartPolicy", policy, &["Always"]));
    }
    faults
}

/// Whether a selector selects pods with these labels.
fn selects(selector: &Value, labels: &Value) -> bool {
    let mut equal = selector["matchLabels"].as_object().into_iter().flatten();
    let mut expressions = selector["matchExpressions"].as_array().into_iter().flatten();
    equal.all(|(key, value)| labels[key] == *value) && expressions.all(|expression| holds(expression, labels))
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

fn count(object: &Object, key: &str) -> Value {
    object.0.get("status").and_then(|status| status[key].as_i64()).unwrap_or_default().into()
}

fn daemon_set_cells(object: &Object, now: i64) -> Vec<Value> {
    let of = |key| count(object, key);
    let mut cells = vec![
        object.name().into(),
        of("desiredNumberScheduled"),
        of("currentNumberScheduled"),
        of("numberReady"),
        of("updatedNumberScheduled"),
        of("numberAvailable"),
        pairs(&object.spec()["template"]["spec"]["nodeSelector"]).into(),
        age::cell(object, now),
    ];
    cells.extend(template_cells(object));
    cells
}

fn deployment_cells(object: &Object, now: i64) -> Vec<Value> {
    let wanted = object.spec()["replicas"].as_i64().unwrap_or_default();
    let mut cells = vec![
        object.name().into(),
        format!("{}/{wanted}", count(object, "readyReplicas")).into(),
        count(object, "updatedReplicas"),
        count(object, "availableReplicas"),
        age::cell(object, now),
    ];
    cells.extend(template_cells(object));
    cells
}

/// Containers, images and selector.
fn template_cells(object: &Object) -> [Value; 3] {
    let spec = object.spec();
    let of = |key: &str| {
        let containers = spec["template"]["spec"]["containers"].as_array().into_iter().flatten();
        let texts: Vec<&str> = containers.filter_map(|container| container[key].as_str()).collect();
        Value::from(texts.join(","))
    };
    [of("name"), of("image"), pairs(&spec["selector"]["matchLabels"]).into()]
}

fn pairs(labels: &Value) -> String {
    let all = labels.as_object().into_iter().flatten();
    let texts: Vec<String> =
        all.map(|(key, value)| format!("{key}={}", value.as_str().unwrap_or_default())).collect();
    if texts.is_empty() { "<none>".to_owned() } else { texts.join(",") }
}
