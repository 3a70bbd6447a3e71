//! Which address a pod gets.
//!
//! [`ranges`] is the arithmetic of ranges, [`book`] stores which attachment holds which address, and [`allocate`]
//! chooses the next one.

pub mod allocate;
pub mod book;
pub mod ranges;

mod schema;
