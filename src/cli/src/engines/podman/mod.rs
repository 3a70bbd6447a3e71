//! podman: its configuration, what podman itself makes of it, and the files that podhosts needs.

mod merge;
pub(crate) mod plan;
pub(crate) mod printed;
pub(crate) mod reader;

pub(crate) use reader::*;
