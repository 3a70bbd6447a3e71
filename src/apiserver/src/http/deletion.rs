//! DELETE: of one object, and of all that a list would have (`k8s.io/apiserver/pkg/endpoints/handlers/delete.go`).

use serde_json::{Map, Value, json};

use super::answer::{self, Answer};
use super::body::Received;
use super::call::Call;
use super::read::in_form;
use crate::api::body as contents;
use crate::api::media::{Content, OBJECTS};
use crate::api::parameters::{self, Parameters};
use crate::registry::{DeleteOptions, Deleted, Policy, Registry};
use crate::schema::meta::DELETE_OPTIONS;
use crate::status::{ApiError, Cause};
use pod::validation::go_quote;

pub(super) async fn delete(
    call: &Call<'_>,
    registry: &Registry,
    received: &Received,
) -> Result<Answer, ApiError> {
    let (options, cascades) = options(call, received)?;
    match registry.delete(call.kind, &call.namespace, call.name(), options).await? {
        // 202 tells clients of the older `orphanDependents` that the deletion is not complete.
        Deleted::Pending(stored) if cascades => call.object(202, &stored),
        Deleted::Pending(stored) => call.object(200, &stored),
        Deleted::Gone(stored) if call.resource.is_returned_when_deleted() => call.object(200, &stored),
        Deleted::Gone(stored) => {
            let object = stored.object()?;
            let mut details = json!({"name": object.name(), "kind": call.kind.plural, "uid": object.uid()});
            if !call.kind.group.is_empty() {
                details["group"] = call.kind.group.into();
            }
            Ok(answer::json(
                200,
                &json!({
                    "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details,
                }),
            ))
        }
    }
}

pub(super) async fn delete_collection(
    call: &Call<'_>,
    registry: &Registry,
    received: &Received,
) -> Result<Answer, ApiError> {
    if call.kind.namespaced && call.namespace.is_empty() {
        return Err(ApiError::method_not_allowed());
    }
    call.parameters.check_list()?;
    let query = call.query()?;
    let (options, _) = options(call, received)?;
    call.check_version()?;
    let _room = call.shared.limits.list().await;
    let deleted = registry.delete_collection(call.kind, &query, options).await?;
    in_form(call, deleted)
}

/// How to delete, as options say that are part of another request.
pub(super) fn options_in(options: &Map<String, Value>) -> Result<DeleteOptions, ApiError> {
    read(Asked::of_body(options)).map(|(options, _)| options)
}

/// How to delete, and whether the client says so with `orphanDependents: false`. If there is a body, the query is
/// ignored.
fn options(call: &Call<'_>, received: &Received) -> Result<(DeleteOptions, bool), ApiError> {
    let asked = if received.bytes.is_empty() {
        Asked::of_query(&call.parameters)?
    } else {
        let is_whole =
            |content: &Content| matches!(content, Content::Json | Content::Yaml | Content::Protobuf);
        let content = received.content.filter(is_whole);
        let content =
            content.ok_or_else(|| ApiError::unsupported_media_type(&received.media_type, OBJECTS))?;
        Asked::of_body(&contents::options(&received.bytes, content, &DELETE_OPTIONS)?)
    };
    read(asked)
}

fn read(asked: Asked) -> Result<(DeleteOptions, bool), ApiError> {
    let mut faults = policy_faults(asked.policy.as_deref(), asked.orphan);
    faults.extend(parameters::dry_run_fault(&asked.dry_runs));
    if !faults.is_empty() {
        return Err(ApiError::invalid_options("DeleteOptions", &faults));
    }
    let policy = match (asked.policy.as_deref(), asked.orphan) {
        (Some("Orphan"), _) | (None, Some(true)) => Policy::Orphan,
        (Some("Background"), _) | (None, Some(false)) => Policy::Background,
        (Some("Foreground"), _) => Policy::Foreground,
        _ => Policy::Default,
    };
    let (dry_run, uid, resource_version) = (!asked.dry_runs.is_empty(), asked.uid, asked.resource_version);
    let options = DeleteOptions { dry_run, uid, resource_version, policy, grace: asked.grace };
    Ok((options, asked.orphan == Some(false)))
}

/// The options of a deletion, as they are given.
#[derive(Debug, Default)]
struct Asked {
    policy: Option<String>,
    orphan: Option<bool>,
    dry_runs: Vec<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    grace: Option<i64>,
}

impl Asked {
    /// `Convert_url_Values_To_v1_DeleteOptions` in `k8s.io/apimachinery/pkg/apis/meta/v1/conversion.go`.
    fn of_query(query: &Parameters) -> Result<Self, ApiError> {
        let grace = query.grace_period.as_deref().map(parameters::go_int).transpose();
        let precondition = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
        Ok(Self {
            policy: query.propagation_policy.clone(),
            orphan: query.orphan_dependents,
            dry_runs: query.dry_runs.clone(),
            uid: precondition(&query.uid),
            resource_version: precondition(&query.resource_version),
            grace: grace.map_err(ApiError::bad_request)?,
        })
    }

    fn of_body(options: &Map<String, Value>) -> Self {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        let dry_runs = options.get("dryRun").and_then(Value::as_array).into_iter().flatten();
        let precondition = |key| text(options.get("preconditions").and_then(|all| all.get(key)));
        Self {
            policy: text(options.get("propagationPolicy")),
            orphan: options.get("orphanDependents").and_then(Value::as_bool),
            dry_runs: dry_runs.filter_map(|value| text(Some(value))).collect(),
            uid: precondition("uid"),
            resource_version: precondition("resourceVersion"),
            grace: options.get("gracePeriodSeconds").and_then(Value::as_i64),
        }
    }
}

/// The faults of the options that say what to do with dependents (`ValidateDeleteOptions` in
/// `k8s.io/apimachinery/pkg/apis/meta/v1/validation/validation.go`).
fn policy_faults(policy: Option<&str>, orphan: Option<bool>) -> Vec<Cause> {
    let cause = |reason, message| Cause { reason, message, field: "propagationPolicy".to_owned() };
    let Some(policy) = policy else { return Vec::new() };
    let quoted = go_quote(policy);
    let mut faults = Vec::new();
    if orphan.is_some() {
        let why =
            format!("Invalid value: {quoted}: orphanDependents and deletionPropagation cannot be both set");
        faults.push(cause("FieldValueInvalid", why));
    }
    if !matches!(policy, "Orphan" | "Background" | "Foreground") {
        let supported = "supported values: \"Foreground\", \"Background\", \"Orphan\", \"nil\"";
        faults.push(cause("FieldValueNotSupported", format!("Unsupported value: {quoted}: {supported}")));
    }
    faults
}
