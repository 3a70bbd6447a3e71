//! Hooks directories (oci-hooks(5)): which hooks an engine reads, and where ours goes.

pub(crate) mod dir;
pub(crate) mod file;
pub(crate) mod plan;
pub(crate) mod rules;

pub use dir::{DISTRIBUTION, Group, Hooks, NODE, NoHook, read};
pub use file::HookFile;
pub use rules::Rules;
