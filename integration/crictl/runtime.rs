//! `version` and `info`.

use cri::{Client, RUNTIME_SERVICE};

use crate::args::Info;
use crate::error::Error;
use crate::messages::{StatusRequest, StatusResponse};
use crate::output;

pub(crate) fn version(client: &Client) -> Result<(), Error> {
    let version = client.version()?;
    println!("Version:  {}", version.version);
    println!("RuntimeName:  {}", version.runtime_name);
    println!("RuntimeVersion:  {}", version.runtime_version);
    println!("RuntimeApiVersion:  {}", version.runtime_api_version);
    Ok(())
}

pub(crate) fn info(client: &Client, args: &Info) -> Result<(), Error> {
    let request = StatusRequest { verbose: !args.quiet };
    let answer: StatusResponse = client.call(RUNTIME_SERVICE, "Status", request)?;
    let mut shown = output::status(&answer.status.unwrap_or_default(), &answer.info)?;
    if !answer.runtime_handlers.is_empty() {
        shown.insert("runtimeHandlers".to_owned(), serde_json::to_value(&answer.runtime_handlers)?);
    }
    if let Some(features) = &answer.features {
        shown.insert("features".to_owned(), serde_json::to_value(features)?);
    }
    output::statuses(vec![shown])
}
