//! The operator's command: it renders hosts files, shows and lists containers, configures engines, looks what stands in
//! the way, and serves NRI.

mod commands;
mod configure;
mod doctor;
pub mod engines;
mod inspect;
pub mod nri;
mod render;

pub use commands::run;
