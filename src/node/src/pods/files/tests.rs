//! The files of pods: what comes, what goes, and what is left of a writer that is killed.

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};

use records::cluster_pod::{CLUSTER_POD_VERSION, ClusterPod};

use super::*;

fn key(name: &str) -> Key {
    ("ns".to_owned(), name.to_owned())
}

fn pod(name: &str, uid: &str, pod_ips: &[&str]) -> NodePod {
    let record = ClusterPod {
        version: CLUSTER_POD_VERSION,
        uid: uid.to_owned(),
        namespace: "ns".to_owned(),
        name: name.to_owned(),
        hostname: name.to_owned(),
        domain: String::new(),
        host_network: false,
        pod_ips: pod_ips.iter().map(|&ip| ip.to_owned()).collect(),
        host_aliases: Vec::new(),
    };
    NodePod { record, mirrors: None, has_ended: false }
}

fn mirror(name: &str, uid: &str, mirrors: &str) -> NodePod {
    NodePod { mirrors: Some(mirrors.to_owned()), ..pod(name, uid, &[]) }
}

/// The names in a directory, sorted, without `.json`.
fn names(dir: &Path) -> Vec<String> {
    let names = state_dir::names(dir).unwrap();
    names.into_iter().map(|name| name.trim_end_matches(".json").to_owned()).collect()
}

/// The name of the pod in the record of a uid, as the hook reads it.
fn named(dir: &Path, uid: &str) -> Option<String> {
    cluster_pod::read_in(dir, uid).unwrap().map(|pod| pod.name)
}

struct Given {
    dir: tempfile::TempDir,
    files: PodFiles,
}

impl Given {
    /// A directory with these files of an earlier run, and a new run.
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            state_dir::replace(&dir.path().join(name), text.as_bytes()).unwrap();
        }
        let files = PodFiles::new(dir.path().to_owned());
        Self { dir, files }
    }

    fn path(&self, uid: &str) -> PathBuf {
        self.dir.path().join(format!("{uid}.json"))
    }

    fn take(&mut self, name: &str, pod: Option<NodePod>) {
        self.files.take(key(name), pod);
    }

    #[track_caller]
    fn settled(&mut self) -> Vec<String> {
        self.files.settle().unwrap();
        names(self.dir.path())
    }
}

#[test]
fn pods_come_and_change_and_go() {
    let mut given = Given::new(&[]);
    given.files.listed();
    given.take("a", Some(pod("a", "u1", &[])));
    given.take("b", Some(pod("b", "u2", &[])));
    assert_eq!(given.settled(), ["u1", "u2"]);
    given.take("a", Some(pod("a", "u1", &["10.0.0.1"])));
    given.take("b", None);
    assert_eq!(given.settled(), ["u1"]);
    let found = cluster_pod::read_in(given.dir.path(), "u1").unwrap().unwrap();
    assert_eq!(found, pod("a", "u1", &["10.0.0.1"]).record);
    assert_eq!(given.path("u1").metadata().unwrap().mode() & 0o7777, 0o600);
    // Made anew under its name, as by a StatefulSet.
    given.take("a", Some(pod("a", "u3", &[])));
    assert_eq!(given.settled(), ["u3"]);
}

#[test]
fn files_of_pods_that_are_gone_go_after_the_first_list_and_nothing_else_does() {
    let old = String::from_utf8(pod("b", "u2", &[]).record.to_json().unwrap()).unwrap();
    let files =
        [("u2.json", &*old), ("u3.json", "{"), (".tmpAb12", "half"), ("README", "x"), (".x.json", "x")];
    let mut given = Given::new(&files);
    fs::create_dir(given.path("directory")).unwrap();
    symlink("README", given.path("link")).unwrap();
    given.take("a", Some(pod("a", "u1", &[])));
    given.take("c", Some(pod("c", "u3", &[])));
    given.take("c", None);
    assert_eq!(given.settled(), [".tmpAb12", ".x", "README", "directory", "link", "u1", "u2", "u3"]);
    given.files.listed();
    assert_eq!(given.settled(), [".x", "README", "directory", "link", "u1"]);
}

