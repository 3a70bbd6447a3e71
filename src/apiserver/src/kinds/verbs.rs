//! What may be done with a kind.

/// Everything.
pub(super) const ALL: &[&str] =
    &["create", "delete", "deletecollection", "get", "list", "patch", "update", "watch"];

/// All but deleting many at once, which namespaces do not have.
pub(super) const ONE_BY_ONE: &[&str] = &["create", "delete", "get", "list", "patch", "update", "watch"];

/// Asking: what is created is answered and not stored.
pub(super) const ASK: &[&str] = &["create"];

/// Looking.
pub(super) const READ_ONLY: &[&str] = &["get", "list", "watch"];
