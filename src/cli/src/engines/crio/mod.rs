//! CRI-O: its configuration, and the files that podhosts needs.

mod merge;
pub(crate) mod plan;
pub mod printed;
pub mod reader;
pub(crate) mod view;

pub(crate) use reader::{CONFIG, Crio, DROP_INS};
