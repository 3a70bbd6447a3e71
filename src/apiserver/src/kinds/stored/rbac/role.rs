//! Roles and ClusterRoles: lists of rules.

use serde_json::Value;

use super::super::Shape;
use super::{ROLE_GROUP, rules};
use crate::auth::escalation::check_role;
use crate::kind::{Column, Kind};
use crate::kinds::columns::{NAME, typed};
use crate::kinds::{meta, verbs};
use crate::object::Object;
use crate::schema::{Type, published};

/// `clusterroles`.
pub(crate) static CLUSTER_ROLE: Kind =
    Kind { namespaced: false, ..role("ClusterRole", "clusterroles", "clusterrole", &published::ClusterRole) };
/// `roles`.
pub(crate) static ROLE: Kind = role("Role", "roles", "role", &published::Role);

const COLUMNS: &[Column] = &[NAME, typed("date", "Created At", "When the object was made.")];

const fn role(
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
    schema: &'static Type,
) -> Kind {
    Kind { verbs: verbs::ALL, columns: COLUMNS, ..Kind::new(ROLE_GROUP, name, plural, singular, schema) }
}

pub(in crate::kinds::stored) static CLUSTER_ROLE_SHAPE: Shape = Shape {
    name: meta::path_segment,
    may_be_created_by_update: true,
    faults: |object, _| rules::role_faults(object, false),
    allowed: |transaction, object, old| check_role(transaction, &CLUSTER_ROLE, object, old),
    cells,
    ..Shape::new(&CLUSTER_ROLE)
};

pub(in crate::kinds::stored) static ROLE_SHAPE: Shape = Shape {
    name: meta::path_segment,
    may_be_created_by_update: true,
    faults: |object, _| rules::role_faults(object, true),
    allowed: |transaction, object, old| check_role(transaction, &ROLE, object, old),
    cells,
    ..Shape::new(&ROLE)
};

fn cells(object: &Object, _: i64) -> Vec<Value> {
    let time = object.metadata().get("creationTimestamp").cloned().unwrap_or_default();
    vec![object.name().into(), time]
}
