//! The log: one event a line, on stderr, where the journal takes it.

use std::fmt;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use thiserror::Error;
use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
pub use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::format::{Full, JsonFields, Writer};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields, MakeWriter};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::{Layer, Registry, fmt as lines};

use pod::validation::printable_json;

pub mod testing;

/// The variable with a filter in the syntax of [`EnvFilter`].
const VARIABLE: &str = "RUST_LOG";

/// How a line is written (`--logging-format`, with Kubernetes' names).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON object
    Json,
    /// Time, level, message and fields, for people
    Text,
}

/// The least important lines that are logged (`--log-level`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Level {
    /// What does not work
    Error,
    /// What an administrator should look at
    Warn,
    /// What happens once in a while
    Info,
    /// Each request
    Debug,
    /// Everything
    Trace,
}

/// A server's flags about its log.
#[derive(Debug, Clone, Copy, Args)]
pub struct LogArgs {
    /// How each line of the log is written
    #[arg(long, value_name = "FORMAT", value_enum, default_value_t = Format::Json)]
    pub logging_format: Format,
    /// The least important lines that are logged [default: RUST_LOG, else info]
    #[arg(long, value_name = "LEVEL", value_enum)]
    pub log_level: Option<Level>,
}

/// `RUST_LOG` is no filter.
#[derive(Debug, Error)]
#[error("cannot use {VARIABLE} {given:?}: expected levels such as info or podhosts=debug: {cause}")]
pub struct LogError {
    given: String,
    cause: ParseError,
}

/// Begins to log as a server.
///
/// # Errors
/// [`LogError`]: the variable has no filter.
pub fn begin(args: LogArgs) -> Result<(), LogError> {
    begin_as(None, args.logging_format, args.log_level)
}

/// Begins to log. `level` is for podhosts' own events; without it `RUST_LOG` decides about all crates' events. With `program` a
/// line of text is its name and the message, like the errors that it writes to stderr.
///
/// # Errors
/// [`LogError`]: the variable has no filter.
pub fn begin_as(program: Option<&'static str>, format: Format, level: Option<Level>) -> Result<(), LogError> {
    #[allow(clippy::disallowed_methods, reason = "the variable that users of tracing know")]
    let variable = std::env::var(VARIABLE).ok();
    let subscriber = subscriber(program, format, filter(level, variable)?, std::io::stderr);
    // Fails only where there is a subscriber already, as in tests.
    let _ = tracing::subscriber::set_global_default(subscriber);
    Ok(())
}

/// What is logged with `level` and the text of `RUST_LOG`.
///
/// # Errors
/// [`LogError`]: the variable has no filter.
pub fn filter(level: Option<Level>, variable: Option<String>) -> Result<EnvFilter, LogError> {
    let given = match (level, variable.filter(|text| !text.is_empty())) {
        (None, Some(given)) => given,
        (level, _) => format!("podhosts={:?}", level.unwrap_or(Level::Info)),
    };
    EnvFilter::builder().parse(&given).map_err(|cause| LogError { given, cause })
}

/// Writes the events that `filter` lets through to `writer`; those of a `program` as [`begin_as`] does.
pub fn subscriber<W>(
    program: Option<&'static str>,
    format: Format,
    filter: EnvFilter,
    writer: W,
) -> impl Subscriber + Send + Sync
where
    W: for<'writer> MakeWriter<'writer> + Send + Sync + 'static,
{
    // If stderr cannot be written, there is nowhere to report it.
    let layer = lines::layer().with_writer(writer).with_ansi(false).log_internal_errors(false);
    let layer = match (format, program) {
        (Format::Json, _) => layer.fmt_fields(JsonFields::new()).event_format(Json).boxed(),
        (Format::Text, Some(program)) => layer.event_format(Text::Of(program)).boxed(),
        (Format::Text, None) => {
            layer.event_format(Text::Full(lines::format().with_target(false).with_ansi(false))).boxed()
        }
    };
    Registry::default().with(filter).with(layer)
}

/// Lines as the server has always written them, with `ts`, `level` and `msg`, and the fields beside them.
struct Json;

impl<S> FormatEvent<S, JsonFields> for Json
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, JsonFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut map = Map::new();
        for span in context.event_scope().into_iter().flat_map(|scope| scope.from_root()) {
            let extensions = span.extensions();
            let fields = extensions.get::<FormattedFields<JsonFields>>();
            let fields = fields.and_then(|fields| serde_json::from_str::<Map<String, Value>>(fields).ok());
            map.extend(fields.into_iter().flatten());
        }
        event.record(&mut Fields(&mut map));
        let time = humantime::format_rfc3339_millis(std::time::SystemTime::now());
        map.insert("ts".to_owned(), time.to_string().into());
        map.insert("level".to_owned(), event.metadata().level().as_str().to_lowercase().into());
        writeln!(writer, "{}", printable_json(&Value::Object(map).to_string()))
    }
}

