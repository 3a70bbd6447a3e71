//! DaemonSets and Deployments. No controller here makes pods of them.

use serde_json::{Value, json};

use super::pod::{defaults, validation, warnings};
use super::{Shape, rollout};
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column, typed, wide};
use crate::kinds::faults::{forbidden, invalid, required, unsupported};
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
        count_templates(object, None);
    },
    keep: |object, old| count_templates(object, Some(old)),
    faults: daemon_set_faults,
    warnings: template_warnings,
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
    // `PrepareForUpdate` in `pkg/registry/apps/deployment/strategy.go`.
    counts_annotations: true,
    keep_in_status: |object, old| meta::keep(object, old, "labels"),
    faults: deployment_faults,
    warnings: |object, old| {
        let mut warnings = template_warnings(object, old);
        let of_name = warnings::of_name(object.name(), "Pod names and hostnames");
        warnings.extend(of_name.filter(|_| old.is_none()));
        warnings
    },
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
    pod.into_iter().for_each(defaults::fill_template);
}

/// The annotation of a DaemonSet that counts its templates (`pkg/apis/apps/v1/conversion.go`).
const TEMPLATES: &str = "deprecated.daemonset.template.generation";

/// Counts the changes of a DaemonSet's template (`PrepareForUpdate` in `pkg/registry/apps/daemonset/strategy.go`). A client
/// has its say only when it creates one.
fn count_templates(object: &mut Object, old: Option<&Object>) {
    let counted = |object: &Object| {
        let text = object.metadata().get("annotations").and_then(|all| all[TEMPLATES].as_str());
        text.and_then(|text| text.parse::<i64>().ok()).unwrap_or_default().max(1)
    };
    let count = match old {
        Some(old) if old.spec()["template"] != object.spec()["template"] => counted(old).saturating_add(1),
        Some(old) => counted(old),
        None => counted(object),
    };
    let annotations = object.metadata_mut().entry("annotations").or_insert_with(|| json!({}));
    annotations[TEMPLATES] = count.to_string().into();
}

/// `ValidateDeploymentSpec` in `pkg/apis/apps/validation/validation.go`, and what may not change.
fn deployment_faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let (spec, selector) = (object.spec(), &object.spec()["selector"]);
    let mut faults: Vec<Cause> = rollout::negative(spec, "replicas").into_iter().collect();
    let found = rollout::selector_faults(selector, SELECTOR);
    if selector.is_null() {
        faults.push(required(SELECTOR, ""));
    } else if rollout::is_empty(selector) {
        faults.push(invalid(SELECTOR, selector, "empty selector is invalid for deployment"));
    }
    let is_valid = found.is_empty();
    faults.extend(found);
    if is_valid {
        faults.extend(selected_faults(spec));
        faults.extend(template_faults(spec, "ReplicaSet"));
    } else {
        faults.push(invalid(SELECTOR, selector, "invalid label selector"));
    }
    faults.extend(rollout::deployment_faults(spec));
    faults.extend(changed_selector(spec, old));
    faults
}

/// `ValidateDaemonSetSpec`, and what may not change.
fn daemon_set_faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let (spec, selector) = (object.spec(), &object.spec()["selector"]);
    let mut faults = rollout::selector_faults(selector, SELECTOR);
    if faults.is_empty() {
        faults.extend(selected_faults(spec));
    }
    if rollout::is_empty(selector) {
        faults.push(invalid(SELECTOR, selector, "empty selector is invalid for daemonset"));
    }
    faults.extend(template_faults(spec, "DaemonSet"));
    faults.extend(rollout::daemon_set_faults(spec));
    faults.extend(changed_selector(spec, old));
    faults
}

/// Warnings about the template of pods, if it is new.
fn template_warnings(object: &Object, old: Option<&Object>) -> Vec<String> {
    let template = &object.spec()["template"];
    if old.is_some_and(|old| old.spec()["template"] == *template) {
        return Vec::new();
    }
    warnings::of_spec(&template["spec"], "spec.template.spec")
}

const SELECTOR: &str = "spec.selector";

/// The fault of a template whose pods are not selected.
fn selected_faults(spec: &Value) -> Option<Cause> {
    let labels = &spec["template"]["metadata"]["labels"];
    let why = "`selector` does not match template `labels`";
    let is_selected = rollout::selects(&spec["selector"], labels);
    (!is_selected).then(|| invalid("spec.template.metadata.labels", labels, why))
}

fn changed_selector(spec: &Value, old: Option<&Object>) -> Option<Cause> {
    let is_new = old.is_some_and(|old| old.spec()["selector"] != spec["selector"]);
    is_new.then(|| invalid(SELECTOR, &spec["selector"], "field is immutable"))
}

/// The faults of the template of pods that `owner` makes (`ValidatePodTemplateSpec`).
fn template_faults(spec: &Value, owner: &str) -> Vec<Cause> {
    let (path, pods) = ("spec.template.spec", &spec["template"]["spec"]);
    let labels = &spec["template"]["metadata"]["labels"];
    let mut faults = meta::label_faults(Some(labels), "spec.template.labels");
    faults.extend(validation::faults(pods, path));
    if validation::list(&pods["ephemeralContainers"]).next().is_some() {
        let why = "ephemeral containers not allowed in pod template";
        faults.push(forbidden(format!("{path}.ephemeralContainers"), why));
    }
    let policy = pods["restartPolicy"].as_str().unwrap_or_default();
    if policy != "Always" {
        faults.push(unsupported(format!("{path}.restartPolicy"), policy, &["Always"]));
    }
    if !pods["activeDeadlineSeconds"].is_null() {
        let why = format!("activeDeadlineSeconds in {owner} is not Supported");
        faults.push(forbidden(format!("{path}.activeDeadlineSeconds"), &why));
    }
    faults
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
