//! CRI-O: its configuration, and the files that podhosts needs.

pub mod plan;
pub mod reader;

pub use reader::*;
