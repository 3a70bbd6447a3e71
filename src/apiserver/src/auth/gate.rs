//! Decides who asks and whether the request may be made.

use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::attributes::Attributes;
use super::policy::{Decision, Policy};
use super::rule::Rule;
use super::token::Key;
use super::user::{User, service_account_name};
use crate::kind::Kind;
use crate::kinds::{rbac, service_account};
use crate::object::Object;
use crate::registry::{ListQuery, Registry};
use crate::status::ApiError;
use crate::store::Stored;
use crate::time;
use pod::validation::go_quote;

/// The audience of tokens for this server, and their issuer (`--service-account-issuer` of kubeadm).
pub(crate) const ISSUER: &str = "https://kubernetes.default.svc.cluster.local";
/// Paths that everybody with a token or certificate may read (`--authorization-always-allow-paths`).
const ALWAYS: [&str; 3] = ["/healthz", "/readyz", "/livez"];
/// Seconds for which a token may seem to be of the future, after a clock was set back.
const SKEW: i64 = 60;

/// `--authorization-mode`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Mode {
    /// Everybody with a token or a certificate may do everything.
    #[default]
    #[value(name = "AlwaysAllow")]
    AlwaysAllow,
    /// What roles and bindings allow.
    #[value(name = "RBAC")]
    Rbac,
}

/// Who may do what.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    mode: Mode,
    /// Signs tokens of service accounts, where those are served.
    key: Option<Key>,
    /// All roles and bindings as of a version.
    policy: Mutex<Option<(u64, std::sync::Arc<Policy>)>>,
}

/// A new token.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) token: String,
    /// Its end, in seconds since 1970.
    pub(crate) end: i64,
}

impl Gate {
    pub(crate) fn new(mode: Mode, key: Option<Key>) -> Self {
        Self { mode, key, policy: Mutex::default() }
    }

    /// Whether rules decide.
    pub(crate) fn has_rules(&self) -> bool {
        self.mode == Mode::Rbac
    }

    /// Lets a request pass.
    ///
    /// # Errors
    /// `Forbidden` in upstream's words (`responsewriters.Forbidden`).
    pub(crate) fn check(&self, registry: &Registry, user: &User, what: &Attributes) -> Result<(), ApiError> {
        if !self.has_rules() || ALWAYS.contains(&what.path.as_str()) {
            return Ok(());
        }
        let decision = self.decide(registry, user, what)?;
        if decision.is_allowed { Ok(()) } else { Err(refusal(user, what, &decision.reason)) }
    }

    /// Whether `user` may do something.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn decide(
        &self,
        registry: &Registry,
        user: &User,
        what: &Attributes,
    ) -> Result<Decision, ApiError> {
        match self.mode {
            Mode::AlwaysAllow => {
                let reason = "whoever has the token or a client certificate may do everything that is served";
                Ok(Decision { is_allowed: true, reason: reason.to_owned() })
            }
            Mode::Rbac => Ok(self.policy(registry)?.decide(user, what)),
        }
    }

    /// All rules that hold for `user` in a namespace, and what is wrong with others.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn rules(
        &self,
        registry: &Registry,
        user: &User,
        namespace: &str,
    ) -> Result<(Vec<Rule>, Vec<String>), ApiError> {
        match self.mode {
            Mode::AlwaysAllow => Ok((Rule::everything(), Vec::new())),
            Mode::Rbac => Ok(self.policy(registry)?.rules(user, namespace)),
        }
    }

    /// All roles and bindings as they are now. They are read again only after one of them has changed.
    ///
    /// # Errors
    /// The store cannot be read.
    pub(crate) fn policy(&self, registry: &Registry) -> Result<std::sync::Arc<Policy>, ApiError> {
        let mut known = self.policy.lock().unwrap_or_else(PoisonError::into_inner);
        // Before the look at the changes, so that none is missed.
        let now = registry.resource_version();
        if let Some((version, policy)) = &mut *known
            && !registry.has_changed(*version, &rbac::KINDS)
        {
            *version = now;
            return Ok(std::sync::Arc::clone(policy));
        }
        let all = |kind: &'static Kind| -> Result<Vec<Object>, ApiError> {
            registry.list(kind, &ListQuery::default())?.items.iter().map(Stored::object).collect()
        };
        let policy = std::sync::Arc::new(Policy::read(all)?);
        *known = Some((now, std::sync::Arc::clone(&policy)));
        Ok(policy)
    }

    /// Makes a token for a service account (`Claims` in `pkg/serviceaccount/claims.go`).
    ///
    /// # Errors
    /// No tokens are served, or the kernel gives no random numbers.
    pub(crate) fn issue(
        &self,
        account: &Object,
        audiences: &[String],
        seconds: i64,
    ) -> Result<Issued, ApiError> {
        let key = self.key.as_ref().ok_or_else(ApiError::no_such_path)?;
        let now = time::now();
        let end = now.saturating_add(seconds);
        let (namespace, name) = (account.namespace(), account.name());
        let claims = json!({
            "aud": audiences, "exp": end, "iat": now, "nbf": now, "iss": ISSUER,
            "jti": Uuid::new_v4().to_string(), "sub": service_account_name(namespace, name),
            "kubernetes.io": {"namespace": namespace, "serviceaccount": {"name": name, "uid": account.uid()}},
        });
        let token = key.sign(&claims).map_err(|_| ApiError::internal("cannot sign a token"))?;
        Ok(Issued { token, end })
    }

    /// The service account whose token this is, with those of `audiences` that it is meant for; this server's own where
    /// none are given.
    pub(crate) fn bearer(
        &self,
        registry: &Registry,
        token: &str,
        audiences: &[String],
    ) -> Option<(User, Vec<String>)> {
        let claims = self.key.as_ref()?.open(token)?;
        let claims = Claims::of(&claims, time::now())?;
        let own = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() { &own[..] } else { audiences };
        let meant: Vec<String> =
            wanted.iter().filter(|one| claims.audiences.contains(&one.as_str())).cloned().collect();
        if meant.is_empty() {
            return None;
        }
        let account = registry.get(&service_account::KIND, claims.namespace, claims.name).ok()?;
        let account = account.object().ok()?;
        if account.uid() != claims.uid || account.is_being_deleted() {
            return None;
        }
        let mut user = User::service_account(claims.namespace, claims.name, claims.uid);
        let id = format!("JTI={}", claims.id);
        user.extra.insert("authentication.kubernetes.io/credential-id".to_owned(), vec![id]);
        Some((user, meant))
    }
}

