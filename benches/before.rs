//! The same programs of an earlier build as the peer: `make bench BEFORE=DIR` names the directory that they are in, so
//! that a change shows what it costs.

use std::fs;
use std::path::{Path, PathBuf};

use super::harness::bin;
use super::{Prepared, RUNS, create, print_row};

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
