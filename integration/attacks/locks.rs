//! A container that sees the node's /run or /var/log, read-only, and keeps locks there: a denial of service of the class
//! of a log or socket that is shared with containers. Nothing waits for it without an end, and what is in its way is named.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::thread;

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, error_of, routed};
use crate::harness::{Bundle, Node, Run, Runtime, bin, needs};

/// In a mount namespace of its own, where the directory is read-only, takes a lock of that kind on each file for as long as
/// it lives.
const HOLD: &str = r#"
mount --bind "$1" "$1"
mount -o remount,bind,ro "$1"
shift
exec python3 -c '
import fcntl, os, signal, sys
signal.signal(signal.SIGIO, signal.SIG_IGN)
files = []
for path in sys.argv[2:]:
    file = os.open(path, os.O_RDONLY)
    files.append(file)
    if sys.argv[1] == "flock":
        fcntl.flock(file, fcntl.LOCK_EX)
    elif sys.argv[1] == "posix":
        fcntl.lockf(file, fcntl.LOCK_SH)
    else:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_RDLCK)
    try:
        os.open(path, os.O_RDWR | os.O_NONBLOCK)
        sys.exit("it is writable")
    except OSError as error:
        if error.errno != 30:
            raise
print("ready", flush=True)
signal.pause()' "$@"
"#;

/// Who holds locks; they are free when the value goes.
struct Holder(Child);

impl Holder {
    /// Lets a command, whose next arguments are a program's, hold a lock on each of the files in `dir`.
    fn start(mut command: Command, dir: &str, kind: &str, files: &[&str]) -> Self {
        command.args(["-m", "--propagation", "private", "sh", "-ec", HOLD, "sh", dir, kind]).args(files);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = [0; 6];
        child.stdout.as_mut().unwrap().read_exact(&mut ready).unwrap();
        Self(child)
    }

