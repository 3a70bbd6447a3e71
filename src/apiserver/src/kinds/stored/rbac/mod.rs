//! Roles and bindings: who may do what (`pkg/registry/rbac`).

mod binding;
mod role;
mod rules;

pub(crate) use binding::{CLUSTER_ROLE_BINDING, ROLE_BINDING};
pub(super) use binding::{CLUSTER_ROLE_BINDING_SHAPE, ROLE_BINDING_SHAPE};
pub(crate) use role::{CLUSTER_ROLE, ROLE};
pub(super) use role::{CLUSTER_ROLE_SHAPE, ROLE_SHAPE};

use crate::kind::Kind;

/// The API group.
pub(crate) const ROLE_GROUP: &str = "rbac.authorization.k8s.io";

/// All four kinds.
pub(crate) static KINDS: [&Kind; 4] = [&CLUSTER_ROLE, &ROLE, &CLUSTER_ROLE_BINDING, &ROLE_BINDING];
