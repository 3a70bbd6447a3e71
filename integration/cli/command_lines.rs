//! The small print: versions, help, and what is not there yet.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Node, Run, bin, needs, repository};

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

/// The servers' flags have unit tests.
#[test]
fn flags_with_several_values_take_commas_and_repetitions() {
    let manifest = repository().join("examples/hostaliases-pod.yaml");
    let render = ["render", "-f", manifest.to_str().unwrap()];
    let (dir, own) = (tempfile::tempdir().unwrap(), bin("podhosts-cni"));
    let config = format!("--config={}", dir.path().join("config.toml").display());
    let plugins = own.parent().unwrap().display();
    let text = format!("version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = \"{plugins}\"\n");
    fs::write(dir.path().join("config.toml"), text).unwrap();
    let configure = ["configure", "--runtime=containerd", "--dry-run", "--with-cni", &config];
    for (command, flag, values) in [
        (&render[..], "--pod-ip", ["10.244.0.5", "fd00::5"]),
        (&configure, "--pod-cidr", ["10.244.0.0/24", "fd00:10:244::/64"]),
    ] {
        let repeated =
            run("podhosts", &[command, &[flag, values[0], flag, values[1]]].concat(), &[]).success();
        assert!(values.iter().all(|value| repeated.contains(value)), "{repeated}");
        for listed in [vec![format!("{flag}={}", values.join(","))], vec![flag.to_owned(), values.join(",")]]
        {
            let listed: Vec<&str> = listed.iter().map(String::as_str).collect();
            assert_eq!(run("podhosts", &[command, &listed].concat(), &[]).success(), repeated);
        }
        for wrong in [format!("{},", values[0]), format!(",{}", values[0]), String::new()] {
            let refused = run("podhosts", &[command, &[flag, &wrong]].concat(), &[]);
            assert!(!refused.ok && refused.stderr.lines().count() == 1, "{wrong:?}: {refused:?}");
        }
    }
}

