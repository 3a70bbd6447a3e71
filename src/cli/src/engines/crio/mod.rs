//! CRI-O: its configuration, and the files that podhosts needs.

pub(crate) mod plan;
pub(crate) mod reader;

pub(crate) use reader::*;
