//! What may be done with a kind.

/// Everything.
pub(super) const ALL: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// All but deleting many at once, which namespaces do not have.
pub(super) const ONE_BY_ONE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// Looking.
pub(super) const READ_ONLY: &[&str] = &["get", "list", "watch"];
