//! Hooks directories, which podman, CRI-O and NRI's hook-injector read: which files are hooks to them, which are left out
//! without a word, and which stop every container. Facts from containers/common, `pkg/hooks`, and oci-hooks(5).

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::hooks::file::HookFile;
use crate::engines::hooks::rules::Rules;

/// The directory that engines read by default.
pub const DISTRIBUTION: &str = "/usr/share/containers/oci/hooks.d";

/// The node's directory; a file in it goes before one of the same name in the distribution's.
pub const NODE: &str = "/etc/containers/oci/hooks.d";

/// Directories that are read together: of files of one name, the one in a later directory goes before the others.
pub type Group = Vec<PathBuf>;

/// What an engine makes of its hooks directories.
#[derive(Debug, Default)]
pub struct Hooks {
    /// The hooks that it has.
    pub hooks: Vec<(PathBuf, HookFile)>,
    /// The files that it leaves out without a word: their program is missing, or that of a file before them.
    pub left_out: Vec<NoHook>,
    /// Why it starts no container.
    pub fatal: Vec<NoHook>,
}

/// A file that is no hook, or a directory that is none.
#[derive(Debug)]
pub struct NoHook {
    /// Where it is.
    pub path: PathBuf,
    /// What is wrong.
    pub error: EngineError,
    /// The hook, if only its program is missing.
    pub without_program: Option<HookFile>,
}

impl Hooks {
    /// All files that are not podhosts' and mean something, now or where their program comes.
    pub(crate) fn of_others(&self) -> Vec<&Path> {
        let hooks = self.hooks.iter().filter(|(_, hook)| !hook.is_ours()).map(|(path, _)| path.as_path());
        let is_theirs = |file: &&NoHook| !file.without_program.as_ref().is_some_and(HookFile::is_ours);
        let left_out = self.left_out.iter().filter(is_theirs).map(|file| file.path.as_path());
        let mut paths: Vec<&Path> = hooks.chain(left_out).collect();
        paths.sort_unstable();
        paths
    }
}

/// Reads the hooks in groups of directories, as an engine with these rules does.
pub fn read(files: &Files, groups: &[Group], rules: Rules) -> Hooks {
    let mut all = Hooks::default();
    for group in groups {
        let mut by_name = BTreeMap::new();
        for dir in group {
            read_dir(files, dir, rules, &mut by_name, &mut all);
            if !all.fatal.is_empty() {
                return all;
            }
        }
        all.hooks.extend(by_name.into_values());
    }
    all
}

/// Reads one directory. The error of its first faulty file is that of the directory.
fn read_dir(
    files: &Files,
    dir: &Path,
    rules: Rules,
    by_name: &mut BTreeMap<String, (PathBuf, HookFile)>,
    all: &mut Hooks,
) {
    if rules.skips_others && dir.exists() && !dir.is_dir() {
        return;
    }
    let paths = match files.names_in_dir(dir) {
        Ok(paths) => paths,
        Err(error) => {
            let path = dir.to_owned();
            return all.fatal.push(NoHook { path, error: error.into(), without_program: None });
        }
    };
    let mut is_fatal = None;
    let mut wrong = Vec::new();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if !name.ends_with(".json") {
            continue;
        }
        match read_file(files, &path, rules) {
            Ok(None) => {}
            Ok(Some(hook)) => drop(by_name.insert(name, (path, hook))),
            Err(file) => {
                is_fatal.get_or_insert(file.without_program.is_none());
                wrong.push(*file);
            }
        }
    }
    if is_fatal == Some(true) { all.fatal.extend(wrong) } else { all.left_out.extend(wrong) }
}