#[test]
fn the_api_server_is_a_program_of_its_own() {
    let version = format!("podhosts-apiserver {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run("podhosts-apiserver", &["--version"], &[]).success(), version);
    let help = run("podhosts-apiserver", &["--help"], &[]).success();
    assert!(
        help.contains("Usage: podhosts-apiserver [OPTIONS]\n       podhosts-apiserver <COMMAND>\n"),
        "{help}"
    );
    let serve = run("podhosts-apiserver", &["serve", "--help"], &[]).success();
    let mut flags = options(&help);
    assert!(flags.remove("--version"));
    assert_eq!(flags, options(&serve));
    for command in ["serve", "backup", "restore"] {
        assert!(help.contains(&format!("\n  {command} ")), "{help}");
        let through_the_plugin = run("podhosts-cni", &[command, "--help"], &[]).success();
        assert!(
            through_the_plugin.contains(&format!("Usage: podhosts-apiserver {command} ")),
            "{through_the_plugin}"
        );
    }
    for (args, env, expected) in [
        (&["--secure-port=x"][..], &[][..], "error: invalid value 'x' for '--secure-port <PORT>'"),
        (&["backup"], &[], "error: the following required arguments were not provided:"),
        (&["--node-name=-"], &[], "podhosts-apiserver: cannot use --node-name \"-\": expected a DNS name"),
        (
            &[],
            &[("RUST_LOG", "podhosts=loud")],
            "podhosts-apiserver: cannot use RUST_LOG \"podhosts=loud\": ",
        ),
    ] {
        let run = run("podhosts-apiserver", args, env);
        assert!(run.code == Some(2) && run.stderr.starts_with(expected), "{args:?}: {run:?}");
    }
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
const PANICS: &str = "cli::command_lines::a_panic_is_one_line_and_exit_code_70";

#[test]
fn a_panic_is_one_line_and_exit_code_70() {
    if std::env::var_os("PODHOSTS_TEST_PANIC").is_some() {
        sys::report::panics_become_errors("podhosts-test");
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

/// The options in a text for people.
fn options(help: &str) -> BTreeSet<String> {
    let words = help.split(|c: char| !(c.is_ascii_lowercase() || c == '-'));
    words.filter(|word| word.len() > 2 && word.starts_with("--")).map(str::to_owned).collect()
}

/// The keys that a node's configuration can have, as the hook tells whoever gets one wrong.
fn keys(section: &str) -> Vec<String> {
    let text = if section.is_empty() { "x = 1".to_owned() } else { format!("[{section}]\nx = 1") };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("config.toml");
    std::fs::write(&path, text).unwrap();
    let hook = run("podhosts-hook", &["--config", path.to_str().unwrap()], &[]);
    let told = hook.stderr.rsplit_once("expected ").unwrap().1.to_owned();
    told.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

#[test]
fn every_setting_is_in_the_reference() {
    let reference = std::fs::read_to_string(crate::harness::repository().join("docs/reference.md")).unwrap();
    let of = |owner: &str| {
        let rows = reference.lines().filter_map(|line| line.strip_prefix("| ")?.split_once(" | "));
        let is_its =
            |of: &str| of.split(", ").any(|of| of.ends_with(owner) || owner.ends_with(&format!(" {of}")));
        rows.filter(|(of, _)| is_its(&of.replace('`', ""))).map(|(_, row)| row).collect::<Vec<_>>().join("\n")
    };
    for (program, verb) in [
        ("podhosts", "configure"),
        ("podhosts", "unconfigure"),
        ("podhosts", "doctor"),
        ("podhosts", "inspect"),
        ("podhosts", "list"),
        ("podhosts", "render"),
        ("podhosts", "nri"),
        ("podhosts-cni", "serve"),
        ("podhosts-cni", "backup"),
        ("podhosts-cni", "restore"),
        ("podhosts-hook", ""),
        ("podhosts-node", ""),
    ] {
        let args: Vec<&str> = [verb, "--help"].into_iter().filter(|arg| !arg.is_empty()).collect();
        let (owner, help) = (format!("{program} {verb}"), run(program, &args, &[]).success());
        let rows = of(owner.trim_end());
        for option in
            options(&help).iter().filter(|option| !["--help", "--version"].contains(&option.as_str()))
        {
            assert!(rows.contains(&format!("`{option}")), "{owner}: {option} is not in\n{rows}");
        }
    }
    let rows = of("config.toml");
    for section in ["env", "log", "runtime"] {
        for key in keys(section) {
            assert!(rows.contains(&format!("`{section}.{key}`")), "{section}.{key} is not in\n{rows}");
        }
    }
    for key in keys("").iter().filter(|key| !["env", "log", "runtime"].contains(&key.as_str())) {
        assert!(rows.contains(&format!("`{key}`")), "{key} is not in\n{rows}");
    }
}

/// The wrapper keeps its right to privileges: the runtime that it becomes gives it to containers, whose setuid programs
/// need it.
#[test]
fn the_hook_and_the_plugin_give_up_new_privileges_before_they_read_anything() {
    let status = |program: &str, command: &str| {
        let mut child = std::process::Command::new(crate::harness::bin(program))
            .env("CNI_COMMAND", command)
            .env("CNI_IFNAME", "eth0")
            .env("CNI_CONTAINERID", "c")
            .env("CNI_NETNS", "/n")
            .stdin(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let path = |file: &str| format!("/proc/{}/{file}", child.id());
        // It waits for its standard input: `read` has the number 0, on 64 bits of ARM 63.
        let waits = || {
            let call = std::fs::read_to_string(path("syscall")).unwrap_or_default();
            let mut words = call.split(' ');
            matches!(words.next(), Some("0" | "63")) && words.next() == Some("0x0")
        };
        while !waits() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let status = std::fs::read_to_string(path("status")).unwrap();
        drop(child.stdin.take());
        child.wait().unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("NoNewPrivs:")).unwrap();
        line.trim().to_owned()
    };
    if !crate::harness::has_all(&[]) {
        return;
    }
    assert_eq!(status("podhosts-hook", ""), "1");
    assert_eq!(status("podhosts-cni", "ADD"), "1");
}
