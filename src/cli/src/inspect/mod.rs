//! What podhosts did for a container.

pub mod mountinfo;
pub mod runtime_state;
