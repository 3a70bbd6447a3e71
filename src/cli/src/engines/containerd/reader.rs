//! containerd's configuration, versions 2 (containerd 1.6 and later), 3 (2.0 and later) and 4 (2.3 and later).
//!
//! Version 4 moved what the sockets and the debug log need into plugin sections; for the CRI plugin it is version 3.
//! Facts from containerd's `cmd/containerd/server/config` and `plugins/cri/runtime`.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::engines::containerd::imports::layers;
use crate::engines::containerd::merge as containerd_merge;
use crate::engines::containerd::merge::{Merged, Release};
use crate::engines::containerd::section::{CRI_V2, CRI_V3, DEFAULT_HANDLER, NRI, RUNC_V2, file_version};
use crate::engines::error::EngineError;
use crate::engines::files::{Files, covers};
use crate::engines::layers::Layer;
use crate::engines::version::Version;

/// How runc's shim is called, but for its version.
const RUNC_SHIM: &str = "containerd-shim-runc-v";

/// A configuration with what it imports, as containerd loads it.
#[derive(Debug, Clone)]
pub struct Containerd {
    /// The files in the order in which they are loaded, the main one first. Empty without a main file.
    pub layers: Vec<Layer>,
    /// The release that reads it, or may read it.
    pub release: Release,
    /// All files together.
    pub(crate) merged: Merged,
    /// The section of the CRI plugin that runtimes and CNI are in, with containerd's built-in handler.
    cri: Layer,
}

/// A runtime handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// Its name, which RuntimeClasses use.
    pub name: String,
    /// The shim, as [`RUNC_V2`].
    pub runtime_type: String,
    /// The low-level runtime, where it is not the shim's default.
    pub binary_name: Option<String>,
    /// The specification that containers are made from.
    pub base_runtime_spec: Option<PathBuf>,
    /// Which of the pod's annotations containers get, as patterns.
    pub pod_annotations: Vec<String>,
    /// Which of the container's annotations it gets, as patterns.
    pub container_annotations: Vec<String>,
}

impl Handler {
    /// Whether an annotation of the pod reaches its containers.
    pub fn passes(&self, annotation: &str) -> bool {
        self.pod_annotations.iter().any(|pattern| covers(pattern, annotation))
    }
}

impl Containerd {
    /// Reads `main` and what it imports, as containerd of this `version` does; where that is not known, the oldest
    /// release that reads such files.
    ///
    /// # Errors
    /// [`EngineError`] naming the file.
    pub fn read(files: &Files, main: &Path, version: Option<Version>) -> Result<Self, EngineError> {
        let layers = layers(files, main)?;
        let release = Release::possible(version, &layers)?[0];
        Self::new(layers, main, release)
    }

