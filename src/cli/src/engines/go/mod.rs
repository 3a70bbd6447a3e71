//! JSON and regular expressions as Go's libraries read them.

pub mod json;
pub mod regexp;
pub mod unicode;
