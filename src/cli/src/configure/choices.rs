//! What the operator chose, completed by what the call before was told and by the defaults.

use std::path::PathBuf;

use crate::configure::installed::own_dir;
use crate::configure::journal::LastChoices;
use crate::engines::engine::{Engine, Mode};
use crate::engines::error::ConfigureError;
use crate::engines::setup::{Place, Setup};
use crate::engines::version::Version;
use sys::fs::files::FileError;
use sys::process::{exec, programs};

/// The options of configure and unconfigure that say where an engine's files are, and what to do with the change.
#[derive(Debug, Clone)]
pub(crate) struct Invocation {
    pub(crate) engine: Engine,
    pub(crate) config: Option<PathBuf>,
    pub(crate) drop_in: Option<PathBuf>,
    pub(crate) hooks_dir: Option<PathBuf>,
    pub(crate) dry_run: bool,
    pub(crate) restart: bool,
}

/// The other options of configure. One that is not given stays as the call before had it.
#[derive(Debug, Clone)]
pub(crate) struct Choices {
    pub(crate) mode: Option<Mode>,
    pub(crate) set_as_default: Option<bool>,
    pub(crate) with_cni: Option<bool>,
    pub(crate) pod_cidrs: Vec<String>,
    pub(crate) pod_cidrs_of_node: bool,
    pub(crate) bin_dir: Option<PathBuf>,
}

/// The call with absolute paths, and with those of the call before where it names none.
pub(super) fn with_paths(call: &Invocation, last: Option<&LastChoices>) -> Result<Invocation, FileError> {
    let path = |now: &Option<PathBuf>, before: fn(&LastChoices) -> &Option<PathBuf>| match now {
        Some(path) => absolute(path.clone()).map(Some),
        None => Ok(last.and_then(|last| before(last).clone())),
    };
    Ok(Invocation {
        config: path(&call.config, |last| &last.config)?,
        drop_in: path(&call.drop_in, |last| &last.drop_in)?,
        hooks_dir: path(&call.hooks_dir, |last| &last.hooks_dir)?,
        ..call.clone()
    })
}

/// The engine's files, by a call from [`with_paths`].
pub(super) fn place(call: &Invocation) -> Place {
    let Invocation { engine, config, drop_in, hooks_dir, .. } = call.clone();
    let place = Place::new(engine, config, drop_in, hooks_dir);
    Place { program: exec::find_program(&[engine.program().to_owned()]), ..place }
}

fn absolute(path: PathBuf) -> Result<PathBuf, FileError> {
    let failed = |cause| FileError::Io { verb: "use", path: path.clone(), cause };
    std::path::absolute(&path).map_err(failed)
}

impl Choices {
    /// These choices, completed by those of the call before and by the defaults. `paths` is the call from
    /// [`with_paths`].
    pub(super) fn over(
        &self,
        call: &Invocation,
        paths: &Invocation,
        last: Option<LastChoices>,
    ) -> Result<LastChoices, ConfigureError> {
        let last = last.unwrap_or_default();
        let mode = self.mode.or_else(|| Mode::named(&last.mode));
        let mode = mode.or_else(|| call.engine.modes().first().copied()).unwrap_or(Mode::Wrapper);
        let with_cni = self.with_cni.unwrap_or(last.with_cni);
        self.check(call, mode, with_cni)?;
        let names_cidrs = self.pod_cidrs_of_node || !self.pod_cidrs.is_empty();
        Ok(LastChoices {
            mode: mode.name().to_owned(),
            set_as_default: self.set_as_default.unwrap_or(last.set_as_default),
            with_cni,
            pod_cidrs: if names_cidrs { self.pod_cidrs.clone() } else { last.pod_cidrs },
            pod_cidrs_of_node: if names_cidrs { self.pod_cidrs_of_node } else { last.pod_cidrs_of_node },
            config: paths.config.clone(),
            drop_in: paths.drop_in.clone(),
            hooks_dir: paths.hooks_dir.clone(),
            bin_dir: self.bin_dir.clone().map(absolute).transpose()?.or(last.bin_dir),
        })
    }

    /// The setup that `chosen`, from [`Choices::over`], means.
    pub(super) fn setup(
        &self,
        chosen: &LastChoices,
        place: Place,
        version: Option<Version>,
    ) -> Result<Setup, ConfigureError> {
        let mode = Mode::named(&chosen.mode).unwrap_or(Mode::Wrapper);
        // Kept for a later mode where this one has no handler, and an error where it was asked for just now.
        let is_default = chosen.set_as_default && (mode.makes_handler() || self.set_as_default.is_some());
        let bin_dir = chosen.bin_dir.clone().map_or_else(own_dir, Ok)?;
        let default_spec = match mode {
            Mode::BaseSpec => programs::output("ctr", &["oci", "spec"]).map_err(|error| error.to_string()),
            _ => Err(String::new()),
        };
        Ok(Setup {
            is_drop_in_given: chosen.drop_in.is_some(),
            place,
            mode,
            set_as_default: is_default,
            with_cni: chosen.with_cni,
            pod_cidrs: self.pod_cidrs.clone(),
            last_pod_cidrs: chosen.pod_cidrs.clone(),
            pod_cidrs_of_node: chosen.with_cni && chosen.pod_cidrs_of_node,
            bin_dir,
            version,
            others_run_wrapper: false,
            default_spec,
        })
    }

    /// Refuses options that mean nothing beside the others.
    fn check(&self, call: &Invocation, mode: Mode, with_cni: bool) -> Result<(), ConfigureError> {
        let option = |option, reason: &str| Err(ConfigureError::Option { option, reason: reason.to_owned() });
        if call.hooks_dir.is_some() && mode != Mode::HooksDir {
            return option("--hooks-dir", "it is for hooks-dir only");
        }
        if !with_cni && !self.pod_cidrs.is_empty() {
            return option("--pod-cidr", "it is for --with-cni only");
        }
        if !with_cni && self.pod_cidrs_of_node {
            return option("--pod-cidr-from", "it is for --with-cni only");
        }
        Ok(())
    }
}
