//! `podhosts configure` and `podhosts unconfigure`: the engine's files are read, planned, and changed all or none.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::configure::change::{self, Change, SameMeaning};
use crate::configure::journal::{self as memory, Memory, Remembered, Told};
use crate::configure::network;
use crate::configure::plan::{self, Engine, Mode, Place, PlanError, Request};
use crate::cri::Client;
use crate::engines;
use crate::engines::containerd::Version;
use crate::engines::files::Files;
use sys::fs::files::FileError;
use sys::fs::node_files;
use sys::fs::state_dir::{self, LockKind};
use sys::process::exec;
use sys::process::programs;
use sys::report::ExitCode;

use super::args::{ConfigureArgs, ModeArg, PlaceArgs, RuntimeArg, UnconfigureArgs};
use super::{complain, in_use, print};
use crate::configure::restart;

/// Keeps calls apart. It is none of what has to be undone.
const LOCK: &str = "/run/podhosts/configure.lock";

/// How long containerd may take to tell its version.
const CRI_PATIENCE: Duration = Duration::from_secs(5);

const NOTHING: &str = "nothing to change\n";

/// Why nothing was done, and how the program ends.
struct Failure(ExitCode, String);

impl From<PlanError> for Failure {
    fn from(error: PlanError) -> Self {
        let is_usage = matches!(error, PlanError::Mode { .. } | PlanError::Option { .. });
        Self(if is_usage { ExitCode::Usage } else { ExitCode::Failure }, error.to_string())
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self(ExitCode::Failure, error.to_string())
    }
}

/// Has an engine call podhosts.
pub(super) fn configure(args: &ConfigureArgs) -> ExitCode {
    end(run(&args.place, Some(args)))
}

/// Takes podhosts out of an engine's configuration.
pub(super) fn unconfigure(args: &UnconfigureArgs) -> ExitCode {
    end(run(&args.place, None))
}

fn end(result: Result<String, Failure>) -> ExitCode {
    match result {
        Ok(output) => print(output.as_bytes()),
        Err(Failure(code, error)) => {
            complain(&[error]);
            code
        }
    }
}

/// The whole of it; returns what is to be said.
fn run(args: &PlaceArgs, wanted: Option<&ConfigureArgs>) -> Result<String, Failure> {
    let engine = engine(args.runtime);
    let memory_path = memory_path(engine.name());
    // Two calls at a time would each remember what the other one wrote.
    let _lock =
        if args.dry_run { None } else { Some(state_dir::lock(Path::new(LOCK), LockKind::Exclusive)?) };
    let memory = match Files::on_disk(&memory_path)? {
        Some(text) => Memory::parse(&memory_path, &text).map_err(PlanError::from)?,
        None => Memory::default(),
    };
    if !args.dry_run {
        // An engine may read all files of a directory, those of a call that was killed too.
        memory.files.iter().filter_map(|file| file.path.parent()).for_each(node_files::remove_leftovers);
    }
    let told = memory.told();
    let place = place(args, engine, told.as_ref())?;
    let mut without = Files::new();
    let others = others(engine.name());
    let taken = plan::take_out(&mut without, &place, &memory, &others).map_err(PlanError::from)?;
    let mut planned = without.clone();
    let version = version(place.engine);
    let mut told_now = None;
    let (mut notes, same) = match wanted {
        Some(wanted) => {
            let request = request(place.clone(), wanted, told.as_ref(), version)?;
            let notes = plan::put_in(&mut planned, &request)?;
            told_now = Some(told_by(&request));
            (notes, SameMeaning::Keep)
        }
        None => (taken, SameMeaning::Write),
    };
    plan::keeps_default(&planned, &place, version)?;
    if wanted.is_none() {
        plan::keeps_others(&planned, &place, version)?;
    }
    let changes = change::changes(&planned, same)?;
    if args.dry_run {
        let text = if changes.is_empty() { NOTHING.to_owned() } else { change::diff(&changes) };
        return Ok(said(text, &notes));
    }
    let is_network = |path: &Path| [network::LIST, network::MADE].iter().any(|name| path.ends_with(name));
    if let Some(change) = changes.iter().find(|change| change.new.is_none() && is_network(&change.path))
        && let Some(pods) = in_use::connected()
    {
        let path = change.path.display();
        let message =
            format!("cannot remove {path}: pods that it has connected could not be deleted then: {pods}");
        return Err(Failure(ExitCode::Failure, message));
    }
    let kept = match wanted {
        Some(_) => {
            let mut kept = match changes.is_empty() {
                true => memory.clone(),
                false => remembered(&without, &planned, &changes, &memory)?,
            };
            kept.dirs.extend(node_files::unfinished_dirs(&memory_path));
            kept.share(&planned, &others);
            kept.told = told_now;
            if changes.is_empty() && kept == memory {
                return restart_as_asked(args, &place, &changes, &notes);
            }
            Some(kept.to_json())
        }
        None => None,
    };
    change::apply(&changes, &memory_path, kept.as_deref(), &memory.dirs)?;
    if wanted.is_none() {
        notes.extend(in_use::note());
    }
    restart_as_asked(args, &place, &changes, &notes)
}

