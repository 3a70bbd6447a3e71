//! A node of a test's own: a directory, and a mount namespace in which /etc, /run, /var/log and the cgroups are the
//! test's.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use tempfile::TempDir;

use super::{Runtime, bin};

/// In a mount namespace of its own: an /etc that can be written to without anybody noticing, an empty /run and
/// /var/log, and pure cgroup v1, which crun insists on.
const ENTER: &str = r#"
set -e
mount -t overlay overlay -o "lowerdir=/etc,upperdir=$1/etc,workdir=$1/work" /etc
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /var/log
if mountpoint -q /sys/fs/cgroup/unified; then umount /sys/fs/cgroup/unified; fi
if [ -d "$1/run" ]; then cp -a "$1/run/." /run/; fi
if [ -n "$3" ]; then mount --bind "$3" /usr; mount -o remount,bind,ro /usr; fi
cd "$2"
set +e
node=$1
shift 3
"$@"
code=$?
if grep -q podhosts: /proc/self/mountinfo; then
    echo "a seal shows on the node" >&2
    code=99
fi
exit $code
"#;

/// How a command in a node ends that has left a seal in the node's mount namespace.
const SEAL_ON_THE_NODE: i32 = 99;

/// A node. Everything it has goes with it.
pub(crate) struct Node {
    dir: TempDir,
}

