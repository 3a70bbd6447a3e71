//! This process: its limits and memory, the programs it runs, and the one it becomes.

pub mod exec;
pub mod limits;
pub mod memory;
pub mod programs;
