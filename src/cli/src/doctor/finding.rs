//! What a check found, as one line or as JSON.

use std::fmt::Write;

use serde::Serialize;

use pod::validation::printable;

/// How good it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Status {
    /// As it should be.
    Ok,
    /// It works, but not as one may think.
    Warning,
    /// Something does not work.
    Error,
    /// Not looked at, for the reason given.
    Skipped,
}

impl Status {
    fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Skipped => "skipped",
        }
    }
}

/// What one check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    pub check: &'static str,
    /// How good it is.
    pub status: Status,
    /// What was found, and where.
    pub message: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

/// All findings, in the order of the checks.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Report {
    /// The findings.
    pub checks: Vec<Finding>,
}

impl Report {
    /// Something is as it should be.
    pub(crate) fn ok(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Status::Ok, message.into(), None);
    }

    /// Something was not looked at.
    pub(crate) fn skipped(&mut self, check: &'static str, message: impl Into<String>) {
        self.add(check, Status::Skipped, message.into(), None);
    }

    /// Something works, but not as one may think.
    pub(crate) fn warning(
        &mut self,
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Status::Warning, message.into(), Some(remedy.into()));
    }

    /// Something does not work.
    pub(crate) fn error(
        &mut self,
        check: &'static str,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        self.add(check, Status::Error, message.into(), Some(remedy.into()));
    }

    /// Something does not work: an error where it `is_needed`.
    pub(crate) fn fault(
        &mut self,
        check: &'static str,
        is_needed: bool,
        message: impl Into<String>,
        remedy: impl Into<String>,
    ) {
        let status = if is_needed { Status::Error } else { Status::Warning };
        self.add(check, status, message.into(), Some(remedy.into()));
    }

    /// What does not work is none of podhosts' business.
    pub(crate) fn soften(&mut self) {
        for finding in self.checks.iter_mut().filter(|finding| finding.status == Status::Error) {
            finding.status = Status::Warning;
        }
    }

    fn add(&mut self, check: &'static str, status: Status, message: String, remedy: Option<String>) {
        self.checks.push(Finding { check, status, message, remedy });
    }

    /// Whether nothing is broken; warnings do not count.
    pub(crate) fn is_healthy(&self) -> bool {
        self.checks.iter().all(|finding| finding.status != Status::Error)
    }

    /// One line for each finding.
    pub(crate) fn to_text(&self) -> String {
        let mut out = String::new();
        for Finding { check, status, message, remedy } in &self.checks {
            // What engines and files say may have any character in it, and has to stay on its line.
            let line = |text: &str| printable(&text.replace(['\n', '\t'], " ")).into_owned();
            let remedy =
                remedy.as_ref().map_or_else(String::new, |remedy| format!("; remedy: {}", line(remedy)));
            let _ = writeln!(out, "{:<8} {check:<13} {}{remedy}", status.name(), line(message));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_each() {
        let mut report = Report::default();
        report.ok("kernel", "Linux");
        report.warning("cni", "a\nb", "c");
        assert!(report.is_healthy());
        report.error("programs", "gone", "put it\tback");
        report.skipped("crio", "not here");
        assert!(!report.is_healthy());
        assert_eq!(
            report.to_text(),
            "ok       kernel        Linux\nwarning  cni           a b; remedy: c\n\
             error    programs      gone; remedy: put it back\nskipped  crio          not here\n"
        );
        let json = serde_json::to_value(&report).unwrap();
        assert_eq!(json["checks"][2]["status"], "error");
        assert_eq!(json["checks"][0].get("remedy"), None);
    }
}
