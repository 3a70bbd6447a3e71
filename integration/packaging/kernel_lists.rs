//! The lists of `make kernels`, and the table that it writes, held to the tests and to each other.

use std::fs;

use crate::harness::repository;

/// The lines of a list in integration/kernels/ without its comments.
fn listed(name: &str) -> Vec<String> {
    let text = fs::read_to_string(repository().join("integration/kernels").join(name)).unwrap();
    let lines = text.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// A name that matches nothing would only make the number of tests smaller.
#[test]
fn the_tests_that_are_selected_exist() {
    let selected = listed("selection");
    assert!(selected.len() > 10, "{selected:?}");
    for line in selected {
        let name = line.trim_start_matches("quick ");
        let (module, test) = name.rsplit_once("::").unwrap();
        let path = repository().join(format!("integration/{}.rs", module.replace("::", "/")));
        let code = fs::read_to_string(&path).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(code.contains(&format!("#[test]\nfn {test}")), "{name} is no test");
    }
}

/// `make kernels` writes the table; a kernel that is not in it was not run.
#[test]
fn every_kernel_passed_and_is_in_the_table() {
    let document = fs::read_to_string(repository().join("docs/kernels.md")).unwrap();
    let (_, table) = document.split_once("<!-- make kernels -->\n").unwrap();
    let (table, _) = table.split_once("<!-- end -->").unwrap();
    let rows: Vec<Vec<&str>> =
        table.lines().filter_map(|line| Some(line.strip_prefix("| ")?.split(" | ").collect())).collect();
    for line in listed("releases") {
        let name = line.split(' ').next().unwrap();
        let row =
            rows.iter().find(|row| row[0] == name).unwrap_or_else(|| panic!("{name} is not in the table"));
        let [passed, failed] = [row[3], row[4]].map(|count| count.parse::<u32>().unwrap());
        assert!(passed > 0 && failed == 0, "{row:?}");
    }
}
