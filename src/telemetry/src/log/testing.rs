//! For tests: the lines that a closure logs.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use super::{EnvFilter, Format, Level, filter, subscriber};

#[derive(Clone, Default)]
struct Written(Arc<Mutex<Vec<u8>>>);

impl Write for Written {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The lines of JSON that `log` writes with this level.
pub fn written(level: Option<Level>, log: impl FnOnce()) -> String {
    written_as(Format::Json, filter(level, None).unwrap_or_default(), log)
}

/// The lines that `log` writes in this format.
pub fn written_as(format: Format, filter: EnvFilter, log: impl FnOnce()) -> String {
    written_by(None, format, filter, log)
}

/// The lines that `log` writes in this format and program.
pub fn written_by(
    program: Option<&'static str>,
    format: Format,
    filter: EnvFilter,
    log: impl FnOnce(),
) -> String {
    let written = Written::default();
    let writer = written.clone();
    let subscriber = subscriber(program, format, filter, move || writer.clone());
    tracing::subscriber::with_default(subscriber, log);
    let bytes = written.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
    String::from_utf8_lossy(&bytes).into_owned()
}
