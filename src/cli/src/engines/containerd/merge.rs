//! How containerd puts its files together, release by release.
//!
//! Facts from containerd's `LoadConfig`, `mergeConfig` and `ConfigMigration` in 1.6, 1.7 and 2.0 to 2.3. The tests of the
//! layouts compare this with `containerd config dump`.

use toml::{Table, Value};

use crate::engines::containerd::section::{CRI_V2, CRI_V3, DEFAULT_HANDLER, RUNC_V2, file_version};
use crate::engines::error::EngineError;
use crate::engines::layers::Layer;
use crate::engines::version::Version;

/// Keys of the section of version 2 that are in other sections than [`CRI_V3`] since.
pub(crate) const MOVED: [&str; 13] = [
    "sandbox_image",
    "registry",
    "image_decryption",
    "max_concurrent_downloads",
    "image_pull_progress_timeout",
    "image_pull_with_sync_fs",
    "stats_collect_period",
    "disable_tcp_service",
    "stream_server_address",
    "stream_server_port",
    "stream_idle_timeout",
    "enable_tls_streaming",
    "x509_key_pair_streaming",
];

/// Those of its `containerd` table.
const MOVED_OF_CONTAINERD: [&str; 3] =
    ["snapshotter", "disable_snapshot_annotations", "discard_unpacked_layers"];

/// Releases that put files together in the same way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 1.x: a later file's plugin section replaces an earlier one. Sections of version 3 mean nothing.
    Before2_0,
    /// 2.0 to 2.2: sections are merged table by table. The last file's version is that of the whole, which is migrated
    /// from 2 to 3 afterwards, or not at all.
    From2_0,
    /// 2.3 and later: each file is migrated before it is merged.
    From2_3,
}

impl Release {
    /// That of a version of containerd.
    pub fn of(version: Version) -> Self {
        match version {
            (..2, _) => Self::Before2_0,
            (2, ..3) => Self::From2_0,
            _ => Self::From2_3,
        }
    }

    /// Those that may read files of these versions, where containerd's own `version` may not be known.
    ///
    /// # Errors
    /// [`EngineError::Type`] where a version is no integer.
    pub fn possible(version: Option<Version>, layers: &[Layer]) -> Result<Vec<Self>, EngineError> {
        if let Some(version) = version {
            return Ok(vec![Self::of(version)]);
        }
        let all = [Self::Before2_0, Self::From2_0, Self::From2_3];
        let newest = layers.iter().map(file_version).collect::<Result<Vec<_>, _>>()?;
        let newest = newest.into_iter().max().unwrap_or_default();
        let possible: Vec<Self> = all.into_iter().filter(|release| newest <= release.newest()).collect();
        Ok(if possible.is_empty() { vec![Self::From2_3] } else { possible })
    }

    /// The newest version of files that it reads.
    pub fn newest(self) -> i64 {
        match self {
            Self::Before2_0 => 2,
            Self::From2_0 => 3,
            Self::From2_3 => 4,
        }
    }

    /// The plugin section that the CRI plugin's runtimes are in after everything was put together.
    pub(crate) fn cri(self, version: i64) -> &'static str {
        match self {
            Self::Before2_0 if version < 2 => "cri",
            Self::Before2_0 => CRI_V2,
            _ => CRI_V3,
        }
    }
}

/// Plugin sections of all files, and the version that the whole has.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Merged {
    pub(crate) version: i64,
    pub(crate) plugins: Table,
}

/// Puts files together.
///
/// # Errors
/// [`EngineError::Type`] naming the file.
pub(crate) fn merged(layers: &[Layer], release: Release) -> Result<Merged, EngineError> {
    let mut plugins = Table::new();
    // Before 2.0 a configuration is of version 1 until a file says otherwise.
    let mut whole = if release == Release::Before2_0 { 1 } else { release.newest() };
    for layer in layers {
        let of_file = file_version(layer)?;
        let mut section = layer.table(&["plugins"])?.cloned().unwrap_or_default();
        if release == Release::Before2_0 {
            whole = layer.get(&["version"])?.map_or(whole, |_| of_file);
            plugins.extend(section);
            continue;
        }
        if of_file < 2 {
            section = section.into_iter().map(|(name, value)| (name_of_version_2(&name), value)).collect();
        }
        if release == Release::From2_3 {
            if of_file < 3 {
                migrate(&mut section);
            }
        } else if of_file >= 2 {
            whole = of_file;
        }
        merge(&mut plugins, &section);
    }
    if release == Release::From2_0 && whole < 3 {
        migrate(&mut plugins);
    }
    Ok(Merged { version: whole, plugins })
}

