//! The small print: versions, help, and what is not there yet.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, bin};

fn run(program: &str, args: &[&str], env: &[(&str, &str)]) -> Run {
    let mut command = Command::new(bin(program));
    command.args(args).env_clear().envs(env.iter().copied());
    command.output().unwrap().into()
}

#[test]
fn versions_and_help() {
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(run("podhosts", &["--version"], &[]).success(), format!("podhosts {version}\n"));
    assert_eq!(run("podhosts-hook", &["--version"], &[]).success(), format!("podhosts-hook {version}\n"));
    assert!(run("podhosts-hook", &["--help"], &[]).success().contains("exit codes:"));
    for verb in ["render", "inspect"] {
        assert!(run("podhosts", &[verb, "--help"], &[]).success().contains("Usage: podhosts"), "{verb}");
    }
    assert_eq!(run("podhosts", &[], &[]).code, Some(2));
    assert_eq!(run("podhosts-hook", &["--nonsense"], &[]).code, Some(2));
}

#[test]
fn cni_answers_version() {
    let version = run("podhosts-cni", &[], &[("CNI_COMMAND", "VERSION")]).success();
    let version: Value = serde_json::from_str(&version).unwrap();
    assert_eq!(version["cniVersion"], "1.1.0");
    let add = run("podhosts-cni", &[], &[("CNI_COMMAND", "ADD")]);
    assert!(!add.ok);
    assert_eq!(serde_json::from_str::<Value>(&add.stdout).unwrap()["code"], 4);
    let about = run("podhosts-cni", &[], &[]);
    assert!(about.ok && about.stdout.is_empty() && about.stderr.contains("CNI"));
}
