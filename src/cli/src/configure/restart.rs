//! What makes a change of the configuration count: systemd's units and the engine's own start.

use std::path::Path;

use crate::configure::change::Change;
use crate::configure::nri::SERVICE as NRI_SERVICE;
use crate::configure::plan::Engine;
use sys::process::programs::{self, ProgramError};

/// Where the units of systemd's are that a change of needs a reload.
const UNITS: &str = "/etc/systemd/";

/// What was done, and why not all of it was.
pub(crate) type Failed = (String, ProgramError);

/// Has the engine read its configuration again, or says that it has to; `said` and that. Whoever asks for a restart gets
/// one where the files are as they should be already, too: the engine may not have read them, as when an earlier restart
/// failed.
pub(crate) fn restart(
    engine: Engine,
    now: bool,
    changes: &[Change],
    mut said: String,
) -> Result<String, Failed> {
    if changes.is_empty() && !now {
        return Ok(said);
    }
    let services = engine.services();
    // Of those of a server and of an agent the one that the node has.
    let unit = |service: &&&str| Path::new(UNITS).join("system").join(service).exists();
    let Some(service) = services.iter().find(unit).or(services.first()).copied() else {
        if !changes.is_empty() {
            said.push_str("podman reads it when it makes the next container\n");
        }
        return Ok(said);
    };
    let commands = commands(service, changes);
    if !now {
        said.push_str(&format!("{} reads it at its start: {}\n", engine.name(), shown(&commands)));
        return Ok(said);
    }
    for words in commands {
        if words == STOP && !is_running() {
            continue;
        }
        if let Err(error) = programs::output("systemctl", &words) {
            // What was changed is to be known also where the restart fails.
            return Err((said, error));
        }
    }
    said.push_str(&format!("restarted {service}\n"));
    Ok(said)
}

/// The plugin would connect again to the engine that is restarted, and go on, without its unit, too.
const STOP: [&str; 2] = ["stop", NRI_SERVICE];

/// What systemctl has to do, in order.
fn commands<'a>(service: &'a str, changes: &[Change]) -> Vec<Vec<&'a str>> {
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
        let change = |path: &str, old: Option<&str>, new: Option<&str>| Change {
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