/// What a token says.
#[derive(Debug, PartialEq)]
struct Claims<'a> {
    namespace: &'a str,
    name: &'a str,
    uid: &'a str,
    id: &'a str,
    audiences: Vec<&'a str>,
}

impl<'a> Claims<'a> {
    /// Reads the claims of a token that holds at `now`.
    fn of(claims: &'a Map<String, Value>, now: i64) -> Option<Self> {
        let time = |key: &str| claims.get(key)?.as_i64();
        let text = |key: &str| claims.get(key)?.as_str();
        if text("iss")? != ISSUER || time("exp")? <= now || time("nbf")? > now.saturating_add(SKEW) {
            return None;
        }
        let own = claims.get("kubernetes.io")?;
        let account = &own["serviceaccount"];
        let (namespace, name) = (own["namespace"].as_str()?, account["name"].as_str()?);
        if text("sub")? != service_account_name(namespace, name) {
            return None;
        }
        let audiences = claims.get("aud")?.as_array()?.iter().filter_map(Value::as_str).collect();
        Some(Self { namespace, name, uid: account["uid"].as_str()?, id: text("jti")?, audiences })
    }
}

/// `Forbidden` for `user`.
pub(super) fn refusal(user: &User, what: &Attributes, reason: &str) -> ApiError {
    let (name, verb) = (go_quote(&user.name), &what.verb);
    let mut why = if what.is_about_objects() {
        let part = if what.subresource.is_empty() { String::new() } else { format!("/{}", what.subresource) };
        let place = match what.namespace.as_str() {
            "" => "at the cluster scope".to_owned(),
            namespace => format!("in the namespace {}", go_quote(namespace)),
        };
        let resource = go_quote(&format!("{}{part}", what.resource));
        format!(
            "User {name} cannot {verb} resource {resource} in API group {} {place}",
            go_quote(&what.group)
        )
    } else {
        format!("User {name} cannot {verb} path {}", go_quote(&what.path))
    };
    // As upstream, for browsers that take the text for HTML.
    why = why.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    if !reason.is_empty() {
        why = format!("{why}: {reason}");
    }
    ApiError::refused(&what.group, &what.resource, &what.name, &why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(change: impl Fn(&mut Value)) -> Map<String, Value> {
        let mut claims = json!({
            "aud": [ISSUER], "exp": 2000, "iat": 1000, "nbf": 1000, "iss": ISSUER, "jti": "id",
            "sub": "system:serviceaccount:a:b",
            "kubernetes.io": {"namespace": "a", "serviceaccount": {"name": "b", "uid": "u"}},
        });
        change(&mut claims);
        claims.as_object().unwrap().clone()
    }

    #[test]
    fn claims_hold_for_their_time_and_account() {
        let holds = |claims: &Map<String, Value>, now| Claims::of(claims, now).is_some();
        let whole = claims(|_| {});
        for (now, expected) in
            [(900, false), (940, true), (1000, true), (1999, true), (2000, false), (i64::MAX, false)]
        {
            assert_eq!(holds(&whole, now), expected, "{now}");
        }
        let read = Claims::of(&whole, 1500).unwrap();
        assert_eq!((read.namespace, read.name, read.uid, read.id), ("a", "b", "u", "id"));
        type Change = fn(&mut Value);
        let changes: [(&str, Change); 9] = [
            ("another issuer", |claims| claims["iss"] = "https://example".into()),
            ("no end", |claims| claims["exp"] = Value::Null),
            ("an end as text", |claims| claims["exp"] = "9999".into()),
            ("no beginning", |claims| claims["nbf"] = Value::Null),
            ("another subject", |claims| claims["sub"] = "system:serviceaccount:a:c".into()),
            ("no account", |claims| claims["kubernetes.io"]["serviceaccount"] = Value::Null),
            ("no uid", |claims| claims["kubernetes.io"]["serviceaccount"]["uid"] = Value::Null),
            ("no audience", |claims| claims["aud"] = Value::Null),
            ("a namespace that hides a name", |claims| claims["kubernetes.io"]["namespace"] = "a:b".into()),
        ];
        for (what, change) in changes {
            assert!(!holds(&claims(change), 1500), "{what}");
        }
    }
}
