//! Changes of the directory of the pods' records.

use std::path::PathBuf;
use std::time::Duration;

use tokio::io::unix::AsyncFd;

use sys::fs::changes::DirectoryChanges;

/// Pause between looks where the kernel does not tell: the directory comes with the first pod.
const POLL: Duration = Duration::from_secs(2);

/// Waits for changes of a directory.
#[derive(Debug)]
pub(super) struct RecordChanges {
    dir: PathBuf,
    changes: Option<AsyncFd<DirectoryChanges>>,
}

impl RecordChanges {
    pub(super) fn new(dir: PathBuf) -> Self {
        Self { dir, changes: None }
    }

    /// Begins to watch the directory, unless it is watched already.
    #[allow(
        deprecated,
        reason = "register is unsafe; a descriptor that is owned stays open as long as it is watched"
    )]
    pub(super) fn begin(&mut self) {
        if self.changes.is_none() {
            let changes = DirectoryChanges::of(&self.dir).ok();
            self.changes = changes.and_then(|changes| AsyncFd::new(changes).ok());
        }
    }

    /// How long to wait for a change before the next look.
    pub(super) fn pause(&self) -> Duration {
        if self.changes.is_some() { Duration::MAX } else { POLL }
    }

    /// Waits for a change.
    pub(super) async fn changed(&mut self) {
        let is_there = match &self.changes {
            None => return std::future::pending().await,
            Some(changes) => match changes.readable().await {
                Ok(mut ready) => {
                    let is_there = ready.get_inner().take();
                    ready.clear_ready();
                    is_there
                }
                Err(_) => false,
            },
        };
        // A directory that is made again is another one.
        if !is_there {
            self.changes = None;
        }
    }
}
