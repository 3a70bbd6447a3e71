//! Pages that are not objects: discovery, health, OpenAPI, metrics.

use hyper::header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderValue, VARY};

use super::answer::{self, Answer, set};
use super::call::{Shared, header, not_acceptable};
use super::tagged::{for_ever, moved, tagged};
use super::{health, metrics_page};
use crate::api::media::{self, Form};
use crate::api::path::Route;
use crate::api::{discovery, openapi, openapi_v2, openapi_v2_json};
use crate::auth::ISSUER;
use crate::status::ApiError;

pub(super) fn page(
    shared: &Shared,
    route: &Route,
    query: &str,
    headers: &HeaderMap,
) -> Result<Answer, ApiError> {
    let kinds = &shared.kinds[..];
    let found = |value: Option<serde_json::Value>| value.ok_or_else(ApiError::no_such_path);
    let value = match route {
        Route::Root => discovery::paths(kinds),
        Route::Version => discovery::version(),
        Route::Health(path, check) => return health::page(shared, *path, check.as_deref(), query),
        Route::Metrics => return metrics_page::page(shared),
        Route::Issuer | Route::TokenKeys => return issuer(shared, route),
        Route::CoreVersions | Route::Groups => return groups(shared, route, headers),
        Route::Group(group) => found(discovery::group(kinds, group))?,
        Route::Kinds { group, version } => found(discovery::kinds_of(kinds, group, version))?,
        Route::OpenApiV2 => return openapi_2(shared, headers),
        Route::OpenApiV3 => openapi::index(shared.openapi()),
        Route::OpenApiV3Of { group, version } => {
            let document = found(openapi::document(kinds, group, version))?;
            return Ok(openapi_3(shared, (group, version), answer::json(200, &document), query, headers));
        }
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

/// A document of `/openapi/v3`. A URL with the hash of another one leads to the present one.
fn openapi_3(
    shared: &Shared,
    (group, version): (&str, &str),
    document: Answer,
    query: &str,
    headers: &HeaderMap,
) -> Answer {
    let path = openapi::path(group, version);
    let Some(hash) = shared.openapi().get(&path) else { return document };
    let asked = form_urlencoded::parse(query.as_bytes()).find(|(name, _)| name == "hash");
    let asked = asked.map(|(_, asked)| asked).filter(|asked| !asked.is_empty());
    if asked.as_ref().is_some_and(|asked| asked != hash) {
        return moved(&document, &format!("/openapi/v3/{path}?hash={hash}"));
    }
    let mut answer = tagged(document, hash, headers);
    if asked.is_some() {
        for_ever(&mut answer);
    }
    answer
}

/// `/openapi/v2`: JSON, or protobuf if `Accept` names it first (`pkg/handler/handler.go` of
/// kube-openapi).
fn openapi_2(shared: &Shared, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let kinds = &shared.kinds[..];
    let is_protobuf = openapi_v2::is_protobuf(header(headers, &ACCEPT)).ok_or_else(not_acceptable)?;
    let (media_type, document) = if is_protobuf {
        (openapi_v2::MEDIA_TYPE, openapi_v2::document(kinds))
    } else {
        ("application/json", openapi_v2_json::document(kinds).to_string().into_bytes())
    };
    let hash = openapi::hash(&document);
    Ok(tagged(answer::whole(200, HeaderValue::from_static(media_type), document), &hash, headers))
}

/// `/api` and `/apis`, in the older form or aggregated.
fn groups(shared: &Shared, route: &Route, headers: &HeaderMap) -> Result<Answer, ApiError> {
    let (kinds, is_core) = (&shared.kinds[..], *route == Route::CoreVersions);
    // An aggregated answer is preferred wherever it stands in the list (`WrappedHandler` in
    // `k8s.io/apiserver/pkg/endpoints/discovery/aggregated/wrapper.go`).
    let accept = header(headers, &ACCEPT).filter(|accept| !accept.trim().is_empty());
    let accepted = |is_possible: fn(&Form) -> bool| media::accept(accept, |form| is_possible(&form));
    let aggregated = accept.and_then(|_| accepted(|form| matches!(form, Form::Discovery(_))));
    let (form, _) =
        aggregated.or_else(|| accepted(|form| *form == Form::Plain)).ok_or_else(not_acceptable)?;
    let mut answer = if let Form::Discovery(version) = form {
        let document = discovery::aggregated(kinds, is_core, version);
        let mut answer = answer::json(200, &document);
        let media_type =
            format!("application/json;g=apidiscovery.k8s.io;v={version};as=APIGroupDiscoveryList");
        if let Ok(media_type) = HeaderValue::from_str(&media_type) {
            set(&mut answer, CONTENT_TYPE, media_type);
        }
        set(&mut answer, CACHE_CONTROL, HeaderValue::from_static("public"));
        return Ok(tagged(answer, &openapi::hash(document.to_string().as_bytes()), headers));
    } else if is_core {
        answer::json(200, &discovery::core_versions(kinds, &shared.address))
    } else {
        answer::json(200, &discovery::group_list(kinds))
    };
    set(&mut answer, VARY, HeaderValue::from_static("Accept"));
    Ok(answer)
}
