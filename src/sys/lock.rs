//! Locks that end with their holder, however that ends, and that are waited for with a bound: a container that sees the
//! file, be it read-only, can hold the lock for as long as it likes. `docs/design/locks.md` says why there are no better ones.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FlockOperation, Mode, OFlags, Stat, flock, fstat, major, minor, openat, stat};
use rustix::io::Errno;

use super::files::{self, FileError, LastLink};
use super::state_dir;

/// How long a lock is waited for: runtimes give a plugin a few minutes.
const PATIENCE: Duration = Duration::from_secs(20);
/// The first pause of who waits, and the longest: the holders are done in less than a millisecond.
const PAUSES: [Duration; 2] = [Duration::from_micros(100), Duration::from_millis(5)];
/// Largest /proc/locks that is read, in bytes.
const LOCKS_MAX: usize = 4 << 20;

/// A lock, held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    _file: OwnedFd,
}

/// Who else may hold a lock at the same time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LockKind {
    /// Others that share it.
    Shared,
    /// Nobody.
    Exclusive,
}

/// Locks the file `path`, which is made where it is missing, and waits up to 20 s for whoever has it.
///
/// # Errors
/// [`FileError`] naming the file; [`FileError::Held`] names who has the lock, too.
pub fn lock(path: &Path, kind: LockKind) -> Result<Lock, FileError> {
    lock_within(path, kind, PATIENCE)
}

