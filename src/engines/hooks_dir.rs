//! Hooks directories, schema 1.0.0, which CRI-O, podman and NRI's hook-injector read. Facts from containers/common,
//! `pkg/hooks`, and oci-hooks(5).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::EngineError;
use super::files::Files;

/// The directory that engines read by default.
pub const DISTRIBUTION: &str = "/usr/share/containers/oci/hooks.d";

/// The node's directory; a file in it goes before one of the same name in the distribution's.
pub const NODE: &str = "/etc/containers/oci/hooks.d";

/// A hook of a hooks directory.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct HookFile {
    /// The schema's version.
    pub version: String,
    /// What is run.
    pub hook: Hook,
    /// For which containers.
    #[serde(default)]
    pub when: When,
    /// When, in the life of a container.
    #[serde(default)]
    pub stages: Vec<String>,
}

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Hook {
    /// The program. Where it is missing, engines leave the hook out without a word.
    pub path: PathBuf,
    /// Its arguments, its name being the first.
    #[serde(default)]
    pub args: Vec<String>,
    /// Seconds after which it is killed.
    pub timeout: Option<i64>,
}

/// For which containers a hook is; all that is given has to hold, and nothing given never does.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
pub struct When {
    /// For all, or for none.
    pub always: Option<bool>,
    /// For those with annotations that match, name and value, as regular expressions.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

impl HookFile {
    /// A hook with this text.
    ///
    /// # Errors
    /// [`EngineError::Syntax`] with the line.
    pub fn parse(path: &Path, text: &str) -> Result<Self, EngineError> {
        serde_json::from_str(text).map_err(|error| EngineError::json(path, &error))
    }

    /// Whether it runs podhosts' hook.
    pub fn is_ours(&self) -> bool {
        self.hook.path.file_name().is_some_and(|name| name == super::HOOK)
    }
}

/// A file of a hooks directory, and what it says.
pub type Found = (PathBuf, Result<HookFile, EngineError>);

/// The hooks in `dirs`, of which a later one goes before an earlier one, with their files; what cannot be read is an
/// error of its own, as it is for the engines.
///
/// # Errors
/// [`EngineError`] naming a directory that cannot be listed.
pub fn read(files: &Files, dirs: &[PathBuf]) -> Result<Vec<Found>, EngineError> {
    let mut by_name = BTreeMap::new();
    for dir in dirs {
        for path in files.in_dir(dir)? {
            if path.extension().is_some_and(|extension| extension == "json") {
                by_name.insert(path.file_name().unwrap_or_default().to_ascii_lowercase(), path);
            }
        }
    }
    let parsed = by_name.into_values().map(|path| {
        let text = files.read(&path).map_err(EngineError::from);
        let hook = text.and_then(|text| HookFile::parse(&path, &text.unwrap_or_default()));
        (path, hook)
    });
    Ok(parsed.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn later_directories_go_before_earlier_ones_and_only_json_counts() {
        let mut files = Files::new();
        let hook = |path: &str| {
            format!(
                r#"{{"version":"1.0.0","hook":{{"path":"{path}"}},"when":{{"always":true}},"stages":["prestart"]}}"#
            )
        };
        files.put(Path::new("/nowhere/a/x.json"), hook("/old/podhosts-hook"));
        files.put(Path::new("/nowhere/a/y.json"), "{".to_owned());
        files.put(Path::new("/nowhere/b/x.json"), hook("/new/podhosts-hook"));
        files.put(Path::new("/nowhere/b/z.conf"), "not read".to_owned());
        let hooks = read(&files, &["/nowhere/a".into(), "/nowhere/b".into()]).unwrap();
        let paths: Vec<&PathBuf> = hooks.iter().map(|(path, _)| path).collect();
        assert_eq!(paths, [Path::new("/nowhere/b/x.json"), Path::new("/nowhere/a/y.json")]);
        let first = hooks[0].1.as_ref().unwrap();
        assert!(first.is_ours() && first.hook.path == Path::new("/new/podhosts-hook"));
        assert_eq!((first.when.always, first.hook.timeout, first.hook.args.len()), (Some(true), None, 0));
        let error = hooks[1].1.as_ref().unwrap_err().to_string();
        assert_eq!(error, "cannot read /nowhere/a/y.json: line 1: EOF while parsing an object");
    }
}
