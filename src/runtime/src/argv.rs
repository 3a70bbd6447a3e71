//! The low-level runtime's command line: is it `create` or `run`, and of which bundle?
//!
//! runc reads it with Go's flag package (`-bundle X` and `--bundle X` are the same), crun with getopt (`-bX`, `-db X`,
//! and `--bund X`: the beginning of a long option is enough where it is no other's). What both would read alike is read
//! alike here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use thiserror::Error;

/// The options before the command.
const GLOBAL: Options = Options {
    values: &["root", "log", "log-format", "log-level", "criu", "rootless", "cgroup-manager"],
    switches: &["debug", "systemd-cgroup", "help", "h", "?", "usage", "version", "v", "V"],
    of_crun: &[
        "cgroup-manager",
        "debug",
        "log",
        "log-format",
        "log-level",
        "root",
        "rootless",
        "systemd-cgroup",
        "help",
        "usage",
        "version",
        "program-name",
        "HANG",
    ],
};
/// The options of `create` and `run`.
const CREATE: Options = Options {
    values: &[
        "bundle",
        "b",
        "config",
        "f",
        "console-socket",
        "pid-file",
        "pidfd-socket",
        "preserve-fds",
        "program-name",
        "systemd-unit",
    ],
    switches: &[
        "detach",
        "d",
        "keep",
        "no-new-keyring",
        "no-pivot",
        "no-subreaper",
        "help",
        "h",
        "?",
        "usage",
    ],
    of_crun: &[
        "bundle",
        "config",
        "console-socket",
        "detach",
        "keep",
        "no-new-keyring",
        "no-pivot",
        "no-subreaper",
        "pid-file",
        "preserve-fds",
        "help",
        "usage",
        "program-name",
        "HANG",
    ],
};

/// Short flags of `create` and `run` that take no value.
const CLUSTERED_SWITCHES: &[u8] = b"d";

/// The options that runc and crun know at one place of the command line, without their hyphens.
struct Options {
    /// Those that take a value.
    values: &'static [&'static str],
    /// Those that take none.
    switches: &'static [&'static str],
    /// crun's long ones, which may be abbreviated. `program-name` is one that argp adds to every program.
    of_crun: &'static [&'static str],
}

impl Options {
    fn takes_value(&self, name: &[u8]) -> bool {
        self.values.iter().any(|known| known.as_bytes() == name)
    }

    fn is_known(&self, name: &[u8]) -> bool {
        self.takes_value(name) || self.switches.iter().any(|known| known.as_bytes() == name)
    }

    /// The whole name of a long option, for one that may be cut short.
    fn whole<'a>(&self, name: &'a [u8], word: &OsStr) -> Result<&'a [u8], ArgvError> {
        if self.is_known(name) {
            return Ok(name);
        }
        let mut meant = self.of_crun.iter().filter(|known| known.as_bytes().starts_with(name));
        match (meant.next(), meant.next()) {
            (Some(whole), None) => Ok(whole.as_bytes()),
            (Some(_), Some(_)) => Err(ArgvError::Ambiguous(word.to_owned())),
            (None, _) => Ok(name),
        }
    }
}

/// What a command line asks of the low-level runtime.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Invocation {
    /// The runtime's log file.
    pub log: Option<PathBuf>,
    /// Whether the runtime logs as JSON.
    pub log_is_json: bool,
    /// Where the runtime keeps its containers' states.
    pub root: Option<PathBuf>,
    /// The container that is made, if the command is `create` or `run`.
    pub create: Option<Create>,
    /// What stands behind any other command.
    pub rest: Vec<OsString>,
}

impl Invocation {
    /// The words behind another command than `create` and `run` that may be a container's id.
    pub fn ids(&self) -> impl Iterator<Item = &OsStr> {
        let is_id = |word: &&OsStr| {
            let bytes = word.as_bytes();
            !bytes.is_empty()
                && !bytes.starts_with(b"-")
                && !bytes.starts_with(b".")
                && !bytes.contains(&b'/')
        };
        self.rest.iter().map(OsString::as_os_str).filter(is_id)
    }
}

/// The arguments of `create` or `run`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Create {
    /// `--bundle`; the current directory where it is not given.
    pub bundle: Option<PathBuf>,
    /// crun's `--config`.
    pub config: Option<PathBuf>,
    /// The container's id, the last word that is no flag: for messages, and for a record of the container's own.
    pub container: String,
}

/// A command line whose command cannot be told.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum ArgvError {
    /// It may take a value or not, so the next word may be the command or not.
    #[error("cannot tell the runtime's command: unknown global option {0:?}")]
    UnknownGlobal(OsString),
    /// It is the beginning of several options.
    #[error("cannot read the runtime's command line: option {0:?} is ambiguous, expected one in full")]
    Ambiguous(OsString),
    /// The last word is a flag that takes a value.
    #[error("cannot read the runtime's command line: option {0:?} needs a value")]
    NoValue(OsString),
}

