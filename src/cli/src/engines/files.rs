//! The files of a node's /etc as they are, or as they are going to be.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use glob::{MatchOptions, Pattern};

use sys::fs::files::{self, FileError, LastLink};
use sys::fs::state_dir;

/// Largest configuration that is read, in bytes: no engine has one of a tenth of this.
pub const FILE_MAX: usize = 4 * 1024 * 1024;

/// Go's patterns: `*` does not match a slash, and a leading dot is nothing special.
const LIKE_GO: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// The disk's files, and over them the planned ones. Writes nothing.
#[derive(Debug, Clone, Default)]
pub struct Files {
    planned: BTreeMap<PathBuf, Option<String>>,
}

impl Files {
    /// The files as they are.
    pub fn new() -> Self {
        Self::default()
    }

    /// The text of a file, `None` if it does not exist.
    ///
    /// # Errors
    /// [`FileError`] naming the file: it is too large, no regular file, no text, or cannot be read.
    pub fn read(&self, path: &Path) -> Result<Option<String>, FileError> {
        match self.planned.get(path) {
            Some(planned) => Ok(planned.clone()),
            None => Self::on_disk(path),
        }
    }

    /// The text of a file on the disk, `None` if it does not exist.
    ///
    /// # Errors
    /// As for [`Files::read`].
    pub fn on_disk(path: &Path) -> Result<Option<String>, FileError> {
        files::read_text_if_present(path, FILE_MAX, LastLink::Follow)
    }

    /// The text of a file in which bytes that are no UTF-8 are replaced; `None` if it does not exist.
    ///
    /// # Errors
    /// [`FileError`] naming the file: it is too large, no regular file, or cannot be read.
    pub fn read_lossy(&self, path: &Path) -> Result<Option<String>, FileError> {
        if let Some(planned) = self.planned.get(path) {
            return Ok(planned.clone());
        }
        match files::read(path, FILE_MAX, LastLink::Follow) {
            Err(error) if error.is_absent() => Ok(None),
            other => Ok(Some(String::from_utf8_lossy(&other?).into_owned())),
        }
    }

    /// Plans this text for a file.
    pub fn put(&mut self, path: &Path, text: String) {
        self.planned.insert(path.to_owned(), Some(text));
    }

    /// Plans to remove a file.
    pub fn remove(&mut self, path: &Path) {
        self.planned.insert(path.to_owned(), None);
    }

    /// The planned files: a text, or `None` for one to remove.
    pub fn planned(&self) -> &BTreeMap<PathBuf, Option<String>> {
        &self.planned
    }

