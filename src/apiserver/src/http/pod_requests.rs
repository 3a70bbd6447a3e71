//! `pods/binding` and `pods/eviction`: a scheduler gives a pod its node, and a pod is asked to leave it
//! (`pkg/registry/core/pod/storage`). There are no disruption budgets here, so every eviction is granted.

use serde_json::{Value, json};

use super::answer::{self, Answer};
use super::body::Received;
use super::call::Call;
use super::deletion;
use crate::kind::{Kind, Subresource};
use crate::kinds::pod_requests::{self, BINDING, EVICTION, OLD_EVICTION};
use crate::object::Object;
use crate::registry::{Change, Registry, Warnings, WriteOptions};
use crate::status::ApiError;
use crate::time;

/// Gives a pod a node.
pub(super) async fn bind(
    call: &Call<'_>,
    registry: &Registry,
    received: &Received,
) -> Result<Answer, ApiError> {
    let binding = request(call, received, &BINDING)?;
    pod_requests::check_target(&binding)?;
    let (kind, name) = (call.kind, call.name().to_owned());
    let change = Change::Patch(Box::new(move |pod| {
        let pod = pod.ok_or_else(|| ApiError::not_found(kind, &name))?;
        pod_requests::bound(kind, pod, &binding, time::now())
    }));
    // The pod's own warnings are not for the client.
    let options = WriteOptions { warnings: Warnings::default(), ..call.options() };
    registry.update(kind, &call.namespace, call.name(), change, options).await?;
    Ok(success())
}

/// Deletes a pod, and notes in its status why.
pub(super) async fn evict(
    call: &Call<'_>,
    registry: &Registry,
    received: &Received,
) -> Result<Answer, ApiError> {
    let eviction = request(call, received, &EVICTION)
        .or_else(|error| request(call, received, &OLD_EVICTION).map_err(|_| error))?;
    let given = eviction.0.get("deleteOptions").and_then(Value::as_object);
    let mut options = deletion::options_in(given.unwrap_or(&serde_json::Map::new()))?;
    options.dry_run |= call.parameters.dry_run;
    let (kind, name) = (call.kind, call.name().to_owned());
    if !options.dry_run {
        let preconditions = (options.uid.clone(), options.resource_version.take());
        let has_version = preconditions.1.is_some();
        let change = Change::Patch(Box::new(move |pod| {
            let pod = pod.ok_or_else(|| ApiError::not_found(kind, &name))?;
            pod_requests::evicted(kind, pod, &preconditions, time::now())
        }));
        let part = Some(Subresource::Status);
        let status = WriteOptions { part, warnings: Warnings::default(), ..call.options() };
        let updated = registry.update(kind, &call.namespace, call.name(), change, status).await?;
        if has_version {
            // The change above is not one of others.
            options.resource_version = Some(updated.stored.object()?.resource_version().to_string());
        }
    }
    registry.delete(kind, &call.namespace, call.name(), options).await?;
    Ok(success())
}

/// What is asked of a pod, which has to be the one in the path.
fn request(call: &Call<'_>, received: &Received, kind: &Kind) -> Result<Object, ApiError> {
    let request = call.received_as(received, kind)?;
    call.check_namespace(&request)?;
    if request.name() != call.name() {
        let message = format!("name in URL does not match name in {} object", kind.name);
        return Err(ApiError::bad_request(message));
    }
    Ok(request)
}

fn success() -> Answer {
    let status =
        json!({"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "code": 201});
    answer::json(201, &status)
}
