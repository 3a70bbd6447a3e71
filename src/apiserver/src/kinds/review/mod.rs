//! Reviews: questions of clients about themselves. There is one user, who may do everything that is served.

pub(super) mod schema;

use serde_json::{Value, json};

use super::faults::invalid;
use super::verbs;
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::resource::Resource;
use crate::schema::Type;
use crate::status::ApiError;
use crate::time;

/// The name of the user, also in the certificate of `admin`.
pub const USER: &str = "kubernetes-admin";
const GROUPS: [&str; 2] = ["system:masters", "system:authenticated"];

/// A kind whose objects are questions.
const fn question(
    group: &'static str,
    name: &'static str,
    plural: &'static str,
    singular: &'static str,
    schema: &'static Type,
) -> Kind {
    Kind {
        namespaced: false,
        verbs: verbs::ASK,
        source: Source::Question,
        ..Kind::new(group, name, plural, singular, schema)
    }
}

const AUTHORIZATION: &str = "authorization.k8s.io";
static ACCESS: Kind = question(
    AUTHORIZATION,
    "SelfSubjectAccessReview",
    "selfsubjectaccessreviews",
    "selfsubjectaccessreview",
    &schema::SELF_SUBJECT_ACCESS_REVIEW,
);
static RULES: Kind = question(
    AUTHORIZATION,
    "SelfSubjectRulesReview",
    "selfsubjectrulesreviews",
    "selfsubjectrulesreview",
    &schema::SELF_SUBJECT_RULES_REVIEW,
);
static SUBJECT: Kind = question(
    "authentication.k8s.io",
    "SelfSubjectReview",
    "selfsubjectreviews",
    "selfsubjectreview",
    &schema::SELF_SUBJECT_REVIEW,
);

/// The question with its answer.
fn answered(object: &Object, status: Value) -> Object {
    let mut object = object.clone();
    object.metadata_mut().entry("creationTimestamp").or_insert(Value::Null);
    object.0.insert("status".to_owned(), status);
    object
}

/// SelfSubjectAccessReviews (`kubectl auth can-i`).
pub struct Access;

impl Resource for Access {
    fn kind(&self) -> &'static Kind {
        &ACCESS
    }

    /// `pkg/registry/authorization/selfsubjectaccessreview/rest.go` and `pkg/apis/authorization/validation`.
    fn answer(&self, object: &Object) -> Result<Object, ApiError> {
        let (of_resource, of_path) =
            (&object.spec()["resourceAttributes"], &object.spec()["nonResourceAttributes"]);
        let fault = match (of_resource.is_null(), of_path.is_null()) {
            (false, false) => {
                let why = "cannot be specified in combination with resourceAttributes";
                invalid("spec.nonResourceAttributes", of_path, why)
            }
            (true, true) => {
                let why = "exactly one of nonResourceAttributes or resourceAttributes must be specified";
                invalid("spec.resourceAttributes", &Value::Null, why)
            }
            // Impersonation is refused: the server knows no other users.
            _ if of_resource["verb"] == "impersonate" => {
                let status = json!({"allowed": false, "reason": "impersonation is not served"});
                return Ok(answered(object, status));
            }
            _ => {
                let reason = "whoever has the token or a client certificate may do everything that is served";
                return Ok(answered(object, json!({"allowed": true, "reason": reason})));
            }
        };
        Err(ApiError::invalid(&ACCESS, "", &[fault]))
    }
}

/// SelfSubjectRulesReviews (`kubectl auth can-i --list`).
pub struct Rules;

impl Resource for Rules {
    fn kind(&self) -> &'static Kind {
        &RULES
    }

    /// `pkg/registry/authorization/selfsubjectrulesreview/rest.go`.
    fn answer(&self, object: &Object) -> Result<Object, ApiError> {
        if object.spec()["namespace"].as_str().is_none_or(str::is_empty) {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let status = json!({
            "resourceRules": [{"verbs": ["*"], "apiGroups": ["*"], "resources": ["*"]}],
            "nonResourceRules": [{"verbs": ["*"], "nonResourceURLs": ["*"]}],
            "incomplete": false,
        });
        Ok(answered(object, status))
    }
}

/// SelfSubjectReviews (`kubectl auth whoami`).
pub struct Subject;

impl Resource for Subject {
    fn kind(&self) -> &'static Kind {
        &SUBJECT
    }

    /// `pkg/registry/authentication/selfsubjectreview/rest.go`.
    fn answer(&self, object: &Object) -> Result<Object, ApiError> {
        let mut object = object.clone();
        object.metadata_mut().insert("creationTimestamp".to_owned(), time::format(time::now()).into());
        Ok(answered(&object, json!({"userInfo": {"username": USER, "groups": GROUPS}})))
    }
}
