//! podman 4.3 and 5.8 say which files of a hooks directory are hooks, and our reader says the same.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use podhosts::engines::files::Files;
use podhosts::engines::hooks::{self, Rules};
use serde_json::json;

use crate::harness::Runtime;
use crate::harness::podman::{IMAGE, Podman, Release};

/// Patterns, of which Go accepts some.
const PATTERNS: &[&str] = &[
    "",
    "a",
    "a|b||",
    "|",
    "^*",
    "$+",
    "(|a)*",
    "(a|b",
    "()",
    "(())",
    ")",
    "a)b",
    "(",
    "*",
    "+a",
    "?",
    "a**",
    "a*?",
    "a*??",
    "a+*",
    "a{2}",
    "a{2}?",
    "a{2}{3}",
    "a{2,}",
    "a{,2}",
    "a{",
    "a{}",
    "a{x",
    "{",
    "{2}",
    "a{01}",
    "a{1,01}",
    "a{2,1}",
    "a{1000}",
    "a{1001}",
    "a{0}{0}",
    "(a{0}){1000}",
    "(a{10}){100}",
    "(a{10}){101}",
    "((a{10}){10}){11}",
    "(a{1000}){1}",
    "(a{1000}){0}",
    "(a{1000})*",
    "(a*){1000}",
    "(?:a{500}b{2}){2}",
    "(?:a{501}){2}",
    "a{99999999999}",
    "(?i)",
    "(?i)a",
    "a(?i)*",
    "a*(?i)*",
    "(?i)*",
    "(?ims-U)a",
    "(?s-i:a)",
    "(?i-)",
    "(?-)",
    "(?)",
    "(?:",
    "(?:)",
    "(?x)a",
    "(?--i)",
    "(?=a)",
    "(?!a)",
    "(?<=a)",
    "(?P<n>a)",
    "(?P<n_1>a)",
    "(?P<1>a)",
    "(?P<>a)",
    "(?P<n-n>a)",
    "(?P<n",
    "(?P=n)",
    "(?P>n)",
    "(?<n>a)",
    "(?'n'a)",
    "(?#c)",
    "(?i",
    "(?ii-ss:a)",
    r"\",
    r"a\",
    r"\a\f\n\r\t\v",
    r"\e",
    r"\y",
    r"\q",
    r"\_",
    r"\/",
    r"\-",
    r"\ ",
    r"\é",
    r"\0",
    r"\00",
    r"\012",
    r"\1",
    r"\12",
    r"\8",
    r"\19",
    r"\x",
    r"\x4",
    r"\x41",
    r"\xg1",
    r"\x{}",
    r"\x{41}",
    r"\x{10ffff}",
    r"\x{110000}",
    r"\x{4",
    r"\x{d800}",
    r"\u0041",
    r"\A\z\b\B",
    r"\Z",
    r"\C",
    r"\G",
    r"\K",
    r"\R",
    r"\X",
    r"\d\D\s\S\w\W",
    r"\h",
    r"\Q(\E",
    r"\Q(",
    r"\Q\E*",
    r"a\Q\E*",
    r"\Qab\E*",
    r"\E",
    r"\pL",
    r"\pX",
    r"\p",
    r"\p{",
    r"\p{}",
    r"\p{L}",
    r"\p{Lu}",
    r"\p{LU}",
    r"\p{Greek}",
    r"\p{greek}",
    r"\p{^Greek}",
    r"\P{^Greek}",
    r"\p{Any}",
    r"\p{Letter}",
    r"\p{No_Such}",
    r"\p{Old_Italic}",
    r"\p{olditalic}",
    r"\p{Lowercase_Letter}",
    r"\p{lowercase letter}",
    r"\p{LC}",
    r"\p{Lc}",
    r"\p{ASCII}",
    r"\p{Assigned}",
    r"\p{Cn}",
    r"\p{cn}",
    r"\p{punct}",
    r"\p{Combining-Mark}",
    r"\p{Old Italic}",
    r"\p{ll}",
    r"\pé",
    r"\p{Han}+",
    "[",
    "[]",
    "[]a]",
    "[^]",
    "[^]a]",
    "[a",
    "[a-",
    "[a-]",
    "[-a]",
    "[a-b-c]",
    "[b-a]",
    "[a-a]",
    r"[\d-z]",
    r"[a-\d]",
    r"[\]]",
    r"[\b]",
    r"[\pL\P{Greek}]",
    r"[\x41-\x5a]",
    r"[\Q]\E]",
    "[[:alpha:]]",
    "[[:^alpha:]]",
    "[[:word:]]",
    "[[:no:]]",
    "[[:alpha:",
    "[[:]",
    "[:alpha:]",
    "[[a]b]",
    "[[:a]x:]",
    "[a&&b]",
    "[a--b]",
    "[--a]",
    "[+--]",
    "a.b",
    "^podhosts\\.io/",
    ".*",
    "(?m:^a$)",
    "\u{e9}{2}",
    "[\u{e9}-\u{e8}]",
    "a\nb",
    "#",
];

