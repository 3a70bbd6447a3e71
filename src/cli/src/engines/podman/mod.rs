//! podman: its configuration, what podman itself makes of it, and the files that podhosts needs.

mod merge;
pub mod plan;
pub mod reader;
pub mod view;

pub use reader::*;
