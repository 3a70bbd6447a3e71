//! Kinds that occur in the manifests of programs for clusters. Nothing here acts on them.

use serde_json::{Map, Value, json};

use super::{Shape, everywhere};
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column, typed};
use crate::kinds::faults::{forbidden, invalid, required, too_long, unsupported};
use crate::kinds::{Config, age, verbs};
use crate::object::Object;
use crate::resource::Transaction;
use crate::schema::published;
use crate::status::{ApiError, Cause};
use pod::validation::dns;

static CONFIG_MAP: Kind = Kind {
    short_names: &["cm"],
    verbs: verbs::ALL,
    columns: &[NAME, column("Data", "How many entries it has."), AGE],
    ..Kind::new("", "ConfigMap", "configmaps", "configmap", &published::ConfigMap)
};
pub(super) static PRIORITY_CLASS: Kind = Kind {
    short_names: &["pc"],
    namespaced: false,
    verbs: verbs::ALL,
    columns: &[
        NAME,
        typed("integer", "Value", "The priority of its pods."),
        typed("boolean", "Global-Default", "Whether pods without a class have it."),
        AGE,
        column("PreemptionPolicy", "Whether its pods may displace others."),
    ],
    ..Kind::new(
        "scheduling.k8s.io",
        "PriorityClass",
        "priorityclasses",
        "priorityclass",
        &published::PriorityClass,
    )
};
static RUNTIME_CLASS: Kind = Kind {
    namespaced: false,
    verbs: verbs::ALL,
    columns: &[NAME, column("Handler", "The handler of the container engine."), AGE],
    ..Kind::new("node.k8s.io", "RuntimeClass", "runtimeclasses", "runtimeclass", &published::RuntimeClass)
};

pub(super) static CONFIG_MAP_SHAPE: Shape = Shape {
    faults: config_map_faults,
    cells: config_map_cells,
    everywhere: Some(certificates),
    ..Shape::new(&CONFIG_MAP)
};
pub(super) static PRIORITY_CLASS_SHAPE: Shape = Shape {
    // Not counted further (`PrepareForUpdate` in `pkg/registry/scheduling/priorityclass/strategy.go`).
    begin: |object| {
        object.metadata_mut().insert("generation".to_owned(), 1.into());
    },
    fill: fill_priority_class,
    faults: priority_class_faults,
    allowed: one_default,
    fixed: |class| is_system(class.name()).then_some("this is a system priority class and cannot be deleted"),
    at_start: Some(system_classes),
    cells: |object, now| {
        let value = object.0.get("value").cloned().unwrap_or_else(|| 0.into());
        let is_default = object.0.get("globalDefault").and_then(Value::as_bool).unwrap_or_default();
        let policy = object.0.get("preemptionPolicy").and_then(Value::as_str).unwrap_or_default();
        vec![object.name().into(), value, is_default.into(), age::cell(object, now), policy.into()]
    },
    ..Shape::new(&PRIORITY_CLASS)
};
pub(super) static RUNTIME_CLASS_SHAPE: Shape = Shape {
    has_any_finalizer: true,
    may_be_created_by_update: true,
    needs_version: true,
    faults: runtime_class_faults,
    cells: |object, now| {
        let handler = object.0.get("handler").cloned().unwrap_or_default();
        vec![object.name().into(), handler, age::cell(object, now)]
    },
    ..Shape::new(&RUNTIME_CLASS)
};

/// The ConfigMap with the server's certificates. Each namespace has it.
pub(super) const CERTIFICATES: &str = "kube-root-ca.crt";
pub(super) const CERTIFICATES_KEY: &str = "ca.crt";

fn certificates(config: &Config) -> Object {
    let data = ("data".to_owned(), json!({CERTIFICATES_KEY: config.trusted_pem}));
    let mut object = everywhere::object(&CONFIG_MAP, CERTIFICATES, Map::from_iter([data]));
    let why = "The certificates by which clients know the API server.";
    object.metadata_mut().insert("annotations".to_owned(), json!({"kubernetes.io/description": why}));
    object
}

const DATA: [&str; 2] = ["data", "binaryData"];
/// Most bytes of the values of a ConfigMap.
const DATA_MAX: usize = 1 << 20;

fn members<'a>(object: &'a Object, key: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    object.0.get(key).and_then(Value::as_object).into_iter().flatten()
}

/// `ValidateConfigMap` and `ValidateConfigMapUpdate` in `pkg/apis/core/validation/validation.go`.
fn config_map_faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut faults = Vec::new();
    let is_fixed = |object: &Object| object.0.get("immutable") == Some(&true.into());
    if let Some(old) = old.filter(|old| is_fixed(old)) {
        let why = "field is immutable when `immutable` is set";
        if !is_fixed(object) {
            faults.push(forbidden("immutable", why));
        }
        let changed = DATA.into_iter().filter(|key| object.0.get(*key) != old.0.get(*key));
        faults.extend(changed.map(|key| forbidden(key, why)));
    }
    let mut size = 0;
    for key in DATA {
        for (name, value) in members(object, key) {
            size += value.as_str().map_or(0, str::len);
            faults.extend(key_faults(name, &format!("{key}[{name}]")));
            if key == DATA[0] && members(object, DATA[1]).any(|(other, _)| other == name) {
                faults.push(invalid(
                    format!("data[{name}]"),
                    &name.as_str().into(),
                    "duplicate of key present in binaryData",
                ));
            }
        }
    }
    if size > DATA_MAX {
        // As an empty path is shown.
        faults.push(too_long("[]", DATA_MAX));
    }
    faults
}

