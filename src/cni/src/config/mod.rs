//! The network configuration on standard input, read and checked.

pub mod document;
pub mod main_config;
pub mod runtime_config;
