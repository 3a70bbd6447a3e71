//! One rule of a role (`PolicyRule`): what it allows, and whether other rules cover it.

use std::fmt;

use serde_json::{Map, Value, json};

use super::attributes::Attributes;
use pod::validation::go_quote;

const ALL: &str = "*";

/// A rule.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Rule {
    /// `get`, `list`; `*` is all.
    pub verbs: Vec<String>,
    /// `apiGroups`; `*` is all.
    pub groups: Vec<String>,
    /// `pods`, `pods/log`, `*/status`; `*` is all.
    pub resources: Vec<String>,
    /// `resourceNames`; empty is all.
    pub names: Vec<String>,
    /// `nonResourceURLs`; a `*` at the end is all that begin so.
    pub paths: Vec<String>,
}

fn has(list: &[String], wanted: &str) -> bool {
    list.iter().any(|own| own == wanted)
}

fn has_all(list: &[String], wanted: &[String]) -> bool {
    wanted.iter().all(|wanted| has(list, wanted))
}

/// Whether a path of a rule has `path` in it, which may end with `*` as well.
fn path_covers(own: &str, path: &str) -> bool {
    own == path || own.ends_with('*') && path.starts_with(own.trim_end_matches('*'))
}

impl Rule {
    /// Reads `rules[]` of a role.
    pub fn of(value: &Value) -> Self {
        let texts = |key: &str| {
            let list = value[key].as_array().into_iter().flatten();
            list.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        Self {
            verbs: texts("verbs"),
            groups: texts("apiGroups"),
            resources: texts("resources"),
            names: texts("resourceNames"),
            paths: texts("nonResourceURLs"),
        }
    }

    /// As `ResourceRule` of `authorization.k8s.io`.
    pub(crate) fn on_resources(&self) -> Value {
        let mut rule = json!({"verbs": self.verbs, "apiGroups": self.groups, "resources": self.resources});
        if !self.names.is_empty() {
            rule["resourceNames"] = json!(self.names);
        }
        rule
    }

    /// As `NonResourceRule` of `authorization.k8s.io`.
    pub(crate) fn on_paths(&self) -> Value {
        json!({"verbs": self.verbs, "nonResourceURLs": self.paths})
    }

    /// The rules that allow everything.
    pub(crate) fn everything() -> Vec<Self> {
        let all = || vec![ALL.to_owned()];
        let objects = Self { verbs: all(), groups: all(), resources: all(), ..Self::default() };
        vec![objects, Self { verbs: all(), paths: all(), ..Self::default() }]
    }

    /// All rules of a role.
    pub fn all_of(role: &Map<String, Value>) -> Vec<Self> {
        role.get("rules").and_then(Value::as_array).into_iter().flatten().map(Self::of).collect()
    }

    /// Whether it allows something (`RuleAllows` in `plugin/pkg/auth/authorizer/rbac/rbac.go`).
    pub fn allows(&self, what: &Attributes) -> bool {
        if !has(&self.verbs, ALL) && !has(&self.verbs, &what.verb) {
            return false;
        }
        if !what.is_about_objects() {
            return self.paths.iter().any(|own| path_covers(own, &what.path));
        }
        (has(&self.groups, ALL) || has(&self.groups, &what.group))
            && self.has_resource(&what.resource, &what.subresource)
            && (self.names.is_empty() || has(&self.names, &what.name))
    }

    fn has_resource(&self, resource: &str, subresource: &str) -> bool {
        self.resources.iter().any(|own| match own.split_once('/') {
            _ if own == ALL => true,
            None => own == resource && subresource.is_empty(),
            Some((of, part)) => {
                !subresource.is_empty() && part == subresource && (of == ALL || of == resource)
            }
        })
    }

    /// Whether everything that `other` allows is allowed (`ruleCovers` in
    /// `k8s.io/component-helpers/auth/rbac/validation/policy_comparator.go`).
    fn covers(&self, other: &Self) -> bool {
        let resource_is_covered = |wanted: &String| {
            let part = wanted.split_once('/').map(|(_, part)| format!("*/{part}"));
            has(&self.resources, wanted) || part.is_some_and(|part| has(&self.resources, &part))
        };
        let path_is_covered = |wanted: &String| self.paths.iter().any(|own| path_covers(own, wanted));
        let names_are_covered =
            self.names.is_empty() || !other.names.is_empty() && has_all(&self.names, &other.names);
        (has(&self.verbs, ALL) || has_all(&self.verbs, &other.verbs))
            && (has(&self.groups, ALL) || has_all(&self.groups, &other.groups))
            && (has(&self.resources, ALL) || other.resources.iter().all(resource_is_covered))
            && names_are_covered
            && other.paths.iter().all(path_is_covered)
    }

    /// Equivalent rules of one verb, resource and name each (`BreakdownRule`).
    fn pieces(&self) -> Vec<Self> {
        let one = |text: &String| vec![text.clone()];
        let names: Vec<Vec<String>> =
            if self.names.is_empty() { vec![Vec::new()] } else { self.names.iter().map(one).collect() };
        let mut pieces = Vec::new();
        for group in &self.groups {
            for resource in &self.resources {
                for verb in &self.verbs {
                    pieces.extend(names.iter().map(|name| Self {
                        verbs: one(verb),
                        groups: one(group),
                        resources: one(resource),
                        names: name.clone(),
                        paths: Vec::new(),
                    }));
                }
            }
        }
        for path in &self.paths {
            let of = |verb| Self { verbs: one(verb), paths: one(path), ..Self::default() };
            pieces.extend(self.verbs.iter().map(of));
        }
        pieces
    }
}

/// The pieces of `wanted` that no rule of `own` covers (`Covers`).
pub(crate) fn uncovered(own: &[Rule], wanted: &[Rule]) -> Vec<Rule> {
    let mut pieces: Vec<Rule> = wanted.iter().flat_map(Rule::pieces).collect();
    pieces.retain(|piece| !own.iter().any(|rule| rule.covers(piece)));
    pieces
}

/// The same rules with the verbs of one resource together (`CompactRules`).
pub(crate) fn compact(pieces: Vec<Rule>) -> Vec<Rule> {
    let mut rules: Vec<Rule> = Vec::new();
    for piece in pieces {
        let is_same = |rule: &&mut Rule| {
            piece.paths.is_empty()
                && (&rule.groups, &rule.resources, &rule.names)
                    == (&piece.groups, &piece.resources, &piece.names)
                && rule.paths.is_empty()
        };
        let Some(rule) = rules.iter_mut().find(is_same) else {
            rules.push(piece);
            continue;
        };
        for verb in piece.verbs {
            if !has(&rule.verbs, &verb) {
                rule.verbs.push(verb);
            }
        }
    }
    rules
}

/// A list as Go's `%q` writes it.
pub(crate) fn quoted(list: &[String]) -> String {
    let texts: Vec<String> = list.iter().map(|text| go_quote(text)).collect();
    format!("[{}]", texts.join(" "))
}

/// `CompactString` in `pkg/apis/rbac/v1/helpers.go`.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            ("APIGroups", &self.groups),
            ("Resources", &self.resources),
            ("NonResourceURLs", &self.paths),
            ("ResourceNames", &self.names),
            ("Verbs", &self.verbs),
        ];
        let parts = parts.iter().filter(|(_, list)| !list.is_empty());
        let texts: Vec<String> = parts.map(|(name, list)| format!("{name}:{}", quoted(list))).collect();
        write!(f, "{{{}}}", texts.join(", "))
    }
}
