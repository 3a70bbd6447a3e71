//! containerd: its configuration, the meaning of several files together, and the files that podhosts needs.

mod built_in;
mod generated;
pub(crate) mod handler;
pub(crate) mod imports;
pub(crate) mod merge;
pub(crate) mod plan;
pub(crate) mod reader;
pub(crate) mod section;
pub(crate) mod view;

pub use reader::{Containerd, Handler};
pub use section::{CONFIG, RUNC_V2, SOCKET};
