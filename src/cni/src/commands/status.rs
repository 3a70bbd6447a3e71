//! STATUS: whether ADD can be served.

use super::common::open_book;
use crate::config::request::Status;
use crate::protocol::error::{CniError, Code};

/// Answers with code 50 where a family has no address left, or the address book cannot be used.
pub(super) fn run(status: &Status, notices: &mut Vec<String>) -> Result<(), CniError> {
    let unavailable = |msg: String| CniError::new(Code::NotAvailable, msg);
    let mut book = open_book(&status.network.dir, notices).map_err(|error| unavailable(error.msg))?;
    let exhausted = book.exhausted(&status.sets).map_err(|error| unavailable(error.to_string()))?;
    let Some(set) = exhausted.first() else { return Ok(()) };
    Err(unavailable(format!("no {} addresses available in range set: {set}", set.family())))
}
