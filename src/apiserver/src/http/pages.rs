//! Pages that are not objects: discovery, health, OpenAPI, metrics.

use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};

use super::answer::{self, Answer, set};
use super::call::{Shared, header, not_acceptable};
use super::metrics_page;
use crate::api::media::{self, Form};
use crate::api::path::Route;
use crate::api::{discovery, openapi, openapi_v2, openapi_v2_json};
use crate::auth::ISSUER;
use crate::status::ApiError;

pub(super) fn page(shared: &Shared, route: &Route, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let kinds = &shared.kinds[..];
    let found = |value: Option<serde_json::Value>| value.ok_or_else(ApiError::no_such_path);
    let value = match route {
        Route::Root => discovery::paths(kinds),
        Route::Version => discovery::version(),
        // Load balancers notice by this that the server stops.
        Route::Health if *shared.stopping.borrow() => return Ok(answer::plain(503, "stopping")),
        Route::Health => return Ok(answer::plain(200, "ok")),
        Route::Metrics => return metrics_page::page(shared),
        Route::Issuer | Route::TokenKeys => return issuer(shared, route),
        Route::CoreVersions | Route::Groups => return groups(shared, route, headers),
        Route::Group(group) => found(discovery::group(kinds, group))?,
        Route::Kinds { group, version } => found(discovery::kinds_of(kinds, group, version))?,
        Route::OpenApiV2 => return openapi_2(shared, headers),
        Route::OpenApiV3 => openapi::index(kinds),
        Route::OpenApiV3Of { group, version } => found(openapi::document(kinds, group, version))?,
        Route::Objects(_) => return Err(ApiError::no_such_path()),
    };
    Ok(answer::json(200, &value))
}

/// What clients that check tokens themselves need (`pkg/serviceaccount/openidmetadata.go`).
fn issuer(shared: &Shared, route: &Route) -> Result<Answer, ApiError> {
    let keys = shared.access.gate.keys().ok_or_else(ApiError::no_such_path)?;
    let (value, media_type) = if *route == Route::TokenKeys {
        (keys, "application/jwk-set+json")
    } else {
        let configuration = serde_json::json!({
            "issuer": ISSUER, "jwks_uri": format!("https://{}/openid/v1/jwks", shared.address),
            "response_types_supported": ["id_token"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        });
        (configuration, "application/json")
    };
    let mut answer = answer::json(200, &value);
    set(&mut answer, CONTENT_TYPE, HeaderValue::from_static(media_type));
    set(&mut answer, CACHE_CONTROL, HeaderValue::from_static("public, max-age=3600"));
    Ok(answer)
}

/// `/openapi/v2`: JSON, or protobuf if `Accept` names it first (`pkg/handler/handler.go` of
/// kube-openapi).
fn openapi_2(shared: &Shared, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let kinds = &shared.kinds[..];
    let is_protobuf = openapi_v2::is_protobuf(header(headers, &ACCEPT)).ok_or_else(not_acceptable)?;
    let mut answer = if is_protobuf {
        let media_type = HeaderValue::from_static(openapi_v2::MEDIA_TYPE);
        answer::whole(200, media_type, openapi_v2::document(kinds))
    } else {
        answer::json(200, &openapi_v2_json::document(kinds))
    };
    set(&mut answer, VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}

/// `/api` and `/apis`, in the older form or aggregated.
fn groups(shared: &Shared, route: &Route, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let (kinds, is_core) = (&shared.kinds[..], *route == Route::CoreVersions);
    let is_possible = |form| matches!(form, Form::Plain | Form::Discovery(_));
    let (form, _) = media::accept(header(headers, &ACCEPT), is_possible).ok_or_else(not_acceptable)?;
    let mut answer = if let Form::Discovery(version) = form {
        let mut answer = answer::json(200, &discovery::aggregated(kinds, is_core, version));
        let media_type =
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        if let Ok(media_type) = HeaderValue::from_str(&media_type) {
            set(&mut answer, CONTENT_TYPE, media_type);
        }
        answer
    } else if is_core {
        answer::json(200, &discovery::core_versions(kinds, &shared.address))
    } else {
        answer::json(200, &discovery::group_list(kinds))
    };
    set(&mut answer, VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}
