//! crictl, and the pods and containers that it makes of files.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::sleep;
use std::time::Duration;

use serde_json::{Value, json};

use super::containerd::{Containerd, SOCKET};
use super::{Run, beside_tests, image, which};

/// The crictl that the tests use: that of the environment, a real one, or our own, which is built with them.
pub(crate) fn program() -> PathBuf {
    #[allow(clippy::disallowed_methods)]
    if let Some(given) = std::env::var_os("CRICTL") {
        return given.into();
    }
    which("crictl").unwrap_or_else(|| beside_tests("crictl"))
}

impl Containerd {
    /// Polls crictl until it succeeds with an output that `is_reached` likes.
    #[track_caller]
    pub(crate) fn until(&self, args: &[&str], is_reached: impl Fn(&str) -> bool) {
        for _ in 0..600 {
            let run = self.crictl(args);
            if run.ok && is_reached(&run.stdout) {
                return;
            }
            sleep(Duration::from_millis(50));
        }
        panic!("never: {args:?}: {:?}\n{}", self.crictl(args), self.log());
    }

    /// A crictl command, not yet started.
    pub(crate) fn crictl_command(&self, args: &[&str]) -> Command {
        let endpoint = format!("unix://{SOCKET}");
        let all = [&["-r", &endpoint, "-t", "60s"], args].concat();
        self.bare_crictl(&all)
    }

    /// crictl with nothing but `args`.
    pub(crate) fn bare_crictl(&self, args: &[&str]) -> Command {
        self.node.command(&self.crictl, args)
    }

    pub(crate) fn crictl(&self, args: &[&str]) -> Run {
        self.crictl_command(args).output().unwrap().into()
    }

    /// The stdout of a crictl that has to succeed: ids, mostly.
    #[track_caller]
    pub(crate) fn ask(&self, args: &[&str]) -> String {
        self.crictl(args).success().trim_end().to_owned()
    }

    /// The JSON that crictl prints.
    #[track_caller]
    pub(crate) fn inspect(&self, command: &str, id: &str) -> Value {
        serde_json::from_str(&self.ask(&[command, id])).unwrap()
    }

    /// Writes a file for crictl; its path.
    pub(crate) fn file(&self, name: &str, config: &Value) -> String {
        let path = self.node.path(name);
        fs::write(&path, config.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// The configuration of a pod `default/<name>`, in a cgroup of this node's.
    pub(crate) fn pod_config(&self, name: &str) -> Value {
        let logs = self.node.path("logs");
        fs::create_dir_all(&logs).unwrap();
        let parent = format!("/{}", self.cgroup());
        json!({"metadata": {"name": name, "namespace": "default", "uid": format!("uid-of-{name}"), "attempt": 1},
            "log_directory": logs, "linux": {"cgroup_parent": parent}})
    }

    /// Runs a pod with our runtime handler.
    #[track_caller]
    pub(crate) fn pod(&self, config: &Value) -> Pod<'_> {
        self.pod_with(config, &["--runtime", "podhosts"])
    }

    /// Runs a pod.
    #[track_caller]
    pub(crate) fn pod_with(&self, config: &Value, options: &[&str]) -> Pod<'_> {
        let name = config["metadata"]["name"].as_str().unwrap();
        let file = self.file(&format!("{name}.json"), config);
        let id = self.ask(&[&["runp"], options, &[&file]].concat());
        Pod::new(self, &id, &file)
    }

    /// A pod that is there already, by the configuration it was made of.
    pub(crate) fn again(&self, id: &str, name: &str) -> Pod<'_> {
        let file = self.node.path(&format!("{name}.json")).to_str().unwrap().to_owned();
        Pod { containerd: self, id: id.to_owned(), file }
    }

    /// Executes a shell script in a container.
    pub(crate) fn exec(&self, container: &str, script: &str) -> Run {
        self.crictl(&["exec", container, "sh", "-c", script])
    }

    /// A container's hosts file.
    #[track_caller]
    pub(crate) fn hosts(&self, container: &str) -> String {
        self.exec(container, "cat /etc/hosts").success()
    }

    /// The device of a container's hosts file, which no other container's has.
    #[track_caller]
    pub(crate) fn seal(&self, container: &str) -> String {
        self.exec(container, "stat -c %d /etc/hosts").success()
    }
}

/// A pod. It stays until the node goes or [`Pod::remove`] is called.
pub(crate) struct Pod<'a> {
    pub(crate) containerd: &'a Containerd,
    pub(crate) id: String,
    file: String,
}

impl<'a> Pod<'a> {
    /// A pod that runs: its id, and the file that it was made of.
    pub(crate) fn new(containerd: &'a Containerd, id: &str, file: &str) -> Self {
        Self { containerd, id: id.to_owned(), file: file.to_owned() }
    }

    /// What is left of it when containerd has to be ended: id and file.
    pub(crate) fn into_parts(self) -> (String, String) {
        (self.id, self.file)
    }

    /// Creates a container; its id.
    #[track_caller]
    pub(crate) fn create(&self, config: &Value) -> String {
        let name = config["metadata"]["name"].as_str().unwrap();
        let file = self.containerd.file(&format!("{}-{name}.json", self.id), config);
        self.containerd.ask(&["create", &self.id, &file, &self.file])
    }

    /// Creates a container and starts it; its id.
    #[track_caller]
    pub(crate) fn start(&self, config: &Value) -> String {
        let id = self.create(config);
        assert_eq!(self.containerd.ask(&["start", &id]), id);
        id
    }

    /// Its addresses as the CRI tells them, which is in the order of the CNI result.
    #[track_caller]
    pub(crate) fn addresses(&self) -> Vec<String> {
        let network = &self.containerd.inspect("inspectp", &self.id)["status"]["network"];
        let more = network["additionalIps"].as_array().unwrap().iter().map(|address| &address["ip"]);
        let all = std::iter::once(&network["ip"]).chain(more).map(|ip| ip.as_str().unwrap().to_owned());
        all.filter(|ip| !ip.is_empty()).collect()
    }

    #[track_caller]
    pub(crate) fn remove(self) {
        self.containerd.ask(&["rmp", "-f", &self.id]);
    }
}

/// A container `name` that stays.
pub(crate) fn sleeping(name: &str) -> Value {
    json!({"metadata": {"name": name}, "image": {"image": image::NAME}, "command": ["sleep", "1000000"],
        "log_path": format!("{name}.log"), "linux": {}})
}
