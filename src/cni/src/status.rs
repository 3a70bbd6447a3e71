//! STATUS: whether ADD can be served.

use super::call::Call;
use super::config::Role;
use super::error::{CniError, Code};
use super::main_config::MainConfig;
use super::runtime_config::RuntimeConfig;

/// Answers with code 50 where a family has no address left, or where there is no place to remember one.
pub(super) fn run(call: &mut Call) -> Result<(), CniError> {
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
