//! SECURITY.md names tests; they have to exist.

use std::fs;
use std::path::Path;

/// The tests that the document names: `module::name` in backquotes, the module being a file below integration/.
fn named(text: &str) -> Vec<(&str, &str)> {
    let quoted = text.split('`').skip(1).step_by(2);
    let is_name =
        |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    quoted
        .filter_map(|word| word.rsplit_once("::"))
        .filter(|(module, name)| module.split("::").all(is_name) && is_name(name))
        .collect()
}

#[test]
fn every_test_that_security_md_names_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = fs::read_to_string(top.join("SECURITY.md")).unwrap();
    let named = named(&text);
    assert!(named.len() >= 40, "only {} tests are named", named.len());
    for (module, name) in named {
        let file = top.join("integration").join(format!("{}.rs", module.replace("::", "/")));
        let code = fs::read_to_string(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
        // A test of `each_containerd!` has its attribute in the macro.
        assert!(code.contains(&format!("fn {name}(")), "{} has no {name}", file.display());
    }
}
