//! Hooks directories (oci-hooks(5)): which hooks an engine reads, and where ours goes.

mod dir;
mod file;
pub mod plan;

pub use dir::*;
pub use file::HookFile;