/// A plugin's name in version 2, for one of version 1. Others than these have nothing to do with the CRI.
fn name_of_version_2(name: &str) -> String {
    if name == "cri" { CRI_V2.to_owned() } else { name.to_owned() }
}

/// Puts `from` over `to`, table by table, as containerd does from 2.0 on.
pub(crate) fn merge(to: &mut Table, from: &Table) {
    for (key, value) in from {
        match (to.get_mut(key), value) {
            (Some(Value::Table(to)), Value::Table(from)) => merge(to, from),
            _ => {
                to.insert(key.clone(), value.clone());
            }
        }
    }
}

/// Moves the section of version 2 to where version 3 has it. What is there already goes first: a table of handlers there
/// keeps all of those of version 2 out.
fn migrate(plugins: &mut Table) {
    let Some(Value::Table(from)) = plugins.get(CRI_V2).cloned() else { return };
    let Value::Table(to) = plugins.entry(CRI_V3).or_insert_with(|| Table::new().into()) else { return };
    for (key, value) in from {
        match (key.as_str(), value) {
            (key, _) if MOVED.contains(&key) => {}
            ("cni", Value::Table(cni)) => {
                let Some(to) = inner(to, "cni") else { continue };
                for (key, value) in cni {
                    if key == "bin_dir" {
                        to.insert("bin_dirs".to_owned(), Value::Array(vec![value]));
                    } else {
                        to.entry(key).or_insert(value);
                    }
                }
            }
            ("containerd", Value::Table(containerd)) => {
                let Some(to) = inner(to, "containerd") else { continue };
                for (key, value) in containerd {
                    if !MOVED_OF_CONTAINERD.contains(&key.as_str()) {
                        to.entry(key).or_insert(value);
                    }
                }
            }
            (_, value) => {
                to.entry(key).or_insert(value);
            }
        }
    }
}

/// The table at `key`, made where nothing is there.
fn inner<'a>(table: &'a mut Table, key: &str) -> Option<&'a mut Table> {
    table.entry(key).or_insert_with(|| Table::new().into()).as_table_mut()
}

/// The CRI plugin's section with what containerd itself puts into it: its built-in handler and, in 1.x, the handler that
/// is given as `default_runtime`.
pub(crate) fn with_built_in(mut cri: Table, release: Release) -> Table {
    let legacy = legacy_default(&cri, release).cloned();
    let Some(containerd) = inner(&mut cri, "containerd") else { return cri };
    let keeps = release != Release::Before2_0;
    let names_none = containerd.get("runtimes").and_then(Value::as_table).is_none_or(Table::is_empty);
    let Some(runtimes) = inner(containerd, "runtimes") else { return cri };
    if (keeps || names_none)
        && let Some(runc) = inner(runtimes, DEFAULT_HANDLER)
    {
        runc.entry("runtime_type").or_insert_with(|| RUNC_V2.into());
    }
    if let Some(legacy) = legacy {
        runtimes.insert(LEGACY_DEFAULT.to_owned(), legacy.into());
        containerd.insert("default_runtime_name".to_owned(), LEGACY_DEFAULT.into());
    }
    cri
}

/// The name that containerd 1.x gives to the handler in `default_runtime`.
const LEGACY_DEFAULT: &str = "default";

/// The handler in `default_runtime`, which goes before `default_runtime_name` in containerd 1.x.
pub(crate) fn legacy_default(cri: &Table, release: Release) -> Option<&Table> {
    let table = cri.get("containerd")?.get("default_runtime")?.as_table()?;
    let is_given = table.get("runtime_type").and_then(Value::as_str).is_some_and(|name| !name.is_empty());
    (is_given && release == Release::Before2_0).then_some(table)
}
