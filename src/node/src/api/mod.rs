//! The API server as the agent sees it.

pub(crate) mod client;
pub(crate) mod fault;
pub(crate) mod node;
pub(crate) mod object;
pub(crate) mod watch;
