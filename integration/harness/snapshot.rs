//! Everything about a tree of files that must not change behind its back.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// What there is at each path: inode, mode, owner, size, times and, of files, a checksum of the content.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Snapshot(BTreeMap<PathBuf, String>);

impl Snapshot {
    pub(crate) fn of(paths: &[&Path]) -> Self {
        let mut entries = BTreeMap::new();
        for path in paths {
            walk(path, &mut entries);
        }
        Self(entries)
    }

    /// The part of it that is at or below `paths`.
    pub(crate) fn only(&self, paths: &[&Path]) -> Self {
        let below = |path: &Path| paths.iter().any(|base| path.starts_with(base));
        Self(self.0.iter().filter(|(path, _)| below(path)).map(|(p, e)| (p.clone(), e.clone())).collect())
    }

    /// Fails where anything is not as it was.
    #[track_caller]
    pub(crate) fn assert_same(&self, now: &Self) {
        let changed: Vec<_> = self
            .0
            .keys()
            .chain(now.0.keys())
            .filter(|path| self.0.get(*path) != now.0.get(*path))
            .map(|path| (path, self.0.get(path), now.0.get(path)))
            .collect();
        assert!(changed.is_empty(), "changed on the node: {changed:#?}");
    }
}

fn walk(path: &Path, entries: &mut BTreeMap<PathBuf, String>) {
    let Ok(file) = path.symlink_metadata() else { return };
    let content = if file.is_file() {
        fs::read(path)
            .unwrap()
            .iter()
            .fold(0u64, |sum, byte| sum.wrapping_mul(31).wrapping_add((*byte).into()))
    } else if file.is_symlink() {
        fs::read_link(path).unwrap().as_os_str().as_bytes().len() as u64
    } else {
        0
    };
    let shown = format!(
        "ino {} mode {:o} owner {}:{} links {} size {} mtime {}.{} sum {content}",
        file.ino(),
        file.mode(),
        file.uid(),
        file.gid(),
        file.nlink(),
        file.size(),
        file.mtime(),
        file.mtime_nsec(),
    );
    entries.insert(path.to_owned(), shown);
    if file.is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            walk(&entry.unwrap().path(), entries);
        }
    }
}
