//! One of the targets, named by `FUZZ_TARGET`, under libFuzzer.

#![no_main]
#![allow(clippy::panic, reason = "a target tells by a panic what it found")]

mod targets;

use std::sync::LazyLock;

use targets::{ALL, Target};

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    ALL.iter().find(|target| target.name == wanted).unwrap_or_else(|| {
        let names: Vec<&str> = ALL.iter().map(|target| target.name).collect();
        panic!("FUZZ_TARGET is {wanted:?}, expected one of: {}", names.join(" "))
    })
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| (TARGET.run)(data));