/// Where it is kept what an engine's files were before.
fn memory_path(engine: &str) -> PathBuf {
    Path::new(memory::DIR).join(engine.to_owned() + ".json")
}

/// What is remembered of other engines. What cannot be read is said where it is that engine's turn.
fn others(engine: &str) -> Vec<Memory> {
    let engines = Engine::ALL.into_iter().map(Engine::name);
    let paths = engines.filter(|other| *other != engine).map(memory_path);
    let read = |path: PathBuf| Memory::parse(&path, &Files::on_disk(&path).ok()??).ok();
    paths.filter_map(read).collect()
}

/// What was done, and the restart where it is asked for.
fn restart_as_asked(
    args: &PlaceArgs,
    place: &Place,
    changes: &[Change],
    notes: &[String],
) -> Result<String, Failure> {
    restart::restart(place.engine, args.restart, changes, said(report(changes), notes))
        .map_err(|(said, error)| Failure(ExitCode::Failure, format!("{}{error}", said.replace('\n', "; "))))
}

fn absolute(path: PathBuf) -> Result<PathBuf, Failure> {
    let failed = |cause| FileError::Io { verb: "use", path: path.clone(), cause };
    Ok(std::path::absolute(&path).map_err(failed)?)
}

fn engine(runtime: RuntimeArg) -> Engine {
    match runtime {
        RuntimeArg::Containerd => Engine::Containerd,
        RuntimeArg::K3s => Engine::K3s,
        RuntimeArg::Rke2 => Engine::Rke2,
        RuntimeArg::Crio => Engine::Crio,
        RuntimeArg::Podman => Engine::Podman,
    }
}

fn place(args: &PlaceArgs, engine: Engine, told: Option<&Told>) -> Result<Place, Failure> {
    let path = |path: &Option<PathBuf>| path.clone().map(absolute).transpose();
    let drop_in = path(&args.drop_in)?.or_else(|| told?.drop_in.clone());
    let hooks_dir = path(&args.hooks_dir)?.or_else(|| told?.hooks_dir.clone());
    let place = Place::new(engine, path(&args.config)?, drop_in, hooks_dir);
    Ok(Place { program: exec::find_program(&[engine.program().to_owned()]), ..place })
}

