//! Our hook in a hooks directory: which directory, and which other hooks the engine would read there.

use std::path::{Path, PathBuf};

use crate::engines::engine::Engine;
use crate::engines::error::{ConfigureError, EngineError};
use crate::engines::files::Files;
use crate::engines::hooks::dir;
use crate::engines::hooks::dir::{Group, Hooks};
use crate::engines::hooks::file::HookFile;
use crate::engines::hooks::rules::Rules;
use crate::engines::names::HOOK;
use crate::engines::own_keys::OwnList;
use crate::engines::setup::{Place, Setup, with_path};

/// podhosts' own hooks directory, for an engine that does not read the node's directory: the files there are not meant
/// for it.
pub(crate) fn own_dir(engine: Engine) -> PathBuf {
    format!("/etc/podhosts/{}-hooks.d", engine.name()).into()
}

/// The directories in which our hook may be.
pub(crate) fn dirs(place: &Place) -> Vec<PathBuf> {
    match &place.hooks_dir {
        Some(dir) => vec![dir.clone()],
        None => vec![own_dir(place.engine), dir::NODE.into()],
    }
}

/// The file of our hook in a hooks directory. That of podman is for containers with one of our annotations alone.
pub(crate) fn hook_name(engine: Engine) -> &'static str {
    if engine == Engine::Podman { "podhosts-annotated.json" } else { "podhosts.json" }
}

/// Plans our hook to be where the engine reads it, which it does in `now`; the directories that it is to read, where
/// those have to be others.
pub(crate) fn put_hook(files: &mut Files, setup: &Setup, now: &[String]) -> Option<Vec<String>> {
    let text = if setup.place.engine == Engine::Podman {
        include_str!("../../../../../hooks/podhosts-annotated.json")
    } else {
        include_str!("../../../../../hooks/podhosts.json")
    };
    let is_read = |dir: &Path| now.iter().any(|read| Path::new(read) == dir);
    let dir = setup.place.hooks_dir.clone().unwrap_or_else(|| {
        let node = PathBuf::from(dir::NODE);
        if is_read(&node) { node } else { own_dir(setup.place.engine) }
    });
    let path = dir.join(hook_name(setup.place.engine));
    files.put(&path, with_path(text, &setup.program(HOOK)));
    (!is_read(&dir)).then(|| now.iter().cloned().chain([dir.display().to_string()]).collect())
}

/// Refuses a change that would start or stop another program's hook, or leave ours out.
///
/// # Errors
/// [`ConfigureError::Refused`] naming the file.
pub(crate) fn check(
    [before, after]: [(&Files, Vec<Group>); 2],
    rules: Rules,
    setup: &Setup,
) -> Result<(), ConfigureError> {
    let before = dir::read(before.0, &before.1, rules);
    let after = dir::read(after.0, &after.1, rules);
    if let Some(file) = after.fatal.first() {
        let since = if before.fatal.is_empty() { "would start no container" } else { "starts no container" };
        return Err(setup.refused(format!("it {since}: {}", file.error)));
    }
    let (were, are) = (before.of_others(), after.of_others());
    if before.fatal.is_empty() {
        if let Some(path) = are.iter().find(|path| !were.contains(path)) {
            let path = path.display();
            let reason = format!("it would read {path}, which it does not now: see --hooks-dir");
            return Err(setup.refused(reason));
        }
        if let Some(path) = were.iter().find(|path| !are.contains(path)) {
            return Err(setup.refused(format!("it would no longer read {}: see --hooks-dir", path.display())));
        }
    }
    is_ours_there(&after, setup)
}

fn is_ours_there(hooks: &Hooks, setup: &Setup) -> Result<(), ConfigureError> {
    let name = hook_name(setup.place.engine);
    let is_name = |path: &Path| path.file_name().is_some_and(|file| file == name);
    if hooks.hooks.iter().any(|(path, hook)| hook.is_ours() && is_name(path)) {
        return Ok(());
    }
    let left_out = hooks.left_out.iter().find(|file| is_name(&file.path));
    Err(setup.refused(match left_out {
        Some(file) => format!("it would leave out podhosts' hook: {}", file.error),
        None => format!("it would not read {name}"),
    }))
}

/// Our entries in a list of hooks directories, which are `dirs` without us.
pub(crate) fn own_dirs(place: &Place, keys: &[&'static str], now: Option<Vec<String>>) -> OwnList {
    let inherited = now.unwrap_or_else(|| vec![dir::DISTRIBUTION.to_owned()]);
    let own = dirs(place).iter().map(|dir| dir.display().to_string()).collect();
    OwnList { keys: keys.to_vec(), own, inherited }
}

/// Takes our hook out of the hooks directories.
///
/// # Errors
/// [`EngineError`] naming a file that cannot be read.
pub(crate) fn take_out(
    files: &mut Files,
    place: &Place,
    is_remembered: &dyn Fn(&Path) -> bool,
) -> Result<(), EngineError> {
    for dir in dirs(place) {
        let path = dir.join(hook_name(place.engine));
        if is_remembered(&path) {
            continue;
        }
        // A file that is no hook is none of ours.
        let hook = files.read(&path)?.map(|text| HookFile::parse(&path, &text));
        if let Some(Ok(hook)) = hook
            && hook.is_ours()
        {
            files.remove(&path);
        }
    }
    Ok(())
}
