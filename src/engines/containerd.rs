//! containerd's configuration, versions 2 (containerd 1.6 and later), 3 (2.0 and later) and 4 (2.3 and later).
//!
//! Version 4 moved what the sockets and the debug log need into plugin sections; for the CRI plugin it is version 3.
//! Facts from containerd's `cmd/containerd/server/config` and `plugins/cri/runtime`.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use super::EngineError;
use super::files::{Files, covers};
use super::layers::Layer;

/// The main configuration where containerd is not told of another one.
pub const CONFIG: &str = "/etc/containerd/config.toml";

/// Where it serves the CRI.
pub const SOCKET: &str = "/run/containerd/containerd.sock";

/// The runtime type of runc, crun, and the wrapper in front of them.
pub const RUNC_V2: &str = "io.containerd.runc.v2";

/// The handler that is there, and is the default, where the configuration names none.
pub(super) const DEFAULT_HANDLER: &str = "runc";

/// The NRI plugin's section.
pub(super) const NRI: [&str; 2] = ["plugins", "io.containerd.nri.v1.nri"];

/// A program's version, as far as it matters: major and minor.
pub type Version = (u32, u32);

/// A configuration with what it imports, as containerd loads it.
#[derive(Debug, Clone)]
pub struct Containerd {
    /// The files, in the order in which they are loaded; the first is the main one. Empty where there is none.
    pub layers: Vec<Layer>,
    /// The section of the CRI plugin that runtimes and CNI are in, of all files.
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

/// The version of one file; one without is of version 1.
///
/// # Errors
/// [`EngineError::Type`] where it is no integer.
pub fn version(layer: &Layer) -> Result<i64, EngineError> {
    match layer.get(&["version"])? {
        None => Ok(1),
        Some(Value::Integer(version)) => Ok(*version),
        Some(other) => Err(layer.wrong(&["version"], other, "an integer")),
    }
}

/// The keys of the CRI plugin's section for runtimes and CNI, in a file of this version.
pub fn cri_section(version: i64) -> [&'static str; 2] {
    ["plugins", if version >= 3 { "io.containerd.cri.v1.runtime" } else { "io.containerd.grpc.v1.cri" }]
}

impl Containerd {
    /// Reads `main` and what it imports. How sections of version 2 are put together depends on containerd's own
    /// `version`: before 2.0, or where that is not known, an imported plugin section replaces those before it.
    ///
    /// # Errors
    /// [`EngineError`] naming the file.
    pub fn read(files: &Files, main: &Path, version: Option<Version>) -> Result<Self, EngineError> {
        let mut layers: Vec<Layer> = Vec::new();
        let mut pending = VecDeque::from([main.to_owned()]);
        while let Some(path) = pending.pop_front() {
            if layers.iter().any(|layer| layer.path == path) {
                continue;
            }
            // An import that is not there keeps containerd from starting, and is none of ours.
            let Some(layer) = Layer::read(files, &path)? else { continue };
            pending.extend(imports(files, &layer)?);
            layers.push(layer);
        }
        Self::new(layers, main, version)
    }

    /// A configuration of these files, the first being the main one; one file may be what `containerd config dump`
    /// prints.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn new(layers: Vec<Layer>, main: &Path, version: Option<Version>) -> Result<Self, EngineError> {
        let has_deep_merge = has_2_0(version);
        let mut cri = Layer { path: main.to_owned(), table: Table::new() };
        for layer in &layers {
            let of_file = self::version(layer)?;
            let Some(section) = layer.table(&cri_section(of_file))? else { continue };
            // Errors are to name the file that is wrong, not the whole.
            let alone = Layer { path: layer.path.clone(), table: section.clone() };
            handlers(&alone)?;
            if of_file >= 3 || has_deep_merge {
                merge(&mut cri.table, section);
            } else {
                cri.table = section.clone();
            }
        }
        Ok(Self { layers, cri })
    }

    /// The main file's version; `None` where there is no file.
    ///
    /// # Errors
    /// [`EngineError::Type`] where it is no integer.
    pub fn version(&self) -> Result<Option<i64>, EngineError> {
        self.layers.first().map(version).transpose()
    }

    /// The handlers that the files name; where they name none, and from containerd 2.0 on, runc is there beside them.
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

    /// All settings of a handler.
    pub(super) fn handler_table(&self, name: &str) -> Option<&Table> {
        self.cri.table(&["containerd", "runtimes", name]).ok().flatten()
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

    /// Whether NRI is switched off; `None` where no file says so or otherwise. It is off in containerd 1.7 and on from
    /// 2.0 on.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn nri_disabled(&self) -> Result<Option<bool>, EngineError> {
        super::layers::last(&self.layers, |layer| layer.boolean(&[NRI[0], NRI[1], "disable"]))
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
            if layer.table(&cri_section(version(layer)?))?.is_some() {
                paths.push(layer.path.as_path());
            }
        }
        Ok(paths)
    }
}

/// Whether containerd is known to be a 2.x.
pub(super) fn has_2_0(version: Option<Version>) -> bool {
    version.is_some_and(|(major, _)| major >= 2)
}

/// The patterns that `layer` imports, as absolute paths.
///
/// # Errors
/// [`EngineError::Type`] naming file and key.
pub fn import_patterns(layer: &Layer) -> Result<Vec<String>, EngineError> {
    let dir = layer.path.parent().unwrap_or(Path::new("/"));
    let patterns = layer.strings(&["imports"])?.unwrap_or_default();
    Ok(patterns.iter().map(|pattern| dir.join(pattern).display().to_string()).collect())
}

/// Whether `pattern`, an absolute one, imports a file that is there.
pub(super) fn imports_any(files: &Files, pattern: &str) -> bool {
    match pattern.contains('*') {
        true => files.matching(pattern).is_ok_and(|found| !found.is_empty()),
        false => matches!(files.read(Path::new(pattern)), Ok(Some(_))),
    }
}

fn imports(files: &Files, layer: &Layer) -> Result<Vec<PathBuf>, EngineError> {
    let mut paths = Vec::new();
    for pattern in import_patterns(layer)? {
        // containerd takes for a pattern what has a star in it.
        if !pattern.contains('*') {
            paths.push(PathBuf::from(pattern));
            continue;
        }
        paths.extend(files.matching(&pattern).map_err(|cause| EngineError::Pattern {
            path: layer.path.clone(),
            pattern: pattern.clone(),
            cause,
        })?);
    }
    Ok(paths)
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

/// Puts `from` over `to`, table by table, as containerd does from 2.0 on.
fn merge(to: &mut Table, from: &Table) {
    for (key, value) in from {
        match (to.get_mut(key), value) {
            (Some(Value::Table(to)), Value::Table(from)) => merge(to, from),
            _ => {
                to.insert(key.clone(), value.clone());
            }
        }
    }
}

#[cfg(test)]
#[path = "containerd_tests.rs"]
mod tests;
