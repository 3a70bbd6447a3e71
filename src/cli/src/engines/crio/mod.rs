//! CRI-O: its configuration, and the files that podhosts needs.

pub(crate) mod judge;
mod merge;
pub(crate) mod plan;
pub mod reader;
pub mod view;

pub(crate) use reader::{CONFIG, Crio, DROP_INS};
