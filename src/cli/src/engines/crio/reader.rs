//! CRI-O's configuration: one file, and the files below a directory over it in the order of their names. Facts from
//! CRI-O's `pkg/config`.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::merge::folded;
use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::layers::{Layer, last};
use sys::fs::files::FileError;

/// The main configuration where CRI-O is not told of another one.
pub(crate) const CONFIG: &str = "/etc/crio/crio.conf";

/// Its drop-ins.
pub(crate) const DROP_INS: &str = "/etc/crio/crio.conf.d";

/// Where it looks for CNI plugins by default.
const CNI_BIN_DIR: &str = "/opt/cni/bin";

const RUNTIME: [&str; 2] = ["crio", "runtime"];

/// A configuration with its drop-ins, as CRI-O loads it.
#[derive(Debug, Clone)]
pub struct Crio {
    /// The files, in the order in which they are loaded.
    pub layers: Vec<Layer>,
}

/// A runtime handler.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handler {
    /// Its name, which RuntimeClasses use.
    pub name: String,
    /// Path of the low-level runtime; without one, the program on PATH with the handler's name.
    pub runtime_path: Option<String>,
    /// How it is called: `oci`, `vm` or `pod`.
    pub runtime_type: String,
}

impl Crio {
    /// Reads `main` and the files below `drop_ins`.
    ///
    /// # Errors
    /// [`EngineError`] naming the file. A link that leads to no file is an error, as it is to CRI-O.
    pub fn read(files: &Files, main: &Path, drop_ins: &Path) -> Result<Self, EngineError> {
        let mut layers: Vec<Layer> = Layer::read(files, main)?.into_iter().collect();
        for path in files.below(drop_ins)? {
            let layer = Layer::read(files, &path)?;
            let nothing = || FileError::Io { verb: "read", path, cause: ErrorKind::NotFound.into() };
            layers.push(layer.ok_or_else(nothing)?);
        }
        Ok(Self { layers: layers.into_iter().map(folded).collect::<Result<_, _>>()? })
    }

