//! Decides who asks and whether the request may be made.

use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::attributes::Attributes;
use super::claims::{Bound, Claims, ISSUER, Named, Times, made};
use super::policy::{Decision, Policy};
use super::rule::Rule;
use super::token::Key;
use super::user::User;
use crate::kind::Kind;
use crate::kinds::{node, pod, rbac, service_account};
use crate::object::Object;
use crate::registry::{ListQuery, Registry};
use crate::status::ApiError;
use crate::store::Stored;
use crate::time;
use ::pod::validation::go_quote;

/// Paths that everybody with a token or certificate may read (`--authorization-always-allow-paths`).
const ALWAYS: [&str; 3] = ["/healthz", "/readyz", "/livez"];

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

    /// The keys by which tokens of service accounts are known (RFC 7517); `None` where there are no such tokens.
    pub(crate) fn keys(&self) -> Option<Value> {
        self.key.as_ref().map(|key| json!({"keys": [key.public()]}))
    }

    /// Makes a token for a service account.
    ///
    /// # Errors
    /// No tokens are served, or the kernel gives no random numbers.
    pub(crate) fn issue(
        &self,
        account: &Object,
        bound: &Bound,
        audiences: &[String],
        times: Times,
    ) -> Result<String, ApiError> {
        let key = self.key.as_ref().ok_or_else(ApiError::no_such_path)?;
        let claims = made(account, bound, audiences, times, time::now());
        key.sign(&claims).map_err(|_| ApiError::internal("cannot sign a token"))
    }

    /// The service account whose token this is, with those of `audiences` that it is meant for; this server's own where
    /// none are given.
    pub(crate) fn bearer(
        &self,
        registry: &Registry,
        token: &str,
        audiences: &[String],
    ) -> Option<(User, Vec<String>)> {
        let (claims, now) = (self.key.as_ref()?.open(token)?, time::now());
        let claims = Claims::of(&claims, now)?;
        let own = [ISSUER.to_owned()];
        let wanted = if audiences.is_empty() { &own[..] } else { audiences };
        let meant: Vec<String> =
            wanted.iter().filter(|one| claims.audiences.contains(&one.as_str())).cloned().collect();
        if meant.is_empty() {
            return None;
        }
        let is_there = |kind, namespace, named: Named<'_>| {
            let found = registry.get(kind, namespace, named.name).and_then(|stored| stored.object());
            found.is_ok_and(|object| named.means(&object, now))
        };
        let is_bound_well = match (claims.pod, claims.node) {
            // The node of a pod is only told.
            (Some(pod), _) => is_there(&pod::KIND, claims.namespace, pod),
            (None, Some(node)) => is_there(&node::KIND, "", node),
            (None, None) => true,
        };
        let is_whole = is_there(&service_account::KIND, claims.namespace, claims.account) && is_bound_well;
        is_whole.then(|| (claims.user(), meant))
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
