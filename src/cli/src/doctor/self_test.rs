//! The proof: a container is created by the wrapper and the low-level runtime, and looked into before it would run.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::finding::Report;
use super::options::{DoctorOptions, PATIENCE};
use super::programs::executable;
use super::runtimes::Runtimes;
use crate::inspect::mountinfo::MountInfo;
use container::decision::HOSTS_FILE_MAX;
use container::node_config::NodeConfig;
use container::programs::MOUNT_SOURCE;
use container::programs::WRAPPER;
use pod::annotations;
use pod::host_aliases::HostAlias;
use pod::host_name::NameFields;
use pod::validation::ip::IpRules;
use pod::{Network, Pod};
use sys::container::hosts_view::HostsView;
use sys::fs::files;
use sys::fs::state_dir;
use sys::process::programs::{self, Finished};

const CHECK: &str = "self-test";
const NAME: &str = "podhosts-doctor";
/// Of the blocks for documentation.
const POD_IPS: [&str; 2] = ["192.0.2.4", "2001:db8::4"];
/// The program that the container would run, if it were started.
const PROGRAM: &str = "program";

/// Creates a container in a directory of its own and deletes it again.
pub(super) fn check(options: &DoctorOptions, config: &NodeConfig, runtimes: &Runtimes, report: &mut Report) {
    let wrapper = options.bin_dir.join(WRAPPER);
    if let Err(fault) = executable(&wrapper) {
        return report.skipped(CHECK, fault);
    }
    let Some(runtime) = runtimes.find(config) else {
        return report.skipped(CHECK, super::node::no_runtime(config));
    };
    match seal_one(&wrapper, runtime.path().as_deref(), config) {
        Ok(()) => {
            report.ok(CHECK, "a container was created, and its hosts file is sealed and as it should be")
        }
        Err(fault) => {
            let remedy =
                "see the other lines, and the last line of the hook's log; docs/messages.md has the message";
            report.error(CHECK, fault, remedy);
        }
    }
}

/// A container that is deleted when it is dropped.
struct Created<'a> {
    wrapper: &'a Path,
    /// The PATH of the wrapper, if it is not that of this process.
    path: Option<&'a str>,
    root: String,
    id: String,
}

impl Created<'_> {
    fn call(&self, args: &[&str]) -> Result<Finished, String> {
        let args = [&["--root", &self.root], args].concat();
        let path = self.path.map(|path| ("PATH", path));
        programs::run(self.wrapper, &args, path.as_slice(), b"", PATIENCE)
            .map_err(|cause| format!("cannot run {}: {cause}", self.wrapper.display()))
    }
}

impl Drop for Created<'_> {
    fn drop(&mut self) {
        let _ = self.call(&["delete", "--force", &self.id]);
    }
}

fn seal_one(wrapper: &Path, path: Option<&str>, config: &NodeConfig) -> Result<(), String> {
    let dir = tempfile::Builder::new().prefix("podhosts-doctor.").tempdir().map_err(|cause| {
        format!("cannot make a directory for a bundle (TMPDIR names another place): {cause}")
    })?;
    let bundle = bundle(dir.path(), wrapper)?;
    let root = dir.path().join("state").display().to_string();
    let container = Created { wrapper, path, root, id: format!("{NAME}-{}", std::process::id()) };
    let created = container.call(&["create", "--bundle", &bundle.display().to_string(), &container.id])?;
    if !created.status.success() {
        return Err(created.last_error_line());
    }
    let state = container.call(&["state", &container.id])?;
    let state: Value = serde_json::from_slice(&state.stdout)
        .map_err(|cause| format!("cannot read the container's state: {cause}"))?;
    let pid = state["pid"].as_i64().and_then(|pid| i32::try_from(pid).ok());
    look(pid.ok_or("cannot read the container's state: it has no pid")?, config)
}

/// Whether the process sees the sealed file of our pod.
fn look(pid: i32, config: &NodeConfig) -> Result<(), String> {
    let view = HostsView::of_process(pid, HOSTS_FILE_MAX).map_err(|error| error.to_string())?;
    let mount = MountInfo::find(&view.mountinfo, view.mount_id);
    let is_sealed = |mount: &MountInfo| mount.source.starts_with(MOUNT_SOURCE) && mount.is_read_only_tmpfs();
    if !mount.as_ref().is_some_and(is_sealed) {
        return Err("a container was created without a sealed hosts file: the hook was not called".to_owned());
    }
    let expected = pod()
        .hosts_file(
            &Network::Pod(POD_IPS.map(str::to_owned).to_vec()),
            &config.cluster_domain,
            IpRules::Strict,
        )
        .map_err(|errors| errors.join(", "))?;
    if view.text.as_deref().map(str::as_bytes) != Some(&expected) {
        return Err(format!("a sealed container has another hosts file than expected: {:?}", view.text));
    }
    let path = format!("/proc/{pid}/root/etc/hosts");
    match files::can_be_opened_for_writing(Path::new(&path)) {
        true => Err(format!("{path} can be opened for writing")),
        false => Ok(()),
    }
}

fn pod() -> Pod {
    let alias = HostAlias { ip: "192.0.2.9".into(), hostnames: vec!["alias.example".into()] };
    let names = NameFields { pod_name: NAME.into(), namespace: "default".into(), ..NameFields::default() };
    Pod { names, aliases: vec![alias] }
}

/// A bundle as small as it gets, with a program that no one will start.
fn bundle(dir: &Path, program: &Path) -> Result<PathBuf, String> {
    let shown = |error: files::FileError| error.to_string();
    let bundle = dir.join("bundle");
    let root = bundle.join("rootfs");
    // crun refuses a root file system without /dev.
    for dir in ["dev", "etc", "proc"] {
        state_dir::create(&root.join(dir)).map_err(shown)?;
    }
    state_dir::replace(&root.join("etc/hosts"), b"").map_err(shown)?;
    // Runtimes refuse a container without its program. It need not run: the container is never started.
    let program_text = files::read(program, 256 << 20, files::LastLink::Follow).map_err(shown)?;
    state_dir::replace(&root.join(PROGRAM), &program_text).map_err(shown)?;
    let mode = |path: &Path, mode| std::fs::set_permissions(path, Permissions::from_mode(mode));
    mode(&root.join(PROGRAM), 0o755).map_err(|cause| format!("cannot make a program executable: {cause}"))?;
    let config = config_json().to_string();
    state_dir::replace(&bundle.join("config.json"), config.as_bytes()).map_err(shown)?;
    Ok(bundle)
}

fn config_json() -> Value {
    let aliases = json!([{"ip": "192.0.2.9", "hostnames": ["alias.example"]}]).to_string();
    let namespaces = ["pid", "ipc", "uts", "mount", "network"].map(|kind| json!({"type": kind}));
    json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": {"uid": 0, "gid": 0}, "args": [format!("/{PROGRAM}")], "env": ["PATH=/"], "cwd": "/",
            "noNewPrivileges": true,
        },
        "root": {"path": "rootfs", "readonly": true},
        "hostname": NAME,
        "mounts": [{"destination": "/proc", "type": "proc", "source": "proc", "options": ["nosuid", "noexec", "nodev"]}],
        "linux": {"namespaces": namespaces},
        "annotations": {annotations::POD_IPS: POD_IPS.join(","), annotations::HOST_ALIASES: aliases},
    })
}
