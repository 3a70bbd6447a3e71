//! podhosts as an NRI plugin: whether it is set up, whether the engine lets it, and whether it runs.

use std::path::{Path, PathBuf};

use super::finding::Report;
use super::programs::executable;
use crate::configure::nri::{self as configure_nri, SERVICE, SOCKET as NRI_SOCKET};
use crate::engines::files::Files;
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir;

/// Where it looks for plugins that it starts itself.
const PLUGINS: &str = "/opt/nri/plugins";
/// Where the service may be.
const UNITS: [&str; 3] = [configure_nri::UNITS, "/usr/local/lib/systemd/system", "/usr/lib/systemd/system"];
/// Longest command line that is looked at, in bytes.
const COMMAND_LINE_MAX: usize = 4096;

/// Why NRI is off, by the files' or the release's word, and the remedy.
pub(super) type Off = (String, String);

/// How the engine takes plugins.
pub(super) struct Taken {
    /// Why it takes none.
    pub(super) is_off: Option<Off>,
    /// Where it waits for them; the usual place where nothing is said.
    pub(super) socket: Option<PathBuf>,
    /// Whether it takes only those that it has started.
    pub(super) refuses_connections: bool,
}

/// Checks the plugin, if it is set up for this engine.
pub(super) fn check(
    check: &'static str,
    taken: Taken,
    engine_runs: bool,
    configure: &str,
    report: &mut Report,
) -> bool {
    let Some(set_up) = set_up(check) else { return false };
    if let Some((why, remedy)) = taken.is_off {
        report.error(check, format!("{} is there, but {why}", set_up.display()), remedy);
        return true;
    }
    let socket = taken.socket.unwrap_or_else(|| NRI_SOCKET.into());
    if let Some((why, remedy)) = unconnected(&set_up, &socket, taken.refuses_connections, configure) {
        report.error(
            check,
            format!("{} is there, but {why}: containers start without a seal", set_up.display()),
            remedy,
        );
        return true;
    }
    if let Some(Err(fault)) = program(&set_up).map(|program| executable(&program)) {
        report.error(
            check,
            format!("{}: {fault}", set_up.display()),
            format!("install podhosts there, or {configure} --mode nri"),
        );
    } else if engine_runs && !taken.refuses_connections && !socket.exists() {
        let message = format!(
            "{} is there, but {} is not: the engine has not switched NRI on",
            set_up.display(),
            socket.display()
        );
        report.error(check, message, "restart the engine");
    } else if engine_runs && !is_running() {
        let message = format!(
            "{} is there, but podhosts nri does not run: containers start without a seal",
            set_up.display()
        );
        report.error(
            check,
            message,
            "systemctl start podhosts-nri, or restart the engine where it starts the plugin",
        );
    } else {
        let state = if engine_runs { "and runs" } else { "for when the engine runs" };
        report.ok(check, format!("{} is there {state}", set_up.display()));
    }
    true
}

/// Why the service would wait for ever, and the remedy.
fn unconnected(set_up: &Path, socket: &Path, refuses: bool, configure: &str) -> Option<(String, String)> {
    if !set_up.ends_with(SERVICE) {
        return None;
    }
    if refuses {
        let why = "the engine takes only plugins that it starts itself (disable_connections)".to_owned();
        return Some((
            why,
            format!("take that out of the engine's configuration, or link {PLUGINS}/90-podhosts to podhosts"),
        ));
    }
    let theirs = configure_nri::socket_of(&Files::on_disk(set_up).ok().flatten()?);
    // /var/run is /run.
    let bare =
        |path: &Path| path.strip_prefix("/var").map_or(path.to_owned(), |rest| Path::new("/").join(rest));
    (bare(&theirs) != bare(socket)).then(|| {
        let why = format!(
            "it connects to {}, and the engine waits for plugins at {}",
            theirs.display(),
            socket.display()
        );
        (why, format!("{configure} --mode nri"))
    })
}

/// What starts the plugin for this engine: the service's unit, or a link that engines follow.
fn set_up(check: &str) -> Option<PathBuf> {
    let wants =
        |engine: &str| Path::new(UNITS[0]).join(format!("{engine}.service.d/podhosts-nri.conf")).exists();
    // A unit that no engine wants was enabled by hand, for whichever engine is there.
    let is_others = !wants(check) && ["containerd", "crio"].into_iter().any(wants);
    let mut units = UNITS.iter().map(|dir| Path::new(dir).join(SERVICE));
    let unit = units.find(|path| path.exists()).filter(|_| !is_others);
    let links = state_dir::names(Path::new(PLUGINS)).unwrap_or_default();
    let link = links.into_iter().find(|name| name.ends_with("-podhosts"));
    unit.or_else(|| link.map(|name| Path::new(PLUGINS).join(name)))
}

/// The program that it names.
fn program(set_up: &Path) -> Option<PathBuf> {
    if !set_up.ends_with(SERVICE) {
        return Some(set_up.to_owned());
    }
    let text = Files::on_disk(set_up).ok().flatten()?;
    let line = text.lines().find_map(|line| line.strip_prefix("ExecStart="))?;
    line.split_whitespace().next().map(PathBuf::from)
}

/// Whether a process of it is there, on this node or in a container.
fn is_running() -> bool {
    let processes = state_dir::names(Path::new("/proc")).unwrap_or_default();
    processes.iter().filter(|name| name.bytes().all(|b| b.is_ascii_digit())).any(|pid| {
        let path = Path::new("/proc").join(pid).join("cmdline");
        files::read(&path, COMMAND_LINE_MAX, LastLink::Refuse).is_ok_and(|line| is_plugin(&line))
    })
}

/// Whether a command line, with a NUL behind each argument, is the plugin's.
fn is_plugin(line: &[u8]) -> bool {
    let mut args = line.split(|byte| *byte == 0).map(String::from_utf8_lossy);
    let (program, first) = (args.next().unwrap_or_default(), args.next().unwrap_or_default());
    let name = program.rsplit('/').next().unwrap_or_default();
    name == "podhosts" && first == "nri" || name.ends_with("-podhosts")
}

#[cfg(test)]
mod tests {
    use super::is_plugin;

    #[test]
    fn command_lines() {
        for (line, expected) in [
            (&b"/usr/local/bin/podhosts\0nri\0"[..], true),
            (b"podhosts\0nri\0--socket\0/x\0", true),
            (b"/opt/nri/plugins/90-podhosts\0", true),
            (b"podhosts\0doctor\0", false),
            (b"grep\0podhosts\0nri\0", false),
            (b"", false),
        ] {
            assert_eq!(is_plugin(line), expected);
        }
    }
}
