//! Documents name tests, crates and other documents, which have to exist; each limit has its row.

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

#[test]
fn every_test_that_kubernetes_md_names_exists() {
    expect_tests("docs/kubernetes.md", 9);
}

/// A row of the table in docs/limits.md begins with the first words of its limit, which is a bullet above, in its order.
#[test]
fn every_limit_has_its_row() {
    let document = read("docs/limits.md");
    let (limits, table) = document.split_once("\n## Tests\n").unwrap();
    let words = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let bullets: Vec<String> = limits.split("\n- ").skip(1).map(words).collect();
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

/// Where a document's links lead, without those to other places than this repository.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    targets.filter(|target| !target.contains("://"))
}

/// What a heading is called in links, as GitHub has it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim_start_matches('#').trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// All documents: those at the top, and below docs/.
fn documents() -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for dir in ["", "docs", "docs/design"] {
        for entry in fs::read_dir(crate::harness::repository().join(dir)).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_some_and(|extension| extension == "md") {
                found.push(path);
            }
        }
    }
    found
}

#[test]
fn every_link_leads_somewhere() {
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        for link in links(&text) {
            let (file, part) = link.split_once('#').unwrap_or((link, ""));
            let target =
                if file.is_empty() { document.clone() } else { document.with_file_name("").join(file) };
            assert!(target.exists(), "{}: {link} leads nowhere", document.display());
            let has = |text: &str| text.lines().any(|line| line.starts_with('#') && anchor(line) == part);
            assert!(
                part.is_empty() || has(&fs::read_to_string(&target).unwrap()),
                "{}: {link} names no heading",
                document.display()
            );
            count += 1;
        }
    }
    assert!(count > 30, "only {count} links were found");
}

/// Each document is in the index, so that it can be found.
#[test]
fn every_document_is_in_the_index() {
    let index = read("docs/README.md");
    for document in documents() {
        let name = document.file_name().unwrap().to_str().unwrap();
        assert!(
            name == "README.md" || name == "CHANGELOG.md" || index.contains(&format!("{name})")),
            "{name}"
        );
    }
}

/// The crates of others that a program or library of the product is built with.
fn dependencies() -> std::collections::BTreeSet<String> {
    let repository = crate::harness::repository();
    let workspace = fs::read_to_string(repository.join("Cargo.toml")).unwrap();
    let is_ours = |name: &str| workspace.contains(&format!("\n{name} = {{ package = \"podhosts"));
    let mut found = std::collections::BTreeSet::new();
    for entry in fs::read_dir(repository.join("src")).unwrap() {
        let text = fs::read_to_string(entry.unwrap().path().join("Cargo.toml")).unwrap();
        let of =
            |section: &str| text.split(&format!("\n[{section}]\n")).nth(1).unwrap_or_default().to_owned();
        for section in [of("dependencies"), of("build-dependencies")] {
            let lines = section.lines().take_while(|line| !line.starts_with('['));
            let names = lines.filter_map(|line| line.split(['.', ' ']).next());
            found.extend(names.filter(|name| !name.is_empty() && !is_ours(name)).map(str::to_owned));
        }
    }
    found
}

#[test]
fn every_dependency_has_its_reason_in_the_readme() {
    let readme = read("README.md");
    let (_, table) = readme.split_once("\n## Dependencies\n").unwrap();
    let named = table.lines().filter_map(|line| line.strip_prefix("| `")?.split(" | ").next());
    let named: String = named.map(|names| format!("`{names} ")).collect();
    let dependencies = dependencies();
    assert!(dependencies.len() > 30, "{dependencies:?}");
    for name in dependencies {
        assert!(named.contains(&format!("`{name}`")), "README.md has no reason for {name}");
    }
}

/// `crate/file.rs` in the last column of the overview's table is src/crate/src/file.rs.
#[test]
fn every_file_that_values_pass_through_exists() {
    let overview = read("docs/design/overview.md");
    let (_, table) = overview.split_once("\n## How data flows\n").unwrap();
    let table = table.split("\n## ").next().unwrap();
    let mut count = 0;
    for row in table.lines().filter_map(|line| line.strip_suffix(" |")) {
        let named = row.rsplit(" | ").next().unwrap().split('`').skip(1).step_by(2);
        for (krate, file) in named.filter_map(|word| word.strip_suffix(".rs")?.split_once('/')) {
            let path = format!("src/{krate}/src/{file}.rs");
            assert!(crate::harness::repository().join(&path).exists(), "{path}");
            count += 1;
        }
    }
    assert!(count > 30, "only {count} files are named");
}

/// A path below one of these folders, in backquotes, is a file or folder of the repository.
#[test]
fn every_path_that_a_document_names_exists() {
    const FOLDERS: [&str; 8] =
        ["src/", "integration/", "benches/", "fuzz/", "docs/", "hooks/", "vendor-configs/", "examples/"];
    let mut count = 0;
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let is_path = |word: &&str| {
            FOLDERS.iter().any(|folder| word.starts_with(folder)) && !word.contains([' ', '*', '…', ':'])
        };
        for path in text.split('`').skip(1).step_by(2).filter(is_path) {
            assert!(
                crate::harness::repository().join(path).exists(),
                "{} names {path}, which is not there",
                document.display()
            );
            count += 1;
        }
    }
    assert!(count > 30, "only {count} paths are named");
}
