//! `podhosts nri` beside a containerd.

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::Duration;

use super::bin;
use super::containerd::Containerd;

/// The plugin, running on a node.
pub(crate) struct Plugin<'a> {
    containerd: &'a Containerd,
    child: Option<Child>,
}

impl<'a> Plugin<'a> {
    fn launch(containerd: &'a Containerd, command: &str) -> Self {
        let node = &containerd.node;
        let script = format!("echo $$ >{}; exec {command}", node.path("nri.pid").display());
        let log = fs::File::create(node.path("nri.log")).unwrap();
        let child = node.command("sh", &["-c", &script]).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        Self { containerd, child: Some(child) }
    }

    /// Starts it, and waits until the engine asks it about containers.
    pub(crate) fn start(containerd: &'a Containerd) -> Self {
        Self::start_as(containerd, &format!("{} nri", bin("podhosts").display()))
    }

    /// The same by another command line.
    pub(crate) fn start_as(containerd: &'a Containerd, command: &str) -> Self {
        let plugin = Self::launch(containerd, command);
        plugin.until_it_serves(1);
        plugin
    }

    /// One that somebody has launched, with its log and its process id where they are when this launches it.
    pub(crate) fn launched(containerd: &'a Containerd) -> Self {
        Self { containerd, child: None }
    }

    pub(crate) fn until_it_serves(&self, times: usize) {
        let serves = || self.log().matches("podhosts nri: serving \"containerd 2.").count() == times;
        for _ in 0..600 {
            if serves() {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("never: {}\n{}", self.log(), self.containerd.log());
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.containerd.node.path("nri.log")).unwrap_or_default()
    }

    /// Ends it as systemd does; its exit code.
    pub(crate) fn stop(mut self) -> Option<i32> {
        self.end()
    }

    fn end(&mut self) -> Option<i32> {
        let mut child = self.child.take()?;
        let pid = self.containerd.node.path("nri.pid");
        self.containerd.node.run("sh", &["-c", &format!("kill $(cat {})", pid.display())]);
        child.wait().unwrap().code()
    }
}

impl Drop for Plugin<'_> {
    fn drop(&mut self) {
        self.end();
    }
}
