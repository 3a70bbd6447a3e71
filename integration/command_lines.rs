//! The small print: versions, help, and what is not there yet.

use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, Run, bin, needs};

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
}

#[test]
fn a_wrong_command_line_of_the_hook_is_logged() {
    needs!("busybox");
    let node = Node::new();
    let script =
        format!("{} --nonsense; echo $?; cat /var/log/podhosts/hook.log", bin("podhosts-hook").display());
    let run = node.run("sh", &["-c", &script]);
    let expected = "cannot read the hook's command line: unknown option \"--nonsense\", see --help";
    assert_eq!(run.stderr, format!("podhosts-hook: {expected}\n"));
    let (code, entry) = run.stdout.split_once('\n').unwrap();
    assert_eq!(code, "2");
    assert_eq!(serde_json::from_str::<Value>(entry).unwrap()["reason"], expected);
}

/// The name of the next test, which runs itself.
const PANICS: &str = "command_lines::a_panic_is_one_line_and_exit_code_70";

#[test]
fn a_panic_is_one_line_and_exit_code_70() {
    if std::env::var_os("PODHOSTS_TEST_PANIC").is_some() {
        podhosts::report::panics_become_errors("podhosts-test");
        panic!("on\npurpose");
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", PANICS, "--nocapture"]).env("PODHOSTS_TEST_PANIC", "1");
    let run = Run::from(command.output().unwrap());
    assert_eq!(run.code, Some(70), "{run:?}");
    let line = run.stderr.lines().find(|line| line.starts_with("podhosts-test: internal error: ")).unwrap();
    assert!(line.contains("on purpose"), "{line}");
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
