//! SECURITY.md and docs/limits.md name tests, which have to exist; and each of README's Limits has its row.

use std::fs;

fn read(name: &str) -> String {
    fs::read_to_string(crate::harness::repository().join(name)).unwrap()
}

/// The tests that a document names: `module::name` in backquotes, the module being a file below integration/.
fn named(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    quoted
        .filter_map(|word| word.rsplit_once("::"))
        .filter(|(module, name)| module.split("::").all(is_name) && is_name(name))
        .collect()
}

/// Whether the code has a test of this name: a function with the attribute, or one that is listed in a macro such as
/// `each_containerd!`.
fn has_test(code: &str, name: &str) -> bool {
    let Some((before, _)) = code.split_once(&format!("fn {name}(")) else { return false };
    let lists = code.split("each_").skip(1).filter_map(|rest| rest.split_once("!(")?.1.split_once(");"));
    let is_listed = |list: &str| list.split([',', ' ', '\n']).any(|word| word == name);
    before.trim_end().ends_with("#[test]") || lists.into_iter().any(|(list, _)| is_listed(list))
}

#[track_caller]
fn expect_tests(document: &str, at_least: usize) {
    let text = read(document);
    let named = named(&text);
    assert!(named.len() >= at_least, "{document} names only {} tests", named.len());
    for (module, name) in named {
        let code = read(&format!("integration/{}.rs", module.replace("::", "/")));
        assert!(has_test(&code, name), "{document} names {module}::{name}, which is no test");
    }
}

#[test]
fn every_test_that_security_md_names_exists() {
    expect_tests("SECURITY.md", 100);
}

#[test]
fn every_test_that_limits_md_names_exists() {
    expect_tests("docs/limits.md", 50);
}

/// A row of docs/limits.md begins with the first words of the limit, which is a bullet in README, in its order.
#[test]
fn every_limit_has_its_row() {
    let readme = read("README.md");
    let (_, limits) = readme.split_once("\n## Limits\n").unwrap();
    let (limits, _) = limits.split_once("\n## ").unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let bullets: Vec<String> = limits.split("\n- ").skip(1).map(words).collect();
    let table = read("docs/limits.md");
    let rows: Vec<&str> = table
        .lines()
        .filter_map(|line| line.strip_prefix("| ")?.split_once("… | "))
        .map(|row| row.0)
        .collect();
    for (bullet, row) in bullets.iter().zip(&rows) {
        assert!(bullet.starts_with(row), "the row {row:?} stands where the limit is {bullet:?}");
    }
    assert_eq!(rows.len(), bullets.len());
}
