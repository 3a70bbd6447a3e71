//! RoleBindings and ClusterRoleBindings: the users that have the rules of a role.

use serde_json::Value;

use super::super::Shape;
use super::{ROLE_GROUP, rules};
use crate::auth::escalation::check_binding;
use crate::kind::{Column, Kind};
use crate::kinds::columns::{AGE, NAME, column, wide};
use crate::kinds::{age, meta, verbs};
use crate::object::Object;
use crate::schema::{Type, published};

/// `clusterrolebindings`.
pub(crate) static CLUSTER_ROLE_BINDING: Kind = Kind {
    namespaced: false,
    ..binding(
        "ClusterRoleBinding",
        "clusterrolebindings",
        "clusterrolebinding",
        &published::ClusterRoleBinding,
    )
};
/// `rolebindings`.
pub(crate) static ROLE_BINDING: Kind =
    binding("RoleBinding", "rolebindings", "rolebinding", &published::RoleBinding);

const COLUMNS: &[Column] = &[
    NAME,
    column("Role", "The role."),
    AGE,
    wide("Users", "The users that have it."),
    wide("Groups", "The groups whose users have it."),
    wide("ServiceAccounts", "The service accounts that have it."),
];

const fn binding(
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
    schema: &'static Type,
) -> Kind {
    Kind { verbs: verbs::ALL, columns: COLUMNS, ..Kind::new(ROLE_GROUP, name, plural, singular, schema) }
}

pub(in crate::kinds::stored) static CLUSTER_ROLE_BINDING_SHAPE: Shape = Shape {
    name: meta::path_segment,
    may_be_created_by_update: true,
    fill: rules::fill,
    faults: |object, old| rules::binding_faults(object, old, false),
    allowed: |transaction, object, old| check_binding(transaction, &CLUSTER_ROLE_BINDING, object, old),
    cells,
    ..Shape::new(&CLUSTER_ROLE_BINDING)
};

pub(in crate::kinds::stored) static ROLE_BINDING_SHAPE: Shape = Shape {
    name: meta::path_segment,
    may_be_created_by_update: true,
    fill: rules::fill,
    faults: |object, old| rules::binding_faults(object, old, true),
    allowed: |transaction, object, old| check_binding(transaction, &ROLE_BINDING, object, old),
    cells,
    ..Shape::new(&ROLE_BINDING)
};

/// `printRoleBinding` in `pkg/printers/internalversion/printers.go`.
fn cells(object: &Object, now: i64) -> Vec<Value> {
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let role = object.0.get("roleRef").unwrap_or(&Value::Null);
    let role = format!("{}/{}", text(role, "kind"), text(role, "name"));
    let subjects = || object.0.get("subjects").and_then(Value::as_array).into_iter().flatten();
    let of = |kind: &str| {
        let own = subjects().filter(|subject| text(subject, "kind") == kind);
        own.map(|subject| text(subject, "name")).collect::<Vec<_>>().join(", ")
    };
    let accounts = subjects().filter(|subject| text(subject, "kind") == "ServiceAccount");
    let accounts: Vec<String> =
        accounts.map(|subject| format!("{}/{}", text(subject, "namespace"), text(subject, "name"))).collect();
    vec![
        object.name().into(),
        role.into(),
        age::cell(object, now),
        of("User").into(),
        of("Group").into(),
        accounts.join(", ").into(),
    ]
}
