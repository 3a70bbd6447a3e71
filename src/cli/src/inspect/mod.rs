//! What podhosts did for a container.

pub(crate) mod mountinfo;
pub(crate) mod runtime_state;
