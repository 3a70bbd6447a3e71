//! The network configuration on standard input, read and checked: [`document`] has the outlines and reads keys, the
//! others check what belongs together, and [`request`] is all that a command needs.

pub mod document;
pub mod ipam_config;
pub mod main_config;
pub mod request;
pub mod roles;
pub mod runtime_config;
