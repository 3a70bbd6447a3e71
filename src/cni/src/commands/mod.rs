//! What each command of the specification does, and `migrate`.

mod add;
mod check;
mod common;
mod del;
mod gc;
pub(crate) mod migrate;
mod pod_record;
mod status;

use serde_json::{Value, json};

use crate::config::request::Request;
use crate::protocol::error::CniError;
use crate::protocol::version::Version;

/// Carries a request out; gives the output, if any. Lines for stderr are added to `notices`.
pub(crate) fn run(request: &Request, notices: &mut Vec<String>) -> Result<Option<Value>, CniError> {
    match request {
        Request::AddMain(add) => add::main(add, notices).map(Some),
        Request::AddIpam(add) => add::ipam(add, notices).map(Some),
        Request::AddChained(add) => add::chained(add).map(Some),
        Request::Del(del) => del::run(del, notices).map(|()| None),
        Request::CheckMain(check) => check::main(check, notices).map(|()| None),
        Request::CheckIpam(check) => check::ipam(check, notices).map(|()| None),
        Request::CheckChained(check) => check::chained(check).map(|()| None),
        Request::Gc(gc) => gc::run(gc, notices).map(|()| None),
        Request::Status(status) => status::run(status, notices).map(|()| None),
        Request::Version => Ok(Some(versions())),
        Request::Nothing => Ok(None),
    }
}

fn versions() -> Value {
    json!({"cniVersion": Version::CURRENT.name(), "supportedVersions": Version::names()})
}