/// Collects the fields of an event, the message as `msg`.
struct Fields<'a>(&'a mut Map<String, Value>);

impl Fields<'_> {
    fn insert(&mut self, field: &Field, value: Value) {
        let name = if field.name() == "message" { "msg" } else { field.name() };
        self.0.insert(name.to_owned(), value);
    }
}

impl Visit for Fields<'_> {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.insert(field, value.into());
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.insert(field, value.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.insert(field, value.into());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.insert(field, format!("{value:?}").into());
    }
}

/// A line for people. tracing-subscriber leaves line breaks and directions of text in values as they are: here each event is
/// one line that a terminal shows as it is.
enum Text {
    /// Time, level, spans, message and fields.
    Full(lines::format::Format<Full>),
    /// `<program>: <message>`.
    Of(&'static str),
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'lookup> LookupSpan<'lookup>,
    N: for<'writer> FormatFields<'writer> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        let mut whole = Writer::new(&mut line);
        match self {
            Self::Full(format) => format.format_event(context, whole, event)?,
            Self::Of(program) => {
                write!(whole, "{program}: ")?;
                context.field_format().format_fields(whole, event)?;
            }
        }
        writeln!(writer, "{}", printable_json(&line.trim_end().replace('\n', "\\n")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use super::testing::{written_as, written_by};

    fn written(level: Option<Level>, log: impl FnOnce()) -> String {
        super::testing::written(level, log)
    }

    #[test]
    fn a_line_is_one_json_object_with_the_fields_of_its_request() {
        let line = written(None, || {
            let span =
                tracing::error_span!("request", userAgent = "kub\u{202e}ectl", verb = tracing::field::Empty);
            let _entered = span.enter();
            span.record("verb", "get");
            tracing::info!(address = %"127.0.0.1:6443", "it \"started\"\n");
        });
        assert_eq!((line.matches('\n').count(), line.contains('\u{202e}')), (1, false), "{line}");
        let mut value: Value = serde_json::from_str(&line).unwrap();
        let time = value["ts"].take();
        assert!(humantime::parse_rfc3339(time.as_str().unwrap()).is_ok(), "{line}");
        let expected = serde_json::json!({
            "ts": null, "level": "info", "msg": "it \"started\"\n", "address": "127.0.0.1:6443",
            "userAgent": "kub\u{202e}ectl", "verb": "get",
        });
        assert_eq!(value, expected);
    }

    #[test]
    fn a_line_of_text_cannot_be_forged() {
        let line = written_as(Format::Text, filter(None, None).unwrap(), || {
            let agent = "a\nb\u{1b}[2J\u{202e}";
            let _entered = tracing::error_span!("request", userAgent = agent).entered();
            tracing::error!(cause = %agent, "failed");
        });
        assert!(line.contains("ERROR request{userAgent=\"a\\nb\\u{1b}[2J"), "{line}");
        assert!(line.contains(": failed cause=a\\nb"), "{line}");
        let is_forged = |c: char| c.is_control() || c == '\u{202e}';
        assert!(line.ends_with('\n') && !line.trim_end().contains(is_forged), "{line:?}");
    }

    #[test]
    fn a_program_tells_its_name_and_the_message_alone() {
        let line = written_by(Some("podhosts nri"), Format::Text, filter(None, None).unwrap(), || {
            let _entered = tracing::error_span!("container", pod = "default/web", id = "c1").entered();
            tracing::error!("cannot read \"x\"");
            tracing::debug!("sealed");
        });
        assert_eq!(line, "podhosts nri: cannot read \"x\"\n");
        let forged = written_by(Some("podhosts nri"), Format::Text, filter(None, None).unwrap(), || {
            tracing::error!("a\nb\u{1b}[2J\u{202e}");
        });
        let is_forged = |c: char| c.is_control() || c == '\u{202e}';
        assert!(forged.ends_with('\n') && !forged.trim_end().contains(is_forged), "{forged:?}");
    }

    #[test]
    fn the_flag_goes_before_the_variable_which_is_checked() {
        let lines = |level, variable: Option<&str>| {
            let filter = filter(level, variable.map(str::to_owned)).unwrap();
            let log = || {
                tracing::error!("e");
                tracing::info!("i");
                tracing::debug!("d");
                tracing::info!(target: "h2", "other");
            };
            written_as(Format::Json, filter, log).lines().count()
        };
        assert_eq!((lines(None, None), lines(None, Some(""))), (2, 2));
        assert_eq!((lines(Some(Level::Error), Some("trace")), lines(Some(Level::Debug), None)), (1, 3));
        assert_eq!((lines(None, Some("debug")), lines(None, Some("podhosts_telemetry=error"))), (4, 1));
        let error = filter(None, Some("podhosts=loud".to_owned())).unwrap_err().to_string();
        assert!(error.starts_with("cannot use RUST_LOG \"podhosts=loud\": expected levels"), "{error}");
    }
}
