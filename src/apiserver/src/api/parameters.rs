//! Query parameters.

use std::collections::HashSet;
use std::num::{IntErrorKind, ParseIntError};

use serde_json::json;

use super::duration;
use crate::status::{ApiError, Cause};
use pod::validation::go_quote;

/// The query parameters that the server knows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// `watch`.
    pub watch: bool,
    /// `limit`; 0 or less for none.
    pub limit: i64,
    /// `continue`.
    pub continue_token: String,
    /// `labelSelector`.
    pub label_selector: String,
    /// `fieldSelector`.
    pub field_selector: String,
    /// `resourceVersion`.
    pub resource_version: String,
    /// `resourceVersionMatch`.
    pub resource_version_match: String,
    /// `timeoutSeconds`; a negative one ends at once.
    pub timeout_seconds: Option<i64>,
    /// Why `limit` or `timeoutSeconds` cannot be read, which matters to lists and watches only.
    pub wrong_number: Option<String>,
    /// `allowWatchBookmarks`.
    pub allow_bookmarks: bool,
    /// `sendInitialEvents`.
    pub send_initial_events: Option<bool>,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// All values of `dryRun`, possibly invalid.
    pub dry_runs: Vec<String>,
    /// `force`.
    pub force: Option<bool>,
    /// `gracePeriodSeconds`, possibly invalid.
    pub grace_period: Option<String>,
    /// An unknown `fieldValidation`.
    pub wrong_validation: Option<String>,
    /// `fieldManager`.
    pub field_manager: String,
    /// `fieldValidation`.
    pub validation: Validation,
    /// `includeObject`, of tables.
    pub include_object: Include,
    /// An unknown `includeObject`.
    pub wrong_include: Option<String>,
    /// `propagationPolicy`.
    pub propagation_policy: Option<String>,
    /// `orphanDependents`.
    pub orphan_dependents: Option<bool>,
    /// `uid`, a precondition of deletions.
    pub uid: String,
    /// `timeout`, which is only checked.
    pub timeout: String,
}

/// What to do with unknown fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// Drop them.
    Ignore,
    /// Drop them with a warning.
    #[default]
    Warn,
    /// Refuse the object.
    Strict,
}

/// The part of its object that a table's row includes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Include {
    /// Nothing.
    None,
    /// The metadata.
    #[default]
    Metadata,
    /// All.
    Object,
}

impl Parameters {
    /// Reads the query of a URL. The first one of duplicate parameters counts, as upstream. Faults are reported where a
    /// parameter is used.
    pub fn parse(query: &str) -> Self {
        let mut parameters = Self::default();
        let mut seen = HashSet::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if name == "dryRun" || seen.insert(name.clone()) {
                parameters.set(&name, &value);
            }
        }
        parameters
    }

    fn set(&mut self, name: &str, value: &str) {
        match name {
            "watch" => self.watch = flag(value),
            "limit" => self.limit = self.number(value).unwrap_or_default(),
            "continue" => self.continue_token = value.to_owned(),
            "labelSelector" => self.label_selector = value.to_owned(),
            "fieldSelector" => self.field_selector = value.to_owned(),
            "resourceVersion" => self.resource_version = value.to_owned(),
            "resourceVersionMatch" => self.resource_version_match = value.to_owned(),
            "timeoutSeconds" => self.timeout_seconds = self.number(value),
            "allowWatchBookmarks" => self.allow_bookmarks = flag(value),
            "sendInitialEvents" => self.send_initial_events = Some(flag(value)),
            "dryRun" => {
                self.dry_run |= value == DRY_RUN;
                self.dry_runs.push(value.to_owned());
            }
            "fieldManager" => self.field_manager = value.to_owned(),
            "fieldValidation" => match validation(value) {
                Some(known) => self.validation = known,
                None => self.wrong_validation = Some(value.to_owned()),
            },
            // Applies never conflict here, so `force` settles nothing.
            "force" => self.force = Some(flag(value)),
            "gracePeriodSeconds" => self.grace_period = Some(value.to_owned()),
            "includeObject" => match include(value) {
                Some(known) => self.include_object = known,
                None => self.wrong_include = Some(value.to_owned()),
            },
            "orphanDependents" => self.orphan_dependents = Some(flag(value)),
            "propagationPolicy" => self.propagation_policy = Some(value.to_owned()),
            "uid" => self.uid = value.to_owned(),
            "timeout" => self.timeout = value.to_owned(),
            // `pretty`, ...
            _ => {}
        }
    }

    fn number(&mut self, value: &str) -> Option<i64> {
        match go_int(value) {
            Ok(number) => Some(number),
            Err(why) => {
                self.wrong_number.get_or_insert(why);
                None
            }
        }
    }

    /// Checks `timeout` (`parseTimeout` in `k8s.io/apiserver/pkg/endpoints/filters/request_deadline.go`), which a watch
    /// ignores.
    ///
    /// # Errors
    /// `BadRequest` in upstream's words.
    pub fn check_timeout(&self) -> Result<(), ApiError> {
        if self.timeout.is_empty() {
            return Ok(());
        }
        duration::check_go_duration(&self.timeout).map_err(|why| {
            ApiError::bad_request(format!("invalid timeout specified in the request URL - {why}"))
        })
    }

    /// Checks `includeObject`, for tables (`ValidateTableOptions` in
    /// `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`).
    ///
    /// # Errors
    /// `BadRequest` in upstream's words.
    pub fn check_table(&self) -> Result<(), ApiError> {
        let Some(wrong) = &self.wrong_include else { return Ok(()) };
        Err(ApiError::bad_request(format!(
            "Unable to convert to Table as requested: includeObject: Invalid value: {}: must be 'Metadata', 'Object', \
             'None', or empty",
            go_quote(wrong)
        )))
    }
}

