//! The operator's command: it renders hosts files, shows and lists containers, configures engines, looks what stands in
//! the way, and serves NRI.

pub mod commands;
pub mod configure;
pub mod cri;
pub mod doctor;
pub mod engines;
pub mod inspect;
pub mod nri;
pub mod render;