fn request(
    place: Place,
    args: &ConfigureArgs,
    told: Option<&Told>,
    version: Option<Version>,
) -> Result<Request, Failure> {
    let engine = place.engine;
    let mode = match args.mode {
        None => told
            .and_then(|told| Mode::named(&told.mode))
            .or_else(|| engine.modes().first().copied())
            .unwrap_or(Mode::Wrapper),
        Some(ModeArg::Wrapper) => Mode::Wrapper,
        Some(ModeArg::BaseSpec) => Mode::BaseSpec,
        Some(ModeArg::HooksDir) => Mode::HooksDir,
        Some(ModeArg::Nri) => Mode::Nri,
    };
    let option =
        |option, reason: &str| Err(Failure::from(PlanError::Option { option, reason: reason.to_owned() }));
    if args.place.hooks_dir.is_some() && mode != Mode::HooksDir {
        return option("--hooks-dir", "it is for hooks-dir only");
    }
    let with_cni = args.with_cni.unwrap_or_else(|| told.is_some_and(|told| told.with_cni));
    if !with_cni && !args.pod_cidr.is_empty() {
        return option("--pod-cidr", "it is for --with-cni only");
    }
    if !with_cni && args.pod_cidr_from.is_some() {
        return option("--pod-cidr-from", "it is for --with-cni only");
    }
    let was_default = || told.is_some_and(|told| told.set_as_default) && mode.makes_handler();
    let is_of_node = || told.is_some_and(|told| told.pod_cidrs_of_node) && args.pod_cidr.is_empty();
    let bin_dir = match &args.bin_dir {
        Some(dir) => absolute(dir.clone())?,
        None => own_dir()?,
    };
    let default_spec = match mode {
        Mode::BaseSpec => programs::output("ctr", &["oci", "spec"]).map_err(|error| error.to_string()),
        _ => Err(String::new()),
    };
    Ok(Request {
        is_drop_in_given: args.place.drop_in.is_some() || told.is_some_and(|told| told.drop_in.is_some()),
        place,
        mode,
        set_as_default: args.set_as_default.unwrap_or_else(was_default),
        with_cni,
        pod_cidrs: args.pod_cidr.clone(),
        pod_cidrs_of_node: with_cni && (args.pod_cidr_from.is_some() || is_of_node()),
        bin_dir,
        version,
        default_spec,
    })
}

/// What the next call keeps.
fn told_by(request: &Request) -> Told {
    Told {
        mode: request.mode.name().to_owned(),
        set_as_default: request.set_as_default,
        with_cni: request.with_cni,
        pod_cidrs_of_node: request.pod_cidrs_of_node,
        drop_in: request.is_drop_in_given.then(|| request.place.drop_in.clone()),
        hooks_dir: request.place.hooks_dir.clone(),
    }
}

/// The directory of this program.
fn own_dir() -> Result<PathBuf, Failure> {
    let failed = |cause| FileError::Io { verb: "find", path: PathBuf::from("podhosts"), cause };
    let own = exec::own_path().map_err(failed)?;
    Ok(own.parent().unwrap_or(Path::new("/")).to_owned())
}

/// The engine's version, where it matters: of the one that is installed, or, where none is to be found, that runs.
fn version(engine: Engine) -> Option<Version> {
    let installed = || programs::output(engine.program(), &["--version"]).ok();
    let said = match engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            installed().or_else(|| running_version(engine.socket()))
        }
        Engine::Podman => installed(),
        Engine::Crio => None,
    };
    said.and_then(|said| engines::version_in(&said))
}

/// What containerd says of itself over the CRI. A container that configures its node has no containerd of its own.
fn running_version(socket: &str) -> Option<String> {
    let client = Client::connect(Path::new(socket), CRI_PATIENCE).ok()?;
    client.version().ok().map(|version| version.runtime_version)
}

/// What unconfigure needs to know.
fn remembered(
    without: &Files,
    planned: &Files,
    changes: &[Change],
    memory: &Memory,
) -> Result<Memory, FileError> {
    let mut files = Vec::new();
    for path in planned.planned().keys() {
        let written = match changes.iter().find(|change| change.path == *path) {
            Some(change) => change.new.clone(),
            None => Files::on_disk(path)?,
        };
        let before = without.read(path)?;
        if let Some(written) = written.filter(|written| before.as_ref() != Some(written)) {
            files.push(Remembered { path: path.clone(), before, written });
        }
    }
    let mut dirs = memory.dirs.clone();
    dirs.extend(change::new_dirs(changes));
    dirs.sort_unstable();
    dirs.dedup();
    Ok(Memory::new(files, dirs))
}

/// What was done, a line for each file.
fn report(changes: &[Change]) -> String {
    if changes.is_empty() {
        return NOTHING.to_owned();
    }
    let line = |change: &Change| {
        let verb = match (&change.old, &change.new) {
            (None, _) => "made",
            (_, None) => "removed",
            _ => "changed",
        };
        format!("{verb} {}\n", change.path.display())
    };
    changes.iter().map(line).collect()
}

fn said(mut text: String, notes: &[String]) -> String {
    for note in notes {
        text.push_str(&format!("note: {note}\n"));
    }
    text
}