#[test]
fn a_restart_mends_what_is_wrong_and_leaves_what_is_right() {
    let good = String::from_utf8(pod("a", "u1", &[]).record.to_json().unwrap()).unwrap();
    let mut given =
        Given::new(&[("u1.json", &good), ("u2.json", "{"), ("u3.json", &good), ("u4.json", &good)]);
    fs::set_permissions(given.path("u4"), fs::Permissions::from_mode(0o666)).unwrap();
    symlink("u1.json", given.path("u5")).unwrap();
    let inode = |given: &Given| given.path("u1").metadata().unwrap().ino();
    let before = inode(&given);
    for n in 1..=5 {
        given.take(&format!("p{n}"), Some(pod("a", &format!("u{n}"), &[])));
    }
    given.files.listed();
    given.settled();
    assert_eq!(inode(&given), before);
    for uid in ["u1", "u2", "u3", "u4", "u5"] {
        assert_eq!(named(given.dir.path(), uid).as_deref(), Some("a"), "{uid}");
    }
    // Somebody has removed the directory, and the watch begins again.
    fs::remove_dir_all(given.dir.path()).unwrap();
    given.files.listed();
    assert_eq!(given.settled(), ["u1", "u2", "u3", "u4", "u5"]);
    given.files.remove_all().unwrap();
    assert!(!given.dir.path().exists());
}

/// Whoever may create Pods may annotate one as the mirror of any static pod, and of any other pod.
#[test]
fn a_pod_that_claims_the_uid_of_another_one_takes_no_record_from_it() {
    let mut given = Given::new(&[]);
    given.files.listed();
    given.take("etcd", Some(mirror("etcd", "u1", "hash")));
    given.take("web", Some(pod("web", "u2", &[])));
    assert_eq!(given.settled(), ["hash", "u1", "u2"]);
    assert_eq!(named(given.dir.path(), "hash").as_deref(), Some("etcd"));
    assert_eq!(given.files.problems(), []);

    given.take("a", Some(mirror("a", "u3", "u2")));
    given.take("b", Some(mirror("b", "u4", "../u5")));
    assert_eq!(given.settled(), ["hash", "u1", "u2", "u3", "u4"]);
    assert_eq!(named(given.dir.path(), "u2").as_deref(), Some("web"));
    given.take("c", Some(mirror("c", "u6", "hash")));
    given.settled();
    assert_eq!(named(given.dir.path(), "hash"), None);
    let texts: Vec<String> = given.files.problems().into_iter().map(|problem| problem.text).collect();
    assert!(texts[0].starts_with("the Pods ns/c, ns/etcd claim the same uid hash: "), "{texts:?}");
    assert!(texts[1].starts_with("the Pods ns/web, ns/a claim the same uid u2: "), "{texts:?}");
    for name in ["a", "b", "c"] {
        given.take(name, None);
    }
    assert_eq!(given.settled(), ["hash", "u1", "u2"]);
    assert_eq!(given.files.problems(), []);
}

#[test]
fn a_file_that_cannot_be_written_keeps_no_other_from_it() {
    let mut given = Given::new(&[]);
    given.files.listed();
    fs::create_dir_all(given.path("u1").join("x")).unwrap();
    given.take("a", Some(pod("a", "u1", &[])));
    given.take("b", Some(pod("b", "u2", &[])));
    let error = given.files.settle().unwrap_err().to_string();
    assert!(error.starts_with(&format!("cannot write {}: ", given.path("u1").display())), "{error}");
    assert_eq!(named(given.dir.path(), "u2").as_deref(), Some("b"));
    assert!(given.files.settle().is_err());
    fs::remove_dir_all(given.path("u1")).unwrap();
    assert_eq!(given.settled(), ["u1", "u2"]);
}

