//! podman's configuration, containers.conf: the distribution's file, the node's, and the node's drop-ins. Facts from
//! containers/common, `pkg/config`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use toml::Table;

use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::hooks;
use crate::engines::hooks::Group;
use crate::engines::layers::{Layer, last};
use crate::engines::podman::merge as podman_merge;
use crate::engines::version::Version;
use sys::service::inherited;

/// The distribution's file.
pub(crate) const DISTRIBUTION: &str = "/usr/share/containers/containers.conf";

/// The node's file.
pub(crate) const CONFIG: &str = "/etc/containers/containers.conf";

/// The node's drop-ins.
pub(crate) const DROP_INS: &str = "/etc/containers/containers.conf.d";

/// Names and places that podman's environment may give.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Environment {
    /// `CONTAINERS_CONF`: the only file that is read.
    pub only: Option<PathBuf>,
    /// `CONTAINERS_CONF_OVERRIDE`: a file that is read after all others.
    pub last: Option<PathBuf>,
    /// The user's own file, which podman 5 reads for root, too.
    pub of_user: Option<PathBuf>,
}

impl Environment {
    /// That of this process.
    pub(crate) fn of_process() -> Self {
        let path = |name| inherited::variable(name).map(PathBuf::from);
        let config = path("XDG_CONFIG_HOME").or_else(|| Some(path("HOME")?.join(".config")));
        Self {
            only: path("CONTAINERS_CONF"),
            last: path("CONTAINERS_CONF_OVERRIDE"),
            of_user: config.map(|config| config.join("containers/containers.conf")),
        }
    }
}

/// Which files are read.
#[derive(Debug, Clone)]
pub(crate) struct Places {
    /// The node's file.
    pub main: PathBuf,
    /// The node's drop-ins.
    pub drop_ins: PathBuf,
    /// podman's version, where it is known.
    pub version: Option<Version>,
    /// What the environment says.
    pub environment: Environment,
}

impl Places {
    /// The usual ones, for a podman of this version.
    pub(crate) fn usual(version: Option<Version>) -> Self {
        let environment = Environment::of_process();
        Self { main: CONFIG.into(), drop_ins: DROP_INS.into(), version, environment }
    }

    /// The files that may be there, in the order in which they are read.
    fn paths(&self, files: &Files) -> Result<Vec<PathBuf>, EngineError> {
        let Environment { only, last, of_user } = &self.environment;
        let is_at_least = |version| self.version.is_some_and(|own| own >= version);
        let of_user = of_user.clone().filter(|_| is_at_least((5, 0)));
        let distribution = PathBuf::from(DISTRIBUTION);
        let mut paths = match only {
            Some(only) => vec![only.clone()],
            None if is_at_least((6, 0)) => {
                // Of the main files the first alone.
                let mains = of_user.iter().chain([&self.main, &distribution]).cloned();
                let mut paths = Vec::new();
                for path in mains {
                    if files.read(&path)?.is_some() {
                        paths.push(path);
                        break;
                    }
                }
                let of_root = |main: &Path| main.with_file_name("containers.rootful.conf.d");
                let dirs = [below(&distribution, ".d"), of_root(&distribution), self.drop_ins.clone()];
                let dirs = dirs.into_iter().chain([of_root(&self.main)]);
                let mut by_name = BTreeMap::new();
                for dir in dirs.chain(of_user.iter().map(|main| below(main, ".d"))) {
                    let drop_ins = drop_ins(files, &dir)?.into_iter();
                    by_name.extend(drop_ins.map(|path| (path.file_name().map(ToOwned::to_owned), path)));
                }
                paths.extend(by_name.into_values());
                paths
            }
            None => {
                let mut paths = vec![distribution, self.main.clone()];
                paths.extend(drop_ins(files, &self.drop_ins)?);
                if let Some(main) = of_user {
                    let of_user = drop_ins(files, &below(&main, ".d"))?;
                    paths.push(main);
                    paths.extend(of_user);
                }
                paths
            }
        };
        paths.extend(last.clone().filter(|_| self.version.is_none() || is_at_least((4, 4))));
        Ok(paths)
    }