/// Locks the file `path` for this process alone, without waiting; `None` where somebody else has it.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn try_lock(path: &Path) -> Result<Option<Lock>, FileError> {
    match lock_within(path, LockKind::Exclusive, Duration::ZERO) {
        Err(FileError::Held { .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Keeps a file open for writing, so that nobody can take a lease on it (`F_SETLEASE`), which would have whoever opens it
/// wait for as long as `/proc/sys/fs/lease-break-time` says; `None` where it cannot be opened for another reason.
///
/// # Errors
/// [`FileError::Held`] where somebody has a lease already, and keeps it.
pub fn against_leases(path: &Path) -> Result<Option<OwnedFd>, FileError> {
    let mut wait = Wait::new(PATIENCE);
    let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY;
    loop {
        match openat(CWD, path, flags, Mode::empty()) {
            Err(Errno::WOULDBLOCK) if wait.pause() => {}
            Err(Errno::WOULDBLOCK) => return Err(wait.held("open", path, stat(path).ok())),
            other => return Ok(other.ok()),
        }
    }
}

fn lock_within(path: &Path, kind: LockKind, patience: Duration) -> Result<Lock, FileError> {
    let refused =
        |verb| move |cause: Errno| FileError::Io { verb, path: path.to_owned(), cause: cause.into() };
    let mut wait = Wait::new(patience);
    let file = loop {
        match open(path)? {
            Err(Errno::WOULDBLOCK) if wait.pause() => {}
            Err(Errno::WOULDBLOCK) => return Err(wait.held("open", path, stat(path).ok())),
            other => break other.map_err(refused("open"))?,
        }
    };
    let operation = match kind {
        LockKind::Shared => FlockOperation::NonBlockingLockShared,
        LockKind::Exclusive => FlockOperation::NonBlockingLockExclusive,
    };
    loop {
        match flock(&file, operation) {
            Ok(()) => return Ok(Lock { _file: file }),
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if wait.pause() => {}
            Err(Errno::WOULDBLOCK) => return Err(wait.held("lock", path, fstat(&file).ok())),
            Err(cause) => return Err(refused("lock")(cause)),
        }
    }
}

/// Opens a lock's file without waiting for anybody's lease on it.
fn open(path: &Path) -> Result<rustix::io::Result<OwnedFd>, FileError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let open = || openat(CWD, path, flags, Mode::RUSR | Mode::WUSR);
    match (open(), path.parent()) {
        (Err(Errno::NOENT), Some(dir)) => {
            state_dir::create(dir)?;
            Ok(open())
        }
        (other, _) => Ok(other),
    }
}

/// A wait with longer and longer pauses and an end.
struct Wait {
    patience: Duration,
    since: Option<Instant>,
    next: Duration,
}

impl Wait {
    fn new(patience: Duration) -> Self {
        Self { patience, since: None, next: PAUSES[0] }
    }

    /// Waits a little; tells whether to try again.
    fn pause(&mut self) -> bool {
        // Who need not wait looks at no clock.
        let since = *self.since.get_or_insert_with(Instant::now);
        let left = self.patience.saturating_sub(since.elapsed());
        if left.is_zero() {
            return false;
        }
        sleep(self.next.min(left));
        self.next = (self.next * 2).min(PAUSES[1]);
        true
    }

    fn held(&self, verb: &'static str, path: &Path, file: Option<Stat>) -> FileError {
        let holders = file.map(|file| holders_of(&file)).unwrap_or_default();
        FileError::Held { verb, path: path.to_owned(), seconds: self.patience.as_secs(), by: shown(&holders) }
    }
}

/// The processes that have a lock or a lease on a file, as far as this process' namespace shows them.
fn holders_of(file: &Stat) -> Vec<i32> {
    let text = files::read(Path::new("/proc/locks"), LOCKS_MAX, LastLink::Refuse).unwrap_or_default();
    let id = format!("{:02x}:{:02x}:{}", major(file.st_dev), minor(file.st_dev), file.st_ino);
    holders(&String::from_utf8_lossy(&text), &id)
}

/// The processes that /proc/locks names as holders for a file, whose id is in the form it has there.
fn holders(locks: &str, id: &str) -> Vec<i32> {
    let mut pids = Vec::new();
    for line in locks.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        // Those who wait have an arrow behind the number.
        if let [_, "FLOCK" | "POSIX" | "OFDLCK" | "LEASE", _, _, pid, file, ..] = fields[..]
            && file == id
        {
            pids.extend(pid.parse::<i32>().ok().filter(|pid| *pid > 0));
        }
    }
    pids.dedup();
    pids
}

fn shown(pids: &[i32]) -> String {
    let [first, rest @ ..] = pids else { return "a process that cannot be seen from here".to_owned() };
    let path = PathBuf::from(format!("/proc/{first}/comm"));
    let name = files::read(&path, 64, LastLink::Refuse).unwrap_or_default();
    // Its owner may call it as he likes.
    let name: String = name
        .trim_ascii()
        .iter()
        .map(|byte| if byte.is_ascii_graphic() { char::from(*byte) } else { '?' })
        .collect();
    let name = if name.is_empty() { String::new() } else { format!(" ({name})") };
    let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
    format!("process {first}{name}{more}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_that_is_not_shared_is_not_shared() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("x/lock");
        let shared = [lock(&path, LockKind::Shared).unwrap(), lock(&path, LockKind::Shared).unwrap()];
        assert!(try_lock(&path).unwrap().is_none());
        drop(shared);
        let _alone = try_lock(&path).unwrap().unwrap();
        for kind in [LockKind::Shared, LockKind::Exclusive] {
            let error = lock_within(&path, kind, Duration::from_millis(30)).unwrap_err();
            let (path, pid) = (path.display(), std::process::id());
            let text = error.to_string();
            assert!(
                text.starts_with(&format!("cannot lock {path} within 0 s: held by process {pid} (")),
                "{text}"
            );
        }
    }

    #[test]
    fn whoever_waits_gets_the_lock_when_it_is_free() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let held = lock(&path, LockKind::Exclusive).unwrap();
        std::thread::scope(|scope| {
            let waits = scope.spawn(|| lock(&path, LockKind::Exclusive).map(|_| ()));
            drop(held);
            waits.join().unwrap().unwrap();
        });
    }

    #[test]
    fn holders_are_not_those_who_wait() {
        let locks = "1: FLOCK  ADVISORY  WRITE 15227 fe:00:602 0 EOF\n\
            2: FLOCK  ADVISORY  READ 7 00:2a:602 0 EOF\n2: -> FLOCK  ADVISORY  WRITE 8 00:2a:602 0 EOF\n\
            3: LEASE  ACTIVE    READ 9 00:2a:602 0 EOF\n4: OFDLCK ADVISORY  READ -1 00:2a:602 0 EOF\n";
        assert_eq!(holders(locks, "00:2a:602"), [7, 9]);
        assert_eq!(holders(locks, "00:2a:603"), [0; 0]);
        assert_eq!(shown(&[]), "a process that cannot be seen from here");
        assert_eq!(shown(&[i32::MAX, 2, 3]), format!("process {} and 2 more", i32::MAX));
    }
}
