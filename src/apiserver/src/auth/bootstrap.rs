//! The roles and bindings without which nobody could begin (`plugin/pkg/auth/authorizer/rbac/bootstrappolicy`).

use serde_json::{Value, json};

use crate::kind::Kind;
use crate::kinds::rbac::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING};
use crate::object::Object;
use crate::registry::{Registry, WriteOptions};
use crate::status::ApiError;

/// Creates those that are missing. What an administrator made of the others stays.
///
/// # Errors
/// The store cannot be written.
pub(crate) async fn create(registry: &Registry) -> Result<(), ApiError> {
    for (kind, object) in objects() {
        let object = Object::from_value(object).unwrap_or_default();
        match registry.create(kind, "", object, WriteOptions::default()).await {
            Err(error) if error.reason != "AlreadyExists" => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Names, whom each role is bound to, and rules.
fn objects() -> Vec<(&'static Kind, Value)> {
    let read = |paths: &[&str]| json!([{"nonResourceURLs": paths, "verbs": ["get"]}]);
    let ask = |group: &str, resources: &[&str]| json!({"apiGroups": [group], "resources": resources, "verbs": ["create"]});
    let roles = [
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
    ];
    let mut objects = Vec::new();
    for (name, group, rules) in roles {
        let metadata = json!({
            "name": name, "labels": {"kubernetes.io/bootstrapping": "rbac-defaults"},
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
