//! The engine reads a changed configuration: systemd's units, and the engine's own start.

use std::path::Path;

use crate::configure::change::FileChange;
use crate::configure::nri::SERVICE as NRI_SERVICE;
use crate::engines::engine::Engine;
use sys::process::programs::{self, ProgramError};

/// Directory of the units whose change needs a daemon-reload.
const UNITS: &str = "/etc/systemd/";

/// What happened to the engine after a change.
#[derive(Debug)]
pub(crate) enum Restart {
    /// Nothing was changed, and no restart asked for.
    NotNeeded,
    /// podman has no service: it reads its files for each container.
    AtNextContainer,
    /// The engine reads its files at its start, by this line for a shell.
    Pending {
        engine: &'static str,
        commands: String,
    },
    /// The service was restarted.
    Done(&'static str),
    Failed(ProgramError),
}

/// Restarts the engine where that `is_wanted`, also where no file was changed: the engine may not have read them, as when
/// an earlier restart failed.
pub(crate) fn restart(engine: Engine, is_wanted: bool, changes: &[FileChange]) -> Restart {
    if changes.is_empty() && !is_wanted {
        return Restart::NotNeeded;
    }
    let services = engine.services();
    // A node has the unit of a server or of an agent.
    let has_unit = |service: &&&str| Path::new(UNITS).join("system").join(service).exists();
    let Some(service) = services.iter().find(has_unit).or(services.first()).copied() else {
        return if changes.is_empty() { Restart::NotNeeded } else { Restart::AtNextContainer };
    };
    let commands = commands(service, changes);
    if !is_wanted {
        return Restart::Pending { engine: engine.name(), commands: shown(&commands) };
    }
    for words in commands {
        if words == STOP && !is_running() {
            continue;
        }
        if let Err(error) = programs::output("systemctl", &words) {
            return Restart::Failed(error);
        }
    }
    Restart::Done(service)
}

/// Without this the plugin would go on without its unit, and connect to the restarted engine again.
const STOP: [&str; 2] = ["stop", NRI_SERVICE];

/// What systemctl has to do, in order.
fn commands<'a>(service: &'a str, changes: &[FileChange]) -> Vec<Vec<&'a str>> {
    let mut commands = Vec::new();
    let plugin = changes.iter().find(|change| change.path.file_name() == Some(NRI_SERVICE.as_ref()));
    if plugin.is_some_and(|change| change.new.is_none()) {
        commands.push(STOP.to_vec());
    }
    if changes.is_empty() || changes.iter().any(|change| change.path.starts_with(Path::new(UNITS))) {
        commands.push(vec!["daemon-reload"]);
    }
    if plugin.is_some_and(|change| change.old.is_some() && change.new.is_some()) {
        commands.push(vec!["try-restart", NRI_SERVICE]);
    }
    commands.push(vec!["restart", service]);
    commands
}

/// A line for a shell. There may be nothing to stop, which is no reason to leave the rest.
fn shown(commands: &[Vec<&str>]) -> String {
    let mut line = String::new();
    for words in commands {
        line.push_str(&format!("systemctl {}", words.join(" ")));
        line.push_str(if words == &STOP { "; " } else { " && " });
    }
    line.trim_end_matches(" && ").to_owned()
}

/// Whether the plugin's service runs, or is about to. systemctl would take it for an error to stop one that it does not
/// know.
fn is_running() -> bool {
    let asked = programs::output("systemctl", &["show", "-p", "ActiveState", "--value", NRI_SERVICE]);
    !asked.is_ok_and(|state| matches!(state.trim(), "inactive" | "failed"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_plugin_stops_with_its_unit_and_starts_again_with_another() {
        let change = |path: &str, old: Option<&str>, new: Option<&str>| FileChange {
            path: path.into(),
            old: old.map(str::to_owned),
            new: new.map(str::to_owned),
        };
        let unit = "/etc/systemd/system/podhosts-nri.service";
        let wants = change("/etc/systemd/system/crio.service.d/podhosts-nri.conf", None, Some("x"));
        for (changes, line) in [
            (vec![change("/etc/c", None, Some("x"))], "systemctl restart crio.service"),
            (vec![], "systemctl daemon-reload && systemctl restart crio.service"),
            (
                vec![wants.clone(), change(unit, None, Some("x"))],
                "systemctl daemon-reload && systemctl restart crio.service",
            ),
            (
                vec![change(unit, Some("x"), Some("y"))],
                "systemctl daemon-reload && systemctl try-restart podhosts-nri.service && systemctl restart crio.service",
            ),
            (
                vec![wants, change(unit, Some("x"), None)],
                "systemctl stop podhosts-nri.service; systemctl daemon-reload && systemctl restart crio.service",
            ),
        ] {
            assert_eq!(shown(&commands("crio.service", &changes)), line);
        }
    }
}
