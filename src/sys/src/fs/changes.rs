//! Changes of a directory, as the kernel tells them (inotify).

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::path::Path;

use rustix::fs::inotify::{CreateFlags, ReadFlags, Reader, WatchFlags, add_watch, init};

/// Tells that files in a directory were made, replaced, written or removed. Its file descriptor is readable then.
#[derive(Debug)]
pub struct DirectoryChanges(OwnedFd);

impl DirectoryChanges {
    /// Begins to watch `dir`.
    ///
    /// # Errors
    /// It does not exist, or the kernel watches enough already.
    pub fn of(dir: &Path) -> io::Result<Self> {
        let inotify = init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC)?;
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_FROM
            | WatchFlags::MOVED_TO
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::DELETE
            | WatchFlags::DELETE_SELF
            | WatchFlags::MOVE_SELF
            | WatchFlags::ONLYDIR;
        add_watch(&inotify, dir, flags)?;
        Ok(Self(inotify))
    }

    /// Forgets all changes up to now; false if the directory is gone.
    pub fn take(&self) -> bool {
        let mut buffer = [const { MaybeUninit::uninit() }; 4096];
        let mut changes = Reader::new(self.0.as_fd(), &mut buffer);
        let gone = ReadFlags::IGNORED | ReadFlags::UNMOUNT;
        let mut is_there = true;
        while let Ok(change) = changes.next() {
            // A directory that was moved is somewhere else.
            let is_moved = change.events().bits() & WatchFlags::MOVE_SELF.bits() != 0;
            is_there &= !change.events().intersects(gone) && !is_moved;
        }
        is_there
    }
}

impl AsRawFd for DirectoryChanges {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    #[test]
    fn each_change_is_told() {
        let parent = tempfile::tempdir().unwrap();
        let dir = parent.path().join("dir");
        assert!(DirectoryChanges::of(&dir).is_err());
        fs::create_dir(&dir).unwrap();
        let changes = DirectoryChanges::of(&dir).unwrap();
        let is_told = || {
            let mut fds = [PollFd::new(&changes.0, PollFlags::IN)];
            poll(&mut fds, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
        };
        assert!(!is_told());
        let file = dir.join("file");
        let steps: [&dyn Fn(); 3] = [
            &|| crate::fs::state_dir::replace(&file, b"1").unwrap(),
            &|| crate::fs::state_dir::replace(&file, b"2").unwrap(),
            &|| assert!(crate::fs::state_dir::remove(&file).unwrap()),
        ];
        for step in steps {
            step();
            assert!(is_told() && changes.take() && !is_told());
        }
        fs::remove_dir(&dir).unwrap();
        assert!(is_told() && !changes.take());
    }
}
