//! What is to be in an engine's configuration, and what is not to be there any longer. Nothing is written here.

use std::path::{Path, PathBuf};

pub use crate::engines::engine::{COMMAND, Engine, Mode};

use thiserror::Error;

use crate::configure::journal::Memory;
use crate::configure::take_out::{Named, take_out_named};
use crate::configure::{network, nri};
use crate::engines::containerd::Version;
use crate::engines::edit::Edit;
use crate::engines::files::Files;
use crate::engines::layers::Layer;
use crate::engines::{EngineError, HOOK};
use crate::engines::{containerd, crio, hooks, podman};
use sys::fs::files::FileError;
use sys::process::exec;

/// How files begin that podhosts makes.
pub const HEADER: &str = "# Made by `podhosts configure`; `podhosts unconfigure` takes it away.";

/// An engine's configuration that is left as it is, and why.
#[derive(Debug, Error)]
pub enum PlanError {
    /// It cannot be read.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine has no such way.
    #[error("cannot configure {engine} by {mode}, expected {possible}")]
    Mode {
        /// The engine.
        engine: &'static str,
        /// What was asked for.
        mode: &'static str,
        /// What there is.
        possible: String,
    },
    /// An option that means nothing here.
    #[error("cannot use {option}: {reason}")]
    Option {
        /// The option.
        option: &'static str,
        /// Why.
        reason: String,
    },
    /// The configuration would point to nothing.
    #[error("cannot use {0}: it is no executable file, expected podhosts' program; see --bin-dir")]
    Program(PathBuf),
    /// Something else stands in the way.
    #[error("cannot configure {engine}: {reason}")]
    Refused {
        /// The engine.
        engine: &'static str,
        /// What, and what to do.
        reason: String,
    },
}

impl From<FileError> for PlanError {
    fn from(error: FileError) -> Self {
        Self::Engine(error.into())
    }
}

/// Where an engine's configuration is.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whose.
    pub engine: Engine,
    /// The main file.
    pub config: PathBuf,
    /// The file that is ours.
    pub drop_in: PathBuf,
    /// The hooks directory, where it was named.
    pub hooks_dir: Option<PathBuf>,
    /// The engine's program, where it is there: it tells what it makes of a configuration.
    pub program: Option<PathBuf>,
}

/// What is wanted.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where.
    pub place: Place,
    /// Whether the drop-in was named, and not only derived.
    pub is_drop_in_given: bool,
    /// How.
    pub mode: Mode,
    /// Whether pods that name no handler get ours.
    pub set_as_default: bool,
    /// Whether podhosts-cni makes the pods' network.
    pub with_cni: bool,
    /// The network's podCIDRs, where they are not those of the network that is there.
    pub pod_cidrs: Vec<String>,
    /// Whether containerd fills in the Node's podCIDRs.
    pub pod_cidrs_of_node: bool,
    /// Where the programs are.
    pub bin_dir: PathBuf,
    /// The engine's version, where it told.
    pub version: Option<Version>,
    /// The engine's default specification, or why it is not known.
    pub default_spec: Result<String, String>,
}

impl Place {
    /// The engine's usual places, but for what is given.
    pub fn new(
        engine: Engine,
        config: Option<PathBuf>,
        drop_in: Option<PathBuf>,
        hooks_dir: Option<PathBuf>,
    ) -> Self {
        let config = config.unwrap_or_else(|| engine.default_config().into());
        let beside = |dir: String, name: &str| config.with_file_name(dir).join(name);
        let own_name = config.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let drop_in = drop_in.unwrap_or_else(|| match engine {
            Engine::Containerd => beside("conf.d".to_owned(), "99-podhosts.toml"),
            // What is there of version 2 says so.
            Engine::K3s | Engine::Rke2 => beside("config-v3.toml.d".to_owned(), "99-podhosts.toml"),
            Engine::Crio | Engine::Podman => beside(own_name + ".d", "99-podhosts.conf"),
        });
        Self { engine, config, drop_in, hooks_dir, program: None }
    }

    /// The directory that the drop-in is in.
    pub(crate) fn drop_ins(&self) -> &Path {
        self.drop_in.parent().unwrap_or(Path::new("/"))
    }
}

impl Request {
    /// A program of podhosts'.
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    pub(crate) fn refused(&self, reason: String) -> PlanError {
        PlanError::Refused { engine: self.place.engine.name(), reason }
    }

    /// That a later file undoes what is planned.
    pub(crate) fn overridden(&self, key: &str) -> Result<(), PlanError> {
        let drop_in = self.place.drop_in.display();
        Err(self
            .refused(format!("a file behind {drop_in} sets {key}, too, and goes before it; see --drop-in")))
    }

    /// The same, with the file: that of `layers` that sets it last.
    pub(crate) fn overridden_in(&self, layers: &[Layer], keys: &[&str]) -> Result<(), PlanError> {
        let (key, drop_in) = (keys.join("."), &self.place.drop_in);
        let sets = |layer: &&Layer| matches!(layer.get(keys), Ok(Some(_)));
        match layers.iter().rev().find(sets).filter(|layer| layer.path != *drop_in) {
            Some(layer) => {
                let (path, drop_in) = (layer.path.display(), drop_in.display());
                Err(self.refused(format!("{path} sets {key}, too, and goes before {drop_in}; see --drop-in")))
            }
            None => self.overridden(&key),
        }
    }