    /// Whether the disk has all planned files already, byte for byte.
    ///
    /// # Errors
    /// [`FileError`] naming a file that cannot be read.
    pub(crate) fn are_on_disk(&self) -> Result<bool, FileError> {
        for (path, text) in &self.planned {
            if Self::on_disk(path)? != *text {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// The files whose path matches a pattern of Go's, sorted.
    ///
    /// # Errors
    /// What is wrong with the pattern.
    pub fn matching(&self, pattern: &str) -> Result<Vec<PathBuf>, String> {
        let pattern = &like_go(pattern);
        let parsed = Pattern::new(pattern).map_err(|error| error.to_string())?;
        let there = glob::glob_with(pattern, LIKE_GO).map_err(|error| error.to_string())?;
        let mut paths: Vec<PathBuf> = there.filter_map(Result::ok).collect();
        let planned = self.planned.iter().filter(|(_, text)| text.is_some()).map(|(path, _)| path);
        paths.extend(planned.filter(|path| parsed.matches_path_with(path, LIKE_GO)).cloned());
        paths.retain(|path| self.planned.get(path).is_none_or(Option::is_some));
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }

    /// The files in a directory, sorted by name; none where there is no such directory.
    ///
    /// # Errors
    /// [`FileError`] naming the directory.
    pub fn in_dir(&self, dir: &Path) -> Result<Vec<PathBuf>, FileError> {
        let mut paths = self.names_in_dir(dir)?;
        paths.retain(|path| self.planned.contains_key(path) || path.is_file());
        Ok(paths)
    }

    /// The files below a directory, in the order of Go's `filepath.Walk`: sorted by name, those of a directory where its own
    /// name has its place. A link is a file, whatever it leads to, `dir` itself too.
    ///
    /// # Errors
    /// [`FileError`] naming a directory.
    pub fn below(&self, dir: &Path) -> Result<Vec<PathBuf>, FileError> {
        let mut paths = Vec::new();
        let mut pending: Vec<PathBuf> = dir.exists().then(|| dir.to_owned()).into_iter().collect();
        while let Some(path) = pending.pop() {
            match path.symlink_metadata() {
                Ok(found) if found.is_dir() => {
                    pending.extend(state_dir::names(&path)?.iter().map(|name| path.join(name)));
                }
                Ok(_) => paths.push(path),
                // It has gone in the meantime.
                Err(_) => {}
            }
        }
        let planned = self.planned.iter().filter(|(_, text)| text.is_some()).map(|(path, _)| path);
        paths.extend(planned.filter(|path| path.starts_with(dir)).cloned());
        paths.retain(|path| self.planned.get(path).is_none_or(Option::is_some));
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }

    /// All that is in a directory, sorted by name; nothing where there is no such directory.
    ///
    /// # Errors
    /// [`FileError`] naming the directory.
    pub fn names_in_dir(&self, dir: &Path) -> Result<Vec<PathBuf>, FileError> {
        let mut paths: Vec<PathBuf> = state_dir::names(dir)?.iter().map(|name| dir.join(name)).collect();
        let planned = self.planned.iter().filter(|(_, text)| text.is_some()).map(|(path, _)| path);
        paths.extend(planned.filter(|path| path.parent() == Some(dir)).cloned());
        paths.retain(|path| self.planned.get(path).is_none_or(Option::is_some));
        paths.sort_unstable();
        paths.dedup();
        Ok(paths)
    }
}

/// Whether a pattern of Go's `path.Match` covers a text.
pub fn covers(pattern: &str, text: &str) -> bool {
    Pattern::new(&like_go(pattern)).is_ok_and(|pattern| pattern.matches_with(text, LIKE_GO))
}

/// A pattern of Go's in the words of the `glob` crate: two stars are one, `^` negates a class, which `!` does not, and a
/// backslash takes the meaning from what follows it.
fn like_go(pattern: &str) -> String {
    let mut translated = String::new();
    let mut rest = pattern.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '*' if translated.ends_with('*') => {}
            '\\' => translated.push_str(&Pattern::escape(&rest.next().map(String::from).unwrap_or_default())),
            '[' => {
                translated.push('[');
                match rest.peek() {
                    Some('^') => {
                        rest.next();
                        translated.push('!');
                    }
                    Some('!') => {
                        rest.next();
                        // Not the first of the class, it is a character like others.
                        let other = rest.next_if(|next| *next != ']');
                        translated.extend(other);
                        translated.push('!');
                    }
                    _ => {}
                }
            }
            _ => translated.push(c),
        }
    }
    translated
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_gos() {
        for (pattern, text, matches) in [
            ("podhosts.io/*", "podhosts.io/seal", true),
            ("podhosts.io/*", "podhosts.io/a/b", false),
            ("*", "podhosts.io/seal", false),
            ("*/*", "podhosts.io/seal", true),
            ("*", "name", true),
            ("podhosts.io/seal", "podhosts.io/seal", true),
            ("podhosts.i?/s[a-e]al", "podhosts.io/seal", true),
            ("/etc/**/x", "/etc/a/x", true),
            ("/etc/**/x", "/etc/a/b/x", false),
            ("/etc/***x", "/etc/ax", true),
            ("[", "[", false),
            ("/etc/[^a].x", "/etc/b.x", true),
            ("/etc/[^a].x", "/etc/a.x", false),
            ("/etc/[!a].x", "/etc/a.x", true),
            ("/etc/[!a].x", "/etc/!.x", true),
            ("/etc/[!a].x", "/etc/b.x", false),
            (r"/etc/\*x", "/etc/*x", true),
            (r"/etc/\*x", "/etc/ax", false),
        ] {
            assert_eq!(covers(pattern, text), matches, "{pattern} {text}");
        }
    }

    #[test]
    fn what_is_planned_covers_what_is_there() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        for name in ["a.toml", "b.toml", "c.conf"] {
            state_dir::replace(&at(name), b"old").unwrap();
        }
        let mut files = Files::new();
        files.put(&at("a.toml"), "new".to_owned());
        files.put(&at("d.toml"), "new".to_owned());
        files.remove(&at("b.toml"));
        assert_eq!(files.read(&at("a.toml")).unwrap().unwrap(), "new");
        assert_eq!(files.read(&at("b.toml")).unwrap(), None);
        assert_eq!(files.read(&at("c.conf")).unwrap().unwrap(), "old");
        assert_eq!(Files::on_disk(&at("d.toml")).unwrap(), None);
        let pattern = format!("{}/*.toml", dir.path().display());
        assert_eq!(files.matching(&pattern).unwrap(), [at("a.toml"), at("d.toml")]);
        files.put(&at("deep/e.toml"), "new".to_owned());
        state_dir::create(&at("deep")).unwrap();
        state_dir::replace(&at("deep/f.toml"), b"old").unwrap();
        let pattern = format!("{}/**.toml", dir.path().display());
        assert_eq!(files.matching(&pattern).unwrap(), [at("a.toml"), at("d.toml")]);
        let pattern = format!("{}/**/*.toml", dir.path().display());
        assert_eq!(files.matching(&pattern).unwrap(), [at("deep/e.toml"), at("deep/f.toml")]);
        assert_eq!(files.in_dir(dir.path()).unwrap(), [at("a.toml"), at("c.conf"), at("d.toml")]);
        let below = ["a.toml", "c.conf", "d.toml", "deep/e.toml", "deep/f.toml"].map(at);
        assert_eq!(files.below(dir.path()).unwrap(), below);
        std::os::unix::fs::symlink("deep", at("link")).unwrap();
        assert_eq!(files.below(&at("link")).unwrap(), [at("link")]);
        assert_eq!(files.below(&at("none")).unwrap(), [""; 0].map(PathBuf::from));
        assert_eq!(files.in_dir(&at("none")).unwrap(), [""; 0].map(PathBuf::from));
        assert!(files.matching("[").is_err());
    }
}
