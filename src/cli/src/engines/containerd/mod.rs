//! containerd: its configuration, the meaning of several files together, and the files that podhosts needs.

pub mod built_in;
mod generated;
pub mod handler;
pub mod imports;
pub mod merge;
pub mod plan;
pub mod reader;
pub mod view;

pub use reader::*;
