//! The files that differ from the plan, and the diff that shows them.

use std::path::{Path, PathBuf};

use similar::TextDiff;

use crate::engines::files::Files;
use sys::fs::files::FileError;
use sys::fs::node_files::missing_dirs;

/// A change of one file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileChange {
    pub path: PathBuf,
    /// Its text now; `None` if it does not exist.
    pub old: Option<String>,
    /// Its planned text; `None` to remove it.
    pub new: Option<String>,
}

/// What happens to a file whose planned text has the same meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SameMeaning {
    /// Keep the text that is there.
    Keep,
    /// Write the planned text.
    Write,
}

/// The files that differ from the plan, by path.
///
/// # Errors
/// [`FileError`] naming a file that cannot be read.
pub(crate) fn changes(planned: &Files, same: SameMeaning) -> Result<Vec<FileChange>, FileError> {
    let mut changes = Vec::new();
    for (path, new) in planned.planned() {
        let old = Files::on_disk(path)?;
        let is_kept = same == SameMeaning::Keep && means_the_same(old.as_deref(), new.as_deref());
        if old != *new && !is_kept {
            changes.push(FileChange { path: path.clone(), old, new: new.clone() });
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
pub(crate) fn diff(changes: &[FileChange]) -> String {
    let name = |side: char, path: &Path, text: Option<&String>| match text {
        Some(_) => format!("{side}{}", path.display()),
        None => "/dev/null".to_owned(),
    };
    let mut all = String::new();
    for FileChange { path, old, new } in changes {
        let diff =
            TextDiff::from_lines(old.as_deref().unwrap_or_default(), new.as_deref().unwrap_or_default());
        let (old, new) = (name('a', path, old.as_ref()), name('b', path, new.as_ref()));
        all.push_str(&diff.unified_diff().header(&old, &new).to_string());
    }
    all
}

/// The directories that have to be made for these files, the uppermost first.
pub(crate) fn new_dirs(changes: &[FileChange]) -> Vec<PathBuf> {
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

#[cfg(test)]
mod tests {
    use super::*;

    fn change(path: PathBuf, old: Option<&str>, new: Option<&str>) -> FileChange {
        FileChange { path, old: old.map(str::to_owned), new: new.map(str::to_owned) }
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
}
