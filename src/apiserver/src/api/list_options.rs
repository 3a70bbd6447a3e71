//! Validation of the options of lists and watches: `ValidateListOptions` in
//! `k8s.io/apimachinery/pkg/apis/meta/internalversion/validation/validation.go`.

use super::parameters::Parameters;
use crate::status::{ApiError, Cause};
use pod::validation::go_quote;

const NOT_OLDER_THAN: &str = "NotOlderThan";
const EXACT: &str = "Exact";

impl Parameters {
    /// `sendInitialEvents` and `resourceVersionMatch` with their defaults, by which a watch without a version begins
    /// with all objects (`SetListOptionsDefaults` in `k8s.io/apimachinery/pkg/apis/meta/internalversion/defaults.go`).
    fn with_defaults(&self) -> (Option<bool>, &str) {
        let given = (self.send_initial_events, self.resource_version_match.as_str());
        let is_legacy = matches!(self.resource_version.as_str(), "" | "0");
        if self.watch && is_legacy && given == (None, "") { (Some(true), NOT_OLDER_THAN) } else { given }
    }

    /// Whether a watch begins with all objects and then marks their end.
    pub fn sends_initial_events(&self) -> bool {
        self.with_defaults().0 == Some(true)
    }

    /// Checks the options of a list, or of a watch where `watch` is set.
    ///
    /// # Errors
    /// `BadRequest` for an invalid number, `Invalid` with all other faults.
    pub fn check_list(&self) -> Result<(), ApiError> {
        if let Some(why) = &self.wrong_number {
            return Err(ApiError::bad_request(why.as_str()));
        }
        let faults = if self.watch { self.watch_faults() } else { self.list_faults() };
        if faults.is_empty() { Ok(()) } else { Err(ApiError::invalid_options("ListOptions", &faults)) }
    }

    fn list_faults(&self) -> Vec<Cause> {
        let matching = self.resource_version_match.as_str();
        let mut faults = Vec::new();
        if !matching.is_empty() {
            if self.resource_version.is_empty() {
                faults.push(match_forbidden("is forbidden unless resourceVersion is provided"));
            }
            faults.extend(self.continue_fault());
            if ![EXACT, NOT_OLDER_THAN].contains(&matching) {
                faults.push(unsupported(matching, &[EXACT, NOT_OLDER_THAN, ""]));
            }
            if matching == EXACT && self.resource_version == "0" {
                faults.push(match_forbidden("\"exact\" is forbidden for resourceVersion \"0\""));
            }
        }
        if self.send_initial_events.is_some() {
            faults.push(forbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
        }
        faults
    }

    fn watch_faults(&self) -> Vec<Cause> {
        let (initial, matching) = self.with_defaults();
        let mut faults = Vec::new();
        if initial.is_some() && matching != NOT_OLDER_THAN {
            let why = format!("sendInitialEvents requires setting resourceVersionMatch to {NOT_OLDER_THAN}");
            faults.push(forbidden("resourceVersionMatch", &why));
        }
        if !matching.is_empty() {
            if initial.is_none() {
                faults.push(match_forbidden("is forbidden for watch unless sendInitialEvents is provided"));
            }
            if matching != NOT_OLDER_THAN {
                faults.push(unsupported(matching, &[NOT_OLDER_THAN]));
            }
            faults.extend(self.continue_fault());
        }
        faults
    }

    fn continue_fault(&self) -> Option<Cause> {
        let is_continued = !self.continue_token.is_empty();
        is_continued.then(|| match_forbidden("is forbidden when continue is provided"))
    }
}

fn match_forbidden(why: &str) -> Cause {
    forbidden("resourceVersionMatch", &format!("resourceVersionMatch {why}"))
}

fn forbidden(field: &str, why: &str) -> Cause {
    let message = format!("Forbidden: {why}");
    Cause { reason: "FieldValueForbidden", message, field: field.to_owned() }
}

fn unsupported(value: &str, supported: &[&str]) -> Cause {
    let supported: Vec<String> = supported.iter().map(|value| go_quote(value)).collect();
    let message =
        format!("Unsupported value: {}: supported values: {}", go_quote(value), supported.join(", "));
    Cause { reason: "FieldValueNotSupported", message, field: "resourceVersionMatch".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(query: &str) -> String {
        match Parameters::parse(query).check_list() {
            Ok(()) => String::new(),
            Err(error) => {
                assert_eq!(error.code, 422, "{query}");
                error.message.replace("ListOptions.meta.k8s.io \"\" is invalid: ", "")
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_told() {
        let field = "resourceVersionMatch: ";
        let without = "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided";
        let unsupported = "Unsupported value: \"Foo\": supported values: \"Exact\", \"NotOlderThan\", \"\"";
        let continued = "Forbidden: resourceVersionMatch is forbidden when continue is provided";
        let requires = "Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan";
        let unless =
            "Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided";
        let only = "Unsupported value: \"Foo\": supported values: \"NotOlderThan\"";
        for (query, expected) in [
            ("resourceVersionMatch=Foo", format!("[{field}{without}, {field}{unsupported}]")),
            ("resourceVersionMatch=Foo&resourceVersion=0", format!("{field}{unsupported}")),
            ("resourceVersionMatch=Exact&resourceVersion=1&continue=x", format!("{field}{continued}")),
            (
                "resourceVersionMatch=Exact&resourceVersion=0",
                format!(
                    "{field}Forbidden: resourceVersionMatch \"exact\" is forbidden for resourceVersion \"0\""
                ),
            ),
            (
                "sendInitialEvents=0",
                "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list".to_owned(),
            ),
            ("watch=1&resourceVersionMatch=Foo", format!("[{field}{unless}, {field}{only}]")),
            (
                "watch=1&resourceVersionMatch=Foo&sendInitialEvents=true",
                format!("[{field}{requires}, {field}{only}]"),
            ),
            ("watch=1&sendInitialEvents=true", format!("{field}{requires}")),
            // The match is set by default.
            ("watch=1&continue=x", format!("{field}{continued}")),
            ("watch=1&continue=x&resourceVersion=5", String::new()),
            ("watch=1&resourceVersionMatch=NotOlderThan&sendInitialEvents=yes", String::new()),
            ("resourceVersionMatch=NotOlderThan&resourceVersion=0", String::new()),
            ("", String::new()),
        ] {
            assert_eq!(told(query), expected, "{query}");
        }
        assert!(Parameters::parse("watch=1").sends_initial_events());
        assert!(!Parameters::parse("watch=1&resourceVersion=5").sends_initial_events());
        assert!(!Parameters::parse("").sends_initial_events());
    }

    #[test]
    fn what_is_no_number_is_a_bad_request() {
        let error = Parameters::parse("limit=x").check_list().unwrap_err();
        assert_eq!((error.code, &*error.message), (400, "strconv.ParseInt: parsing \"x\": invalid syntax"));
    }
}
