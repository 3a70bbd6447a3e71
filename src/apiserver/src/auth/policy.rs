//! All roles and bindings together (`plugin/pkg/auth/authorizer/rbac` and `pkg/registry/rbac/validation`).

use std::collections::HashMap;
use std::fmt;

use serde_json::Value;

use super::attributes::Attributes;
use super::rule::Rule;
use super::user::{User, service_account_name};
use crate::kind::Kind;
use crate::kinds::rbac::{self, ROLE_GROUP};
use crate::object::Object;
use crate::status::ApiError;
use pod::validation::go_quote;

/// Whether something is allowed, and why; the reason may be empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Decision {
    /// Whether it is.
    pub is_allowed: bool,
    /// Why, for people.
    pub reason: String,
}

/// Roles and bindings, for fast answers.
#[derive(Debug, Default)]
pub struct Policy {
    /// By name.
    cluster_roles: HashMap<String, Vec<Rule>>,
    /// By namespace and name.
    roles: HashMap<(String, String), Vec<Rule>>,
    cluster_bindings: Vec<Binding>,
    /// By namespace.
    bindings: HashMap<String, Vec<Binding>>,
}

/// Gives the users that it names the rules of a role.
#[derive(Debug)]
struct Binding {
    /// `ClusterRoleBinding "name"`, as reasons have it.
    title: String,
    /// Empty for those of the cluster.
    namespace: String,
    role: RoleRef,
    subjects: Vec<Subject>,
}

/// The role that a binding names.
#[derive(Debug, Clone)]
pub(crate) struct RoleRef {
    pub(crate) kind: String,
    pub(crate) group: String,
    pub(crate) name: String,
}

impl RoleRef {
    /// Reads `roleRef` of a binding.
    pub(crate) fn of(binding: &Object) -> Self {
        let text = |key: &str| {
            let value = binding.0.get("roleRef").and_then(|role| role[key].as_str());
            value.unwrap_or_default().to_owned()
        };
        Self { kind: text("kind"), group: text("apiGroup"), name: text("name") }
    }
}

#[derive(Debug)]
struct Subject {
    kind: String,
    namespace: String,
    name: String,
}

impl Subject {
    fn of(value: &Value, namespace: &str) -> Self {
        let text = |key: &str| value[key].as_str().unwrap_or_default();
        // A subject without a namespace is in that of its binding.
        let own = Some(text("namespace")).filter(|own| !own.is_empty());
        Self {
            kind: text("kind").to_owned(),
            namespace: own.unwrap_or(namespace).to_owned(),
            name: text("name").to_owned(),
        }
    }

    fn is(&self, user: &User) -> bool {
        match self.kind.as_str() {
            "User" => self.name == user.name,
            "Group" => user.is_in(&self.name),
            "ServiceAccount" => {
                !self.namespace.is_empty() && service_account_name(&self.namespace, &self.name) == user.name
            }
            _ => false,
        }
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self.kind.as_str() {
            "ServiceAccount" => format!("{}/{}", self.name, self.namespace),
            _ => self.name.clone(),
        };
        write!(f, "{} {}", self.kind, go_quote(&name))
    }
}

/// What holds for a user.
enum Held<'a> {
    Rule {
        rule: &'a Rule,
        binding: &'a Binding,
        subject: &'a Subject,
    },
    /// A role that a binding names cannot be had.
    Missing(String),
}