/// Reads a flag as upstream: everything but `0` and `false` is true, also an empty value (`Convert_Slice_string_To_bool` in
/// `k8s.io/apimachinery/pkg/runtime/conversion.go`).
fn flag(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

/// A number of 64 bits, as Go reads it.
///
/// # Errors
/// Go's text.
pub fn go_int(value: &str) -> Result<i64, String> {
    value.parse().map_err(|cause| go_fault("ParseInt", value, &cause))
}

/// An unsigned number of 64 bits, as Go reads it.
///
/// # Errors
/// Go's text.
pub fn go_uint(value: &str) -> Result<u64, String> {
    // Go takes no plus sign here.
    let digits = if value.starts_with('+') { "x" } else { value };
    digits.parse().map_err(|cause| go_fault("ParseUint", value, &cause))
}

fn go_fault(function: &str, value: &str, cause: &ParseIntError) -> String {
    let why = match cause.kind() {
        IntErrorKind::PosOverflow | IntErrorKind::NegOverflow => "value out of range",
        _ => "invalid syntax",
    };
    format!("strconv.{function}: parsing {}: {why}", go_quote(value))
}

/// The only valid value of `dryRun`.
const DRY_RUN: &str = "All";
/// Most bytes of a field manager's name.
const MANAGER_MAX: usize = 128;

/// The fault of the values of `dryRun`, which may also come from a body.
pub fn dry_run_fault(values: &[String]) -> Option<Cause> {
    let message = || format!("Unsupported value: {}: supported values: {DRY_RUN:?}", json!(values));
    let is_wrong = values.iter().any(|value| value != DRY_RUN);
    is_wrong.then(|| cause("FieldValueNotSupported", "dryRun", message()))
}

fn cause(reason: &'static str, field: &str, message: String) -> Cause {
    Cause { reason, message, field: field.to_owned() }
}

impl Parameters {
    /// Checks the options of a change. `options` is their kind, such as `CreateOptions`; `is_apply` is `None` unless
    /// the change is a patch (`k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`).
    ///
    /// # Errors
    /// `Invalid` with all that is wrong.
    pub fn check(&self, options: &str, is_apply: Option<bool>) -> Result<(), ApiError> {
        let mut faults = Vec::new();
        if is_apply == Some(true) && self.field_manager.is_empty() {
            let why = "Required value: is required for apply patch".to_owned();
            faults.push(cause("FieldValueRequired", "fieldManager", why));
        }
        if is_apply == Some(false) && self.force.is_some() {
            let why = "Forbidden: may not be specified for non-apply patch".to_owned();
            faults.push(cause("FieldValueForbidden", "force", why));
        }
        faults.extend(self.manager_faults());
        faults.extend(dry_run_fault(&self.dry_runs));
        if let Some(wrong) = &self.wrong_validation {
            let supported = "supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"";
            let message = format!("Unsupported value: {}: {supported}", go_quote(wrong));
            faults.push(cause("FieldValueNotSupported", "fieldValidation", message));
        }
        if faults.is_empty() { Ok(()) } else { Err(ApiError::invalid_options(options, &faults)) }
    }

    fn manager_faults(&self) -> Vec<Cause> {
        let manager = self.field_manager.as_str();
        let mut faults = Vec::new();
        if manager.len() > MANAGER_MAX {
            let why = format!("Too long: may not be more than {MANAGER_MAX} bytes");
            faults.push(cause("FieldValueTooLong", "fieldManager", why));
        }
        let wrong = manager.char_indices().filter(|(_, c)| c.is_control()).take(MANAGER_MAX);
        faults.extend(wrong.map(|(at, c)| {
            let (quoted, number) = (go_quote(manager), u32::from(c));
            let why = format!("Invalid value: {quoted}: invalid character U+{number:04X} (at position {at})");
            cause("FieldValueInvalid", "fieldManager", why)
        }));
        faults
    }
}

/// `None` if the value is unknown.
fn validation(value: &str) -> Option<Validation> {
    match value {
        "" | "Warn" => Some(Validation::Warn),
        "Ignore" => Some(Validation::Ignore),
        "Strict" => Some(Validation::Strict),
        _ => None,
    }
}

/// `None` if the value is unknown.
fn include(value: &str) -> Option<Include> {
    match value {
        "" | "Metadata" => Some(Include::Metadata),
        "None" => Some(Include::None),
        "Object" => Some(Include::Object),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kubectl_asks_is_read() {
        let query = "allowWatchBookmarks=true&fieldSelector=metadata.name%3Dnewcidr1&resourceVersionMatch=NotOlderThan&\
                     sendInitialEvents=true&timeoutSeconds=371&watch=true&x=y";
        let expected = Parameters {
            watch: true,
            field_selector: "metadata.name=newcidr1".to_owned(),
            resource_version_match: "NotOlderThan".to_owned(),
            timeout_seconds: Some(371),
            allow_bookmarks: true,
            send_initial_events: Some(true),
            ..Parameters::default()
        };
        assert_eq!(Parameters::parse(query), expected);
        let found = Parameters::parse("fieldManager=kubectl-create&fieldValidation=Strict&dryRun=All&force");
        assert_eq!((found.field_manager.as_str(), found.dry_run), ("kubectl-create", true));
        assert_eq!(found.validation, Validation::Strict);
    }

    /// `k8s.io/apimachinery/pkg/runtime/conversion.go`.
    #[test]
    fn flags_and_numbers_are_read_as_go_does() {
        for (value, expected) in [
            ("true", true),
            ("yes", true),
            ("", true),
            ("f", true),
            ("00", true),
            ("0", false),
            ("FALSE", false),
        ] {
            let query = format!("watch={value}&force={value}&sendInitialEvents={value}");
            let found = Parameters::parse(&query);
            assert_eq!(
                (found.watch, found.force, found.send_initial_events),
                (expected, Some(expected), Some(expected))
            );
        }
        for (query, limit) in
            [("limit=-1", -1), ("limit=%2B5", 5), ("limit=1&limit=2", 1), ("limit=1&limit=x", 1)]
        {
            let found = Parameters::parse(query);
            assert_eq!((found.limit, found.wrong_number), (limit, None), "{query}");
        }
        for (query, why) in [
            ("limit=x", "parsing \"x\": invalid syntax"),
            ("limit=", "parsing \"\": invalid syntax"),
            ("timeoutSeconds=1.5", "parsing \"1.5\": invalid syntax"),
            ("timeoutSeconds=99999999999999999999", "parsing \"99999999999999999999\": value out of range"),
        ] {
            let found = Parameters::parse(query);
            assert_eq!(found.wrong_number, Some(format!("strconv.ParseInt: {why}")), "{query}");
        }
        assert_eq!((go_uint("5"), go_uint("18446744073709551615")), (Ok(5), Ok(u64::MAX)));
        for (value, why) in [
            ("+5", "invalid syntax"),
            ("-1", "invalid syntax"),
            ("18446744073709551616", "value out of range"),
        ] {
            assert_eq!(go_uint(value), Err(format!("strconv.ParseUint: parsing {value:?}: {why}")));
        }
        assert!(Parameters::parse("includeObject=All").check_table().is_err());
    }

    /// `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`.
    #[test]
    fn wrong_options_are_invalid() {
        let told = |query: &str, is_apply: Option<bool>| {
            let error = Parameters::parse(query).check("PatchOptions", is_apply).unwrap_err();
            assert_eq!(error.code, 422);
            error.message
        };
        let start = "PatchOptions.meta.k8s.io \"\" is invalid: ";
        for (query, is_apply, expected) in [
            ("dryRun=Some", None, "dryRun: Unsupported value: [\"Some\"]: supported values: \"All\""),
            (
                "fieldValidation=strict",
                None,
                "fieldValidation: Unsupported value: \"strict\": supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"",
            ),
            (
                "fieldManager=a%01",
                None,
                "fieldManager: Invalid value: \"a\\x01\": invalid character U+0001 (at position 1)",
            ),
            ("force=true", Some(false), "force: Forbidden: may not be specified for non-apply patch"),
            ("force=true", Some(true), "fieldManager: Required value: is required for apply patch"),
        ] {
            assert_eq!(told(query, is_apply), format!("{start}{expected}"), "{query}");
        }
        let long = format!("dryRun=x&fieldManager={}", "a".repeat(129));
        let expected = "[fieldManager: Too long: may not be more than 128 bytes, dryRun: Unsupported value: [\"x\"]: \
                        supported values: \"All\"]";
        assert_eq!(told(&long, None), format!("{start}{expected}"));
        let good = Parameters::parse("dryRun=All&fieldManager=a&force=true&fieldValidation=");
        assert!(good.dry_run && good.check("PatchOptions", Some(true)).is_ok());
    }
}
