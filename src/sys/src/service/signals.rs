//! Being asked to end, and waiting for that and for a socket at once.

use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

/// Catches SIGTERM and SIGINT, so that what is begun is ended first.
#[derive(Debug)]
pub struct Stop(SignalFd);

/// The end of a wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Woken {
    /// There is something to read. It may be the end of the connection.
    Readable,
    /// The process is to end.
    Stop,
    /// Nothing happened in time.
    Timeout,
}

impl Stop {
    /// Catches the signals from now on.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn catch() -> io::Result<Self> {
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGTERM);
        signals.add(Signal::SIGINT);
        signals.thread_block()?;
        Ok(Self(SignalFd::with_flags(&signals, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?))
    }

    /// Waits for `socket`, where there is one, until `deadline`, where there is one. What can be read goes before a
    /// signal.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn wait(&self, socket: Option<&impl AsFd>, deadline: Option<Instant>) -> io::Result<Woken> {
        let mut polled = vec![PollFd::new(&self.0, PollFlags::IN)];
        polled.extend(socket.map(|socket| PollFd::new(socket, PollFlags::IN)));
        loop {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            match poll(&mut polled, left.map(timespec).as_ref()) {
                Err(Errno::INTR) => {}
                Err(cause) => return Err(cause.into()),
                Ok(0) => return Ok(Woken::Timeout),
                Ok(_) if polled.get(1).is_some_and(|socket| !socket.revents().is_empty()) => {
                    return Ok(Woken::Readable);
                }
                Ok(_) => return Ok(Woken::Stop),
            }
        }
    }
}

fn timespec(duration: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(duration.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: duration.subsec_nanos().into(),
    }
}