/// One file; nothing where it is gone, or a link to nothing.
fn read_file(files: &Files, path: &Path, rules: Rules) -> Result<Option<HookFile>, Box<NoHook>> {
    let fault = |error| Box::new(NoHook { path: path.to_owned(), error, without_program: None });
    let Some(text) = files.read_lossy(path).map_err(|error| fault(error.into()))? else { return Ok(None) };
    let hook = HookFile::parse(path, &text).map_err(fault)?;
    let wrong = |cause| fault(EngineError::Hook { path: path.to_owned(), cause });
    if hook.path.as_os_str().is_empty() {
        return Err(wrong("hook.path is missing".to_owned()));
    }
    if let Err(cause) = hook.path.metadata() {
        let mut fault = wrong(format!("cannot find {}: {cause}", hook.path.display()));
        fault.without_program = (cause.kind() == ErrorKind::NotFound).then_some(hook);
        return Err(fault);
    }
    hook.check(rules).map_err(wrong)?;
    Ok(Some(hook))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hook(program: &str) -> String {
        format!(
            r#"{{"version":"1.0.0","hook":{{"path":"{program}"}},"when":{{"always":true}},"stages":["prestart"]}}"#
        )
    }

    fn files(entries: &[(&str, &str)]) -> Files {
        let mut files = Files::new();
        for (path, text) in entries {
            files.put(Path::new(path), (*text).to_owned());
        }
        files
    }

    fn read_all(entries: &[(&str, &str)], groups: &[&[&str]]) -> [String; 3] {
        let groups: Vec<Group> =
            groups.iter().map(|group| group.iter().map(PathBuf::from).collect()).collect();
        let Hooks { hooks, left_out, fatal } = read(&files(entries), &groups, Rules::podman(None));
        let shown = |paths: Vec<PathBuf>| {
            paths.iter().map(|path| path.display().to_string()).collect::<Vec<_>>().join(" ")
        };
        [
            shown(hooks.into_iter().map(|(path, _)| path).collect()),
            shown(left_out.into_iter().map(|file| file.path).collect()),
            shown(fatal.into_iter().map(|file| file.path).collect()),
        ]
    }

    #[test]
    fn later_directories_go_before_earlier_ones_and_only_json_counts() {
        let good = hook("/bin/true");
        let missing = hook("/nowhere/x");
        let entries = [
            ("/nowhere/a/x.json", good.as_str()),
            ("/nowhere/a/y.json", &good),
            ("/nowhere/a/X.json", &good),
            ("/nowhere/b/x.json", &good),
            ("/nowhere/b/y.json", &missing),
            ("/nowhere/b/z.JSON", "not read"),
        ];
        let read = read_all(&entries, &[&["/nowhere/a", "/nowhere/none", "/nowhere/b"]]);
        let hooks = "/nowhere/a/X.json /nowhere/b/x.json /nowhere/a/y.json";
        assert_eq!(read, [hooks, "/nowhere/b/y.json", ""]);
        // Read apart, none goes before another.
        let read = read_all(&entries[..4], &[&["/nowhere/a"], &["/nowhere/b"]]);
        assert_eq!(read[0].split(' ').count(), 4);
    }

    #[test]
    fn the_first_wrong_file_of_a_directory_decides_about_all() {
        let (good, missing) = (hook("/bin/true"), hook("/nowhere/x"));
        let entries = [
            ("/nowhere/a/1.json", missing.as_str()),
            ("/nowhere/a/2.json", "{"),
            ("/nowhere/a/3.json", &good),
            ("/nowhere/b/1.json", "{"),
            ("/nowhere/b/2.json", &missing),
        ];
        let read = |dirs: &[&str]| read_all(&entries, &[dirs]);
        assert_eq!(read(&["/nowhere/a"]), ["/nowhere/a/3.json", "/nowhere/a/1.json /nowhere/a/2.json", ""]);
        assert_eq!(read(&["/nowhere/b"])[2], "/nowhere/b/1.json /nowhere/b/2.json");
        // A path below a file is not just missing.
        let below = hook("/bin/true/x");
        assert_eq!(read_all(&[("/nowhere/c/1.json", &below)], &[&["/nowhere/c"]])[2], "/nowhere/c/1.json");
    }
}
