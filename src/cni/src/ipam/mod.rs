//! Which address a pod gets.
//!
//! [`ranges`] is arithmetic on what the configuration says, [`book`] remembers who has what, [`attachments`] what was
//! made of it, and [`allocate`] chooses the next address.

pub mod allocate;
pub mod book;
pub mod ranges;

mod schema;
