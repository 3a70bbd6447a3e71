//! `exec`. Without `--sync` crictl streams; what comes of a command that asks for nothing is the same.

use std::io::{self, Write};
use std::time::Duration;

use cri::RUNTIME_SERVICE;

use crate::args::Exec;
use crate::endpoint::{Endpoint, UNLIMITED};
use crate::error::{Context, Error};
use crate::messages::{ExecSyncRequest, ExecSyncResponse};

pub(crate) fn exec(endpoint: &Endpoint, args: &Exec) -> Result<(), Error> {
    let patience = match u64::try_from(args.timeout) {
        Ok(seconds) if seconds > 0 => endpoint.timeout + Duration::from_secs(seconds),
        _ => UNLIMITED,
    };
    let client = endpoint.connect(patience)?;
    let request =
        ExecSyncRequest { container_id: args.id.clone(), cmd: args.cmd.clone(), timeout: args.timeout };
    let how = if args.sync { " synchronously" } else { "" };
    let doing = format!("execing command in container {}{how}", args.id);
    let answer: ExecSyncResponse = client.call(RUNTIME_SERVICE, "ExecSync", request).context(&doing)?;
    if args.sync { print_lines(args, &answer).context(&doing) } else { stream(&answer).context(&doing) }
}

/// Both outputs go to stdout, each with a line feed behind it; of a command that fails there is the stderr only.
fn print_lines(args: &Exec, answer: &ExecSyncResponse) -> Result<(), Error> {
    let (stdout, stderr) = (text(&answer.stdout), text(&answer.stderr));
    if answer.exit_code != 0 {
        let command = args.cmd.join(" ");
        return Err(Error::new(format!("command '{command}' exited with {}: {stderr}", answer.exit_code)));
    }
    println!("{stdout}\n{stderr}");
    Ok(())
}

fn stream(answer: &ExecSyncResponse) -> Result<(), Error> {
    let failed = |error: io::Error| Error::new(error.to_string());
    io::stdout().write_all(&answer.stdout).map_err(failed)?;
    io::stderr().write_all(&answer.stderr).map_err(failed)?;
    match answer.exit_code {
        0 => Ok(()),
        code => Err(Error::new(format!("command terminated with exit code {code}"))),
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
