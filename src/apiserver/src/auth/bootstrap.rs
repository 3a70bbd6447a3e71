//! The roles and bindings without which nobody could begin (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).

use serde_json::{Value, json};

use super::rule::{Rule, uncovered};
use crate::kind::Kind;
use crate::kinds::rbac::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING};
use crate::object::Object;
use crate::registry::{Change, DeleteOptions, Registry, WriteOptions};
use crate::status::ApiError;

/// An object that has `false` here is left as it is (`AutoUpdateAnnotationKey`).
const UPDATE: &str = "rbac.authorization.kubernetes.io/autoupdate";

/// Creates those that are missing, and gives the others what they lack. What they have more stays
/// (`pkg/registry/rbac/reconciliation`).
///
/// # Errors
/// The store cannot be read or written.
pub(crate) async fn reconcile(registry: &Registry) -> Result<(), ApiError> {
    for (kind, wanted) in objects() {
        let wanted = Object::from_value(wanted).unwrap_or_default();
        let name = wanted.name().to_owned();
        match registry.create(kind, "", wanted.clone(), WriteOptions::default()).await {
            Err(error) if error.reason != "AlreadyExists" => return Err(error),
            Err(_) => {}
            Ok(_) => continue,
        }
        let found = registry.get(kind, "", &name)?.object()?;
        if found.metadata().get("annotations").is_some_and(|all| all[UPDATE] == "false") {
            continue;
        }
        if found.0.get("roleRef") != wanted.0.get("roleRef") {
            // It cannot be changed.
            registry.delete(kind, "", &name, DeleteOptions::default()).await?;
            registry.create(kind, "", wanted, WriteOptions::default()).await?;
        } else if let Some(whole) = completed(&found, &wanted) {
            registry.update(kind, "", &name, Change::Replace(whole), WriteOptions::default()).await?;
        }
    }
    Ok(())
}

/// `found` with what it lacks of `wanted`, if it lacks anything.
fn completed(found: &Object, wanted: &Object) -> Option<Object> {
    let mut whole = found.clone();
    for key in ["labels", "annotations"] {
        let Some(Value::Object(members)) = wanted.metadata().get(key) else { continue };
        let own = whole.metadata_mut().entry(key).or_insert_with(|| json!({}));
        for (name, text) in members {
            if own[name].is_null() {
                own[name] = text.clone();
            }
        }
    }
    let missing = uncovered(&Rule::all_of(&found.0), &Rule::all_of(&wanted.0));
    let rules =
        missing.iter().map(|rule| if rule.paths.is_empty() { rule.on_resources() } else { rule.on_paths() });
    add(&mut whole, "rules", rules.collect());
    let list =
        |object: &Object| object.0.get("subjects").and_then(Value::as_array).cloned().unwrap_or_default();
    let own = list(found);
    add(&mut whole, "subjects", list(wanted).into_iter().filter(|subject| !own.contains(subject)).collect());
    (whole != *found).then_some(whole)
}

fn add(object: &mut Object, key: &str, more: Vec<Value>) {
    if more.is_empty() {
        return;
    }
    match object.0.get_mut(key).and_then(Value::as_array_mut) {
        Some(list) => list.extend(more),
        None => _ = object.0.insert(key.to_owned(), more.into()),
    }
}

/// The roles and their bindings.
fn objects() -> Vec<(&'static Kind, Value)> {
    let mut objects = Vec::new();
    for (name, group, rules) in roles() {
        let metadata = json!({
            "name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"}, "annotations": {UPDATE: "true"},
        });
        objects.push((&CLUSTER_ROLE, json!({"metadata": metadata, "rules": rules})));
        let role = json!({"apiGroup": CLUSTER_ROLE.group, "kind": CLUSTER_ROLE.name, "name": name});
        let subject = json!({"apiGroup": CLUSTER_ROLE.group, "kind": "Group", "name": group});
        let binding = json!({"metadata": metadata, "roleRef": role, "subjects": [subject]});
        objects.push((&CLUSTER_ROLE_BINDING, binding));
    }
    for (kind, object) in &mut objects {
        (object["apiVersion"], object["kind"]) = (kind.api_version().into(), kind.name.into());
    }
    objects
}

/// Names, whom each role is bound to, and rules.
fn roles() -> [(&'static str, &'static str, Value); 5] {
    let read = |paths: &[&str]| json!([{"nonResourceURLs": paths, "verbs": ["get"]}]);
    let ask = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["create"]});
    [
        (
            "cluster-admin",
            "system:masters",
            json!([
                {"apiGroups": ["*"], "resources": ["*"], "verbs": ["*"]},
                {"nonResourceURLs": ["*"], "verbs": ["*"]},
            ]),
        ),
        (
            "system:discovery",
            "system:authenticated",
            read(&[
                "/api",
                "/api/*",
                "/apis",
                "/apis/*",
                "/healthz",
                "/livez",
                "/openapi",
                "/openapi/*",
                "/readyz",
                "/version",
                "/version/",
            ]),
        ),
        (
            "system:basic-user",
            "system:authenticated",
            json!([
                ask("authorization.k8s.io", &["selfsubjectaccessreviews", "selfsubjectrulesreviews"]),
                ask("authentication.k8s.io", &["selfsubjectreviews"]),
            ]),
        ),
        (
            "system:service-account-issuer-discovery",
            "system:serviceaccounts",
            read(&[
                "/.well-known/openid-configuration",
                "/.well-known/openid-configuration/",
                "/openid/v1/jwks",
                "/openid/v1/jwks/",
            ]),
        ),
        (
            "system:public-info-viewer",
            "system:authenticated",
            read(&["/healthz", "/livez", "/readyz", "/version", "/version/"]),
        ),
    ]
}