    /// The modules, files that `podman --module` adds.
    ///
    /// # Errors
    /// [`EngineError`] naming a directory or a file.
    pub(crate) fn modules(&self, files: &Files) -> Result<Vec<Layer>, EngineError> {
        let mut modules = Vec::new();
        for dir in [&self.main, Path::new(DISTRIBUTION)].map(|main| below(main, ".modules")) {
            for path in drop_ins(files, &dir)? {
                modules.extend(Layer::read(files, &path)?);
            }
        }
        Ok(modules)
    }
}

/// The path with more at its end.
fn below(main: &Path, end: &str) -> PathBuf {
    let mut path = main.as_os_str().to_owned();
    path.push(end);
    path.into()
}

fn drop_ins(files: &Files, dir: &Path) -> Result<Vec<PathBuf>, EngineError> {
    let mut paths = files.in_dir(dir)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "conf"));
    Ok(paths)
}

/// A configuration of podman's for root.
#[derive(Debug, Clone)]
pub(crate) struct Podman {
    /// The files, in the order in which they are loaded.
    pub layers: Vec<Layer>,
}

impl Podman {
    /// Reads the files at `places`.
    ///
    /// # Errors
    /// [`EngineError`] naming the file.
    pub(crate) fn read(files: &Files, places: &Places) -> Result<Self, EngineError> {
        let paths = places.paths(files)?;
        let layers = paths.iter().map(|path| Layer::read(files, path));
        Ok(Self { layers: layers.filter_map(Result::transpose).collect::<Result<_, _>>()? })
    }

    /// All files as one, with the same meaning.
    pub(crate) fn merged(&self) -> Table {
        podman_merge::merged(&self.layers)
    }

    /// The directories whose hooks podman reads, those together that it reads together.
    pub(crate) fn hooks_groups(dirs: Option<&[String]>, version: Option<Version>) -> Vec<Group> {
        let group = |dirs: &[&str]| dirs.iter().map(PathBuf::from).collect();
        match dirs {
            None => vec![group(&[hooks::DISTRIBUTION])],
            Some([]) if version.is_some_and(|version| version < (4, 8)) => Vec::new(),
            Some([]) => vec![group(&[hooks::DISTRIBUTION]), group(&[hooks::NODE])],
            Some(dirs) => vec![dirs.iter().map(PathBuf::from).collect()],
        }
    }

    /// The hooks directories that a file names; podman's default is `/usr/share/containers/oci/hooks.d` alone.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn hooks_dirs(&self) -> Result<Option<Vec<String>>, EngineError> {
        self.list(&["engine", "hooks_dir"], &[hooks::DISTRIBUTION])
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

