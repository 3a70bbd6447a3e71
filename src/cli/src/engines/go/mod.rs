//! JSON and regular expressions as Go's libraries read them.

pub(crate) mod json;
pub(crate) mod regexp;
pub(crate) mod release;
pub(crate) mod unicode;
