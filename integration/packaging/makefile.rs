//! The Makefile, as make reads it.

use std::process::Command;

use crate::harness::{needs, repository};

/// A name that is defined nowhere is empty: a list of packages would install nothing, and say nothing.
#[test]
fn every_variable_is_defined() {
    needs!("make");
    let text = std::fs::read_to_string(repository().join("Makefile")).unwrap();
    let text = text.replace("\\\n", " ");
    let targets = text.lines().find_map(|line| line.strip_prefix(".PHONY:")).unwrap();
    assert!(targets.contains("need-image"), "{targets}");
    let mut make = Command::new("make");
    make.args(["-n", "--warn-undefined-variables", "-C", repository().to_str().unwrap()]);
    make.args(targets.split_whitespace()).env_remove("MAKEFLAGS").env_remove("MAKELEVEL");
    let output = make.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    let undefined: Vec<&str> = said.lines().filter(|line| line.contains("undefined variable")).collect();
    assert_eq!(undefined, [""; 0]);
}
