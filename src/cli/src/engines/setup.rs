//! What an engine is asked to have: where its files are, and how podhosts gets into its containers.

use std::path::{Path, PathBuf};

use crate::engines::edit::Edit;
use crate::engines::engine::{Engine, Mode};
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::layers::Layer;
use crate::engines::names::HOOK;
use crate::engines::version::Version;
use sys::process::exec;

/// The first line of the files that podhosts makes.
pub(crate) const HEADER: &str = "# Made by `podhosts configure`; `podhosts unconfigure` takes it away.";

/// The paths of an engine's configuration.
#[derive(Debug, Clone)]
pub(crate) struct Place {
    pub engine: Engine,
    /// The main file.
    pub config: PathBuf,
    /// Our own file.
    pub drop_in: PathBuf,
    /// The hooks directory, where it was named.
    pub hooks_dir: Option<PathBuf>,
    /// The engine's program, if it is installed: it tells how it reads a configuration.
    pub program: Option<PathBuf>,
}

/// The configuration that an engine is asked to have.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    pub place: Place,
    /// Whether the drop-in was named, and not only derived.
    pub is_drop_in_given: bool,
    pub mode: Mode,
    /// Whether pods that name no handler get ours.
    pub set_as_default: bool,
    /// Whether podhosts-cni makes the pods' network.
    pub with_cni: bool,
    /// The network's podCIDRs, where they are not those of the network that is there.
    pub pod_cidrs: Vec<String>,
    /// Those of the calls until now, for a network that is no longer there.
    pub last_pod_cidrs: Vec<String>,
    /// Whether containerd fills in the Node's podCIDRs.
    pub pod_cidrs_of_node: bool,
    /// The directory of podhosts' programs.
    pub bin_dir: PathBuf,
    /// The engine's version, where it told.
    pub version: Option<Version>,
    /// Whether another engine is configured to run the wrapper.
    pub others_run_wrapper: bool,
    /// The engine's default specification, or why it is not known.
    pub default_spec: Result<String, String>,
}

impl Place {
    /// The given paths, and the engine's usual ones for the rest.
    pub(crate) fn new(
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
            // A drop-in of version 2 names its version.
            Engine::K3s | Engine::Rke2 => beside("config-v3.toml.d".to_owned(), "99-podhosts.toml"),
            Engine::Crio | Engine::Podman => beside(own_name + ".d", "99-podhosts.conf"),
        });
        Self { engine, config, drop_in, hooks_dir, program: None }
    }

    /// Path of the template from which containerd makes a network of the Node's podCIDRs.
    pub(crate) fn network_template(&self) -> PathBuf {
        self.config.with_file_name("podhosts.conflist.tmpl")
    }

    /// The directory that the drop-in is in.
    pub(crate) fn drop_ins(&self) -> &Path {
        self.drop_in.parent().unwrap_or(Path::new("/"))
    }
}

impl Setup {
    pub(crate) fn program(&self, name: &str) -> PathBuf {
        self.bin_dir.join(name)
    }

    pub(crate) fn refused(&self, reason: String) -> ConfigureError {
        ConfigureError::Refused { engine: self.place.engine.name(), reason }
    }

    /// The error that a later file overrides `key`.
    pub(crate) fn overridden(&self, key: &str) -> Result<(), ConfigureError> {
        let drop_in = self.place.drop_in.display();
        Err(self
            .refused(format!("a file behind {drop_in} sets {key}, too, and goes before it; see --drop-in")))
    }

    /// The same error, with the last of `layers` that sets the key.
    pub(crate) fn overridden_in(&self, layers: &[Layer], keys: &[&str]) -> Result<(), ConfigureError> {
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

    /// Refuses options that exclude each other, and missing programs.
    pub(crate) fn check(&self) -> Result<(), ConfigureError> {
        let (engine, mode) = (self.place.engine, self.mode);
        if !engine.modes().contains(&mode) {
            let names: Vec<&str> = engine.modes().iter().map(|mode| mode.name()).collect();
            let possible = names.join(" or ");
            return Err(ConfigureError::Mode { engine: engine.name(), mode: mode.name(), possible });
        }
        if self.set_as_default && !mode.makes_handler() {
            let reason = format!("{} makes no runtime handler", mode.name());
            return Err(ConfigureError::Option { option: "--set-as-default", reason });
        }
        let missing =
            mode.programs().iter().map(|name| self.program(name)).find(|path| exec::program(path).is_err());
        missing.map_or(Ok(()), |path| Err(ConfigureError::Program(path)))
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