    /// Whether the options can go together, and the programs are there.
    fn check(&self) -> Result<(), PlanError> {
        let (engine, mode) = (self.place.engine, self.mode);
        if !engine.modes().contains(&mode) {
            let names: Vec<&str> = engine.modes().iter().map(|mode| mode.name()).collect();
            let possible = names.join(" or ");
            return Err(PlanError::Mode { engine: engine.name(), mode: mode.name(), possible });
        }
        if self.set_as_default && !mode.makes_handler() {
            let reason = format!("{} makes no runtime handler", mode.name());
            return Err(PlanError::Option { option: "--set-as-default", reason });
        }
        let missing =
            mode.programs().iter().map(|name| self.program(name)).find(|path| exec::program(path).is_err());
        missing.map_or(Ok(()), |path| Err(PlanError::Program(path)))
    }
}

/// Plans the files to be as wanted, and says what else is to be known. What was there of ours has to be out already:
/// see [`take_out`].
///
/// # Errors
/// [`PlanError`], which says why nothing can be done.
pub fn put_in(files: &mut Files, request: &Request) -> Result<Vec<String>, PlanError> {
    request.check()?;
    let mut notes = Vec::new();
    match request.place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            containerd::plan::plan(files, request, &mut notes)?
        }
        Engine::Crio => crio::plan::plan(files, request, &mut notes)?,
        Engine::Podman => podman::plan::plan(files, request, &mut notes)?,
    }
    if request.mode == Mode::Nri {
        nri::plan(files, request)?;
    }
    if request.with_cni {
        network::plan(files, request, &mut notes)?;
    }
    Ok(notes)
}

/// Refuses to leave pods that name no handler without one: containerd would not serve the CRI then, CRI-O not start, and
/// podman start no container. A default that is not there now either is nobody's fault here.
///
/// # Errors
/// [`PlanError::Refused`] naming it.
pub fn keeps_default(planned: &Files, place: &Place, version: Option<Version>) -> Result<(), PlanError> {
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            containerd::plan::keeps_default(planned, place, version)
        }
        Engine::Crio => crio::plan::keeps_default(planned, place),
        Engine::Podman => podman::plan::keeps_default(planned, place, version),
    }
}

/// Refuses to change what is not podhosts' by taking podhosts out: one file less may be another meaning of the others.
///
/// # Errors
/// [`PlanError::Refused`] naming it.
pub fn keeps_others(planned: &Files, place: &Place, version: Option<Version>) -> Result<(), PlanError> {
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => {
            containerd::plan::keeps_others(planned, place, version)
        }
        Engine::Crio | Engine::Podman => Ok(()),
    }
}

/// Plans the files to have nothing of ours: what is remembered goes, and, where nothing is, what has our name. What
/// `others`, the memories of other engines, have too stays. Returns what is to be said of it.
///
/// # Errors
/// [`EngineError`] naming a file that cannot be read.
pub fn take_out(
    files: &mut Files,
    place: &Place,
    memory: &Memory,
    others: &[Memory],
) -> Result<Vec<String>, EngineError> {
    let wanted = nri::wanted_by_others(files, place.engine)?;
    let is_shared =
        |path: &Path| wanted.as_deref() == Some(path) || others.iter().any(|other| other.of(path).is_some());
    let notes = memory.undo(files, &is_shared)?;
    let is_remembered = |path: &Path| memory.of(path).is_some();
    // The drop-in first: what imports it may lead to nothing else.
    for path in [&place.drop_in, &place.config] {
        let is_main_of_others = path == &place.config && !place.engine.is_containerd();
        if is_remembered(path) || is_main_of_others {
            continue;
        }
        let Some(text) = files.read(path)? else { continue };
        match take_out_named(path, &text, &named(files, place), HEADER)? {
            Some(new) if new == text => {}
            Some(new) => files.put(path, new),
            None => files.remove(path),
        }
    }
    if !place.engine.is_containerd() {
        hooks::plan::take_out(files, place, &is_remembered)?;
    }
    nri::take_out(files, place, &|path| is_remembered(path) || is_shared(path))?;
    if place.engine.is_containerd() && memory.of(&network::template(place)).is_some() {
        network::take_made_out(files, place)?;
    }
    Ok(notes)
}

fn named(files: &Files, place: &Place) -> Named {
    match place.engine {
        Engine::Containerd | Engine::K3s | Engine::Rke2 => containerd::plan::named(files, place),
        Engine::Crio => crio::plan::named(files, place),
        Engine::Podman => podman::plan::named(files, place),
    }
}

/// A delivered JSON text with another path of the hook.
pub(crate) fn with_path(text: &str, program: &Path) -> String {
    let quoted = |path: &str| serde_json::Value::from(path).to_string();
    text.replace(&quoted(&format!("/usr/local/bin/{HOOK}")), &quoted(&program.display().to_string()))
}

/// The text of a file after `change`; one that was not there begins with [`HEADER`].
pub(crate) fn edited(
    files: &Files,
    path: &Path,
    change: impl FnOnce(&mut Edit) -> Result<(), EngineError>,
) -> Result<String, EngineError> {
    let before = files.read(path)?.unwrap_or_default();
    let mut edit = Edit::new(path, &before)?;
    change(&mut edit)?;
    let text = edit.finish();
    Ok(if before.is_empty() { format!("{HEADER}\n{}", text.trim_start_matches('\n')) } else { text })
}
