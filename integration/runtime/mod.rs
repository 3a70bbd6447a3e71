//! The wrapper, and the newest low-level runtimes.

mod crash;
mod downward_api;
mod newest;
mod wrapper;
mod wrapper_programs;
