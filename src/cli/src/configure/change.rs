//! From what is there to what is planned: as a diff, and all of it or nothing.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::engines::files::Files;
use sys::fs::files::FileError;
use sys::fs::node_files::{
    Staged, finish_dirs, make_dir, make_unfinished_dirs, missing_dirs, remove_empty_dir, unfinished_dirs,
};
use sys::fs::state_dir;

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where it is.
    pub path: PathBuf,
    /// What it is; nothing where it is not there.
    pub old: Option<String>,
    /// What it is to be; nothing where it goes.
    pub new: Option<String>,
}

/// Whether a file is written again that says the same in other words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SameMeaning {
    /// It stays as it is.
    Keep,
    /// It becomes what is planned.
    Write,
}

/// The files that differ from what is planned, by path.
///
/// # Errors
/// [`FileError`] naming a file that cannot be read.
pub fn changes(planned: &Files, same: SameMeaning) -> Result<Vec<Change>, FileError> {
    let mut changes = Vec::new();
    for (path, new) in planned.planned() {
        let old = Files::on_disk(path)?;
        let is_kept = same == SameMeaning::Keep && means_the_same(old.as_deref(), new.as_deref());
        if old != *new && !is_kept {
            changes.push(Change { path: path.clone(), old, new: new.clone() });
        }
    }
    Ok(changes)
}

/// Whether two texts are the same but for comments, order and spacing.
fn means_the_same(old: Option<&str>, new: Option<&str>) -> bool {
    let (Some(old), Some(new)) = (old, new) else { return old == new };
    let bare = |text: &str| text.trim_start_matches('\u{feff}').parse::<toml::Table>();
    if let (Ok(old), Ok(new)) = (bare(old), bare(new)) {
        return old == new;
    }
    let json = |text: &str| serde_json::from_str::<serde_json::Value>(text);
    matches!((json(old), json(new)), (Ok(old), Ok(new)) if old == new)
}

/// The changes as `diff -u` would show them; `patch -p1 -d /` makes the same of the files.
pub fn diff(changes: &[Change]) -> String {
    let name = |side: char, path: &Path, text: Option<&String>| match text {
        Some(_) => format!("{side}{}", path.display()),
        None => "/dev/null".to_owned(),
    };
    let mut all = String::new();
    for Change { path, old, new } in changes {
        let diff =
            TextDiff::from_lines(old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
        let (old, new) = (name('a', path, old.as_ref()), name('b', path, new.as_ref()));
        all.push_str(&diff.unified_diff().header(&old, &new).to_string());
    }
    all
}

/// The directories that have to be made for these files, the uppermost first.
pub fn new_dirs(changes: &[Change]) -> Vec<PathBuf> {
    let mut dirs = Vec::new();
    for change in changes.iter().filter(|change| change.new.is_some()) {
        for dir in missing_dirs(&change.path) {
            if !dirs.contains(&dir) {
                dirs.push(dir);
            }
        }
    }
    dirs
}

/// Makes all changes, and keeps `memory` (nothing: removes it) at `memory_path`. Of the directories in `made`, those
/// that are empty afterwards go.
///
/// # Errors
/// [`FileError`] naming the file that stands in the way; everything is then as it was.
pub fn apply(
    changes: &[Change],
    memory_path: &Path,
    memory: Option<&str>,
    made: &[PathBuf],
) -> Result<(), FileError> {
    let memory_before = Files::on_disk(memory_path)?;
    let unfinished = unfinished_dirs(memory_path);
    let mut undo = Undo::default();
    // First, and removed last: whenever this is killed, it is known how to go back.
    let remember = || {
        let Some(memory) = memory else { return Ok(()) };
        make_unfinished_dirs(&unfinished)?;
        keep(memory_path, Some(memory))?;
        finish_dirs(&unfinished)
    };
    let forget = || if memory.is_none() { keep(memory_path, None) } else { Ok(()) };
    let result = remember().and_then(|()| undo.apply(changes)).and_then(|()| forget());
    if let Err(error) = result {
        // What was there comes back as far as the disk lets it, and last of it the way back.
        undo.back();
        let _ = keep(memory_path, memory_before.as_deref());
        unfinished.iter().rev().for_each(|dir| remove_empty_dir(dir));
        return Err(error);
    }
    if memory.is_none() {
        unfinished.iter().rev().for_each(|dir| remove_empty_dir(dir));
    }
    for dir in made.iter().rev() {
        remove_empty_dir(dir);
    }
    Ok(())
}

/// Writes what is remembered, or removes it with the directory that is for it alone.
fn keep(path: &Path, memory: Option<&str>) -> Result<(), FileError> {
    match memory {
        Some(text) => state_dir::replace_synced(path, text.as_bytes()),
        None => {
            state_dir::remove(path)?;
            path.parent().into_iter().for_each(remove_empty_dir);
            Ok(())
        }
    }
}

/// What was done so far.
#[derive(Debug, Default)]
struct Undo<'a> {
    dirs: Vec<PathBuf>,
    done: Vec<&'a Change>,
}

