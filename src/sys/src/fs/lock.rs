//! Locks that end with their holder, however that ends, and that are waited for with a bound: a container that sees the
//! file, be it read-only, can hold the lock for as long as it likes. `docs/design/locks.md` says why there are no better ones.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, fcntl};
use rustix::fs::{CWD, FlockOperation, Mode, OFlags, Stat, flock, fstat, major, minor, openat, stat};
use rustix::io::Errno;

use crate::fs::directory;
use crate::fs::files::{self, FileError, LastLink};

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

/// Locks the file `path`, which is made where it is missing, and waits up to 20 s for its holder.
///
/// # Errors
/// [`FileError`] naming the file; [`FileError::Held`] names who has the lock, too.
pub fn lock(path: &Path, kind: LockKind) -> Result<Lock, FileError> {
    lock_within(path, kind, PATIENCE)
}

/// Locks like [`lock`] a file that many share, one after the other without an end: [`LockKind::Exclusive`] keeps
/// newcomers out while it waits for those that have a share, and so gets its turn.
///
/// # Errors
/// As [`lock`].
pub fn lock_in_turn(path: &Path, kind: LockKind) -> Result<Lock, FileError> {
    let mut wait = Wait::new(PATIENCE);
    let file = open_within(path, &mut wait)?;
    wait.until(&file, path, || gate(&file, kind.into()))?;
    wait.until(&file, path, || flock(&file, kind.into()))?;
    if kind == LockKind::Shared {
        // It has its share: a process that waits for all of them may close the gate.
        wait.until(&file, path, || gate(&file, Gate::Leave))?;
    }
    Ok(Lock { _file: file })
}

/// Locks the file `path` for this process alone, without waiting; `None` where another process has it.
///
/// # Errors
/// [`FileError`] naming the file.
pub fn try_lock(path: &Path) -> Result<Option<Lock>, FileError> {
    match lock_within(path, LockKind::Exclusive, Duration::ZERO) {
        Err(FileError::Held { .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// Keeps a file open for writing, so that no process can take a lease on it (`F_SETLEASE`), which would make whoever opens it
/// wait for as long as `/proc/sys/fs/lease-break-time` says; `None` where it cannot be opened for another reason.
///
/// # Errors
/// [`FileError::Held`] where a process has a lease already, and keeps it.
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
    let mut wait = Wait::new(patience);
    let file = open_within(path, &mut wait)?;
    wait.until(&file, path, || flock(&file, kind.into()))?;
    Ok(Lock { _file: file })
}

impl From<LockKind> for FlockOperation {
    fn from(kind: LockKind) -> Self {
        match kind {
            LockKind::Shared => Self::NonBlockingLockShared,
            LockKind::Exclusive => Self::NonBlockingLockExclusive,
        }
    }
}

/// What is done at the gate of a lock: a second lock on the same file, of the kind that belongs to an open file, which
/// `flock` does not see. It is passed before the lock is asked for.
#[derive(Debug, Clone, Copy)]
enum Gate {
    /// Together with others.
    Pass,
    /// Nobody else passes until the file is closed.
    Close,
    /// Others may close it.
    Leave,
}

impl From<LockKind> for Gate {
    fn from(kind: LockKind) -> Self {
        match kind {
            LockKind::Shared => Self::Pass,
            LockKind::Exclusive => Self::Close,
        }
    }
}

fn gate(file: &OwnedFd, to: Gate) -> rustix::io::Result<()> {
    let kind = match to {
        Gate::Pass => libc::F_RDLCK,
        Gate::Close => libc::F_WRLCK,
        Gate::Leave => libc::F_UNLCK,
    };
    #[allow(
        clippy::cast_possible_truncation,
        reason = "constants from 0 to 2, of another type than their field"
    )]
    let first_byte =
        libc::flock { l_type: kind as _, l_whence: libc::SEEK_SET as _, l_start: 0, l_len: 1, l_pid: 0 };
    match fcntl(file, FcntlArg::F_OFD_SETLK(&first_byte)) {
        Ok(_) => Ok(()),
        // POSIX has two numbers for "another process has it".
        Err(nix::Error::EACCES) => Err(Errno::WOULDBLOCK),
        Err(cause) => Err(Errno::from_raw_os_error(cause as i32)),
    }
}

fn open_within(path: &Path, wait: &mut Wait) -> Result<OwnedFd, FileError> {
    loop {
        match open(path)? {
            Ok(file) => return Ok(file),
            Err(Errno::WOULDBLOCK) if wait.pause() => {}
            Err(Errno::WOULDBLOCK) => return Err(wait.held("open", path, stat(path).ok())),
            Err(cause) => {
                return Err(FileError::Io { verb: "open", path: path.to_owned(), cause: cause.into() });
            }
        }
    }
}

/// Opens a lock's file without waiting for anybody's lease on it.
fn open(path: &Path) -> Result<rustix::io::Result<OwnedFd>, FileError> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let open = || openat(CWD, path, flags, Mode::RUSR | Mode::WUSR);
    match (open(), path.parent()) {
        (Err(Errno::NOENT), Some(dir)) => {
            directory::create(dir)?;
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

    /// Tries to lock `file` until it succeeds or the patience is over.
    fn until(
        &mut self,
        file: &OwnedFd,
        path: &Path,
        attempt: impl Fn() -> rustix::io::Result<()>,
    ) -> Result<(), FileError> {
        loop {
            match attempt() {
                Ok(()) => return Ok(()),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if self.pause() => {}
                Err(Errno::WOULDBLOCK) => return Err(self.held("lock", path, fstat(file).ok())),
                Err(cause) => {
                    return Err(FileError::Io { verb: "lock", path: path.to_owned(), cause: cause.into() });
                }
            }
        }
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
    fn whoever_wants_it_alone_keeps_newcomers_out() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("lock");
        let first = lock_in_turn(&path, LockKind::Shared).unwrap();
        let second = lock_in_turn(&path, LockKind::Shared).unwrap();
        std::thread::scope(|scope| {
            let alone = scope.spawn(|| lock_in_turn(&path, LockKind::Exclusive).map(|_| ()));
            let probe = open(&path).unwrap().unwrap();
            while gate(&probe, Gate::Pass).is_ok() {
                gate(&probe, Gate::Leave).unwrap();
                std::thread::yield_now();
            }
            // It waits for the two, and nobody joins them.
            assert!(!alone.is_finished());
            let third = scope.spawn(|| lock_in_turn(&path, LockKind::Shared).map(|_| ()));
            drop(first);
            assert!(!third.is_finished());
            drop(second);
            alone.join().unwrap().unwrap();
            third.join().unwrap().unwrap();
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
