//! How programs that serve tell what they do: the log, and the page of metrics.

pub mod log;
pub mod page;
