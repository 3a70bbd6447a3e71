//! The same programs of an earlier build as the peer: `make bench BEFORE=DIR` names the directory that they are in, so
//! that a change shows what it costs.

use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::harness::bin;
use super::harness::serve::Server;
use super::serve::{Client, encrypted, free_port, plain, service};
use super::{Prepared, RUNS, create, print_row};

/// Creates of a batch, and batches of each side. A server may have something to do after its answer, which is to be part of
/// its own time and not of the other's.
const CREATES: u32 = 20;
const BATCHES: u32 = 100;
/// Services with which the memory is measured.
const SERVICES: u32 = 10_000;

/// A program of the earlier build, where one is named.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let dir = std::env::var_os("PODHOSTS_BEFORE_BIN_DIR").filter(|dir| !dir.is_empty())?;
    Some(Path::new(&dir).join(name))
}

/// Both from fork to exit.
pub(super) fn hook_and_wrapper(dir: &Path) {
    if let Some(before) = program("podhosts-hook") {
        hook(dir, &before);
    }
    if let Some(before) = program("podhosts-runtime") {
        wrapper(dir, &before);
    }
}

fn hook(dir: &Path, before: &Path) {
    let (mut ours, mut earlier) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        // A container each: a seal that is there already would be detached first.
        for (times, program) in [(&mut ours, bin("podhosts-hook").as_path()), (&mut earlier, before)] {
            let container = Prepared::new(dir);
            times.push(container.hook(program));
            container.assert_sealed();
        }
    }
    print_row("hook (peer: the build before)", &ours, &earlier);
}

fn wrapper(dir: &Path, before: &Path) {
    let bundle = dir.join("wrapped");
    let path = bundle.join("config.json");
    let config = fs::read(&path).unwrap();
    let (mut ours, mut earlier) = (Vec::new(), Vec::new());
    for _ in 0..RUNS {
        for (times, program) in [(&mut ours, bin("podhosts-runtime").as_path()), (&mut earlier, before)] {
            fs::write(&path, &config).unwrap();
            times.push(create(program, &bundle));
        }
    }
    fs::write(&path, &config).unwrap();
    print_row("wrapper, adding the hook (peer: the build before)", &ours, &earlier);
}

/// Services that both API servers create, side by side, and what memory they take.
pub(super) fn creates() {
    let Some(before) = program("podhosts-cni") else { return };
    let selectorless = |name: &str| {
        json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "labels": {"app": name}},
            "spec": {"ports": [{"name": "http", "port": 80}]}})
        .to_string()
    };
    created(&before, ", no selector", selectorless);
    created(&before, "", service);
}

/// The rows of one form of Service, on servers of their own.
fn created(before: &Path, form: &str, object: impl Fn(&str) -> String) {
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let ports = [free_port(), free_port()];
    // Flags that each build knows.
    let start = |program: &Path, name: &str, port: u16, flags: &[&str]| {
        let dir = dir.path().join(name);
        fs::create_dir(&dir).unwrap();
        let mut command = Command::new(program);
        command.args(["serve", "--secure-port=0", "--node-name=node1"]).args(flags);
        command.arg(format!("--insecure-port={port}"));
        Server::start_as_told(command, &dir)
    };
    let ours = start(&bin("podhosts-cni"), "ours", ports[0], &["--proxy=none", "--cri-endpoint=none"]);
    let earlier = start(before, "before", ports[1], &[]);
    batches(&format!("create{form}, plain HTTP"), "a", ports.map(plain), &object);
    batches(&format!("create{form}, TLS"), "b", [encrypted(&ours), encrypted(&earlier)], &object);
    for mut client in ports.map(plain) {
        (2 * BATCHES * CREATES..SERVICES).for_each(|number| {
            client.create_object(&object(&format!("c{number}")));
        });
    }
    // The one has something to do after its last answer.
    std::thread::sleep(Duration::from_secs(1));
    let [own, peer] = [&ours, &earlier].map(Server::memory);
    let title = format!("resident memory, {SERVICES} Services{form} (peer: the build before)");
    println!("{title:<64} {own:>6} KiB {peer:>6} KiB {:>6.2}x", own as f64 / peer as f64);
}

/// Batches of both sides in turn; each time is the mean of a batch.
fn batches<S: Read + Write>(
    title: &str,
    prefix: &str,
    mut clients: [Client<S>; 2],
    object: impl Fn(&str) -> String,
) {
    let mut times = [Vec::new(), Vec::new()];
    for batch in 0..BATCHES {
        // The one is not always the one after the other.
        for side in [batch % 2, (batch + 1) % 2].map(|side| side as usize) {
            let create = |number| clients[side].create_object(&object(&format!("{prefix}{batch}-{number}")));
            times[side].push((0..CREATES).map(create).sum::<Duration>() / CREATES);
        }
    }
    let [ours, earlier] = &times;
    print_row(&format!("{title} (peer: the build before)"), ours, earlier);
}
