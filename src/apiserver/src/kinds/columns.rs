//! Columns that more than one kind has.

use crate::kind::Column;

/// `metadata.name`.
pub(super) const NAME: Column = Column {
    name: "Name",
    kind: "string",
    format: "name",
    description: "The name, unique among the objects of this kind in a namespace.",
    priority: 0,
};

/// How long ago the object was created.
pub(super) const AGE: Column =
    column("Age", "How long ago the server created the object, by metadata.creationTimestamp.");

/// A column of text that is always shown.
pub(super) const fn column(name: &'static str, description: &'static str) -> Column {
    Column { name, kind: "string", format: "", description, priority: 0 }
}

/// A column of another type than text.
pub(super) const fn typed(kind: &'static str, name: &'static str, description: &'static str) -> Column {
    Column { kind, ..column(name, description) }
}

/// A column of text for `-o wide`.
pub(super) const fn wide(name: &'static str, description: &'static str) -> Column {
    Column { priority: 1, ..column(name, description) }
}