    /// One that sees a node's /run.
    fn on(node: &CniNode, kind: &str, files: &[&str]) -> Self {
        Self::start(node.command("unshare", &[]), "/run", kind, files)
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A call of the plugin, which is ended when it waits for long.
fn call(node: &CniNode, command: &str, container: &str, config: &Value) -> Run {
    let call = Call::new(command, container, config);
    let mut command = node.plugin_command(Path::new("timeout"), &call);
    command.arg("40").arg(bin("podhosts-cni"));
    let run = node.pipe(command, config.to_string().as_bytes());
    assert_ne!(run.code, Some(124), "it still waited after 40 s");
    run
}

fn masquerading() -> Value {
    let mut config = routed();
    config["ipMasq"] = true.into();
    config["cniVersion"] = "1.1.0".into();
    config
}

/// Has somebody keep `file` with a lock of that kind from `command`, which has to end with an error that can be tried again
/// and that names him, and to change nothing; later it succeeds.
fn kept(command: &str, kind: &str, verb: &str, file: &str) {
    let node = CniNode::new();
    let config = masquerading();
    ["c1", "c2"].iter().for_each(|pod| node.pod(pod));
    node.add("c1", &config);
    let mut wanted = config.clone();
    if command == "GC" {
        wanted["cni.dev/valid-attachments"] = json!([]);
    }
    let container = match command {
        "ADD" => "c2",
        "DEL" => "c1",
        _ => "",
    };
    let before = node.traces();
    let holder = Holder::on(&node, kind, &[file]);
    let (code, text) = error_of(&call(&node, command, container, &wanted));
    assert_eq!(code, 11, "{text}");
    let expected = format!("cannot {verb} {file} within 20 s: held by process {} (python3)", holder.0.id());
    assert!(text.contains(&expected), "{text}");
    if command == "ADD" {
        assert_eq!(node.traces(), before);
        assert!(!node.pod_state("c2").contains("eth0"));
    }
    drop(holder);
    let run = call(&node, command, container, &wanted);
    assert!(run.ok, "{command}: {run:?}");
}

/// `flock` needs no right to write. ADD, DEL and GC waited for ever.
#[test]
fn a_reader_of_run_keeps_the_locks_of_the_network() {
    needs!("ip", "nft", "python3", "timeout", "unshare");
    let (net, rules) = ("/run/podhosts/networks/net", "/run/podhosts/nftables.lock".to_owned());
    let (gc, book) = (format!("{net}/gc.lock"), format!("{net}/lock"));
    thread::scope(|scope| {
        for command in ["ADD", "DEL", "GC"] {
            for file in [&gc, &book, &rules] {
                scope.spawn(move || kept(command, "flock", "lock", file));
            }
        }
    });
}

/// A lease (`F_SETLEASE`) has whoever opens the file wait for 45 s, each time.
#[test]
fn a_reader_of_run_takes_leases_on_the_networks_files() {
    needs!("ip", "nft", "python3", "timeout", "unshare");
    let net = "/run/podhosts/networks/net";
    thread::scope(|scope| {
        for file in ["gc.lock", "lock", "leases.db", "leases.db-journal"] {
            scope.spawn(move || kept("ADD", "lease", "open", &format!("{net}/{file}")));
        }
    });
}

/// SQLite's own locks can be held by who can only read its files: "database is locked", after 5 s.
#[test]
fn a_reader_of_run_keeps_sqlites_locks() {
    needs!("ip", "nft", "python3", "timeout", "unshare");
    let node = CniNode::new();
    let config = masquerading();
    ["c1", "c2"].iter().for_each(|pod| node.pod(pod));
    node.add("c1", &config);
    let net = "/run/podhosts/networks/net";
    let files = ["leases.db", "leases.db-journal"].map(|file| format!("{net}/{file}"));
    let _holder = Holder::on(&node, "posix", &[&files[0], &files[1]]);
    assert!(call(&node, "ADD", "c2", &config).ok);
    assert!(call(&node, "DEL", "c1", &config).ok);
}

/// The hook waited for ever to rotate its log, and no container started on the node any more.
#[test]
fn a_reader_of_var_log_keeps_the_hooks_log() {
    needs!("runc", "busybox", "python3", "timeout", "unshare");
    let node = Node::new();
    let log = node.path("hook.log");
    let log = log.to_str().unwrap();
    let bytes = 1500;
    node.write("etc/podhosts/config.toml", &format!("[log]\nfile = {log:?}\nmax-bytes = {bytes}\n"));
    let bundle = Bundle::new(&node, "true").containerd().annotate("podhosts.io/pod-ips", "10.0.0.1");
    let bundle = bundle.hook(&[]).write();
    let bundle = bundle.to_str().unwrap();
    let start = |name: usize| {
        let (root, id) = (node.root(), node.id(&name.to_string()));
        let runc = Runtime::Runc.name();
        let args = ["40", runc, "--root", &root, "run", "--bundle", bundle, &id];
        node.run("timeout", &args)
    };
    let size = |name: &str| std::fs::metadata(node.path(name)).map_or(0, |log| log.len());
    start(0).success();
    let dir = Path::new(log).parent().unwrap().to_str().unwrap();
    let _holder = Holder::start(Command::new("unshare"), dir, "flock", &[log]);
    let line = size("hook.log");
    let most = 2 * bytes + line + 10;
    // It grows past its size, as long as nobody moves it aside, and no further than twice that.
    let starts = usize::try_from(3 * bytes / line).unwrap();
    for name in 1..=starts {
        start(name).success();
        assert!(size("hook.log") <= most && size("hook.log.1") <= most);
    }
    assert!(size("hook.log.1") > bytes && size("hook.log") > 0);
    let text = std::fs::read_to_string(node.path("hook.log.1")).unwrap()
        + &std::fs::read_to_string(node.path("hook.log")).unwrap();
    assert_eq!(text.lines().count(), starts + 1);
}