/// The directory of a test that is run by another one.
const DIR: &str = "PODHOSTS_TEST_DIR";

/// A command that runs a test of this program that is otherwise ignored, by itself, behind `program`.
fn alone(program: &[&str], test: &str, dir: &Path) -> Command {
    let own = std::env::current_exe().unwrap();
    let mut words = program.iter().map(std::ffi::OsStr::new).chain([own.as_os_str()]);
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"]).env(DIR, dir);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

fn dir_of_child() -> PathBuf {
    std::env::var_os(DIR).unwrap().into()
}

/// Says that a test is skipped if a program is missing, or the test does not run as root.
fn has(program: &str) -> bool {
    let is_there =
        Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success());
    let has = is_there && rustix::process::geteuid().is_root();
    if !has {
        let _ = writeln!(std::io::stderr(), "SKIP: {program} is missing, or not root");
    }
    has
}

/// Waits for a byte on stdin. std's own stdin would read more than that.
fn byte_of_stdin() {
    let mut byte = [0];
    assert_eq!(rustix::io::read(std::io::stdin(), &mut byte).unwrap(), 1);
}

/// A run after one that left files of pods that have changed, that are gone and that are still the same.
#[test]
#[ignore = "is run by another test"]
fn writes_until_it_is_killed() {
    let mut files = PodFiles::new(dir_of_child());
    println!("thread {}", fs::read_link("/proc/thread-self").unwrap().file_name().unwrap().display());
    byte_of_stdin();
    for (name, uid) in [("a", "u1"), ("b", "u2"), ("c", "u3")] {
        files.take(key(name), Some(pod(name, uid, &["10.0.0.1"])));
        files.settle().unwrap();
    }
    files.listed();
    files.settle().unwrap();
    byte_of_stdin();
}

fn earlier_run() -> Given {
    let old = |name: &str, uid: &str, ips: &[&str]| {
        (format!("{uid}.json"), String::from_utf8(pod(name, uid, ips).record.to_json().unwrap()).unwrap())
    };
    let files = [old("a", "u1", &[]), old("b", "u2", &["10.0.0.1"]), old("gone", "u9", &[])];
    Given::new(&files.each_ref().map(|(name, text)| (name.as_str(), text.as_str())))
}

/// The first line that has `word`, without what stands before it and the word.
fn line_with(word: &str, lines: &mut impl BufRead) -> String {
    let mut line = String::new();
    while lines.read_line(&mut line).unwrap() > 0 {
        if let Some((_, rest)) = line.split_once(word) {
            return rest.trim().to_owned();
        }
        line.clear();
    }
    panic!("no line has {word}");
}

/// Lets [`writes_until_it_is_killed`] write, its thread under strace with `options`; tells whether it came to its end.
fn writes_under_strace(dir: &Path, options: &[&str]) -> bool {
    let mut writer = alone(&[], "pods::files::tests::writes_until_it_is_killed", dir).spawn().unwrap();
    let mut said = BufReader::new(writer.stdout.take().unwrap());
    let thread = line_with("thread ", &mut said);
    let mut strace = Command::new("strace");
    strace.args(options).args(["-p", &thread]).stderr(Stdio::piped());
    let mut strace = strace.spawn().unwrap();
    let mut attached = BufReader::new(strace.stderr.take().unwrap());
    line_with("attached", &mut attached);
    // A writer that was killed by then reads no more.
    let _ = writer.stdin.take().unwrap().write_all(b"..");
    let ended = writer.wait_with_output().unwrap().status.success();
    strace.wait().unwrap();
    ended
}

/// The system calls of a trace, each with its number among those of its name.
fn boundaries(trace: &str) -> Vec<(String, usize)> {
    let mut counts = HashMap::<&str, usize>::new();
    let names = trace.lines().filter_map(|line| Some(line.split_once('(')?.0));
    // The first read is that of the byte, under way before strace is there.
    let written = names.skip(1).map(|name| {
        let count = counts.entry(name).or_default();
        *count += 1;
        (name.to_owned(), *count)
    });
    let written: Vec<_> =
        written.take_while(|(name, _)| !matches!(name.as_str(), "exit" | "futex")).collect();
    assert!(written.len() > 40, "{trace}");
    written
}

