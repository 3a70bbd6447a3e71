//! STATUS: whether ADD can be served.

use crate::commands::call::Call;
use crate::config::document::Role;
use crate::config::main_config::MainConfig;
use crate::config::runtime_config::RuntimeConfig;
use crate::protocol::error::{CniError, Code};

/// Answers with code 50 where a family has no address left, or where there is no place to remember one.
pub(crate) fn run(call: &mut Call) -> Result<(), CniError> {
    if call.document.role == Role::Chained {
        return Ok(());
    }
    let runtime = RuntimeConfig::read(&call.document, &call.parameters.args)?;
    if call.document.role == Role::Main {
        MainConfig::read(&call.document)?;
    }
    let ipam = call.document.ipam(&runtime)?;
    let unavailable = |msg: String| CniError::new(Code::NotAvailable, msg);
    let mut book = call.book().map_err(|error| unavailable(error.msg))?;
    let exhausted = book.exhausted(&ipam.sets).map_err(|error| unavailable(error.to_string()))?;
    let Some(set) = exhausted.first() else { return Ok(()) };
    Err(unavailable(format!("no {} addresses available in range set: {set}", set.family())))
}