    /// A configuration of these files.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn new(layers: Vec<Layer>, main: &Path, release: Release) -> Result<Self, EngineError> {
        for layer in &layers {
            // Errors are to name the file that is wrong, not the whole.
            for name in [CRI_V2, CRI_V3] {
                if let Some(section) = layer.table(&["plugins", name])? {
                    handlers(&Layer { path: layer.path.clone(), table: section.clone() })?;
                }
            }
            for key in ["disable", "disable_connections"] {
                layer.boolean(&[NRI[0], NRI[1], key])?;
            }
        }
        let merged = containerd_merge::merged(&layers, release)?;
        Ok(Self::of(layers, main, release, merged))
    }

    /// The same configuration as containerd itself prints it (`containerd config dump`).
    pub fn as_dumped(&self, dump: Table) -> Self {
        let version = dump.get("version").and_then(Value::as_integer).unwrap_or_default();
        let plugins = dump.get("plugins").and_then(Value::as_table).cloned().unwrap_or_default();
        let (layers, path) = (self.layers.clone(), self.cri.path.clone());
        Self::of(layers, &path, self.release, Merged { version, plugins })
    }

    fn of(layers: Vec<Layer>, main: &Path, release: Release, merged: Merged) -> Self {
        let section = merged.plugins.get(release.cri(merged.version)).and_then(Value::as_table);
        let table = containerd_merge::with_built_in(section.cloned().unwrap_or_default(), release);
        Self { layers, release, merged, cri: Layer { path: main.to_owned(), table } }
    }

    /// The main file's version; `None` where there is no file.
    ///
    /// # Errors
    /// [`EngineError::Type`] where it is no integer.
    pub fn version(&self) -> Result<Option<i64>, EngineError> {
        self.layers.first().map(file_version).transpose()
    }

    /// The handlers: those that the files name, and runc where containerd has it built in beside them.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn handlers(&self) -> Result<Vec<Handler>, EngineError> {
        handlers(&self.cri)
    }

    /// The handler for pods that name none.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn default_handler(&self) -> Result<String, EngineError> {
        let name = self.cri.string(&["containerd", "default_runtime_name"])?;
        Ok(name.filter(|name| !name.is_empty()).unwrap_or(DEFAULT_HANDLER).to_owned())
    }

    /// The section of the CRI plugin that runtimes and CNI are in.
    pub(crate) fn cri_table(&self) -> &Table {
        &self.cri.table
    }

    /// All settings of a handler.
    pub(crate) fn handler_table(&self, name: &str) -> Option<&Table> {
        self.cri.table(&["containerd", "runtimes", name]).ok().flatten()
    }

    /// The handlers that have a directory of their own with CNI configuration, and that.
    pub(crate) fn own_networks(&self) -> Vec<(String, String)> {
        let runtimes = self.cri.table(&["containerd", "runtimes"]).ok().flatten().into_iter().flatten();
        let own = runtimes.filter_map(|(name, handler)| {
            let dir = handler.get("cni_conf_dir")?.as_str().filter(|dir| !dir.is_empty())?;
            Some((name.clone(), dir.to_owned()))
        });
        own.collect()
    }

    /// The directory of the CNI configuration.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn cni_conf_dir(&self) -> Result<PathBuf, EngineError> {
        let dir = self.cri.string(&["cni", "conf_dir"])?;
        Ok(dir.filter(|dir| !dir.is_empty()).unwrap_or("/etc/cni/net.d").into())
    }

    /// The directories with CNI plugins.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn cni_bin_dirs(&self) -> Result<Vec<PathBuf>, EngineError> {
        let mut dirs = self.cri.strings(&["cni", "bin_dirs"])?.unwrap_or_default();
        dirs.extend(self.cri.string(&["cni", "bin_dir"])?.map(str::to_owned));
        dirs.retain(|dir| !dir.is_empty());
        if dirs.is_empty() {
            dirs.push("/opt/cni/bin".to_owned());
        }
        Ok(dirs.into_iter().map(PathBuf::from).collect())
    }

    /// Whether containerd sets `lo` up itself (2.0 and later, `use_internal_loopback`), and calls no plugin for it.
    pub(crate) fn sets_up_loopback(&self) -> bool {
        let cni = self.cri.table(&["cni"]).ok().flatten();
        cni.and_then(|cni| cni.get("use_internal_loopback")?.as_bool()).unwrap_or(false)
    }

    /// Whether there is no handler for pods that name none. containerd then does not load its CRI plugin.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn default_handler_is_missing(&self) -> Result<bool, EngineError> {
        let default = self.default_handler()?;
        Ok(self.handlers()?.iter().all(|handler| handler.name != default))
    }

    /// Whether the files name any handler.
    pub(crate) fn names_handlers(&self) -> bool {
        let section = self.merged.plugins.get(self.release.cri(self.merged.version));
        let runtimes = section.and_then(|cri| cri.get("containerd")?.get("runtimes")?.as_table());
        runtimes.is_some_and(|runtimes| !runtimes.is_empty())
    }

    /// A setting that handler `other` has and `name` has not, or another one: by these alone they may differ.
    pub(crate) fn lacks(&self, name: &str, other: &str, with_cni: bool) -> Option<String> {
        const OWN: [&str; 7] = [
            "cni_conf_dir",
            "cni_max_conf_num",
            "runtime_type",
            "pod_annotations",
            "container_annotations",
            "base_runtime_spec",
            "sandboxer",
        ];
        let options =
            |table: &Table| table.get("options").and_then(Value::as_table).cloned().unwrap_or_default();
        let (ours, theirs) = (self.handler_table(name)?, self.handler_table(other)?);
        let is_nothing = |value: &Value| match value {
            Value::String(text) => text.is_empty(),
            Value::Integer(number) => *number == 0,
            Value::Boolean(value) => !value,
            Value::Array(list) => list.is_empty(),
            Value::Table(_) => true,
            _ => false,
        };
        let lacks = |ours: &Table, theirs: &Table, own: &[&str]| {
            let mut keys =
                theirs.iter().filter(|(key, value)| !is_nothing(value) && !own.contains(&key.as_str()));
            keys.find(|(key, value)| ours.get(*key) != Some(value)).map(|(key, _)| key.clone())
        };
        let of_options = || lacks(&options(ours), &options(theirs), &["BinaryName"]);
        lacks(ours, theirs, &OWN[if with_cni { 0 } else { 2 }..])
            .or_else(|| of_options().map(|key| format!("options.{key}")))
    }

    /// Whether containerd 1.x takes its default handler from `default_runtime`, whatever `default_runtime_name` is.
    pub(crate) fn has_legacy_default(&self) -> bool {
        containerd_merge::legacy_default(&self.cri.table, self.release).is_some()
    }

    /// Whether NRI is switched off; `None` where no file says so or otherwise. It is off in containerd 1.7 and on from
    /// 2.0 on.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming the key.
    pub fn nri_disabled(&self) -> Result<Option<bool>, EngineError> {
        Ok(self.nri("disable").and_then(Value::as_bool))
    }

    /// Where containerd waits for NRI plugins, where a file says so.
    pub fn nri_socket(&self) -> Option<PathBuf> {
        self.nri("socket_path")?.as_str().filter(|socket| !socket.is_empty()).map(PathBuf::from)
    }

    /// Whether it lets no plugin connect that it did not start itself.
    pub fn nri_refuses_connections(&self) -> bool {
        self.nri("disable_connections").and_then(Value::as_bool).unwrap_or_default()
    }

    /// The template from which it makes a network of the Node's podCIDRs.
    pub(crate) fn cni_template(&self) -> Option<&str> {
        self.cri.string(&["cni", "conf_template"]).ok().flatten().filter(|path| !path.is_empty())
    }

    /// A setting of NRI's.
    fn nri(&self, key: &str) -> Option<&Value> {
        self.merged.plugins.get(NRI[1])?.get(key)
    }

    /// The file that switches the CRI plugin off, if one does.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn cri_disabled_in(&self) -> Result<Option<&Path>, EngineError> {
        self.disabled_in(&["cri", "io.containerd.grpc.v1.cri", "io.containerd.cri.v1.runtime"])
    }

    /// The file that does not let containerd load NRI at all, if one does.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn nri_disabled_in(&self) -> Result<Option<&Path>, EngineError> {
        self.disabled_in(&[NRI[1]])
    }

    fn disabled_in(&self, names: &[&str]) -> Result<Option<&Path>, EngineError> {
        for layer in &self.layers {
            let disabled = layer.strings(&["disabled_plugins"])?.unwrap_or_default();
            if disabled.iter().any(|plugin| names.contains(&plugin.as_str())) {
                return Ok(Some(&layer.path));
            }
        }
        Ok(None)
    }

    /// The files behind the main one that have a CRI section of their own.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn imported_cri_sections(&self) -> Result<Vec<&Path>, EngineError> {
        let mut paths = Vec::new();
        for layer in self.layers.iter().skip(1) {
            if layer.table(&["plugins", CRI_V2])?.is_some() || layer.table(&["plugins", CRI_V3])?.is_some() {
                paths.push(layer.path.as_path());
            }
        }
        Ok(paths)
    }
}

