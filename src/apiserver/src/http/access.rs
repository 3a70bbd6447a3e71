//! Authentication by token. Certificates are checked in the TLS handshake.

use hyper::header::{AUTHORIZATION, HeaderMap};
use serde_json::json;
use subtle::ConstantTimeEq;

use crate::kinds::review::USER;
use crate::status::ApiError;

/// Beginning of the names of impersonation headers.
const IMPERSONATE: &str = "impersonate-";

/// The token that clients have to send.
#[derive(Clone)]
pub(super) struct Access {
    token: String,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    pub(super) fn new(token: String) -> Self {
        Self { token }
    }

    /// Whether the headers have the token. The time that this takes tells no more than the token's length.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let mut given = headers.get_all(AUTHORIZATION).iter();
        let (Some(given), None) = (given.next(), given.next()) else { return false };
        let Some((scheme, token)) = given.to_str().ok().and_then(|text| text.split_once(' ')) else {
            return false;
        };
        let is_same: bool = token.trim_start().as_bytes().ct_eq(self.token.as_bytes()).into();
        scheme.eq_ignore_ascii_case("bearer") && is_same && !self.token.is_empty()
    }
}

/// Refuses impersonation: the server has one user, who may do everything
/// (`k8s.io/apiserver/pkg/endpoints/filters/impersonation`).
///
/// # Errors
/// `Forbidden`, and `BadRequest` where groups and the like are given without a user.
pub(super) fn as_oneself(headers: &HeaderMap) -> Result<(), ApiError> {
    if !headers.keys().any(|name| name.as_str().starts_with(IMPERSONATE)) {
        return Ok(());
    }
    let user = headers.get("impersonate-user").map(|value| String::from_utf8_lossy(value.as_bytes()));
    let Some(user) = user.filter(|user| !user.is_empty()) else {
        let mut names: Vec<&str> =
            headers.keys().map(|name| name.as_str()).filter(|name| name.starts_with(IMPERSONATE)).collect();
        names.sort_unstable();
        return Err(ApiError::bad_request(format!(
            "requested {} without impersonating a user",
            names.join(", ")
        )));
    };
    let account = user.strip_prefix("system:serviceaccount:").and_then(|account| account.split_once(':'));
    let (resource, name, place) = match account {
        Some((namespace, name)) => ("serviceaccounts", name, format!("in the namespace {namespace:?}")),
        None => ("users", &*user, "at the cluster scope".to_owned()),
    };
    let message = format!(
        "{resource} {name:?} is forbidden: User {USER:?} cannot impersonate resource {resource:?} in API group \"\" {place}"
    );
    let details = json!({"name": name, "kind": resource});
    Err(ApiError { code: 403, reason: "Forbidden", message, details })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn only_the_token_is_admitted() {
        let access = Access::new("secret".to_owned());
        let admits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            access.admits(&headers)
        };
        assert!(admits(&["Bearer secret"]) && admits(&["bearer  secret"]));
        for refused in [
            &[][..],
            &[""],
            &["Bearer"],
            &["Bearer "],
            &["Bearer secre"],
            &["Bearer secrets"],
            &["Bearer Secret"],
            &["Basic secret"],
            &["secret"],
            &["Bearer secret", "Bearer secret"],
        ] {
            assert!(!admits(refused), "{refused:?}");
        }
        let mut headers = HeaderMap::new();
        headers.append(AUTHORIZATION, HeaderValue::from_static("Bearer "));
        assert!(!Access::new(String::new()).admits(&headers));
    }
}
