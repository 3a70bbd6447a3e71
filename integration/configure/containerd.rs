//! Layouts of containerd's configuration as administrators have them, judged by `containerd config dump` of both releases
//! before and after `configure` and `unconfigure`.

mod judge;
mod layouts;
mod real;

use std::path::Path;

use podhosts::engines::containerd::Containerd;
use podhosts::engines::files::Files;

use crate::harness::etc::Etc;
use crate::harness::{needs, newer_engines};
use judge::{Release, Way};
use layouts::{Layout, layouts};

/// `configure` in one layout under one containerd: what is somebody else's stays, ours is loaded or a refusal says
/// `wanted`, and the way back is exact.
fn check(layout: &Layout, release: &Release, args: &[&str], wanted: &str) -> Result<(), String> {
    let node = layout.node(release);
    let tree = node.tree();
    let seen = judge::there_and_back(&node, &[release], &way(release.path(), args), "/none");
    // A way back after which there is no default handler is refused, too.
    let is_kept =
        seen.refusal.as_ref().is_some_and(|refusal| refusal.contains("there is no such handler then"));
    if node.tree() != tree && !is_kept {
        return Err(format!("not as before: {:#?}", node.tree()));
    }
    match (&seen.refusal, wanted) {
        (Some(refusal), "") => Err(refusal.clone()),
        (Some(refusal), wanted) if refusal.contains(wanted) => Ok(()),
        (Some(refusal), wanted) => Err(format!("expected {wanted}: {refusal}")),
        (None, "") => seen.is_right(0, args),
        (None, wanted) => Err(format!("done, expected {wanted}")),
    }
}

/// A node with containerd 1.6.
pub(crate) fn oldest() -> Etc {
    let mut node = Etc::new();
    Release::bookworm().install(&mut node);
    node
}

/// A node with containerd 2.1; where that is not here, its PATH is empty.
pub(crate) fn newest() -> Etc {
    let mut node = Etc::new();
    node.path.clear();
    if let Some(root) = newer_engines() {
        Release::sid(&root).install(&mut node);
    }
    node
}

fn way<'a>(path: &'a str, args: &'a [&'a str]) -> Way<'a> {
    Way { engine: "containerd", config: "/etc/containerd/config.toml", path, args }
}

/// All layouts under one containerd.
fn check_all(release: &Release) {
    let mut faults = Vec::new();
    for layout in layouts() {
        for (args, wanted) in [&[][..], DEFAULT].into_iter().zip(layout.wanted(release)) {
            if let Err(fault) = check(&layout, release, args, wanted) {
                faults.push(format!("{}, {}, {args:?}: {fault}", release.name, layout.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

const DEFAULT: &[&str] = &["--set-as-default"];

#[test]
fn every_layout_stays_what_it_is_under_containerd_1_6() {
    needs!("containerd");
    check_all(&Release::bookworm());
}

#[test]
fn every_layout_stays_what_it_is_under_containerd_2_1() {
    let Some(root) = newer_engines() else { return };
    check_all(&Release::sid(&root));
}

/// Our reader has the handlers, the default and the CNI directories that containerd prints.
#[test]
fn our_reader_agrees_with_containerd() {
    needs!("containerd");
    let main = Path::new("/etc/containerd/config.toml");
    let mut faults = Vec::new();
    for release in releases() {
        for layout in layouts() {
            let mut files = Files::new();
            for (path, text) in &layout.files {
                files.put(&Path::new("/etc/containerd").join(path), text.clone());
            }
            let Ok(read) = Containerd::read(&files, main, Some(release.version)) else { continue };
            let Ok(dump) = release.dump(&layout.node(&release)) else { continue };
            let dumped = read.as_dumped(dump);
            let seen = |config: &Containerd| {
                let mut handlers = config.handlers().unwrap();
                handlers.sort_by(|a, b| a.name.cmp(&b.name));
                (handlers, config.default_handler().unwrap(), config.cni_conf_dir().unwrap())
            };
            if seen(&read) != seen(&dumped) {
                let (ours, theirs) = (seen(&read), seen(&dumped));
                faults.push(format!("{}, {}: {ours:?}\n{theirs:?}", release.name, layout.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn releases() -> Vec<Release> {
    let mut releases = vec![Release::bookworm()];
    releases.extend(newer_engines().map(|root| Release::sid(&root)));
    releases
}

/// What means one thing to one release and another to the next.
const UNCLEAR: [&str; 4] = [
    "version 2 with a section of version 3",
    "2 imports nvidia without a version, names of 3",
    "2 imports another plugin of 3",
    "2 imports a file of 3 with nothing",
];

/// Where no containerd can be asked, what is done is right under each that reads the files, and what is refused would be
/// refused under one of them.
#[test]
fn without_containerd_what_is_done_is_right_for_all() {
    needs!("containerd");
    let Some(root) = newer_engines() else { return };
    let releases = [Release::bookworm(), Release::sid(&root)];
    let mut faults = Vec::new();
    for layout in layouts() {
        let mut node = layout.node(&releases[0]);
        node.path = "/usr/sbin:/usr/bin:/sbin:/bin".to_owned();
        let tree = node.tree();
        let seen =
            judge::there_and_back(&node, &[&releases[0], &releases[1]], &way("/nowhere", &[]), "/none");
        let is_unclear = UNCLEAR.contains(&layout.name);
        let is_refused = is_unclear || releases.iter().any(|release| !layout.wanted(release)[0].is_empty());
        let judges = if layout.has_version_3() { 1..2 } else { 0..2 };
        let fault = match &seen.refusal {
            _ if node.tree() != tree => Err("not as before".to_owned()),
            Some(_) if is_refused => Ok(()),
            Some(refusal) => Err(refusal.clone()),
            None => {
                judges.filter(|judge| seen.could_read(*judge)).try_for_each(|judge| seen.is_right(judge, &[]))
            }
        };
        faults.extend(fault.err().map(|fault| format!("{}: {fault}", layout.name)));
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}
