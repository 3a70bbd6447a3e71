//! Query parameters.

use crate::serve::status::ApiError;

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
            "dryRun" => self.dry_run = dry_run(value)?,
            "fieldManager" => self.field_manager = manager(value)?,
            "fieldValidation" => self.validation = validation(value)?,
            // There are no conflicts that it could settle.
            "force" => drop(flag(name, value)?),
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

/// Reads a value of `dryRun`, which may also be in a body.
///
/// # Errors
/// `BadRequest` for everything but `All`.
pub fn dry_run(value: &str) -> Result<bool, ApiError> {
    match value {
        "" => Ok(false),
        "All" => Ok(true),
        _ => Err(ApiError::bad_request(format!(
            "dryRun: Unsupported value: {value:?}: supported values: \"All\""
        ))),
    }
}

fn validation(value: &str) -> Result<Validation, ApiError> {
    match value {
        "" | "Warn" => Ok(Validation::Warn),
        "Ignore" => Ok(Validation::Ignore),
        "Strict" => Ok(Validation::Strict),
        _ => Err(ApiError::bad_request(format!(
            "fieldValidation: Unsupported value: {value:?}: supported values: \"\", \"Ignore\", \"Strict\", \"Warn\""
        ))),
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

/// The manager of an object's fields: at most 128 printable characters.
fn manager(value: &str) -> Result<String, ApiError> {
    if value.chars().count() > 128 {
        return Err(ApiError::bad_request("fieldManager: Too long: may not be more than 128 bytes"));
    }
    if value.chars().any(char::is_control) {
        return Err(ApiError::bad_request(
            "fieldManager: Invalid value: should only contain printable characters",
        ));
    }
    Ok(value.to_owned())
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
            "dryRun=Some",
            "fieldValidation=strict",
            "includeObject=All",
            "fieldManager=a%00",
            "timeoutSeconds=99999999999999999999",
        ] {
            let error = Parameters::parse(query).unwrap_err();
            assert_eq!(error.code, 400, "{query}");
            assert!(error.message.contains(query.split('=').next().unwrap()), "{}", error.message);
        }
    }
}
