//! `serviceaccounts/token`: tokens that clients ask for (`pkg/registry/core/serviceaccount/storage/token.go`).

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::body::Received;
use super::call::Call;
use crate::auth::{Bound, ISSUER, Times, UNASKED};
use crate::kinds::review::TOKEN_REQUEST;
use crate::kinds::{absent, node, pod};
use crate::object::Object;
use crate::status::{ApiError, Cause};
use crate::time;

/// The shortest and the longest time that a client may ask for, in seconds.
const SHORTEST: i64 = 600;
const LONGEST: i64 = 1 << 32;
/// The time of a token of which none is asked for, in seconds.
const DEFAULT: i64 = 3600;
/// The time of a token of a pod that nobody asked for, in seconds: for programs that read their token only once
/// (`--service-account-extend-token-expiration`).
const YEAR: i64 = 365 * 24 * 3600;

/// Answers a TokenRequest with a token.
pub(super) fn answer(call: &Call<'_>, received: &Received) -> Result<Answer, ApiError> {
    let mut request = call.received_as(received, &TOKEN_REQUEST)?;
    check_place(call, &request)?;
    let account = call.shared.registry.get(call.kind, &call.namespace, call.name())?.object()?;
    check_uid(&request, &account)?;
    let seconds = request.spec()["expirationSeconds"].as_i64().unwrap_or(DEFAULT);
    let faults = faults(seconds);
    if !faults.is_empty() {
        return Err(ApiError::invalid(&TOKEN_REQUEST, "", &faults));
    }
    let bound = bound(call, &account, &request.spec()["boundObjectRef"])?;
    let audiences = request.spec()["audiences"].as_array().into_iter().flatten();
    let mut audiences: Vec<String> = audiences.filter_map(Value::as_str).map(str::to_owned).collect();
    if audiences.is_empty() {
        audiences.push(ISSUER.to_owned());
    }
    let is_unasked =
        bound.pod.is_some() && seconds == UNASKED && audiences.iter().all(|audience| audience == ISSUER);
    let times = if is_unasked {
        Times { seconds: YEAR, warn_after: Some(seconds) }
    } else {
        Times { seconds, warn_after: None }
    };
    let now = time::now();
    let token = call.shared.access.gate.issue(&account, &bound, &audiences, times)?;
    let spec = request.spec_mut();
    spec.insert("audiences".to_owned(), json!(audiences));
    spec.insert("expirationSeconds".to_owned(), seconds.into());
    let metadata = request.metadata_mut();
    for (key, own) in [("name", account.name()), ("namespace", account.namespace()), ("uid", account.uid())] {
        metadata.insert(key.to_owned(), own.into());
    }
    metadata.insert("creationTimestamp".to_owned(), time::format(now).into());
    let end = time::format(now.saturating_add(seconds));
    request.0.insert("status".to_owned(), json!({"token": token, "expirationTimestamp": end}));
    Ok(answer::json(201, &request.into_value()))
}

/// Refuses a request that names another account than the path.
fn check_place(call: &Call<'_>, request: &Object) -> Result<(), ApiError> {
    call.check_namespace(request)?;
    if !request.name().is_empty() && request.name() != call.name() {
        let given = request.name();
        let message = format!("Invalid value: {given:?}: must match the service account name if specified");
        let cause = Cause { reason: "FieldValueInvalid", message, field: "metadata.name".to_owned() };
        return Err(ApiError::invalid(&TOKEN_REQUEST, call.name(), &[cause]));
    }
    Ok(())
}

fn check_uid(request: &Object, account: &Object) -> Result<(), ApiError> {
    let (given, uid) = (request.uid(), account.uid());
    if given.is_empty() || given == uid {
        return Ok(());
    }
    let why = format!(
        "the UID in the token request ({given}) does not match the UID of the service account ({uid})"
    );
    Err(ApiError::another(&TOKEN_REQUEST, account.name(), &why))
}

/// Finds the objects that the token is to be bound to.
fn bound(call: &Call<'_>, account: &Object, reference: &Value) -> Result<Bound, ApiError> {
    if reference.is_null() {
        return Ok(Bound::default());
    }
    let text = |key: &str| reference[key].as_str().unwrap_or_default();
    let get = |kind, namespace: &str, name: &str| call.shared.registry.get(kind, namespace, name)?.object();
    let (name, kind) = (text("name"), text("kind"));
    let (group, version) = group_version(text("apiVersion"));
    let bound = match (group, kind) {
        ("", "Pod") => {
            let pod = get(&pod::KIND, &call.namespace, name)?;
            if pod.spec()["serviceAccountName"] != account.name() {
                let own = account.name();
                return Err(ApiError::bad_request(format!(
                    "cannot bind token for serviceaccount {own:?} to pod running with different serviceaccount name."
                )));
            }
            let node = node_of(&pod, |name| get(&node::KIND, "", name))?;
            Bound { pod: Some(pod), node }
        }
        ("", "Node") => Bound { pod: None, node: Some(get(&node::KIND, "", name)?) },
        ("", "Secret") => return Err(ApiError::not_found(&absent::SECRET, name)),
        _ => {
            let message = format!("cannot bind token to object of type {group}/{version}, Kind={kind}");
            return Err(ApiError::bad_request(message));
        }
    };
    let given = text("uid");
    let (kind, object) = match (&bound.pod, &bound.node) {
        (Some(pod), _) => (&pod::KIND, Some(pod)),
        (None, node) => (&node::KIND, node.as_ref()),
    };
    if !given.is_empty() && object.is_some_and(|object| object.uid() != given) {
        let why = format!(
            "the UID in the bound object reference ({given}) does not match the UID in record. \
             The object might have been deleted and then recreated"
        );
        return Err(ApiError::another(kind, name, &why));
    }
    Ok(bound)
}

/// The node of a pod, which may have no object: then its name is known.
fn node_of(
    pod: &Object,
    get: impl FnOnce(&str) -> Result<Object, ApiError>,
) -> Result<Option<Object>, ApiError> {
    let name = pod.spec()["nodeName"].as_str().unwrap_or_default();
    if name.is_empty() {
        return Ok(None);
    }
    match get(name) {
        Err(error) if error.reason == "NotFound" => {
            Ok(Object::from_value(json!({"metadata": {"name": name}})))
        }
        found => found.map(Some),
    }
}

/// The parts of an `apiVersion`; none for one that has more (`FromAPIVersionAndKind`).
fn group_version(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        None => ("", text),
        Some((group, version)) if !version.contains('/') => (group, version),
        Some(_) => ("", ""),
    }
}

/// `ValidateTokenRequest` in `pkg/apis/authentication/validation/validation.go`.
fn faults(seconds: i64) -> Vec<Cause> {
    let fault = |why: &str| Cause {
        reason: "FieldValueInvalid",
        message: format!("Invalid value: {seconds}: {why}"),
        field: "spec.expirationSeconds".to_owned(),
    };
    let mut faults = Vec::new();
    if seconds < SHORTEST {
        faults.push(fault("may not specify a duration less than 10 minutes"));
    }
    if seconds > LONGEST {
        faults.push(fault("may not specify a duration larger than 2^32 seconds"));
    }
    faults
}