impl<'a> Undo<'a> {
    fn apply(&mut self, changes: &'a [Change]) -> Result<(), FileError> {
        for dir in new_dirs(changes) {
            make_dir(&dir)?;
            self.dirs.push(dir);
        }
        let stage = |change: &Change| {
            change.new.as_ref().map(|text| Staged::new(&change.path, text.as_bytes())).transpose()
        };
        // All texts are on the disk before the first takes its place.
        let staged = changes.iter().map(stage).collect::<Result<Vec<_>, _>>()?;
        for (change, staged) in changes.iter().zip(staged) {
            match staged {
                Some(staged) => staged.put()?,
                None => drop(state_dir::remove(&change.path)?),
            }
            self.done.push(change);
        }
        Ok(())
    }

    fn back(self) {
        for change in self.done.iter().rev() {
            let _ = match &change.old {
                Some(text) => Staged::new(&change.path, text.as_bytes()).and_then(Staged::put),
                None => state_dir::remove(&change.path).map(drop),
            };
        }
        for dir in self.dirs.iter().rev() {
            remove_empty_dir(dir);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: PathBuf, old: Option<&str>, new: Option<&str>) -> Change {
        Change { path, old: old.map(str::to_owned), new: new.map(str::to_owned) }
    }

    #[test]
    fn a_diff_shows_new_changed_and_removed_files() {
        let shown = diff(&[
            change("/n".into(), None, Some("x\n")),
            change("/c".into(), Some("a\nb"), Some("a\nc\n")),
            change("/r".into(), Some("y\n"), None),
        ]);
        assert_eq!(
            shown,
            "--- /dev/null\n+++ b/n\n@@ -0,0 +1 @@\n+x\n\
             --- a/c\n+++ b/c\n@@ -1,2 +1,2 @@\n a\n-b\n\\ No newline at end of file\n+c\n\
             --- a/r\n+++ /dev/null\n@@ -1 +0,0 @@\n-y\n"
        );
    }

    #[test]
    fn comments_and_order_are_not_meaning() {
        for (old, new, same) in [
            ("a = 1 # x\nb = 2\n", "b = 2\na = 1", true),
            ("\u{feff}a = 1", "a = 1", true),
            ("a = 1", "a = 2", false),
            ("{\"a\": 1, \"b\": 2}", "{\"b\":2,\"a\":1}", true),
            ("{\"a\": 1}", "{\"a\": 2}", false),
            ("[Unit]\nA=b\n", "[Unit]\nA=c\n", false),
        ] {
            assert_eq!(means_the_same(Some(old), Some(new)), same, "{old} {new}");
        }
        assert!(!means_the_same(None, Some("")) && means_the_same(None, None));
    }

    #[test]
    fn all_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        state_dir::replace(&at("b"), b"old").unwrap();
        let memory = at("m/m/memory");
        let good = [change(at("a/x/1"), None, Some("new")), change(at("b"), Some("old"), Some("new"))];
        let names = || state_dir::names(dir.path()).unwrap();
        // A directory cannot be replaced by a file.
        make_dir(&at("d")).unwrap();
        make_dir(&at("d/full")).unwrap();
        let bad = [&good[..], &[change(at("d"), None, Some("new"))]].concat();
        apply(&bad, &memory, Some("kept"), &[]).unwrap_err();
        assert_eq!(
            (names(), Files::on_disk(&at("b")).unwrap().unwrap()),
            (vec!["b".to_owned(), "d".to_owned()], "old".to_owned())
        );

        apply(&good, &memory, Some("kept"), &[]).unwrap();
        assert_eq!(Files::on_disk(&at("a/x/1")).unwrap().unwrap(), "new");
        assert_eq!(Files::on_disk(&memory).unwrap().unwrap(), "kept");
        let back = [change(at("a/x/1"), Some("new"), None), change(at("b"), Some("new"), Some("old"))];
        // What was made goes where it is empty; what was there stays.
        apply(&back, &memory, None, &[at("a"), at("a/x"), at("d"), at("m"), at("m/m")]).unwrap();
        assert_eq!(names(), ["b", "d"]);
        make_dir(&at("m")).unwrap();
        apply(&good, &memory, Some("kept"), &[]).unwrap();
        apply(&back, &memory, None, &[at("a"), at("a/x")]).unwrap();
        assert_eq!(names(), ["b", "d", "m"]);
    }
}