impl Policy {
    /// Reads all roles and bindings with `list`, which gives all objects of a kind.
    ///
    /// # Errors
    /// Those of `list`.
    pub fn read(
        mut list: impl FnMut(&'static Kind) -> Result<Vec<Object>, ApiError>,
    ) -> Result<Self, ApiError> {
        let mut policy = Self::default();
        for role in list(&rbac::CLUSTER_ROLE)? {
            policy.cluster_roles.insert(role.name().to_owned(), Rule::all_of(&role.0));
        }
        for role in list(&rbac::ROLE)? {
            let key = (role.namespace().to_owned(), role.name().to_owned());
            policy.roles.insert(key, Rule::all_of(&role.0));
        }
        policy.cluster_bindings = list(&rbac::CLUSTER_ROLE_BINDING)?.iter().map(binding).collect();
        for object in list(&rbac::ROLE_BINDING)? {
            policy.bindings.entry(object.namespace().to_owned()).or_default().push(binding(&object));
        }
        Ok(policy)
    }

    /// Whether `user` may do something.
    pub fn decide(&self, user: &User, what: &Attributes) -> Decision {
        if user.is_master() {
            return Decision { is_allowed: true, reason: String::new() };
        }
        let mut missing = Vec::new();
        for held in self.held(user, &what.namespace) {
            match held {
                Held::Rule { rule, binding, subject } if rule.allows(what) => {
                    let role = &binding.role;
                    let reason = format!(
                        "RBAC: allowed by {} of {} {} to {subject}",
                        binding.title,
                        role.kind,
                        go_quote(&role.name)
                    );
                    return Decision { is_allowed: true, reason };
                }
                Held::Rule { .. } => {}
                Held::Missing(why) => missing.push(why),
            }
        }
        let reason = if missing.is_empty() { String::new() } else { format!("RBAC: {}", joined(missing)) };
        Decision { is_allowed: false, reason }
    }

    /// All rules that hold for `user` in a namespace, or everywhere if it is empty; and what is wrong with others.
    pub fn rules(&self, user: &User, namespace: &str) -> (Vec<Rule>, Vec<String>) {
        let (mut rules, mut missing) = (Vec::new(), Vec::new());
        for held in self.held(user, namespace) {
            match held {
                Held::Rule { rule, .. } => rules.push(rule.clone()),
                Held::Missing(why) => missing.push(why),
            }
        }
        (rules, missing)
    }

    /// The rules of the role that a binding in `namespace` names; `None` if there is no such role.
    pub(crate) fn role(&self, role: &RoleRef, namespace: &str) -> Option<&[Rule]> {
        let found = match role.kind.as_str() {
            "ClusterRole" => self.cluster_roles.get(&role.name),
            "Role" => self.roles.get(&(namespace.to_owned(), role.name.clone())),
            _ => None,
        };
        found.map(Vec::as_slice)
    }

    /// `VisitRulesFor` in `pkg/registry/rbac/validation/rule.go`.
    fn held<'a>(&'a self, user: &User, namespace: &str) -> Vec<Held<'a>> {
        let own = self.bindings.get(namespace).filter(|_| !namespace.is_empty());
        let mut held = Vec::new();
        for binding in self.cluster_bindings.iter().chain(own.into_iter().flatten()) {
            let Some(subject) = binding.subjects.iter().find(|subject| subject.is(user)) else { continue };
            match self.role(&binding.role, &binding.namespace) {
                Some(rules) => held.extend(rules.iter().map(|rule| Held::Rule { rule, binding, subject })),
                None => {
                    let (kind, name) = (binding.role.kind.to_lowercase(), go_quote(&binding.role.name));
                    held.push(Held::Missing(format!("{kind}.{ROLE_GROUP} {name} not found")));
                }
            }
        }
        held
    }
}

fn binding(object: &Object) -> Binding {
    let (name, namespace) = (object.name(), object.namespace());
    let title = if namespace.is_empty() {
        format!("ClusterRoleBinding {}", go_quote(name))
    } else {
        format!("RoleBinding {}", go_quote(&format!("{name}/{namespace}")))
    };
    let subjects = object.0.get("subjects").and_then(Value::as_array).into_iter().flatten();
    let subjects = subjects.map(|subject| Subject::of(subject, namespace)).collect();
    Binding { title, namespace: namespace.to_owned(), role: RoleRef::of(object), subjects }
}

/// Several faults as one text (`utilerrors.NewAggregate`).
pub(crate) fn joined(mut faults: Vec<String>) -> String {
    let mut seen = std::collections::HashSet::new();
    faults.retain(|fault| seen.insert(fault.clone()));
    if let [one] = &faults[..] { one.clone() } else { format!("[{}]", faults.join(", ")) }
}
