//! The log of a service on stderr: tracing events, as lines of text or of JSON.

use std::fmt;

use pod::validation::go_quote;
use sys::service::inherited;
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// The variable that tells which events are logged, as `info` or `podhosts=debug`.
const VARIABLE: &str = "RUST_LOG";

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// The program's name and the message.
    Text,
    /// An object with time, level, message, and the container that it is about.
    Json,
}

/// Has the events of this process written to stderr: those of `level`, or else of `RUST_LOG`, or else of `info`.
///
/// # Errors
/// A message where `RUST_LOG` is no filter.
pub(crate) fn start(program: &'static str, level: Option<LevelFilter>, format: Format) -> Result<(), String> {
    let told = inherited::variable(VARIABLE).map(|value| value.to_string_lossy().into_owned());
    let subscriber = subscriber(program, filter(level, told.as_deref())?, format, std::io::stderr);
    tracing::subscriber::set_global_default(subscriber).map_err(|error| format!("cannot log: {error}"))
}

fn filter(level: Option<LevelFilter>, told: Option<&str>) -> Result<EnvFilter, String> {
    // A variable that is set to nothing tells nothing, as in the API server.
    match (level, told.filter(|told| !told.is_empty())) {
        (Some(level), _) => Ok(EnvFilter::default().add_directive(level.into())),
        (None, None) => Ok(EnvFilter::default().add_directive(LevelFilter::INFO.into())),
        (None, Some(told)) => EnvFilter::try_new(told).map_err(|error| {
            format!(
                "cannot use {VARIABLE}={}: {error}, expected a level, as info, or podhosts=LEVEL",
                go_quote(told)
            )
        }),
    }
}

fn subscriber(
    program: &'static str,
    filter: EnvFilter,
    format: Format,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
) -> Box<dyn Subscriber + Send + Sync> {
    // A log that cannot be written is told on stderr otherwise, and that panics where stderr is closed.
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(writer).log_internal_errors(false);
    match format {
        Format::Text => Box::new(builder.event_format(Lines { program }).finish()),
        Format::Json => Box::new(builder.json().flatten_event(true).with_span_list(false).finish()),
    }
}

/// `<program>: <message>`.
struct Lines {
    program: &'static str,
}

impl<S, N> FormatEvent<S, N> for Lines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "{}: ", self.program)?;
        context.field_format().format_fields(writer.by_ref(), event)?;
        writeln!(writer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use serde_json::Value;

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What is logged of a container in this format, by this filter.
    fn logged(format: Format, level: Option<LevelFilter>, told: Option<&str>) -> String {
        let written = Written::default();
        let writer = written.clone();
        let subscriber =
            subscriber("podhosts nri", filter(level, told).unwrap(), format, move || writer.clone());
        tracing::subscriber::with_default(subscriber, || {
            let span = tracing::error_span!("container", pod = "default/web", id = "c1");
            let _entered = span.enter();
            tracing::error!("cannot read \"x\"");
            tracing::debug!("sealed");
        });
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    #[test]
    fn a_line_of_text_is_the_message_alone() {
        assert_eq!(logged(Format::Text, None, None), "podhosts nri: cannot read \"x\"\n");
    }

    #[test]
    fn the_option_goes_before_the_variable_and_that_before_info() {
        let lines = |level, told| logged(Format::Text, level, told).lines().count();
        assert_eq!(lines(None, Some("debug")), 2);
        assert_eq!(lines(Some(LevelFilter::ERROR), Some("debug")), 1);
        assert_eq!(lines(None, Some("off")), 0);
        let info = |told| filter(None, told).unwrap().to_string();
        assert_eq!(info(Some("")), info(None));
        assert_eq!(lines(Some(LevelFilter::DEBUG), None), 2);
    }

    #[test]
    fn a_line_of_json_has_the_container() {
        let line = logged(Format::Json, None, None);
        let event: Value = serde_json::from_str(&line).unwrap();
        assert_eq!((&event["level"], &event["message"]), (&"ERROR".into(), &"cannot read \"x\"".into()));
        assert_eq!((&event["span"]["pod"], &event["span"]["id"]), (&"default/web".into(), &"c1".into()));
        assert!(event["timestamp"].is_string(), "{line}");
    }

    #[test]
    fn a_filter_that_is_none_is_an_error() {
        let error = filter(None, Some("podhosts=loud")).unwrap_err();
        assert!(error.starts_with("cannot use RUST_LOG=\"podhosts=loud\": "), "{error}");
    }
}
