//! Files and directories: read with a bound, written by replacement, locked with a bound.

pub mod changes;
pub mod files;
pub mod lock;
pub mod log;
pub mod node_files;
pub mod state_dir;

mod directory;