/// Reads the runtime's arguments, without the program's name, into `invocation`: an error is reported in the log
/// that was named before it.
///
/// # Errors
/// [`ArgvError`] naming the option.
pub fn parse(args: &[OsString], invocation: &mut Invocation) -> Result<(), ArgvError> {
    let last_maker = args.iter().rposition(|word| makes_a_container(word));
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        // Where nothing can be made, nothing can go wrong: what runs has to be stopped and deleted.
        let read = args.len() - rest.len();
        let can_make = || last_maker.is_some_and(|at| at >= read);
        let flag = match Flag::read(word, &GLOBAL) {
            Err(error) if can_make() => return Err(error),
            Err(_) => continue,
            Ok(flag) => flag,
        };
        let Some(flag) = flag else {
            let command = if word == "--" { rest.next() } else { Some(word) };
            if command.is_some_and(|command| makes_a_container(command)) {
                invocation.create = create(rest.as_slice())?;
            } else {
                invocation.rest = rest.as_slice().to_vec();
            }
            return Ok(());
        };
        if !flag.takes_value {
            let is_known = flag.value.is_some() || GLOBAL.is_known(flag.name.as_bytes());
            if !is_known && can_make() {
                return Err(ArgvError::UnknownGlobal(word.clone()));
            }
            continue;
        }
        let value = flag.value.or_else(|| rest.next().cloned());
        let value = value.ok_or_else(|| ArgvError::NoValue(word.clone()))?;
        match flag.name.as_bytes() {
            b"log" => invocation.log = log_file(value),
            b"log-format" => invocation.log_is_json = value == "json",
            b"root" => invocation.root = Some(value.into()),
            _ => {}
        }
    }
    Ok(())
}

/// The file that `--log` names. crun also takes `file:PATH`, and logs to journald or syslog instead.
fn log_file(value: OsString) -> Option<PathBuf> {
    let bytes = value.as_bytes();
    if let Some(path) = bytes.strip_prefix(b"file:") {
        return Some(OsStr::from_bytes(path).into());
    }
    let is_elsewhere = [&b"journald:"[..], b"syslog:"].iter().any(|prefix| bytes.starts_with(prefix));
    (!is_elsewhere).then(|| value.into())
}

fn makes_a_container(command: &OsStr) -> bool {
    command == "create" || command == "run"
}

/// Reads what follows `create` or `run`. Unknown flags are taken for switches: their values look like container ids,
/// but the id that counts stands behind them. `None` where help is asked for.
fn create(args: &[OsString]) -> Result<Option<Create>, ArgvError> {
    let mut create = Create::default();
    let mut rest = args.iter();
    while let Some(word) = rest.next() {
        if word == "--" {
            break;
        }
        let Some(flag) = Flag::read(word, &CREATE)? else {
            create.container = word.to_string_lossy().into_owned();
            continue;
        };
        if !flag.takes_value {
            if ["help", "h", "?", "usage"].iter().any(|help| flag.name == *help) {
                return Ok(None);
            }
            continue;
        }
        let value = flag.value.or_else(|| rest.next().cloned());
        let value = value.ok_or_else(|| ArgvError::NoValue(word.clone()))?;
        match flag.name.as_bytes() {
            b"bundle" | b"b" => create.bundle = Some(value.into()),
            b"config" | b"f" => create.config = Some(value.into()),
            _ => {}
        }
    }
    Ok(Some(create))
}

/// One flag, as far as one word tells.
struct Flag {
    name: OsString,
    takes_value: bool,
    value: Option<OsString>,
}

impl Flag {
    /// `None` for a word that is no flag.
    fn read(word: &OsStr, options: &Options) -> Result<Option<Self>, ArgvError> {
        let bytes = word.as_bytes();
        let long = bytes.strip_prefix(b"--");
        let Some(body) = long.or_else(|| bytes.strip_prefix(b"-")).filter(|body| !body.is_empty()) else {
            return Ok(None);
        };
        let (name, value) = match body.iter().position(|b| *b == b'=') {
            Some(at) => (&body[..at], Some(&body[at + 1..])),
            None => (body, None),
        };
        let (name, value) = if long.is_some() {
            (options.whole(name, word)?, value)
        } else if options.takes_value(name) {
            (name, value)
        } else {
            // getopt's clusters: switches, then perhaps one letter that takes all behind it for its value. A long flag
            // with one hyphen, as Go has it, stops at a letter that is neither.
            let at = body.iter().position(|letter| !CLUSTERED_SWITCHES.contains(letter));
            let at = at.filter(|at| options.takes_value(&body[*at..=*at]));
            let split = |at: usize| (&body[at..=at], Some(&body[at + 1..]).filter(|value| !value.is_empty()));
            at.map_or((name, value), split)
        };
        let owned = |bytes: &[u8]| OsString::from_vec(bytes.to_vec());
        let takes_value = options.takes_value(name);
        Ok(Some(Self { name: owned(name), takes_value, value: value.map(owned) }))
    }
}

#[cfg(test)]
mod tests;
