//! kill -9 at every system call of the wrapper: config.json is the old or the new one, never a torn one.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use crate::harness::{Bundle, Node, Run, bin, needs};

/// Runs the wrapper on `bundle` under strace with `options`.
fn traced(node: &Node, bundle: &Path, options: &[&str]) -> Run {
    let wrapper = bin("podhosts-runtime");
    let command = [wrapper.to_str().unwrap(), "create", "-b", bundle.to_str().unwrap(), "c"];
    node.run("strace", &[options, &command].concat())
}

/// The wrapper's calls from its start to its becoming the runtime: each name, and its count so far.
fn calls(trace: &str) -> Vec<(String, usize)> {
    let mut counts: HashMap<&str, usize> = HashMap::new();
    let names = trace.lines().filter_map(|line| line.split_once('(')).map(|(name, _)| name);
    let numbered = names.map(|name| {
        let count = counts.entry(name).or_default();
        *count += 1;
        (name.to_owned(), *count)
    });
    numbered.collect()
}

#[test]
fn config_json_is_never_torn() {
    needs!("busybox", "strace");
    let node = Node::with_config("[runtime]\nruntimes = [\"/bin/true\"]\n");
    let bundle = Bundle::new(&node, "true").containerd();
    let dir = bundle.write();
    let file = dir.join("config.json");
    let old = fs::read(&file).unwrap();
    let trace = node.path("trace");
    traced(&node, &dir, &["-o", trace.to_str().unwrap()]).success();
    let new = fs::read(&file).unwrap();
    assert_ne!(old, new);

    let text = fs::read_to_string(&trace).unwrap();
    // What comes after the second execve is /bin/true's.
    let end = text.match_indices("execve(").nth(1).unwrap().0;
    let calls = calls(&text[..end]);
    let (mut kept, mut replaced) = (0, 0);
    for (name, count) in &calls[1..] {
        fs::write(&file, &old).unwrap();
        let inject = format!("inject={name}:signal=KILL:when={count}");
        let run = traced(&node, &dir, &["-o", "/dev/null", "-e", &inject]);
        assert!(!run.ok, "it was not killed at {name} {count}");
        let now = fs::read(&file).unwrap();
        assert!(now == old || now == new, "torn when killed at {name} {count}");
        *(if now == old { &mut kept } else { &mut replaced }) += 1;
        for entry in fs::read_dir(&dir).unwrap() {
            // What a killed wrapper leaves in the bundle goes with the bundle.
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.starts_with(".config.json.") {
                fs::remove_file(dir.join(name)).unwrap();
            }
        }
    }
    assert!(
        kept > 20 && replaced > 0,
        "killed {kept} times before and {replaced} times after the replacement"
    );
}
