//! kill -9 at a chosen system call of the CNI plugin.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::cni::{Call, CniNode};
use super::{Run, bin};

/// A system call of a program: its name, and which one of that name it is.
pub(crate) type Boundary = (String, usize);

/// Calls a plugin under strace with `options`.
fn traced(node: &CniNode, call: &Call<'_>, options: &[&str]) -> Run {
    let mut command = node.plugin_command(Path::new("strace"), call);
    command.arg("-f").args(options).arg(bin("podhosts-cni"));
    node.pipe(command, call.config.to_string().as_bytes())
}

/// Makes a call, which has to succeed, and tells the system calls that it makes once it has begun to read what it is
/// to do. Before that nothing of it has happened.
#[track_caller]
pub(crate) fn boundaries(node: &CniNode, call: &Call<'_>) -> Vec<Boundary> {
    let path = node.path("trace");
    traced(node, call, &["-o", path.to_str().unwrap()]).success();
    let (mut counts, mut has_begun, mut found) = (HashMap::<String, usize>::new(), false, Vec::new());
    for line in fs::read_to_string(&path).unwrap().lines() {
        // With the process id in front, as strace -f has it.
        let Some((name, _)) = line.split_once(' ').and_then(|(_, call)| call.trim_start().split_once('('))
        else {
            continue;
        };
        // What one thread was at while another made a call: "<... sendto resumed>".
        if name.starts_with('<') {
            continue;
        }
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        has_begun |= line.contains("read(0, ");
        if has_begun {
            found.push((name.to_owned(), *count));
        }
    }
    assert!(found.len() > 50, "only {found:?}");
    found
}

/// Those of `boundaries` at which there may be something that was not there at the one before: those behind a call that
/// changes files or the kernel's state.
pub(crate) fn behind_changes(boundaries: &[Boundary]) -> Vec<Boundary> {
    let changes = [
        "openat",
        "write",
        "pwrite64",
        "ftruncate",
        "linkat",
        "renameat",
        "unlinkat",
        "mkdirat",
        "symlinkat",
        "sendto",
    ];
    let pairs = boundaries.windows(2).filter(|pair| changes.contains(&pair[0].0.as_str()));
    pairs.map(|pair| pair[1].clone()).collect()
}

/// Who kills, and how often it was done.
#[derive(Default)]
pub(crate) struct Killer {
    kills: AtomicUsize,
    escapes: AtomicUsize,
}

impl Killer {
    /// Makes a call and kills it where it is about to make the system call `at`; tells whether it came that far.
    pub(crate) fn kill(&self, node: &CniNode, call: &Call<'_>, at: &Boundary) -> bool {
        let (name, count) = at;
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let run = traced(node, call, &["-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject]);
        let was_killed = run.code.is_none();
        assert!(was_killed || run.ok, "{} that is killed at {at:?} failed: {run:?}", call.command);
        (if was_killed { &self.kills } else { &self.escapes }).fetch_add(1, Ordering::Relaxed);
        was_killed
    }

    /// How many calls were killed. Few may have come through, because they had less to wait for than the one that was
    /// watched, or because another one had already done what all need, or seen that it was done.
    #[track_caller]
    pub(crate) fn kills(&self) -> usize {
        let (kills, escapes) = (self.kills.load(Ordering::Relaxed), self.escapes.load(Ordering::Relaxed));
        assert!(escapes * 5 <= kills, "{escapes} calls were not killed, {kills} were");
        kills
    }
}
