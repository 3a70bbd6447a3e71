//! What a service and whoever starts it tell each other.

pub mod inherited;
pub mod notify;
pub mod signals;
