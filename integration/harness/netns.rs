//! A network namespace with an eth0.

use std::path::PathBuf;
use std::process::Command;

/// A network namespace; it goes with the value.
pub(crate) struct Netns {
    name: String,
}

impl Netns {
    /// Makes one whose eth0 has `addresses`, in that order.
    pub(crate) fn new(test: &str, addresses: &[&str]) -> Self {
        let netns = Self { name: format!("podhosts-{test}-{}", std::process::id()) };
        ip(&["netns", "add", &netns.name]);
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
        PathBuf::from("/run/netns").join(&self.name)
    }

    fn ip(&self, args: &[&str]) {
        ip(&[&["-n", &self.name], args].concat());
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

fn ip(args: &[&str]) {
    let output = Command::new("ip").args(args).output().unwrap();
    assert!(output.status.success(), "ip {args:?}: {}", String::from_utf8_lossy(&output.stderr));
}
