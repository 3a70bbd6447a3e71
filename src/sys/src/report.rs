//! How a program of podhosts ends, and the one line on stderr that a runtime quotes.

use std::borrow::Cow;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use pod::validation::printable;

/// How a program of podhosts ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ExitCode {
    /// Done: sealed, skipped, or let through by `on-error = "open"`.
    Success = 0,
    /// The container, its bundle, its pod's annotations or the kernel stand in the way.
    Failure = 1,
    /// Wrong command line, or a configuration that cannot be used.
    Usage = 2,
    /// An error of podhosts itself.
    Internal = 70,
}

/// Longest id or reason that is written, in bytes: what an annotation holds must not fill the log.
pub const TEXT_MAX: usize = 1024;

/// The time now, RFC 3339 in UTC.
pub fn now() -> String {
    humantime::format_rfc3339_millis(SystemTime::now()).to_string()
}

/// Whole microseconds.
pub fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// The start of `text`, at most `max` bytes of it.
pub fn shortened(text: &str, max: usize) -> &str {
    &text[..text.floor_char_boundary(max)]
}

/// The start of `text`, as it can be shown to people.
pub fn bounded(text: &str) -> Cow<'_, str> {
    match printable(shortened(text, TEXT_MAX)) {
        Cow::Borrowed(text) => text.into(),
        // Escapes are longer than what they stand for.
        Cow::Owned(text) => shortened(&text, TEXT_MAX).to_owned().into(),
    }
}

/// The first of several errors, and how many more there are: a runtime quotes one line of a hook's stderr.
pub fn first_of(errors: &[String]) -> String {
    match errors {
        [] => String::new(),
        [only] => only.clone(),
        [first, rest @ ..] => format!("{first} (and {} more)", rest.len()),
    }
}

/// Prints the one line that a runtime quotes.
pub fn complain(program: &str, message: &str) {
    // Not eprintln!, which panics where stderr is closed.
    let _ = writeln!(io::stderr(), "{program}: {}", bounded(message));
}

/// Turns a panic into a line on stderr and [`ExitCode::Internal`]: a runtime is never left with a signal.
pub fn panics_become_errors(program: &'static str) {
    std::panic::set_hook(Box::new(move |panic| {
        complain(program, &format!("internal error: {panic}").replace('\n', " "));
        std::process::exit(ExitCode::Internal as i32);
    }));
}

impl From<ExitCode> for std::process::ExitCode {
    fn from(code: ExitCode) -> Self {
        (code as u8).into()
    }
}

#[cfg(test)]
mod tests {
    use super::first_of;

    #[test]
    fn several_errors_are_one_line() {
        assert_eq!(first_of(&["a".into(), "b".into(), "c".into()]), "a (and 2 more)");
        assert_eq!(first_of(&["a".into()]), "a");
    }
}
