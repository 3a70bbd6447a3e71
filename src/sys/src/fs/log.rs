//! A log of bounded size that many processes append to.

use std::fs::File;
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, flock, fstat, mkdirat, openat, renameat, stat};
use rustix::io::Errno;

/// An open log. It is opened early, because its path may mean nothing once the container is entered.
#[derive(Debug)]
pub struct Log {
    file: OwnedFd,
}

impl Log {
    /// Opens the log at `path`, with its directory if that is missing; a log of `max_bytes` becomes `<path>.1`. Whoever
    /// has a lock on it, as a reader may, puts that off until it is twice as large, and keeps no writer waiting.
    ///
    /// # Errors
    /// The kernel's answer. A log that cannot be written never keeps a container from starting.
    pub fn open(path: &Path, max_bytes: u64) -> rustix::io::Result<Self> {
        let file = match append_to(path) {
            Err(Errno::NOENT) => {
                match mkdirat(CWD, path.parent().unwrap_or(path), Mode::from_raw_mode(0o750)) {
                    // Another container's hook was first.
                    Ok(()) | Err(Errno::EXIST) => {}
                    Err(cause) => return Err(cause),
                }
                append_to(path)?
            }
            other => other?,
        };
        let size = u64::try_from(fstat(&file)?.st_size).unwrap_or(0);
        if size < max_bytes {
            return Ok(Self { file });
        }
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::WOULDBLOCK) if size < max_bytes.saturating_mul(2) => return Ok(Self { file }),
            // Two writers at once without the lock may lose what was moved aside a moment ago; without a bound the log
            // would fill the disk.
            Ok(()) | Err(Errno::WOULDBLOCK) => rotate(path, &file)?,
            Err(cause) => return Err(cause),
        }
        Ok(Self { file: append_to(path)? })
    }

    /// Appends one line, by one write: lines of several processes do not mix.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn append(&self, line: &str) -> std::io::Result<()> {
        append_line(self.file.as_fd().try_clone_to_owned()?, line)
    }
}

/// Appends one line to a log of another program, such as the runtime's.
///
/// # Errors
/// The kernel's answer.
pub fn append_to_file(path: &Path, line: &str) -> std::io::Result<()> {
    append_line(append_to(path)?, line)
}

fn append_line(file: OwnedFd, line: &str) -> std::io::Result<()> {
    File::from(file).write_all(format!("{line}\n").as_bytes())
}

fn append_to(path: &Path) -> rustix::io::Result<OwnedFd> {
    let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
    openat(CWD, path, flags | OFlags::NONBLOCK, Mode::from_raw_mode(0o640))
}

/// Moves the full log aside, unless another process just did.
fn rotate(path: &Path, full: &OwnedFd) -> rustix::io::Result<()> {
    let ours = fstat(full)?;
    let is_current = match stat(path) {
        Ok(now) => (ours.st_dev, ours.st_ino) == (now.st_dev, now.st_ino),
        Err(Errno::NOENT) => false,
        Err(cause) => return Err(cause),
    };
    if is_current {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".1");
        renameat(CWD, path, CWD, PathBuf::from(aside))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs::files::{LastLink, read};

    #[test]
    fn two_files_at_most_and_no_line_lost_from_them() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("podhosts/hook.log");
        for i in 0..100 {
            Log::open(&path, 100).unwrap().append(&format!("line {i:03}")).unwrap();
        }
        let new = String::from_utf8(read(&path, 200, LastLink::Refuse).unwrap()).unwrap();
        let old =
            String::from_utf8(read(&path.with_extension("log.1"), 200, LastLink::Refuse).unwrap()).unwrap();
        assert!(new.ends_with("line 099\n"), "{new}");
        let kept: Vec<String> = format!("{old}{new}").lines().map(str::to_owned).collect();
        let expected: Vec<String> = (100 - kept.len()..100).map(|i| format!("line {i:03}")).collect();
        assert_eq!(kept, expected);
        assert_eq!(path.parent().unwrap().read_dir().unwrap().count(), 2);
    }

    #[test]
    fn a_lock_of_a_reader_puts_off_rotation_to_twice_the_size() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("hook.log");
        let line = |n: u32| Log::open(&path, 100).unwrap().append(&format!("line {n:03}")).unwrap();
        (0..12).for_each(line);
        let reader = openat(CWD, &path, OFlags::RDONLY, Mode::empty()).unwrap();
        flock(&reader, FlockOperation::LockShared).unwrap();
        (12..22).for_each(line);
        assert!(!path.with_extension("log.1").exists());
        (22..40).for_each(line);
        let text = |path: &Path| String::from_utf8(read(path, 209, LastLink::Refuse).unwrap()).unwrap();
        let kept = text(&path.with_extension("log.1")) + &text(&path);
        let expected: String = (0..40).map(|n| format!("line {n:03}\n")).collect();
        assert!(expected.ends_with(&kept) && kept.lines().count() > 15, "{kept}");
    }
}