/// How a command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) ok: bool,
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl From<Output> for Run {
    fn from(output: Output) -> Self {
        assert_ne!(output.status.code(), Some(SEAL_ON_THE_NODE), "a seal shows on the node");
        Self {
            ok: output.status.success(),
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }
}

impl Run {
    /// Runs a command with `input` on its stdin.
    pub(crate) fn with_input(mut command: Command, input: &[u8]) -> Self {
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // A program that refuses its input need not read it to the end.
        let _ = stdin.write_all(input);
        drop(stdin);
        child.wait_with_output().unwrap().into()
    }

    /// The stdout of a command that has to succeed.
    #[track_caller]
    pub(crate) fn success(self) -> String {
        assert!(self.ok, "failed: {}\n{}", self.stderr, self.stdout);
        self.stdout
    }

    /// The stderr of a command that has to fail.
    #[track_caller]
    pub(crate) fn failure(self) -> String {
        assert!(!self.ok, "succeeded: {}", self.stdout);
        self.stderr
    }
}

impl Node {
    /// A node with a log of its own and all other settings as they are by default.
    pub(crate) fn new() -> Self {
        Self::with_config("")
    }

    /// A node with `extra` lines at the top of its configuration.
    pub(crate) fn with_config(extra: &str) -> Self {
        let dir = tempfile::Builder::new().prefix("podhosts-test.").tempdir().unwrap();
        for name in ["etc/podhosts", "work", "state"] {
            fs::create_dir_all(dir.path().join(name)).unwrap();
        }
        let node = Self { dir };
        node.configure(extra);
        node
    }

    pub(crate) fn configure(&self, extra: &str) {
        let log = self.path("hook.log");
        let tables = if extra.starts_with('[') { Some(0) } else { extra.find("\n[") };
        let (top, tables) = extra.split_at(tables.unwrap_or(extra.len()));
        let text = format!("{top}\n{tables}\n[log]\nfile = {log:?}\n");
        self.write("etc/podhosts/config.toml", &text);
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Writes a file below the node's directory; `etc/…` appears in /etc and `run/…` in /run.
    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// A command inside the node, its current directory being `here`.
    pub(crate) fn command(&self, here: &Path, program: impl AsRef<Path>, args: &[&str]) -> Command {
        self.command_in(None, here, program.as_ref(), args)
    }

    /// A command that finds /usr to be the directory `usr`, where that is given.
    fn command_in(&self, usr: Option<PathBuf>, here: &Path, program: &Path, args: &[&str]) -> Command {
        let mut command = Command::new("unshare");
        command.args(["-m", "--propagation", "private", "sh", "-c", ENTER, "sh"]);
        command.arg(self.dir.path()).arg(here).arg(usr.unwrap_or_default()).arg(program).args(args);
        command.stdin(Stdio::null());
        command
    }

    /// A container id that no other test has, at any time.
    pub(crate) fn id(&self, name: &str) -> String {
        format!("podhosts-{}-{name}", self.dir.path().extension().unwrap().to_str().unwrap())
    }

    /// Runs a command inside the node.
    pub(crate) fn run(&self, program: impl AsRef<Path>, args: &[&str]) -> Run {
        self.command(self.dir.path(), program, args).output().unwrap().into()
    }

    /// Runs a command inside the node with `input` on its stdin.
    pub(crate) fn run_with_input(&self, program: impl AsRef<Path>, args: &[&str], input: &[u8]) -> Run {
        Run::with_input(self.command(self.dir.path(), program, args), input)
    }

    /// The runtime's own arguments that keep its state in this node.
    pub(crate) fn root(&self) -> String {
        self.path("state").to_str().unwrap().to_owned()
    }

    /// Runs a bundle to its end with the runtime itself; the bundle has the hook already.
    pub(crate) fn run_bundle(&self, runtime: Runtime, bundle: &Path) -> Run {
        self.run_with(runtime, Path::new(runtime.name()), bundle)
    }

    /// Runs a bundle to its end through the wrapper, which has to add the hook.
    pub(crate) fn run_wrapped(&self, bundle: &Path) -> Run {
        self.run_wrapped_with(Runtime::Runc, bundle)
    }

    /// The same in the /usr of `runtime`; which of those there the wrapper takes, its configuration says.
    pub(crate) fn run_wrapped_with(&self, runtime: Runtime, bundle: &Path) -> Run {
        self.run_with(runtime, &bin("podhosts-runtime"), bundle)
    }

    fn run_with(&self, runtime: Runtime, program: &Path, bundle: &Path) -> Run {
        let args = ["--root", &self.root(), "run", "--bundle", bundle.to_str().unwrap(), &self.id("run")];
        self.command_in(runtime.usr(), self.dir.path(), program, &args).output().unwrap().into()
    }

    /// Calls a runtime.
    pub(crate) fn call(&self, runtime: Runtime, args: &[&str]) -> Run {
        let root = self.root();
        let args = [&["--root", &root], args].concat();
        let program = Path::new(runtime.name());
        self.command_in(runtime.usr(), self.dir.path(), program, &args).output().unwrap().into()
    }

    /// Runs a shell script that finds `runtime`.
    pub(crate) fn shell(&self, runtime: Runtime, script: &str, args: &[&str]) -> Run {
        let args = [&["-c", script, "sh"], args].concat();
        self.command_in(runtime.usr(), self.dir.path(), Path::new("sh"), &args).output().unwrap().into()
    }

    /// Starts a container that stays; it is removed when the guard is dropped.
    pub(crate) fn start(&self, runtime: Runtime, bundle: &Path, name: &str) -> Container<'_> {
        self.start_by(runtime, Path::new(runtime.name()), bundle, name)
    }

    /// The same by `program`, which becomes the runtime.
    pub(crate) fn start_by(
        &self,
        runtime: Runtime,
        program: &Path,
        bundle: &Path,
        name: &str,
    ) -> Container<'_> {
        let id = self.id(name);
        let run = |args: &[&str]| {
            let mut all = vec!["--root".to_owned(), self.root()];
            all.extend(args.iter().map(|&arg| arg.to_owned()));
            let all: Vec<&str> = all.iter().map(String::as_str).collect();
            // The container outlives the runtime and keeps its stdout open: a pipe would never end.
            let mut command = self.command_in(runtime.usr(), self.dir.path(), program, &all);
            let status = command.stdout(Stdio::null()).stderr(Stdio::null()).status().unwrap();
            assert!(status.success(), "{args:?}");
        };
        run(&["create", "--bundle", bundle.to_str().unwrap(), &id]);
        let container = Container { node: self, runtime, id: id.clone() };
        run(&["start", &id]);
        container
    }

    /// The hook's log.
    pub(crate) fn log(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.path("hook.log")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The last line of the hook's log.
    #[track_caller]
    pub(crate) fn last_log(&self) -> Value {
        self.log().pop().expect("the hook logged nothing")
    }
}

/// A running container.
pub(crate) struct Container<'a> {
    node: &'a Node,
    runtime: Runtime,
    pub(crate) id: String,
}

impl Container<'_> {
    /// Runs a shell command in the container.
    pub(crate) fn exec(&self, script: &str) -> Run {
        self.node.call(self.runtime, &["exec", &self.id, "sh", "-c", script])
    }

    pub(crate) fn pid(&self) -> i64 {
        let state = self.node.call(self.runtime, &["state", &self.id]).success();
        serde_json::from_str::<Value>(&state).unwrap()["pid"].as_i64().unwrap()
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        self.node.call(self.runtime, &["delete", "--force", &self.id]);
    }
}
