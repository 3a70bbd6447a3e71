//! Which address a pod gets.
//!
//! [`ranges`] is arithmetic on what the configuration says, [`book`] remembers who has what, and [`allocate`] chooses
//! from both.

pub mod allocate;
pub mod book;
pub mod ranges;

mod schema;