/// Files, in which `M` is what a hook that runs is to leave behind: its own name.
const TEXTS: &[&str] = &[
    "",
    "{",
    "null",
    "[]",
    "3",
    r#"{"version": "1.0.0"}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": S}"#,
    r#"{"VERSION": "1.0.0", "Hook": M, "WHEN": W, "sTages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": S} x"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": S,}"#,
    r#"{"version": "2.0.0", "version": "1.0.0", "hook": M, "when": W, "stages": S}"#,
    r#"{"version": null, "hook": M, "when": W, "stages": S}"#,
    r#"{"version": 1, "hook": M, "when": W, "stages": S}"#,
    r#"{"version": "1.0", "hook": M, "when": W, "stages": S}"#,
    r#"{"version": "0.1.0", "hook": M, "when": W, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": null}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": "prestart"}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": ["prestart", null]}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": ["prestart", 3]}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": ["Prestart"]}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": ["prestart", "poststop"]}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": ["createContainer"]}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": ["prestart", "started"]}"#,
    r#"{"version": "1.0.0", "hook": M, "when": W, "stages": S, "more": {"a": [1e9, -0.5]}}"#,
    r#"{"version": "1.0.0", "hook": M, "when": [], "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": {"always": "true"}, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": {"always": true, "annotations": {"^x": 3}}, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": {"always": true, "commands": "x"}, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": {"commands": [".*", null]}, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "when": {"always": true, "hasBindMounts": 1}, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "hook": {"timeout": 3}, "when": W, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "hook": {"timeout": 3.0}, "when": W, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "hook": {"timeout": "3"}, "when": W, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "hook": {"env": null}, "when": W, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "hook": {"env": {}}, "when": W, "stages": S}"#,
    r#"{"version": "1.0.0", "hook": M, "hook": {"path": ""}, "when": W, "stages": S}"#,
    r#"{"hook": P, "arguments": A, "stage": S, "cmd": [".*"]}"#,
    r#"{"version": "", "hook": P, "arguments": A, "stages": S, "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": S, "annotations": ["none", "web"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": S, "annotations": ["(", ")web"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": S, "annotation": ["("], "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": S, "stage": S, "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": S, "stage": null, "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": S, "cmd": ["a"], "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": null, "arguments": A, "stages": S, "cmds": [".*"]}"#,
    r#"{"version": "0.1.0", "hook": P, "arguments": A, "stages": ["started"], "cmds": [".*"]}"#,
];

/// A name that runs, in the order of its number.
fn name(number: usize) -> String {
    format!("h{number:03}.json")
}

