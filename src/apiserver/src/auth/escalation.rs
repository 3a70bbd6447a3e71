//! Nobody grants more than they have (`pkg/registry/rbac/escalation_check.go` and the `policybased` storages beside it).

use super::attributes::Attributes;
use super::policy::{Policy, RoleRef, joined};
use super::rule::{Rule, compact, quoted, uncovered};
use super::user::User;
use crate::kind::Kind;
use crate::kinds::rbac::ROLE_GROUP;
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;
use pod::validation::go_quote;

/// The user whose rights bound what a change may grant, with all rules; `None` where nothing bounds it.
fn bounded(transaction: &mut dyn Transaction) -> Result<Option<(User, Policy)>, ApiError> {
    let Some(user) = transaction.author().filter(|user| !user.is_master()).cloned() else { return Ok(None) };
    let policy = Policy::read(|kind| transaction.list(kind))?;
    Ok(Some((user, policy)))
}

/// Refuses a role with rules that its author does not have, unless the author may `escalate` it.
///
/// # Errors
/// `Forbidden`.
pub(crate) fn check_role(
    transaction: &mut dyn Transaction,
    kind: &'static Kind,
    role: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    let rules = Rule::all_of(&role.0);
    if old.is_some_and(|old| Rule::all_of(&old.0) == rules) {
        return Ok(());
    }
    let Some((user, policy)) = bounded(transaction)? else { return Ok(()) };
    let what = about("escalate", kind.group, kind.plural, role.namespace(), role.name());
    if policy.decide(&user, &what).is_allowed {
        return Ok(());
    }
    covered(&policy, &user, role.namespace(), &rules)
        .map_err(|why| ApiError::forbidden(kind, role.name(), &why))
}

/// Refuses a binding to a role whose rules its author does not have, unless the author may `bind` it.
///
/// # Errors
/// `Forbidden`, and `NotFound` for the role.
pub(crate) fn check_binding(
    transaction: &mut dyn Transaction,
    kind: &'static Kind,
    binding: &Object,
    old: Option<&Object>,
) -> Result<(), ApiError> {
    // Only labels and the like have changed.
    let granted = |object: &Object| ["roleRef", "subjects"].map(|key| object.0.get(key).cloned());
    if old.is_some_and(|old| granted(old) == granted(binding)) {
        return Ok(());
    }
    let Some((user, policy)) = bounded(transaction)? else { return Ok(()) };
    let (role, namespace) = (RoleRef::of(binding), binding.namespace());
    let plural = if role.kind == "Role" { "roles" } else { "clusterroles" };
    let what = about("bind", &role.group, plural, namespace, &role.name);
    if policy.decide(&user, &what).is_allowed {
        return Ok(());
    }
    let rules = policy.role(&role, namespace).ok_or_else(|| missing(&role))?;
    covered(&policy, &user, namespace, rules).map_err(|why| ApiError::forbidden(kind, binding.name(), &why))
}

/// Refuses to create an object by an update to a user who may not create it
/// (`withAuthorization` in `k8s.io/apiserver/pkg/endpoints/handlers/update.go`).
///
/// # Errors
/// `Forbidden`.
pub(crate) fn check_creation(
    transaction: &mut dyn Transaction,
    kind: &'static Kind,
    namespace: &str,
    name: &str,
) -> Result<(), ApiError> {
    let Some((user, policy)) = bounded(transaction)? else { return Ok(()) };
    // The events of both groups are stored as one kind, but rules are about the one in the path.
    let group = if kind.group.is_empty() { transaction.group() } else { kind.group };
    let decision = policy.decide(&user, &about("create", group, kind.plural, namespace, name));
    if decision.is_allowed {
        Ok(())
    } else {
        Err(ApiError::refused(group, kind.plural, name, &decision.reason))
    }
}

fn about(verb: &str, group: &str, resource: &str, namespace: &str, name: &str) -> Attributes {
    let [verb, group, resource, namespace, name] =
        [verb, group, resource, namespace, name].map(str::to_owned);
    Attributes { verb, group, resource, namespace, name, ..Attributes::default() }
}

fn missing(role: &RoleRef) -> ApiError {
    let resource = role.kind.to_lowercase();
    let message = format!("{resource}.{ROLE_GROUP} {} not found", go_quote(&role.name));
    let details = serde_json::json!({"name": role.name, "group": ROLE_GROUP, "kind": resource});
    ApiError { code: 404, reason: "NotFound", message, details }
}

/// Whether `user` has all of `rules` in a namespace; else what is missing (`ConfirmNoEscalation`).
fn covered(policy: &Policy, user: &User, namespace: &str, rules: &[Rule]) -> Result<(), String> {
    let (own, faults) = policy.rules(user, namespace);
    let missing = uncovered(&own, rules);
    if missing.is_empty() {
        return Ok(());
    }
    let mut missing: Vec<String> = compact(missing).iter().map(Rule::to_string).collect();
    missing.sort_unstable();
    missing.dedup();
    let mut why = format!(
        "user {} (groups={}) is attempting to grant RBAC permissions not currently held:\n{}",
        go_quote(&user.name),
        quoted(&user.groups),
        missing.join("\n")
    );
    if !faults.is_empty() {
        why = format!("{why}; resolution errors: [{}]", joined(faults).trim_matches(['[', ']']));
    }
    Err(why)
}
