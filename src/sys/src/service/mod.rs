//! The conversation between a service and its manager.

pub mod inherited;
pub mod notify;
pub mod signals;
