//! All planned changes are made, or none.

use std::path::{Path, PathBuf};

use crate::configure::change::{FileChange, new_dirs};
use crate::engines::files::Files;
use sys::fs::files::FileError;
use sys::fs::node_files::{
    Staged, finish_dirs, make_dir, make_unfinished_dirs, remove_empty_dir, unfinished_dirs,
};
use sys::fs::state_dir;

/// Makes all changes, and keeps `journal` (nothing: removes it) at `journal_path`. Of the directories in `made`, those
/// that are empty afterwards go.
///
/// # Errors
/// [`FileError`] naming the file that stands in the way; everything is then as it was.
pub(crate) fn apply(
    changes: &[FileChange],
    journal_path: &Path,
    journal: Option<&str>,
    made: &[PathBuf],
) -> Result<(), FileError> {
    let journal_before = Files::on_disk(journal_path)?;
    let unfinished = unfinished_dirs(journal_path);
    let mut undo = Undo::default();
    // The journal is written first and removed last: a call that is killed can always be undone.
    let remember = || {
        let Some(journal) = journal else { return Ok(()) };
        make_unfinished_dirs(&unfinished)?;
        keep(journal_path, Some(journal))?;
        finish_dirs(&unfinished)
    };
    let forget = || if journal.is_none() { keep(journal_path, None) } else { Ok(()) };
    let result = remember().and_then(|()| undo.apply(changes)).and_then(|()| forget());
    if let Err(error) = result {
        // Restores as much as the disk allows, the journal last.
        undo.back();
        let _ = keep(journal_path, journal_before.as_deref());
        unfinished.iter().rev().for_each(|dir| remove_empty_dir(dir));
        return Err(error);
    }
    if journal.is_none() {
        unfinished.iter().rev().for_each(|dir| remove_empty_dir(dir));
    }
    for dir in made.iter().rev() {
        remove_empty_dir(dir);
    }
    Ok(())
}

/// Writes the journal, or removes it with its directory.
fn keep(path: &Path, journal: Option<&str>) -> Result<(), FileError> {
    match journal {
        Some(text) => state_dir::replace_synced(path, text.as_bytes()),
        None => {
            state_dir::remove(path)?;
            path.parent().into_iter().for_each(remove_empty_dir);
            Ok(())
        }
    }
}

/// The changes made so far.
#[derive(Debug, Default)]
struct Undo<'a> {
    dirs: Vec<PathBuf>,
    done: Vec<&'a FileChange>,
}

impl<'a> Undo<'a> {
    fn apply(&mut self, changes: &'a [FileChange]) -> Result<(), FileError> {
        for dir in new_dirs(changes) {
            make_dir(&dir)?;
            self.dirs.push(dir);
        }
        let stage = |change: &FileChange| {
            change.new.as_ref().map(|text| Staged::new(&change.path, text.as_bytes())).transpose()
        };
        // All texts are on the disk before the first file is replaced.
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

    fn change(path: PathBuf, old: Option<&str>, new: Option<&str>) -> FileChange {
        FileChange { path, old: old.map(str::to_owned), new: new.map(str::to_owned) }
    }

    #[test]
    fn all_or_nothing() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        state_dir::replace(&at("b"), b"old").unwrap();
        let journal = at("m/m/journal");
        let good = [change(at("a/x/1"), None, Some("new")), change(at("b"), Some("old"), Some("new"))];
        let names = || state_dir::names(dir.path()).unwrap();
        // A directory cannot be replaced by a file.
        make_dir(&at("d")).unwrap();
        make_dir(&at("d/full")).unwrap();
        let bad = [&good[..], &[change(at("d"), None, Some("new"))]].concat();
        apply(&bad, &journal, Some("kept"), &[]).unwrap_err();
        assert_eq!(
            (names(), Files::on_disk(&at("b")).unwrap().unwrap()),
            (vec!["b".to_owned(), "d".to_owned()], "old".to_owned())
        );

        apply(&good, &journal, Some("kept"), &[]).unwrap();
        assert_eq!(Files::on_disk(&at("a/x/1")).unwrap().unwrap(), "new");
        assert_eq!(Files::on_disk(&journal).unwrap().unwrap(), "kept");
        let back = [change(at("a/x/1"), Some("new"), None), change(at("b"), Some("new"), Some("old"))];
        // Directories that were made go if they are empty; others stay.
        apply(&back, &journal, None, &[at("a"), at("a/x"), at("d"), at("m"), at("m/m")]).unwrap();
        assert_eq!(names(), ["b", "d"]);
        make_dir(&at("m")).unwrap();
        apply(&good, &journal, Some("kept"), &[]).unwrap();
        apply(&back, &journal, None, &[at("a"), at("a/x")]).unwrap();
        assert_eq!(names(), ["b", "d", "m"]);
    }
}
