//! `logs`: the lines of a container's log file, which the engine writes in the format of the CRI, to the outputs that
//! they came from.

use std::fs;
use std::io::{self, Write};

use cri::Client;

use crate::containers;
use crate::error::Error;

pub(crate) fn print(client: &Client, id: &str) -> Result<(), Error> {
    let status = containers::status(client, id, false)?.status.unwrap_or_default();
    if status.log_path.is_empty() {
        return Err(Error::new("the container has not set log path"));
    }
    let failed = |error: io::Error| Error::new(format!("failed to read log file: {error}"));
    let log = fs::read(&status.log_path).map_err(failed)?;
    for line in log.split_inclusive(|&byte| byte == b'\n') {
        match parse(line) {
            Some(("stdout", content)) => io::stdout().write_all(content).map_err(failed)?,
            Some((_, content)) => io::stderr().write_all(content).map_err(failed)?,
            None => return Err(Error::new(format!("unsupported log format: {:?}", line.escape_ascii()))),
        }
    }
    Ok(())
}

/// A line is time, stream, tags and content, with blanks between them. The content of one whose first tag is P goes on
/// in the next line.
fn parse(line: &[u8]) -> Option<(&'static str, &[u8])> {
    let mut parts = line.splitn(4, |&byte| byte == b' ').skip(1);
    let (stream, tags, content) = (parts.next()?, parts.next()?, parts.next()?);
    let stream = match stream {
        b"stdout" => "stdout",
        b"stderr" => "stderr",
        _ => return None,
    };
    let is_partial = tags.split(|&byte| byte == b':').next() == Some(b"P");
    let content = if is_partial { content.strip_suffix(b"\n").unwrap_or(content) } else { content };
    Some((stream, content))
}
