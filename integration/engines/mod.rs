//! What engines and administrators really have.

mod names;
