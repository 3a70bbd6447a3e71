//! `serviceaccounts/token`: tokens that clients ask for (`pkg/registry/core/serviceaccount/storage/token.go`).

use serde_json::{Value, json};

use super::answer::{self, Answer, with_warnings};
use super::body::Received;
use super::call::Call;
use crate::kinds::review::TOKEN_REQUEST;
use crate::status::{ApiError, Cause};
use crate::time;

/// The shortest and the longest time that a client may ask for, in seconds.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;
/// The time of a token of which none is asked for, in seconds.
const DEFAULT: i64 = 3600;

/// Answers a TokenRequest with a token.
pub(super) fn answer(call: &Call<'_>, received: &Received) -> Result<Answer, ApiError> {
    let (mut request, told) = call.received_as(received, &TOKEN_REQUEST)?;
    let account = call.shared.registry.get(call.kind, &call.namespace, call.name())?.object()?;
    for (key, wanted) in [("name", account.name()), ("namespace", account.namespace())] {
        let given = request.metadata().get(key).and_then(Value::as_str).unwrap_or_default();
        if !given.is_empty() && given != wanted {
            let message =
                format!("the {key} of the object ({given}) does not match the {key} on the URL ({wanted})");
            return Err(ApiError::bad_request(message));
        }
        request.metadata_mut().insert(key.to_owned(), wanted.into());
    }
    let seconds = request.spec()["expirationSeconds"].as_i64().unwrap_or(DEFAULT);
    let faults = faults(request.spec(), seconds);
    if !faults.is_empty() {
        return Err(ApiError::invalid(&TOKEN_REQUEST, account.name(), &faults));
    }
    let audiences = request.spec()["audiences"].as_array().into_iter().flatten();
    let mut audiences: Vec<String> = audiences.filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(crate::auth::ISSUER.to_owned());
    }
    let issued = call.shared.access.gate.issue(&account, &audiences, seconds)?;
    let spec = request.spec_mut();
    spec.insert("audiences".to_owned(), json!(audiences));
    spec.insert("expirationSeconds".to_owned(), seconds.into());
    let now = time::format(time::now());
    request.metadata_mut().insert("creationTimestamp".to_owned(), now.into());
    let status = json!({"token": issued.token, "expirationTimestamp": time::format(issued.end)});
    request.0.insert("status".to_owned(), status);
    Ok(with_warnings(answer::json(201, &request.into_value()), &told))
}

/// `ValidateTokenRequest` in `pkg/apis/authentication/validation/validation.go`.
fn faults(spec: &Value, seconds: i64) -> Vec<Cause> {
    let fault = |field: &str, value: &str, why: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {value}: {why}"),
        field: format!("spec.{field}"),
    };
    let mut faults = Vec::new();
    if seconds < SHORTEST {
        let why = "may not specify a duration less than 10 minutes";
        faults.push(fault("expirationSeconds", &seconds.to_string(), why));
    }
    if seconds > LONGEST {
        let why = "may not specify a duration larger than 2^32 seconds";
        faults.push(fault("expirationSeconds", &seconds.to_string(), why));
    }
    if !spec["boundObjectRef"].is_null() {
        let why = "this server binds tokens to no object but their service account";
        faults.push(fault("boundObjectRef", &spec["boundObjectRef"].to_string(), why));
    }
    faults
}
