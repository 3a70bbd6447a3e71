//! `podhosts nri`: the plugin of containerd's and CRI-O's Node Resource Interface.

use super::args::{LogFormatArg, LogLevelArg, NriArgs};
use crate::nri::session::Registration;
use crate::nri::{self, Endpoint, SOCKET_VARIABLE};
use container::node_config::CONFIG_PATH;
use sys::report::bounded;
use sys::service::inherited;
use telemetry::log::{self, Format, Level};

/// The program's name in its log.
const PROGRAM: &str = "podhosts nri";

pub(super) fn run(args: &NriArgs) -> Result<Vec<u8>, Vec<String>> {
    let refused = |option: &str, value: &str, expected: &str| {
        Err(vec![format!("cannot use --{option} {value:?}: expected {expected}")])
    };
    if !nri::is_name(&args.name) {
        return refused("name", &args.name, "letters, digits, '-', '_', '.' and '+'");
    }
    if !nri::is_index(&args.index) {
        return refused("index", &args.index, "two digits");
    }
    let format = match args.logging_format {
        LogFormatArg::Text => Format::Text,
        LogFormatArg::Json => Format::Json,
    };
    log::begin_as(Some(PROGRAM), format, args.log_level.map(level))
        .map_err(|error| vec![error.to_string()])?;
    let registration = Registration { name: args.name.clone(), index: args.index.clone() };
    match nri::run(&Endpoint::Socket(args.socket.clone()), &registration, &args.config) {
        Ok(()) => Ok(Vec::new()),
        Err(error) if format == Format::Json => {
            tracing::error!("{}", bounded(&error.to_string()));
            Err(Vec::new())
        }
        Err(error) => Err(vec![error.to_string()]),
    }
}

fn level(level: LogLevelArg) -> Level {
    match level {
        LogLevelArg::Error => Level::Error,
        LogLevelArg::Warn => Level::Warn,
        LogLevelArg::Info => Level::Info,
        LogLevelArg::Debug => Level::Debug,
        LogLevelArg::Trace => Level::Trace,
    }
}

/// Serves the engine that started this process by a link such as /opt/nri/plugins/90-podhosts; `None` where no engine
/// did.
pub(super) fn run_launched() -> Option<Result<Vec<u8>, Vec<String>>> {
    let socket = inherited::variable(SOCKET_VARIABLE)?.to_string_lossy().into_owned();
    let given = |name| inherited::variable(name).map(|value| value.to_string_lossy().into_owned());
    // The engine has both already, from the link's name.
    let registration = Registration {
        name: given("NRI_PLUGIN_NAME").unwrap_or_default(),
        index: given("NRI_PLUGIN_IDX").unwrap_or_default(),
    };
    let begun = log::begin_as(Some(PROGRAM), Format::Text, None).map_err(|error| error.to_string());
    let result = begun.and_then(|()| {
        nri::run(&Endpoint::Inherited(socket), &registration, CONFIG_PATH.as_ref())
            .map_err(|error| error.to_string())
    });
    Some(result.map(|()| Vec::new()).map_err(|error| vec![error]))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::LogFormatArg;
    use crate::commands::args::{Cli, Command};

    /// The servers' name of the flag, and its own older one.
    #[test]
    fn the_log_has_a_form_by_either_name_of_the_flag() {
        for flag in ["--logging-format", "--log-format"] {
            let cli = Cli::try_parse_from(["podhosts", "nri", flag, "json"]).unwrap();
            let Command::Nri(args) = cli.command else { panic!("{cli:?}") };
            assert!(matches!(args.logging_format, LogFormatArg::Json), "{flag}");
        }
    }
}