/// `IsConfigMapKey` in `k8s.io/apimachinery/pkg/util/validation/validation.go`.
fn key_faults(name: &str, path: &str) -> Option<Cause> {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let why = if name.len() > 253 {
        "must be no more than 253 characters"
    } else if name.is_empty() || !name.bytes().all(is_plain) {
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')"
    } else if name == "." {
        "must not be '.'"
    } else if name == ".." {
        "must not be '..'"
    } else if name.starts_with("..") {
        "must not start with '..'"
    } else {
        return None;
    };
    Some(invalid(path, &name.into(), why))
}

fn config_map_cells(object: &Object, now: i64) -> Vec<Value> {
    let count: usize = DATA.into_iter().map(|key| members(object, key).count()).sum();
    vec![object.name().into(), count.into(), age::cell(object, now)]
}

/// Largest priority of a class that is not the system's (`HighestUserDefinablePriority`).
const PRIORITY_MAX: i64 = 1_000_000_000;
const POLICIES: [&str; 2] = ["Never", "PreemptLowerPriority"];

fn fill_priority_class(object: &mut Object) {
    object.0.entry("preemptionPolicy").or_insert_with(|| POLICIES[1].into());
    object.0.entry("value").or_insert_with(|| 0.into());
}

/// `ValidatePriorityClass` and `ValidatePriorityClassUpdate` in `pkg/apis/scheduling/validation/validation.go`.
fn priority_class_faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let mut faults = Vec::new();
    let value = |object: &Object| object.0.get("value").and_then(Value::as_i64).unwrap_or_default();
    let policy = |object: &Object| object.0.get("preemptionPolicy").cloned().unwrap_or_default();
    if let Some(old) = old {
        if value(object) != value(old) {
            faults.push(forbidden("value", "may not be changed in an update."));
        }
        if policy(object) != policy(old) {
            faults.push(invalid("preemptionPolicy", &policy(object), "field is immutable"));
        }
        return faults;
    }
    let is_system = SYSTEM_CLASSES.contains(&(object.name(), value(object)));
    if object.name().starts_with("system-") && !is_system {
        let why = "priority class names with 'system-' prefix are reserved for system use only. error: ";
        faults.push(forbidden(
            "metadata.name",
            &format!("{why}{} is not a known system priority class", object.name()),
        ));
    } else if !is_system && value(object) > PRIORITY_MAX {
        let why = format!("maximum allowed value of a user defined priority is {PRIORITY_MAX}");
        faults.push(forbidden("value", &why));
    }
    if let Some(policy) = policy(object).as_str().filter(|policy| !POLICIES.contains(policy)) {
        faults.push(unsupported("preemptionPolicy", policy, &["PreemptLowerPriority", "Never"]));
    }
    faults
}

/// The classes that every cluster has.
const SYSTEM_CLASSES: [(&str, i64); 2] =
    [("system-node-critical", 2_000_001_000), ("system-cluster-critical", 2_000_000_000)];

/// `Delete` in `pkg/registry/scheduling/priorityclass/storage/storage.go`.
fn is_system(name: &str) -> bool {
    SYSTEM_CLASSES.iter().any(|(system, _)| *system == name)
}

fn system_classes() -> Vec<Object> {
    let made = SYSTEM_CLASSES.into_iter().map(|(name, value)| {
        let members = json!({"value": value, "preemptionPolicy": POLICIES[1], "metadata": {"generation": 1},
            "description": "For pods without which a cluster does not work."});
        everywhere::object(&PRIORITY_CLASS, name, members.as_object().cloned().unwrap_or_default())
    });
    made.collect()
}

/// Whether pods without a class have this one.
pub(super) fn is_default(class: &Object) -> bool {
    class.0.get("globalDefault") == Some(&Value::Bool(true))
}

/// Refuses a second default (`validatePriorityClass` in `plugin/pkg/admission/priority/admission.go`).
fn one_default(
    transaction: &mut dyn Transaction,
    object: &Object,
    _: Option<&Object>,
) -> Result<(), ApiError> {
    if !is_default(object) {
        return Ok(());
    }
    let others = transaction.list(&PRIORITY_CLASS)?.into_iter();
    let Some(other) = others.filter(is_default).find(|other| other.name() != object.name()) else {
        return Ok(());
    };
    let why =
        format!("PriorityClass {} is already marked as default. Only one default can exist", other.name());
    Err(ApiError::forbidden(&PRIORITY_CLASS, object.name(), &why))
}

/// `ValidateRuntimeClass` and `ValidateRuntimeClassUpdate` in `pkg/apis/node/validation/validation.go`.
fn runtime_class_faults(object: &Object, old: Option<&Object>) -> Vec<Cause> {
    let handler =
        |object: &Object| object.0.get("handler").and_then(Value::as_str).unwrap_or_default().to_owned();
    let text = handler(object);
    let mut faults = if text.is_empty() {
        vec![required("handler", "")]
    } else {
        dns::label_errors(&text).iter().map(|why| invalid("handler", &text.as_str().into(), why)).collect()
    };
    if old.is_some_and(|old| handler(old) != text) {
        faults.push(invalid("handler", &text.into(), "field is immutable"));
    }
    faults
}
