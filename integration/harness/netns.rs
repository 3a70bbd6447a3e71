//! Network namespaces: one with an eth0, one that is bare, and one that a test is in itself.

use std::io::Read;
use std::panic::resume_unwind;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};
use rustix::thread::{UnshareFlags, unshare_unsafe};

/// A network namespace, held by a process and not by a mount: it goes with the value and leaves nothing.
pub(crate) struct Netns {
    holder: Child,
}

impl Netns {
    /// Makes one whose eth0 has `addresses`, in that order.
    pub(crate) fn new(addresses: &[&str]) -> Self {
        let netns = Self::bare();
        netns.ip(&["link", "add", "eth0", "type", "veth", "peer", "name", "peer0"]);
        for address in addresses {
            // Without duplicate address detection, which would keep an address tentative for a second.
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            netns.ip(&[&["addr", "add", address, "dev", "eth0"], nodad].concat());
        }
        netns.ip(&["link", "set", "eth0", "up"]);
        netns
    }

    /// Makes one with nothing but its lo.
    pub(crate) fn bare() -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut ready = [0; 6];
        holder.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let netns = Self { holder };
        netns.ip(&["link", "set", "lo", "up"]);
        netns
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }

    /// The process that holds it, as `ip link set … netns` wants it.
    pub(crate) fn pid(&self) -> String {
        self.holder.id().to_string()
    }

    /// A command in it.
    pub(crate) fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        command.arg(format!("--net={}", self.path().display())).arg(program);
        command
    }

    pub(crate) fn ip(&self, args: &[&str]) {
        let output = self.command("ip").args(args).output().unwrap();
        assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}

/// Calls `body` in a thread that is in a network namespace of its own, with an empty /run. What it starts is there
/// too.
pub(crate) fn in_new_netns<T: Send>(body: impl FnOnce() -> T + Send) -> T {
    let inside = || {
        enter_new_netns();
        body()
    };
    std::thread::scope(|scope| scope.spawn(inside).join()).unwrap_or_else(|panic| resume_unwind(panic))
}

#[allow(unsafe_code)]
fn enter_new_netns() {
    // SAFETY: of all flags only CLONE_FILES can break the safety of descriptors; it is not among these.
    unsafe { unshare_unsafe(UnshareFlags::NEWNET | UnshareFlags::NEWNS) }.unwrap();
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
    mount("tmpfs", "/run", "tmpfs", MountFlags::empty(), None).unwrap();
}
