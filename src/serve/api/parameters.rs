//! Query parameters.

use serde_json::json;

use crate::serve::status::{ApiError, Cause};
use crate::validation::go_quote;

/// The query parameters that mean something.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Parameters {
    /// `watch`.
    pub watch: bool,
    /// `limit`, 0 for none.
    pub limit: u64,
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
    /// `timeoutSeconds`.
    pub timeout_seconds: Option<u64>,
    /// `allowWatchBookmarks`.
    pub allow_bookmarks: bool,
    /// `sendInitialEvents`.
    pub send_initial_events: Option<bool>,
    /// `dryRun=All`.
    pub dry_run: bool,
    /// All values of `dryRun`, which may be wrong.
    pub dry_runs: Vec<String>,
    /// `force`.
    pub force: Option<bool>,
    /// `gracePeriodSeconds`, which may be no number.
    pub grace_period: String,
    /// `fieldValidation` where it is none that there is.
    pub wrong_validation: Option<String>,
    /// `fieldManager`.
    pub field_manager: String,
    /// `fieldValidation`.
    pub validation: Validation,
    /// `includeObject`, of tables.
    pub include_object: Include,
    /// `propagationPolicy`.
    pub propagation_policy: String,
    /// `orphanDependents`.
    pub orphan_dependents: Option<bool>,
}

/// What happens to fields that a kind does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Validation {
    /// They are left out.
    Ignore,
    /// They are left out with a warning.
    #[default]
    Warn,
    /// They are refused.
    Strict,
}

/// What a row of a table has of its object.
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
    /// Reads the query of a URL.
    ///
    /// # Errors
    /// `BadRequest` naming the parameter.
    pub fn parse(query: &str) -> Result<Self, ApiError> {
        let mut parameters = Self::default();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            parameters.set(&name, &value)?;
        }
        Ok(parameters)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), ApiError> {
        match name {
            "watch" => self.watch = flag(name, value)?,
            "limit" => self.limit = number(name, value)?,
            "continue" => self.continue_token = value.to_owned(),
            "labelSelector" => self.label_selector = value.to_owned(),
            "fieldSelector" => self.field_selector = value.to_owned(),
            "resourceVersion" => self.resource_version = value.to_owned(),
            "resourceVersionMatch" => self.resource_version_match = value.to_owned(),
            "timeoutSeconds" => self.timeout_seconds = Some(number(name, value)?),
            "allowWatchBookmarks" => self.allow_bookmarks = flag(name, value)?,
            "sendInitialEvents" => self.send_initial_events = Some(flag(name, value)?),
            "dryRun" => {
                self.dry_run |= value == DRY_RUN;
                self.dry_runs.extend(Some(value.to_owned()).filter(|value| !value.is_empty()));
            }
            "fieldManager" => self.field_manager = value.to_owned(),
            "fieldValidation" => match validation(value) {
                Some(known) => self.validation = known,
                None => self.wrong_validation = Some(value.to_owned()),
            },
            // There are no conflicts that it could settle.
            "force" => self.force = Some(flag(name, value)?),
            "gracePeriodSeconds" => self.grace_period = value.to_owned(),
            "includeObject" => self.include_object = include(value)?,
            "orphanDependents" => self.orphan_dependents = Some(flag(name, value)?),
            "propagationPolicy" => self.propagation_policy = value.to_owned(),
            // `pretty`, `timeout`, `gracePeriodSeconds`, ...: nothing is waited for here.
            _ => {}
        }
        Ok(())
    }
}

/// As upstream reads a flag: there without a value is true.
fn flag(name: &str, value: &str) -> Result<bool, ApiError> {
    match value {
        "" | "1" | "t" | "T" | "true" | "True" | "TRUE" => Ok(true),
        "0" | "f" | "F" | "false" | "False" | "FALSE" => Ok(false),
        _ => Err(ApiError::bad_request(format!(
            "cannot read the query parameter {name}: expected true or false, got {value:?}"
        ))),
    }
}

fn number(name: &str, value: &str) -> Result<u64, ApiError> {
    if value.is_empty() {
        return Ok(0);
    }
    let unable = |_| {
        ApiError::bad_request(format!(
            "cannot read the query parameter {name}: expected a number, got {value:?}"
        ))
    };
    value.parse().map_err(unable)
}

/// The one value that `dryRun` may have.
const DRY_RUN: &str = "All";
/// Most bytes of a field manager's name.
const MANAGER_MAX: usize = 128;

/// What is wrong with the values of `dryRun`, which may also be in a body.
pub fn dry_run_fault(values: &[String]) -> Option<Cause> {
    let message = || format!("Unsupported value: {}: supported values: {DRY_RUN:?}", json!(values));
    let is_wrong = values.iter().any(|value| value != DRY_RUN);
    is_wrong.then(|| cause("FieldValueNotSupported", "dryRun", message()))
}

fn cause(reason: &'static str, field: &str, message: String) -> Cause {
    Cause { reason, message, field: field.to_owned() }
}

impl Parameters {
    /// Checks the options of a change, which are of the kind `options`; `is_apply` tells one sort of patch from the others
    /// (`k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`).
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

/// `None` where there is no such validation.
fn validation(value: &str) -> Option<Validation> {
    match value {
        "" | "Warn" => Some(Validation::Warn),
        "Ignore" => Some(Validation::Ignore),
        "Strict" => Some(Validation::Strict),
        _ => None,
    }
}

fn include(value: &str) -> Result<Include, ApiError> {
    match value {
        "" | "Metadata" => Ok(Include::Metadata),
        "None" => Ok(Include::None),
        "Object" => Ok(Include::Object),
        _ => Err(ApiError::bad_request(format!("unrecognized includeObject value: {value:?}"))),
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
        assert_eq!(Parameters::parse(query).unwrap(), expected);
        let found =
            Parameters::parse("fieldManager=kubectl-create&fieldValidation=Strict&dryRun=All&force").unwrap();
        assert_eq!((found.field_manager.as_str(), found.dry_run), ("kubectl-create", true));
        assert_eq!(found.validation, Validation::Strict);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for query in [
            "limit=-1",
            "limit=x",
            "watch=maybe",
            "force=maybe",
            "includeObject=All",
            "timeoutSeconds=99999999999999999999",
        ] {
            let error = Parameters::parse(query).unwrap_err();
            assert_eq!(error.code, 400, "{query}");
            assert!(error.message.contains(query.split('=').next().unwrap()), "{}", error.message);
        }
    }

    /// `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`.
    #[test]
    fn wrong_options_are_invalid() {
        let told = |query: &str, is_apply: Option<bool>| {
            let error = Parameters::parse(query).unwrap().check("PatchOptions", is_apply).unwrap_err();
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
        let good = Parameters::parse("dryRun=All&fieldManager=a&force=true&fieldValidation=").unwrap();
        assert!(good.dry_run && good.check("PatchOptions", Some(true)).is_ok());
    }
}