    /// The hooks directories that a file names; CRI-O's default is `/usr/share/containers/oci/hooks.d` alone.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn hooks_dirs(&self) -> Result<Option<Vec<String>>, EngineError> {
        last(&self.layers, |layer| layer.strings(&[RUNTIME[0], RUNTIME[1], "hooks_dir"]))
    }

    /// The handlers that the files name. CRI-O has its default handler even where they do not.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn handlers(&self) -> Result<Vec<Handler>, EngineError> {
        let mut handlers: Vec<Handler> = Vec::new();
        for layer in &self.layers {
            let Some(runtimes) = layer.table(&[RUNTIME[0], RUNTIME[1], "runtimes"])? else { continue };
            for name in runtimes.keys() {
                let keys = |key| [RUNTIME[0], RUNTIME[1], "runtimes", name, key];
                let path = layer.string(&keys("runtime_path"))?.filter(|path| !path.is_empty());
                let kind = layer.string(&keys("runtime_type"))?.filter(|kind| !kind.is_empty());
                handlers.retain(|handler| handler.name != *name);
                handlers.push(Handler {
                    name: name.clone(),
                    runtime_path: path.map(str::to_owned),
                    runtime_type: kind.unwrap_or("oci").to_owned(),
                });
            }
        }
        Ok(handlers)
    }

    /// The handler for pods that name none, where a file names it: CRI-O's default is crun, and was runc before 1.31.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn default_handler(&self) -> Result<Option<String>, EngineError> {
        let keys = [RUNTIME[0], RUNTIME[1], "default_runtime"];
        let name = last(&self.layers, |layer| layer.string(&keys))?;
        Ok(name.filter(|name| !name.is_empty()).map(str::to_owned))
    }

    /// All settings of a handler, those of the last file that has it.
    pub(crate) fn handler_table(&self, name: &str) -> Option<&toml::Table> {
        let keys = [RUNTIME[0], RUNTIME[1], "runtimes", name];
        last(&self.layers, |layer| layer.table(&keys)).ok().flatten()
    }

    /// Whether NRI is on; `None` where no file says. It is on by default from CRI-O 1.30 on.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn nri_enabled(&self) -> Result<Option<bool>, EngineError> {
        last(&self.layers, |layer| layer.boolean(&["crio", "nri", "enable_nri"]))
    }

    /// Where CRI-O waits for NRI plugins, where a file says so.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn nri_socket(&self) -> Result<Option<PathBuf>, EngineError> {
        let socket = last(&self.layers, |layer| layer.string(&["crio", "nri", "nri_listen"]))?;
        Ok(socket.filter(|socket| !socket.is_empty()).map(PathBuf::from))
    }

    /// Whether it lets plugins connect that it did not start itself.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn nri_refuses_connections(&self) -> Result<bool, EngineError> {
        let refuses = last(&self.layers, |layer| layer.boolean(&["crio", "nri", "nri_disable_connections"]))?;
        Ok(refuses.unwrap_or_default())
    }

    /// The directory of the CNI configuration.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn cni_conf_dir(&self) -> Result<PathBuf, EngineError> {
        let dir = last(&self.layers, |layer| layer.string(&["crio", "network", "network_dir"]))?;
        Ok(dir.filter(|dir| !dir.is_empty()).unwrap_or("/etc/cni/net.d").into())
    }

    /// The directories with CNI plugins.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn cni_bin_dirs(&self) -> Result<Vec<PathBuf>, EngineError> {
        let dirs = last(&self.layers, |layer| layer.strings(&["crio", "network", "plugin_dirs"]))?;
        // The older key for one more behind them.
        let more = last(&self.layers, |layer| layer.string(&["crio", "network", "plugin_dir"]))?;
        let mut dirs = dirs.unwrap_or_else(|| vec![CNI_BIN_DIR.to_owned()]);
        dirs.extend(more.filter(|dir| !dir.is_empty()).map(str::to_owned));
        if dirs.is_empty() {
            dirs.push(CNI_BIN_DIR.to_owned());
        }
        Ok(dirs.into_iter().map(PathBuf::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_go_before_the_main_file_and_later_ones_before_earlier_ones() {
        let mut files = Files::new();
        let mut put = |path: &str, text: &str| files.put(Path::new(path), text.to_owned());
        put(
            "/n/crio.conf",
            "[crio.runtime]\ndefault_runtime = 'runc'\nhooks_dir = ['/a']\n[crio.network]\nplugin_dirs = ['/p']",
        );
        put(
            "/n/d/10-a",
            "[crio.runtime]\ndefault_runtime = 'crun'\n[crio.runtime.runtimes.crun]\nruntime_path = '/crun'\n[crio.runtime.runtimes.x]",
        );
        put(
            "/n/d/20-b.conf",
            "[crio.runtime.runtimes.crun]\nruntime_path = '/new'\nruntime_type = 'vm'\n[crio.nri]\nenable_nri = false\n[Crio.Network]\nplugin_dir = '/q'",
        );
        let crio = Crio::read(&files, Path::new("/n/crio.conf"), Path::new("/n/d")).unwrap();
        assert_eq!(crio.default_handler().unwrap().as_deref(), Some("crun"));
        assert_eq!(crio.hooks_dirs().unwrap(), Some(vec!["/a".to_owned()]));
        assert_eq!(crio.nri_enabled().unwrap(), Some(false));
        assert_eq!(crio.cni_bin_dirs().unwrap(), [Path::new("/p"), Path::new("/q")]);
        assert_eq!(crio.cni_conf_dir().unwrap(), Path::new("/etc/cni/net.d"));
        let handler = |name: &str, path: Option<&str>, kind: &str| Handler {
            name: name.to_owned(),
            runtime_path: path.map(str::to_owned),
            runtime_type: kind.to_owned(),
        };
        let wanted = [handler("x", None, "oci"), handler("crun", Some("/new"), "vm")];
        assert_eq!(crio.handlers().unwrap(), wanted);
    }

    #[test]
    fn nothing_is_a_configuration_too_and_wrong_types_are_errors() {
        let none = Crio::read(&Files::new(), Path::new("/nowhere/c"), Path::new("/nowhere/d")).unwrap();
        assert_eq!((none.hooks_dirs().unwrap(), none.handlers().unwrap()), (None, Vec::new()));
        let mut files = Files::new();
        files.put(Path::new("/n/c"), "[crio]\nruntime = 3".to_owned());
        let crio = Crio::read(&files, Path::new("/n/c"), Path::new("/n/d")).unwrap();
        let error = crio.hooks_dirs().unwrap_err().to_string();
        assert_eq!(error, "cannot use /n/c: crio.runtime is an integer, expected a table");
    }
}
