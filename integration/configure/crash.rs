//! kill -9 at every system call of `podhosts configure` that changes something: the next call knows the way back.

use std::collections::HashMap;
use std::fs;

use crate::configure::files::CRIO;
use crate::harness::etc::Etc;
use crate::harness::{Run, bin, needs};

/// Those that change files; what is behind one of them is killed, too, at the next.
const CHANGES: [&str; 12] = [
    "mkdir", "mkdirat", "openat", "write", "fchmod", "fchown", "fsync", "linkat", "rename", "renameat",
    "unlink", "unlinkat",
];

fn traced(node: &Etc, options: &[&str], args: &[&str]) -> Run {
    let podhosts = bin("podhosts").display().to_string();
    let args = [options, &[podhosts.as_str()], args].concat();
    node.command("strace".as_ref(), &args).output().unwrap().into()
}

/// The system calls of a command that change something, by name and count.
fn changes(node: &Etc, args: &[&str]) -> Vec<(String, usize)> {
    let trace = node.at("/trace");
    traced(node, &["-o", trace.to_str().unwrap()], args).success();
    let mut counts: HashMap<String, usize> = HashMap::new();
    let (mut found, mut has_begun) = (Vec::new(), false);
    for line in fs::read_to_string(&trace).unwrap().lines() {
        let Some((name, _)) = line.split_once('(') else { continue };
        let count = counts.entry(name.to_owned()).or_default();
        *count += 1;
        // Before it has the lock nothing of it has happened.
        has_begun |= line.contains("configure.lock");
        // How many processes are looked at differs from call to call.
        let only_reads = name == "openat" && ["O_RDONLY", "O_PATH"].iter().any(|flag| line.contains(flag));
        if has_begun && CHANGES.contains(&name) && !only_reads {
            found.push((name.to_owned(), *count));
        }
    }
    fs::remove_file(&trace).unwrap();
    found
}

#[test]
fn whenever_it_is_killed_the_way_back_is_known() {
    needs!("strace");
    let node = Etc::new();
    node.write("/etc/crio/crio.conf.d/10-crio.conf", CRIO);
    // A file of the administrator's own that ours takes the place of, for a while.
    node.write(
        "/etc/crio/crio.conf.d/99-podhosts.conf",
        "[crio.runtime]\nhooks_dir = [\"/etc/mine\"] # mine\n",
    );
    let before = node.tree();
    let configure = ["configure", "--runtime", "crio"];
    let unconfigure = ["unconfigure", "--runtime", "crio"];
    let of_configure = changes(&node, &configure);
    let configured = node.tree();
    let of_unconfigure = changes(&node, &unconfigure);
    assert_eq!(node.tree(), before);
    assert!(of_configure.len() > 20 && of_unconfigure.len() > 10, "{of_configure:?} {of_unconfigure:?}");
    let kill = |(name, count): &(String, usize), args: &[&str]| {
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let run = traced(&node, &["-o", "/dev/null", "-e", &inject], args);
        assert!(!run.ok, "it was not killed at {name} {count}");
    };
    for at in &of_configure {
        kill(at, &configure);
        node.unconfigure("crio");
        assert_eq!(node.tree(), before, "configure was killed at {at:?}");
    }
    for at in &of_configure {
        kill(at, &configure);
        node.configure(&["crio"]);
        assert_eq!(node.tree(), configured, "configure was killed at {at:?}");
        node.unconfigure("crio");
    }
    for at in &of_unconfigure {
        node.configure(&["crio"]);
        kill(at, &unconfigure);
        node.unconfigure("crio");
        assert_eq!(node.tree(), before, "unconfigure was killed at {at:?}");
    }
}
