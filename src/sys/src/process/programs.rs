//! Other programs that the operator's command runs, with an end to its patience.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use thiserror::Error;

use crate::fs::files;

/// How long a program may take that is asked for its output.
const PATIENCE: Duration = Duration::from_secs(120);

/// Most of a program's output that is read, in bytes.
const OUTPUT_MAX: usize = 4 << 20;

/// A program that cannot be run, or failed.
#[derive(Debug, Error)]
pub enum ProgramError {
    /// It is not there, or cannot be started.
    #[error("cannot run {program}: {cause}")]
    Start {
        /// The program.
        program: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// It said no.
    #[error("cannot run {program}: it ended with {status}: {said}")]
    Failed {
        /// The program with its arguments.
        program: String,
        /// How it ended.
        status: String,
        /// The last line it wrote to stderr.
        said: String,
    },
}

/// How a program ended.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// Its stdout.
    pub stdout: Vec<u8>,
    /// Its stderr.
    pub stderr: Vec<u8>,
}

impl Finished {
    /// The last line it wrote to stderr, for errors that quote it.
    pub fn last_error_line(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        stderr.lines().rfind(|line| !line.trim().is_empty()).unwrap_or("(it said nothing)").trim().to_owned()
    }
}

/// Runs `program` to its end with `input` on its stdin and `env` added to its environment.
///
/// Its output goes through files: a process that it leaves running may keep a pipe open for ever.
///
/// # Errors
/// It cannot be started, or did not end within `patience`; then it is killed.
pub fn run(
    program: &Path,
    args: &[&str],
    env: &[(&str, &str)],
    input: &[u8],
    patience: Duration,
) -> io::Result<Finished> {
    let (mut stdin, stdout, stderr) = (memory("stdin")?, memory("stdout")?, memory("stderr")?);
    stdin.write_all(input)?;
    stdin.rewind()?;
    #[allow(clippy::disallowed_methods, reason = "the operator's command, not the hook")]
    let mut child = Command::new(program)
        .args(args)
        .envs(env.iter().copied())
        .stdin(stdin)
        .stdout(stdout.try_clone()?)
        .stderr(stderr.try_clone()?)
        .spawn()?;
    let waited = Pid::from_raw(child.id().cast_signed())
        .ok_or_else(|| io::Error::other("the process has no id"))
        .and_then(|pid| wait(pid, patience));
    if waited.is_err() {
        let _ = child.kill();
    }
    let status = child.wait()?;
    waited?;
    Ok(Finished { status, stdout: written(stdout)?, stderr: written(stderr)? })
}

/// The stdout of a program, looked for on PATH.
///
/// # Errors
/// [`ProgramError`] where it cannot be run, or fails.
pub fn output(program: &str, args: &[&str]) -> Result<String, ProgramError> {
    let run = run(Path::new(program), args, &[], b"", PATIENCE)
        .map_err(|cause| ProgramError::Start { program: program.to_owned(), cause })?;
    if run.status.success() {
        return Ok(String::from_utf8_lossy(&run.stdout).into_owned());
    }
    Err(ProgramError::Failed {
        program: [&[program], args].concat().join(" "),
        status: run.status.to_string(),
        said: run.last_error_line(),
    })
}

/// A text that programs read at a path, which is on no file system: it is there as long as the value is, for this program
/// and those that it runs.
#[derive(Debug)]
pub struct TextAtPath(File);

impl TextAtPath {
    /// Takes the text.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn new(text: &str) -> io::Result<Self> {
        let mut file: File = memfd_create("text", MemfdFlags::empty())?.into();
        file.write_all(text.as_bytes())?;
        Ok(Self(file))
    }

    /// Where the programs find it.
    pub fn path(&self) -> PathBuf {
        format!("/proc/self/fd/{}", self.0.as_fd().as_raw_fd()).into()
    }
}

/// A file that needs no place on any file system, where a node may have no room.
fn memory(name: &str) -> io::Result<File> {
    Ok(memfd_create(name, MemfdFlags::CLOEXEC)?.into())
}

fn wait(pid: Pid, patience: Duration) -> io::Result<()> {
    let pidfd = pidfd_open(pid, PidfdFlags::empty())?;
    let timeout = Timespec::try_from(patience).map_err(io::Error::other)?;
    let mut fds = [PollFd::new(&pidfd, PollFlags::IN)];
    match poll(&mut fds, Some(&timeout))? {
        0 => {
            let _ = pidfd_send_signal(pidfd.as_fd(), Signal::KILL);
            Err(io::Error::new(io::ErrorKind::TimedOut, format!("no end within {} s", patience.as_secs())))
        }
        _ => Ok(()),
    }
}

fn written(mut file: File) -> io::Result<Vec<u8>> {
    file.rewind()?;
    files::read_stream(file, Path::new("a program's output"), OUTPUT_MAX, 0).map_err(io::Error::other)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_output_and_end() {
        let script = "cat; echo $A >&2; exit 3";
        let run = run(Path::new("/bin/sh"), &["-c", script], &[("A", "b")], b"in", PATIENCE).unwrap();
        assert_eq!((run.status.code(), run.stdout.as_slice()), (Some(3), &b"in"[..]));
        assert_eq!(run.last_error_line(), "b");
    }

    #[test]
    fn who_does_not_end_is_killed_and_who_is_left_behind_is_not_waited_for() {
        let never = Duration::from_millis(20);
        let error = run(Path::new("/bin/sleep"), &["1000"], &[], b"", never).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        let left = run(Path::new("/bin/sh"), &["-c", "sleep 1 & echo done"], &[], b"", PATIENCE).unwrap();
        assert_eq!(left.stdout, b"done\n");
        assert!(run(Path::new("/nowhere"), &[], &[], b"", PATIENCE).is_err());
    }

    #[test]
    fn a_text_is_at_a_path() {
        let texts = ["one", "two"].map(|text| TextAtPath::new(text).unwrap());
        let paths = [texts[0].path(), texts[1].path()].map(|path| path.display().to_string());
        assert_eq!(output("cat", &[&paths[0], &paths[1]]).unwrap(), "onetwo");
    }

    #[test]
    fn a_program_answers_fails_or_is_not_there() {
        assert_eq!(output("sh", &["-c", "echo yes"]).unwrap(), "yes\n");
        let error = |program, args: &[&str]| output(program, args).unwrap_err().to_string();
        assert_eq!(
            error("sh", &["-c", "echo a >&2; echo no >&2; exit 3"]),
            "cannot run sh -c echo a >&2; echo no >&2; exit 3: it ended with exit status: 3: no"
        );
        assert!(error("/nowhere/x", &[]).starts_with("cannot run /nowhere/x: No such file"));
    }
}
