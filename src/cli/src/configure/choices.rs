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

/// The engine's files, as given now or in the call before.
pub(super) fn place(call: &Invocation, last: Option<&LastChoices>) -> Result<Place, FileError> {
    let path = |path: &Option<PathBuf>| path.clone().map(absolute).transpose();
    let drop_in = path(&call.drop_in)?.or_else(|| last?.drop_in.clone());
    let hooks_dir = path(&call.hooks_dir)?.or_else(|| last?.hooks_dir.clone());
    let place = Place::new(call.engine, path(&call.config)?, drop_in, hooks_dir);
    Ok(Place { program: exec::find_program(&[call.engine.program().to_owned()]), ..place })
}

fn absolute(path: PathBuf) -> Result<PathBuf, FileError> {
    let failed = |cause| FileError::Io { verb: "use", path: path.clone(), cause };
    std::path::absolute(&path).map_err(failed)
}

impl Choices {
    /// The setup that these choices mean after those of the call before.
    pub(super) fn setup(
        &self,
        call: &Invocation,
        place: Place,
        last: Option<&LastChoices>,
        version: Option<Version>,
    ) -> Result<Setup, ConfigureError> {
        let mode = self.mode(place.engine, last);
        let with_cni = self.with_cni.unwrap_or_else(|| last.is_some_and(|last| last.with_cni));
        self.check(call, mode, with_cni)?;
        let was_default = || last.is_some_and(|last| last.set_as_default) && mode.makes_handler();
        let was_of_node = || last.is_some_and(|last| last.pod_cidrs_of_node) && self.pod_cidrs.is_empty();
        let bin_dir = match &self.bin_dir {
            Some(dir) => absolute(dir.clone())?,
            None => own_dir()?,
        };
        let default_spec = match mode {
            Mode::BaseSpec => programs::output("ctr", &["oci", "spec"]).map_err(|error| error.to_string()),
            _ => Err(String::new()),
        };
        Ok(Setup {
            is_drop_in_given: call.drop_in.is_some() || last.is_some_and(|last| last.drop_in.is_some()),
            place,
            mode,
            set_as_default: self.set_as_default.unwrap_or_else(was_default),
            with_cni,
            pod_cidrs: self.pod_cidrs.clone(),
            pod_cidrs_of_node: with_cni && (self.pod_cidrs_of_node || was_of_node()),
            bin_dir,
            version,
            others_run_wrapper: false,
            default_spec,
        })
    }

    fn mode(&self, engine: Engine, last: Option<&LastChoices>) -> Mode {
        let before = || last.and_then(|last| Mode::named(&last.mode));
        let usual = || engine.modes().first().copied();
        self.mode.or_else(before).or_else(usual).unwrap_or(Mode::Wrapper)
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
