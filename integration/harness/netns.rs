//! A network namespace with an eth0.

use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A network namespace, held by a process and not by a mount: it goes with the value and leaves nothing.
pub(crate) struct Netns {
    holder: Child,
}

impl Netns {
    /// Makes one whose eth0 has `addresses`, in that order.
    pub(crate) fn new(addresses: &[&str]) -> Self {
        let mut command = Command::new("unshare");
        command.args(["--net", "sh", "-c", "echo ready; exec sleep 1000"]).stdout(Stdio::piped());
        let mut holder = command.spawn().unwrap();
        let mut ready = [0; 6];
        holder.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        let netns = Self { holder };
        netns.ip(&["link", "add", "eth0", "type", "veth", "peer", "name", "peer0"]);
        netns.ip(&["link", "set", "lo", "up"]);
        for address in addresses {
            // Without duplicate address detection, which would keep an address tentative for a second.
            let nodad: &[&str] = if address.contains(':') { &["nodad"] } else { &[] };
            netns.ip(&[&["addr", "add", address, "dev", "eth0"], nodad].concat());
        }
        netns.ip(&["link", "set", "eth0", "up"]);
        netns
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/ns/net", self.holder.id()))
    }

    fn ip(&self, args: &[&str]) {
        let mut command = Command::new("nsenter");
        let output =
            command.arg(format!("--net={}", self.path().display())).arg("ip").args(args).output().unwrap();
        assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
