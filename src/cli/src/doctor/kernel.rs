//! The kernel: whether it can make a seal, and which later features it lacks.

use super::finding::Report;
use sys::container::seal::{Content, Sealed};

const CHECK: &str = "kernel";

/// Differences before a release of Linux; `docs/kernels.md` says how each was tested.
const BEFORE: [((u32, u32), &str); 2] = [
    ((6, 3), "before 6.3 a sealed file belongs to nobody (65534) in user namespaces"),
    ((6, 15), "before 6.15 the hook makes a mount namespace of its own for each seal"),
];

/// Makes a seal, which is attached nowhere.
pub(super) fn check(report: &mut Report) {
    let name = rustix::system::uname();
    let release = name.release().to_string_lossy();
    let content = Content { bytes: b"\n", source: "podhosts:none", mount_label: None, user_ns: None };
    match Sealed::new(content) {
        Ok(_) => report.ok(CHECK, format!("Linux {release} makes sealed files{}", shown(&lacks(&release)))),
        Err(error) => report.error(
            CHECK,
            format!("Linux {release}: {error}"),
            "Linux 5.12 or later, with CAP_SYS_ADMIN and without a seccomp profile that refuses the mount API",
        ),
    }
}

/// The differences for the release that `uname -r` names.
fn lacks(release: &str) -> Vec<&'static str> {
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map_while(|number| number.parse().ok());
    let Some(version) = numbers.next().zip(numbers.next()) else { return Vec::new() };
    BEFORE.iter().filter(|(first, _)| version < *first).map(|(_, what)| *what).collect()
}

fn shown(lacks: &[&str]) -> String {
    lacks.iter().map(|what| format!("; {what}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_has_the_same_differences() {
        let document = include_str!("../../../../docs/kernels.md");
        let (_, rest) = document.split_once("\n## What is different on older kernels\n").unwrap();
        let (section, _) = rest.split_once("\n## ").unwrap();
        // Before 5.12 there is no seal, and no difference to name.
        let rows: Vec<&str> = section.lines().filter(|line| line.starts_with("| 6.")).collect();
        assert_eq!(rows.len(), BEFORE.len());
        for (row, ((major, minor), what)) in rows.iter().zip(BEFORE) {
            let meaning = what.strip_prefix(&format!("before {major}.{minor} ")).unwrap();
            assert!(row.starts_with(&format!("| {major}.{minor} | {meaning}")), "{row} lacks {what}");
        }
    }

    #[test]
    fn what_a_release_lacks() {
        let count = |release| lacks(release).len();
        assert_eq!(count("5.12.0"), 2);
        assert_eq!(count("6.1.0-50-cloud-amd64"), 2);
        assert_eq!(count("6.3"), 1);
        assert_eq!(count("6.12.117+deb13-cloud-amd64"), 1);
        assert_eq!(count("6.15.1"), 0);
        assert_eq!(count("7.3.4+deb13-cloud-amd64"), 0);
        assert_eq!(count("unknown"), 0);
        assert_eq!(
            shown(&lacks("6.12.1")),
            "; before 6.15 the hook makes a mount namespace of its own for each seal"
        );
    }
}
