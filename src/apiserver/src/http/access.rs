//! Authentication by token and by certificate. The TLS handshake has checked the certificate.

use std::sync::Arc;

use hyper::header::{AUTHORIZATION, HeaderMap};
use rustls::pki_types::CertificateDer;
use serde_json::json;
use subtle::ConstantTimeEq;

use super::call::Call;
use crate::auth::{Attributes, Decision, Gate, Judge, Rule, User, user_of_certificate};
use crate::registry::Registry;
use crate::status::ApiError;

/// Beginning of the names of impersonation headers.
const IMPERSONATE: &str = "impersonate-";

/// What clients show of themselves, and what they may do then.
pub(super) struct Access {
    /// The administrator's token.
    token: String,
    admin: Arc<User>,
    pub(super) gate: Gate,
}

impl std::fmt::Debug for Access {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Access").finish_non_exhaustive()
    }
}

impl Access {
    pub(super) fn new(token: String, gate: Gate) -> Self {
        Self { token, admin: Arc::new(User::admin()), gate }
    }

    /// The administrator.
    pub(super) fn admin(&self) -> Arc<User> {
        Arc::clone(&self.admin)
    }

    /// The user whose token the headers have.
    pub(super) fn user(&self, registry: &Registry, headers: &HeaderMap) -> Option<Arc<User>> {
        let token = bearer(headers)?;
        if self.is_own(token) {
            return Some(self.admin());
        }
        let found = tokio::task::block_in_place(|| self.gate.bearer(registry, token, &[]));
        found.map(|(user, _)| Arc::new(user))
    }

    /// Whether it is the administrator's token. The time that this takes tells no more than the token's length.
    fn is_own(&self, token: &str) -> bool {
        let is_same: bool = token.as_bytes().ct_eq(self.token.as_bytes()).into();
        is_same && !self.token.is_empty()
    }

    /// The user of a certificate that the TLS handshake has checked. Without rules there is only the administrator.
    pub(super) fn user_of(&self, certificate: &CertificateDer<'_>) -> Option<Arc<User>> {
        if self.gate.has_rules() {
            user_of_certificate(certificate).map(Arc::new)
        } else {
            Some(self.admin())
        }
    }
}

/// The token of a request.
fn bearer(headers: &HeaderMap) -> Option<&str> {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let (given, None) = (given.next()?, given.next()) else { return None };
    let (scheme, token) = given.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim_start())
}

impl Judge for Call<'_> {
    fn user(&self) -> &User {
        &self.user
    }

    fn decide(&self, user: &User, what: &Attributes) -> Result<Decision, ApiError> {
        self.shared.access.gate.decide(&self.shared.registry, user, what)
    }

    fn rules(&self, namespace: &str) -> Result<(Vec<Rule>, Vec<String>), ApiError> {
        self.shared.access.gate.rules(&self.shared.registry, &self.user, namespace)
    }

    fn bearer(&self, token: &str, audiences: &[String]) -> Option<(User, Vec<String>)> {
        let access = &self.shared.access;
        if access.is_own(token) {
            let own: Vec<String> = vec![crate::auth::ISSUER.to_owned()];
            let is_meant = audiences.is_empty() || audiences.contains(&own[0]);
            return is_meant.then(|| (User::admin(), own));
        }
        access.gate.bearer(&self.shared.registry, token, audiences)
    }
}

/// Refuses impersonation, to every user (`k8s.io/apiserver/pkg/endpoints/filters/impersonation`).
///
/// # Errors
/// `Forbidden`, and `BadRequest` where groups and the like are given without a user.
pub(super) fn as_oneself(headers: &HeaderMap, asking: &User) -> Result<(), ApiError> {
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
        "{resource} {name:?} is forbidden: User {:?} cannot impersonate resource {resource:?} in API group \"\" {place}",
        asking.name
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
        let access = Access::new("secret".to_owned(), Gate::default());
        let admits = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(AUTHORIZATION, HeaderValue::from_str(value).unwrap());
            }
            bearer(&headers).is_some_and(|token| access.is_own(token))
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
        assert!(!Access::new(String::new(), Gate::default()).is_own(""));
    }
}
