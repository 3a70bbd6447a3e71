//! podman's configuration, containers.conf: the distribution's file, the node's, and the node's drop-ins. Facts from
//! containers/common, `pkg/config`.

use std::path::{Path, PathBuf};

use super::EngineError;
use super::files::Files;
use super::hooks_dir;
use super::layers::{Layer, last};

/// The distribution's file.
pub const DISTRIBUTION: &str = "/usr/share/containers/containers.conf";

/// The node's file.
pub const CONFIG: &str = "/etc/containers/containers.conf";

/// The node's drop-ins.
pub const DROP_INS: &str = "/etc/containers/containers.conf.d";

/// A configuration of podman's for root.
#[derive(Debug, Clone)]
pub struct Podman {
    /// The files, in the order in which they are loaded.
    pub layers: Vec<Layer>,
}

impl Podman {
    /// Reads the distribution's file, `main`, and the files `*.conf` in `drop_ins`.
    ///
    /// # Errors
    /// [`EngineError`] naming the file.
    pub fn read(files: &Files, main: &Path, drop_ins: &Path) -> Result<Self, EngineError> {
        let mut layers = Vec::new();
        let mut paths = vec![PathBuf::from(DISTRIBUTION), main.to_owned()];
        paths.extend(
            files.in_dir(drop_ins)?.into_iter().filter(|path| path.extension().is_some_and(|e| e == "conf")),
        );
        for path in paths {
            layers.extend(Layer::read(files, &path)?);
        }
        Ok(Self { layers })
    }

    /// The hooks directories that a file names; podman's default is `/usr/share/containers/oci/hooks.d` alone.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn hooks_dirs(&self) -> Result<Option<Vec<String>>, EngineError> {
        self.list(&["engine", "hooks_dir"], &[hooks_dir::DISTRIBUTION])
    }

    /// A list that begins as `default`. A file's takes the place of what was before, or, after `{append=true}` in its own
    /// or an earlier file's, is appended to that.
    fn list(&self, keys: &[&str], default: &[&str]) -> Result<Option<Vec<String>>, EngineError> {
        let default: Vec<String> = default.iter().map(|&entry| entry.to_owned()).collect();
        let (mut all, mut appends) = (None, false);
        for layer in &self.layers {
            let Some(more) = layer.strings(keys)? else { continue };
            appends = layer.appends(keys)?.unwrap_or(appends);
            all = Some(if appends { [all.unwrap_or_else(|| default.clone()), more].concat() } else { more });
        }
        Ok(all)
    }

    /// The programs that a runtime's name stands for, of which the first that is there is run; empty where no file
    /// names it.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn runtime(&self, name: &str) -> Result<Vec<String>, EngineError> {
        Ok(last(&self.layers, |layer| layer.strings(&["engine", "runtimes", name]))?.unwrap_or_default())
    }

    /// The default runtime, where a file names one.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn default_runtime(&self) -> Result<Option<&str>, EngineError> {
        last(&self.layers, |layer| layer.string(&["engine", "runtime"]))
    }

    /// What makes networks, `cni` or `netavark`, where a file says so.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn network_backend(&self) -> Result<Option<&str>, EngineError> {
        last(&self.layers, |layer| layer.string(&["network", "network_backend"]))
    }

    /// The directory of the CNI configuration.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn cni_conf_dir(&self) -> Result<PathBuf, EngineError> {
        let dir = last(&self.layers, |layer| layer.string(&["network", "network_config_dir"]))?;
        Ok(dir.filter(|dir| !dir.is_empty()).unwrap_or("/etc/cni/net.d").into())
    }

    /// The directories with CNI plugins.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub fn cni_bin_dirs(&self) -> Result<Vec<PathBuf>, EngineError> {
        const DEFAULT: [&str; 5] = [
            "/usr/local/libexec/cni",
            "/usr/libexec/cni",
            "/usr/local/lib/cni",
            "/usr/lib/cni",
            "/opt/cni/bin",
        ];
        let dirs = self.list(&["network", "cni_plugin_dirs"], &DEFAULT)?;
        let dirs = dirs.unwrap_or_else(|| DEFAULT.map(str::to_owned).to_vec());
        Ok(dirs.into_iter().map(PathBuf::from).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn drop_ins_go_before_the_nodes_file_and_that_before_the_distributions() {
        let mut files = Files::new();
        let mut put = |path: &str, text: &str| files.put(Path::new(path), text.to_owned());
        put(
            DISTRIBUTION,
            "[engine]\nhooks_dir = ['/d']\nruntime = 'crun'\n[engine.runtimes]\nrunc = ['/r1', '/r2']",
        );
        put("/n/c", "[engine]\nruntime = 'runc'\n[network]\nnetwork_backend = 'cni'");
        put("/n/d/a.conf", "[engine]\nhooks_dir = ['/x', {append=true}]");
        put("/n/d/b.txt", "not read");
        let podman = Podman::read(&files, Path::new("/n/c"), Path::new("/n/d")).unwrap();
        assert_eq!(podman.hooks_dirs().unwrap().unwrap(), ["/d", "/x"]);
        assert_eq!(
            (podman.default_runtime().unwrap(), podman.network_backend().unwrap()),
            (Some("runc"), Some("cni"))
        );
        assert_eq!(
            (podman.runtime("runc").unwrap().join(" "), podman.runtime("x").unwrap().len()),
            ("/r1 /r2".to_owned(), 0)
        );
        assert!(podman.cni_bin_dirs().unwrap().contains(&PathBuf::from("/opt/cni/bin")));
        assert_eq!(podman.cni_conf_dir().unwrap(), Path::new("/etc/cni/net.d"));
    }

    #[test]
    fn lists_are_appended_from_where_a_file_says_so_to_where_one_says_otherwise() {
        let all = |lists: &[&str]| {
            let text =
                |list: &&str| format!("engine.hooks_dir = [{list}]\nnetwork.cni_plugin_dirs = [{list}]");
            let layer = |list| Layer::parse(Path::new("/n/c"), &text(list)).unwrap();
            let podman = Podman { layers: lists.iter().map(layer).collect() };
            assert_eq!(podman.cni_bin_dirs().unwrap().last().unwrap(), Path::new("/z"));
            podman.hooks_dirs().unwrap().unwrap().join(" ")
        };
        let (append, replace) = ("{append=true}, '/z'", "{append=false}, '/z'");
        assert_eq!(all(&["'/a', '/b'", append]), "/a /b /z");
        assert_eq!(all(&["'/a'", append, "'/y', '/z'"]), "/a /z /y /z");
        assert_eq!(all(&["'/a'", append, replace]), "/z");
        assert_eq!(all(&["'/a'", "'/z'"]), "/z");
        assert_eq!(all(&[append]), "/usr/share/containers/oci/hooks.d /z");
    }
}