    /// Whether the list at `keys` of a file at `path` is appended to what is there without saying so, because a file before
    /// it said that it is.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn appends_at(&self, path: &Path, keys: &[&str]) -> Result<bool, EngineError> {
        let mut appends = false;
        for layer in self.layers.iter().take_while(|layer| layer.path != path) {
            appends = layer.appends(keys)?.unwrap_or(appends);
        }
        Ok(appends)
    }

    /// The programs that a runtime's name stands for, of which the first that is there is run; empty where no file
    /// names it.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn runtime(&self, name: &str) -> Result<Vec<String>, EngineError> {
        Ok(last(&self.layers, |layer| layer.strings(&["engine", "runtimes", name]))?.unwrap_or_default())
    }

    /// The default runtime, where a file names one.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn default_runtime(&self) -> Result<Option<&str>, EngineError> {
        last(&self.layers, |layer| layer.string(&["engine", "runtime"]))
    }

    /// What makes networks, `cni` or `netavark`, where a file says so.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn network_backend(&self) -> Result<Option<&str>, EngineError> {
        last(&self.layers, |layer| layer.string(&["network", "network_backend"]))
    }

    /// The directory of the CNI configuration.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn cni_conf_dir(&self) -> Result<PathBuf, EngineError> {
        let dir = last(&self.layers, |layer| layer.string(&["network", "network_config_dir"]))?;
        Ok(dir.filter(|dir| !dir.is_empty()).unwrap_or("/etc/cni/net.d").into())
    }

    /// The directories with CNI plugins.
    ///
    /// # Errors
    /// [`EngineError::Type`] naming file and key.
    pub(crate) fn cni_bin_dirs(&self) -> Result<Vec<PathBuf>, EngineError> {
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
        let mut places = places("/n/c", "/n/d");
        let podman = Podman::read(&files, &places).unwrap();
        assert_eq!(podman.hooks_dirs().unwrap().unwrap(), ["/d", "/x"]);
        assert_eq!(
            (podman.default_runtime().unwrap(), podman.network_backend().unwrap()),
            (Some("runc"), Some("cni"))
        );
        assert_eq!(
            (podman.runtime("runc").unwrap().join(" "), podman.runtime("x").unwrap().len()),
            ("/r1 /r2".to_owned(), 0)
        );
        let merged = podman.merged()["engine"].as_table().unwrap().clone();
        assert_eq!(
            (merged["runtime"].as_str(), merged["hooks_dir"].as_array().map(Vec::len)),
            (Some("runc"), Some(2))
        );
        places.drop_ins = "/nowhere".into();
        assert_eq!(Podman::read(&files, &places).unwrap().hooks_dirs().unwrap().unwrap(), ["/d"]);
        assert!(podman.cni_bin_dirs().unwrap().contains(&PathBuf::from("/opt/cni/bin")));
        assert_eq!(podman.cni_conf_dir().unwrap(), Path::new("/etc/cni/net.d"));
    }

    fn places(main: &str, drop_ins: &str) -> Places {
        let environment = Environment::default();
        Places { main: main.into(), drop_ins: drop_ins.into(), version: None, environment }
    }

    #[test]
    fn the_files_of_each_release_and_environment() {
        let mut files = Files::new();
        for path in ["/n/c", "/n/c.d/a.conf", "/n/u", "/n/u.d/a.conf", "/n/o", "/n/l", DISTRIBUTION] {
            files.put(Path::new(path), String::new());
        }
        let mut places = places("/n/c", "/n/c.d");
        places.environment =
            Environment { only: None, last: Some("/n/l".into()), of_user: Some("/n/u".into()) };
        let mut read = |version, only: Option<&str>| {
            places.version = version;
            places.environment.only = only.map(PathBuf::from);
            let podman = Podman::read(&files, &places).unwrap();
            let paths: Vec<_> = podman.layers.iter().map(|layer| layer.path.display().to_string()).collect();
            paths.join(" ").replace(DISTRIBUTION, "D")
        };
        assert_eq!(read(Some((4, 3)), None), "D /n/c /n/c.d/a.conf");
        assert_eq!(read(Some((4, 9)), None), "D /n/c /n/c.d/a.conf /n/l");
        assert_eq!(read(Some((5, 8)), None), "D /n/c /n/c.d/a.conf /n/u /n/u.d/a.conf /n/l");
        assert_eq!(read(Some((6, 0)), None), "/n/u /n/u.d/a.conf /n/l");
        assert_eq!(read(Some((5, 8)), Some("/n/o")), "/n/o /n/l");
    }

    #[test]
    fn lists_are_appended_from_where_a_file_says_so_to_where_one_says_otherwise() {
        let all = |lists: &[&str]| {
            let text =
                |list: &&str| format!("engine.hooks_dir = [{list}]\nnetwork.cni_plugin_dirs = [{list}]");
            let layer = |list| Layer::parse(Path::new("/n/c"), &text(list)).unwrap();
            let podman = Podman { layers: lists.iter().map(layer).collect() };
            assert_eq!(podman.cni_bin_dirs().unwrap().last().unwrap(), Path::new("/z"));
            let dirs = podman.hooks_dirs().unwrap().unwrap();
            // As one file they mean the same.
            let merged = Layer { path: "/n/c".into(), table: podman.merged() };
            assert_eq!(Podman { layers: vec![merged] }.hooks_dirs().unwrap().unwrap(), dirs);
            dirs.join(" ")
        };
        let (append, replace) = ("{append=true}, '/z'", "{append=false}, '/z'");
        assert_eq!(all(&["'/a', '/b'", append]), "/a /b /z");
        assert_eq!(all(&["'/a'", append, "'/y', '/z'"]), "/a /z /y /z");
        assert_eq!(all(&["'/a'", append, replace]), "/z");
        assert_eq!(all(&["'/a'", "'/z'"]), "/z");
        assert_eq!(all(&[append]), "/usr/share/containers/oci/hooks.d /z");
    }
}