/// Whether a handler's shim runs runc, or what is called like it. One without a type has it from containerd 2.0 on where
/// it is runc's, and works nowhere else.
pub(crate) fn runs_runc(handler: &Handler) -> bool {
    let shim = handler.runtime_type.as_str();
    let is_path =
        || shim.starts_with('/') && shim.rsplit('/').next().is_some_and(|name| name.starts_with(RUNC_SHIM));
    matches!(shim, "" | RUNC_V2 | "io.containerd.runc.v1") || is_path()
}

/// The handlers in a CRI section.
fn handlers(cri: &Layer) -> Result<Vec<Handler>, EngineError> {
    let Some(runtimes) = cri.table(&["containerd", "runtimes"])? else { return Ok(Vec::new()) };
    let read = |name: &String| {
        let keys = |key| ["containerd", "runtimes", name, key];
        let path = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let options = ["containerd", "runtimes", name, "options", "BinaryName"];
        Ok(Handler {
            name: name.clone(),
            runtime_type: cri.string(&keys("runtime_type"))?.unwrap_or_default().to_owned(),
            binary_name: cri.string(&options)?.and_then(path),
            base_runtime_spec: cri.string(&keys("base_runtime_spec"))?.and_then(path).map(PathBuf::from),
            pod_annotations: cri.strings(&keys("pod_annotations"))?.unwrap_or_default(),
            container_annotations: cri.strings(&keys("container_annotations"))?.unwrap_or_default(),
        })
    };
    runtimes.keys().map(read).collect()
}

#[cfg(test)]
#[path = "reader_tests.rs"]
mod tests;
