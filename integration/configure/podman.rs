//! Layouts of podman's configuration as administrators have them, judged by podman 4.3 and 5.8 before and after `configure`
//! and `unconfigure`: what they say of themselves, which hooks run, and whether a container does.

mod layouts;

use std::collections::BTreeMap;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::podman::{IMAGE, Podman, Release};
use crate::harness::{Run, Runtime, bin};
use layouts::{Layout, layouts};

/// What is the test's alone, beside the harness's; hooks leave their names in /run/ran.
const SET_UP: &str = r#"
cp -r /usr/share/containers /run/distribution
mount -t tmpfs tmpfs /usr/share/containers
mount -t tmpfs tmpfs /root
cp /etc/containers/containers.conf /etc/podhosts/config.toml /run
printf '#!/bin/sh\necho "$1" >>/run/ran\n' >/run/mark
printf '#!/bin/sh\nexec runc "$@"\n' >/run/gpu-runtime
chmod +x /run/mark /run/gpu-runtime
"#;

/// Back to where a layout begins.
const CLEAR: &str = r#"
rm -rf /usr/share/containers/* /root/.config /etc/vendor /etc/override.conf /etc/podhosts /var/lib/podhosts
rm -rf /etc/containers/oci /etc/containers/containers.conf.*
cp -r /run/distribution/. /usr/share/containers
mkdir /etc/podhosts
cp /run/containers.conf /etc/containers
"#;

/// Every file of the node's configuration with its bytes, mode and owner.
const TREE: &str = r#"
for dir in /etc/containers /etc/podhosts /etc/vendor /usr/share/containers /root/.config /var/lib/podhosts; do
    if [ -e $dir ]; then find $dir -exec stat -c '%n %a %u:%g' {} + -type f -exec sha256sum {} +; fi
done | sort
"#;

/// What podman makes of its configuration.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    /// What it says of itself, by its names.
    says: BTreeMap<String, String>,
    /// The hooks that ran.
    ran: Vec<String>,
    /// Whether a container with our annotation starts.
    runs: bool,
    /// Whether its hosts file is sealed.
    is_sealed: bool,
}

/// A podman with one layout.
struct Judge<'a> {
    podman: &'a Podman,
    layout: &'a Layout,
}

impl<'a> Judge<'a> {
    fn new(podman: &'a Podman, layout: &'a Layout) -> Self {
        podman.node.sh(CLEAR);
        let main = "/etc/containers/containers.conf";
        let text = fs::read_to_string(podman.node.file(main)).unwrap();
        podman.write(main, &text.replacen("[engine]\n", &format!("[engine]\n{}\n", layout.engine), 1));
        for (path, text) in &layout.files {
            podman.write(path, text);
        }
        Self { podman, layout }
    }

    fn command(&self, program: &str, args: &[&str]) -> Run {
        let mut command: Command = self.podman.node.command(program, args);
        command
            .env("PODMAN_IGNORE_CGROUPSV1_WARNING", "1")
            .env("HOME", "/root")
            .env_remove("XDG_CONFIG_HOME");
        if let Some((name, value)) = self.layout.variable {
            command.env(name, value);
        }
        command.output().unwrap().into()
    }

    fn podhosts(&self, command: &str) -> Run {
        let args = if command == "configure" { self.layout.args } else { &[] };
        let program = bin("podhosts").display().to_string();
        self.command(&program, &[&[command, "--runtime", "podman"], args].concat())
    }

    /// Looks at podman, called with `options`.
    fn look(&self, options: &[&str]) -> Seen {
        let mut says = BTreeMap::new();
        for line in self.command("podman", &[options, &["--help"]].concat()).stdout.lines() {
            let option = line.trim_start().strip_prefix("--").and_then(|rest| rest.split_once(' '));
            let default = line.rsplit_once("(default ").map_or("", |(_, default)| default);
            if let Some((name, _)) = option {
                says.insert(name.to_owned(), default.to_owned());
            }
        }
        let info = self.command("podman", &[options, &["info", "--format", "json"]].concat());
        let info: Value = serde_json::from_str(&info.stdout).unwrap_or_default();
        for key in ["name", "path"] {
            says.insert(format!("ociRuntime.{key}"), info["host"]["ociRuntime"][key].to_string());
        }
        for key in ["networkBackend", "cgroupManager", "eventLogger", "logDriver"] {
            says.insert(key.to_owned(), info["host"][key].to_string());
        }
        let _ = fs::remove_file(self.podman.node.file("/run/ran"));
        let (cgroup, annotation) =
            (self.podman.cgroup(), self.podman.annotation("podhosts.io/hostname", "web"));
        let run = ["run", "--rm", "--network", "none", &cgroup, &annotation, IMAGE];
        let script = ["sh", "-c", "cat /etc/hosts; echo mine 2>&1 >>/etc/hosts; true"];
        let run = self.command("podman", &[options, &run, &script].concat());
        let ran = fs::read_to_string(self.podman.node.file("/run/ran")).unwrap_or_default();
        let mut ran: Vec<String> = ran.lines().map(str::to_owned).collect();
        ran.sort_unstable();
        let hosts = &run.stdout;
        let is_sealed =
            hosts.starts_with("# Kubernetes-managed hosts file.") && hosts.contains("Read-only file system");
        Seen { says, ran, runs: run.ok, is_sealed }
    }

    /// Configures and unconfigures, and compares.
    fn there_and_back(&self, wanted: &str) -> Result<(), String> {
        let tree = self.podman.node.sh(TREE);
        let before = self.look(&[]);
        let run = self.podhosts("configure");
        if !run.ok {
            let is_same = self.podman.node.sh(TREE) == tree;
            return match wanted {
                "" => Err(run.stderr),
                wanted if !run.stderr.contains(wanted) => Err(format!("expected {wanted}: {}", run.stderr)),
                _ if !is_same => Err("it was refused, and something is not as before".to_owned()),
                _ => Ok(()),
            };
        }
        if !wanted.is_empty() {
            return Err(format!("done, expected {wanted}"));
        }
        if !run.stdout.contains(self.layout.said) {
            return Err(format!("expected {}: {}", self.layout.said, run.stdout));
        }
        self.is_right(&before)?;
        let again = self.podhosts("configure");
        if !again.stdout.starts_with("nothing to change\n") {
            return Err(format!("once more: {again:?}"));
        }
        self.podhosts("unconfigure").success();
        let (now, after) = (self.podman.node.sh(TREE), self.look(&[]));
        match () {
            () if now != tree => Err(format!("not as before:\n{now}\n{tree}")),
            () if after != before => Err(format!("not as before: {after:?}\n{before:?}")),
            () => Ok(()),
        }
    }

    /// Whether podman has ours, and all else as it was.
    fn is_right(&self, before: &Seen) -> Result<(), String> {
        let is_default = self.layout.args.contains(&"--set-as-default");
        let is_runtime = self.layout.args.contains(&"wrapper");
        let now = self.look(&[]);
        let changed = now.says.iter().filter(|(name, value)| {
            let ours = match name.as_str() {
                "runtime" | "ociRuntime.name" | "ociRuntime.path" => is_default,
                "hooks-dir" => !is_runtime && value.contains(before.says[*name].trim_end_matches("])")),
                _ => false,
            };
            !ours && before.says.get(*name) != Some(*value)
        });
        let changed: Vec<_> = changed.collect();
        if !changed.is_empty() {
            return Err(format!("changed: {changed:?}"));
        }
        if now.ran != before.ran {
            return Err(format!("other hooks run: {:?} instead of {:?}", now.ran, before.ran));
        }
        let ours = if is_runtime && !is_default {
            if now != *before {
                return Err(format!("the default runtime is another one: {now:?}"));
            }
            self.look(&["--runtime", "podhosts"])
        } else {
            now
        };
        if ours.is_sealed { Ok(()) } else { Err(format!("not sealed: {ours:?}")) }
    }
}

/// All layouts under one podman.
fn check_all(release: Release) {
    let Some(podman) = Podman::new(release, Runtime::Runc) else { return };
    podman.node.sh(SET_UP);
    let mut faults = Vec::new();
    for layout in layouts() {
        let wanted = layout.wanted[usize::from(release == Release::Sid)];
        if let Err(fault) = Judge::new(&podman, &layout).there_and_back(wanted) {
            faults.push(format!("{}: {fault}", layout.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_layout_stays_what_it_is_under_podman_4_3() {
    check_all(Release::Bookworm);
}

#[test]
fn every_layout_stays_what_it_is_under_podman_5_8() {
    check_all(Release::Sid);
}
