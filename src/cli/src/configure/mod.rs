//! `podhosts configure` and `podhosts unconfigure`: which files an engine is to have, and how they get there.

pub mod change;
pub mod journal;
pub mod network;
pub mod nri;
pub mod plan;
pub mod restart;
pub mod take_out;