#[test]
fn a_writer_that_is_killed_at_any_system_call_leaves_whole_files() {
    if !has("strace") {
        return;
    }
    let watched = earlier_run();
    let trace = tempfile::NamedTempFile::new().unwrap();
    assert!(writes_under_strace(watched.dir.path(), &["-o", trace.path().to_str().unwrap()]));
    assert_eq!(names(watched.dir.path()), ["u1", "u2", "u3"]);
    let trace = fs::read_to_string(trace.path()).unwrap();
    let (boundaries, mut kills) = (boundaries(&trace), 0);
    for (name, count) in &boundaries {
        let given = earlier_run();
        let (only, inject) = (format!("trace={name}"), format!("inject={name}:signal=KILL:when={count}"));
        let ended = writes_under_strace(given.dir.path(), &["-o", "/dev/null", "-e", &only, "-e", &inject]);
        kills += usize::from(!ended);
        let left = names(given.dir.path());
        for uid in left.iter().filter(|name| !name.starts_with('.')) {
            let whole = cluster_pod::read_in(given.dir.path(), uid);
            assert!(whole.is_ok_and(|pod| pod.is_some()), "{uid} after {name} {count}: {left:?}");
        }
        assert!(
            left.contains(&"u1".to_owned()) && left.contains(&"u2".to_owned()),
            "{name} {count}: {left:?}"
        );
        // The next run, which nobody kills.
        let mut next =
            alone(&[], "pods::files::tests::writes_until_it_is_killed", given.dir.path()).spawn().unwrap();
        next.stdin.take().unwrap().write_all(b"..").unwrap();
        assert!(next.wait_with_output().unwrap().status.success());
        assert_eq!(names(given.dir.path()), ["u1", "u2", "u3"], "after {name} {count}");
    }
    assert!(kills > 40 && kills * 10 > boundaries.len() * 9, "{kills} of {boundaries:?}");
}

#[test]
#[ignore = "is run by another test"]
fn writes_to_a_disk_that_is_full() {
    let dir = dir_of_child();
    let mut files = PodFiles::new(dir.clone());
    files.take(key("a"), Some(pod("a", "u1", &[])));
    files.settle().unwrap();
    let fills = dir.join("fills");
    let error = fs::write(&fills, vec![0; 1 << 20]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::StorageFull);
    files.take(key("a"), Some(pod("a", "u1", &["10.0.0.1"])));
    files.take(key("b"), Some(pod("b", "u2", &[])));
    files.listed();
    let error = files.settle().unwrap_err().to_string();
    assert!(error.contains("u1.json: No space left on device"), "{error}");
    assert_eq!(names(&dir), ["fills", "u1"]);
    assert_eq!(cluster_pod::read_in(&dir, "u1").unwrap().unwrap(), pod("a", "u1", &[]).record);
    fs::remove_file(fills).unwrap();
    files.settle().unwrap();
    assert_eq!(names(&dir), ["u1", "u2"]);
    assert_eq!(cluster_pod::read_in(&dir, "u1").unwrap().unwrap(), pod("a", "u1", &["10.0.0.1"]).record);
}

#[test]
fn a_full_disk_is_told_and_written_to_once_it_has_space() {
    if !has("unshare") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let mount = "mount -t tmpfs -o size=16k tmpfs \"$PODHOSTS_TEST_DIR\" && exec \"$@\"";
    let inside = ["unshare", "-m", "--propagation", "private", "sh", "-c", mount, "sh"];
    let output =
        alone(&inside, "pods::files::tests::writes_to_a_disk_that_is_full", dir.path()).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"), "{output:?}");
}