/// The hooks that podman runs of a directory whose first file lets it leave out all that is wrong, and those that our
/// reader finds.
fn compare(release: Release, version: (u32, u32)) {
    let Some(podman) = Podman::new(release, Runtime::Runc) else { return };
    let dir = podman.node.path("hooks");
    fs::create_dir(&dir).unwrap();
    let (program, ran) = (podman.node.path("mark"), podman.node.path("ran"));
    fs::write(&program, format!("#!/bin/sh\necho \"$1\" >>{}\n", ran.display())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let missing = json!({"version": "1.0.0", "hook": {"path": "/nowhere/x"}, "stages": []});
    fs::write(dir.join("a.json"), missing.to_string()).unwrap();
    let hook = |name: &str| json!({"path": program, "args": ["mark", name]});
    for (number, text) in TEXTS.iter().enumerate() {
        let name = name(number);
        let text = text
            .replace(": M", &format!(": {}", hook(&name)))
            .replace(": W", r#": {"always": true}"#)
            .replace(": S", r#": ["prestart"]"#)
            .replace(": P", &format!(": {program:?}"))
            .replace(": A", &format!(": [{name:?}]"));
        fs::write(dir.join(name), text).unwrap();
    }
    for (number, pattern) in PATTERNS.iter().enumerate() {
        let name = name(100 + number);
        let file = json!({"version": "1.0.0", "hook": hook(&name), "stages": ["prestart"],
            "when": {"always": true, "commands": [pattern, ".*"]}});
        fs::write(dir.join(name), file.to_string()).unwrap();
    }
    // What is no file, leads to none, has another end of its name, or bytes that are no text.
    symlink("/nowhere/x", dir.join("link.json")).unwrap();
    let good =
        json!({"version": "1.0.0", "hook": hook("link"), "stages": ["prestart"], "when": {"always": true}});
    fs::create_dir(dir.join("dir.json")).unwrap();
    fs::write(dir.join("upper.JSON"), good.to_string()).unwrap();
    fs::write(dir.join("other.conf"), "{").unwrap();
    let text = good.to_string().replace("link", "bytes.json").replace("1.0.0", "1.0.0\",\"x\":\"?");
    let bytes: Vec<u8> = text.bytes().map(|byte| if byte == b'?' { 0xff } else { byte }).collect();
    fs::write(dir.join("bytes.json"), bytes).unwrap();

    let cgroup = podman.cgroup();
    let run = ["run", "--rm", "--network", "none", &cgroup, "--annotation", "x=web", IMAGE, "true"];
    podman.call(&[&["--hooks-dir", dir.to_str().unwrap()][..], &run].concat()).success();
    let text = fs::read_to_string(&ran).unwrap();
    let mut theirs: Vec<&str> = text.lines().collect();
    theirs.sort_unstable();
    theirs.dedup();
    let found = hooks::read(&Files::new(), &[vec![dir]], Rules::podman(Some(version)));
    assert!(found.fatal.is_empty(), "{:?}", found.fatal);
    let file_name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
    let mut ours: Vec<String> = found.hooks.iter().map(|(path, _)| file_name(path)).collect();
    ours.sort_unstable();
    let what = |name: &str| {
        let number: usize =
            name.trim_start_matches('h').trim_end_matches(".json").parse().unwrap_or_default();
        let text = if number < 100 { TEXTS.get(number) } else { PATTERNS.get(number - 100) };
        format!("{name}: {}", text.unwrap_or(&""))
    };
    let more: Vec<String> =
        ours.iter().filter(|name| !theirs.contains(&name.as_str())).map(|name| what(name)).collect();
    let less: Vec<String> =
        theirs.iter().filter(|name| !ours.iter().any(|own| own == *name)).map(|name| what(name)).collect();
    assert!(more.is_empty() && less.is_empty(), "only ours: {more:#?}\nonly podman's: {less:#?}");
    assert!(theirs.len() > 100, "{theirs:?}");
}

#[test]
fn podman_4_3_and_our_reader_have_the_same_hooks() {
    compare(Release::Bookworm, (4, 3));
}

#[test]
fn podman_5_8_and_our_reader_have_the_same_hooks() {
    compare(Release::Sid, (5, 8));
}
