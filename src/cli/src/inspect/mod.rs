//! What podhosts did for a container: its mount, its pod, its address source.

mod found;
pub(crate) mod mountinfo;
mod runtime_state;

pub(crate) use found::{FoundContainer, Inspection, Query, inspect};
