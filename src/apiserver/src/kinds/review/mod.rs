//! Reviews: questions about who somebody is and what they may do.

pub(super) mod schema;
mod spec;

use serde_json::{Value, json};

use super::verbs;
use crate::auth::{ISSUER, Judge, Rule, User};
use crate::kind::{Kind, Source};
use crate::object::Object;
use crate::resource::Resource;
use crate::schema::Type;
use crate::status::{ApiError, Cause};
use crate::time;

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
const AUTHENTICATION: &str = "authentication.k8s.io";
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
static OTHER: Kind = question(
    AUTHORIZATION,
    "SubjectAccessReview",
    "subjectaccessreviews",
    "subjectaccessreview",
    &schema::SUBJECT_ACCESS_REVIEW,
);
static LOCAL: Kind = Kind {
    namespaced: true,
    ..question(
        AUTHORIZATION,
        "LocalSubjectAccessReview",
        "localsubjectaccessreviews",
        "localsubjectaccessreview",
        &schema::LOCAL_SUBJECT_ACCESS_REVIEW,
    )
};
static SUBJECT: Kind = question(
    AUTHENTICATION,
    "SelfSubjectReview",
    "selfsubjectreviews",
    "selfsubjectreview",
    &schema::SELF_SUBJECT_REVIEW,
);
static TOKEN: Kind =
    question(AUTHENTICATION, "TokenReview", "tokenreviews", "tokenreview", &schema::TOKEN_REVIEW);
/// The body of a request for a token. It has no path of its own.
pub(crate) static TOKEN_REQUEST: Kind =
    question(AUTHENTICATION, "TokenRequest", "", "", &schema::TOKEN_REQUEST);

/// The question with its answer.
fn answered(object: &Object, status: Value) -> Object {
    let mut object = object.clone();
    // Upstream always shows the metadata, if only as `{}`.
    let _ = object.metadata_mut();
    object.0.insert("status".to_owned(), status);
    object
}

/// The error for a question with faults. Upstream names the kind as the decoded object has it: not at all.
fn refused(kind: &Kind, faults: &[Cause]) -> ApiError {
    ApiError::invalid(&Kind { name: "", ..*kind }, "", faults)
}

/// SelfSubjectAccessReviews (`kubectl auth can-i`).
pub struct Access;

impl Resource for Access {
    fn kind(&self) -> &'static Kind {
        &ACCESS
    }

    /// `pkg/registry/authorization/selfsubjectaccessreview/rest.go` and `pkg/apis/authorization/validation`.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        let faults = spec::faults(object.spec());
        if !faults.is_empty() {
            return Err(refused(&ACCESS, &faults));
        }
        if object.spec()["resourceAttributes"]["verb"] == "impersonate" {
            let status = json!({"allowed": false, "reason": "impersonation is not served"});
            return Ok(answered(object, status));
        }
        Ok(answered(object, decided(judge, judge.user(), object)?))
    }
}

/// The status of a question whether `user` may do something.
fn decided(judge: &dyn Judge, user: &User, object: &Object) -> Result<Value, ApiError> {
    let decision = judge.decide(user, &spec::attributes(object.spec()))?;
    let mut status = json!({"allowed": decision.is_allowed});
    if !decision.reason.is_empty() {
        status["reason"] = decision.reason.into();
    }
    Ok(status)
}

/// SubjectAccessReviews: whether somebody else may do something.
pub struct OtherAccess;

impl Resource for OtherAccess {
    fn kind(&self) -> &'static Kind {
        &OTHER
    }

    /// `pkg/registry/authorization/subjectaccessreview/rest.go`.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        of_subject(&OTHER, judge, object, &[])
    }
}

/// LocalSubjectAccessReviews: the same in one namespace, so that it can be allowed to ask about that one alone.
pub struct LocalAccess;

impl Resource for LocalAccess {
    fn kind(&self) -> &'static Kind {
        &LOCAL
    }

    /// `pkg/registry/authorization/localsubjectaccessreview/rest.go`.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        of_subject(&LOCAL, judge, object, &spec::local_faults(object))
    }
}

/// The answer to a question about the user in `spec`, which may have `more` faults.
fn of_subject(kind: &Kind, judge: &dyn Judge, object: &Object, more: &[Cause]) -> Result<Object, ApiError> {
    let mut faults = spec::faults(object.spec());
    faults.extend(spec::subject_fault(object.spec()));
    faults.extend_from_slice(more);
    if !faults.is_empty() {
        return Err(refused(kind, &faults));
    }
    Ok(answered(object, decided(judge, &spec::subject(object.spec()), object)?))
}

/// SelfSubjectRulesReviews (`kubectl auth can-i --list`).
pub struct Rules;

impl Resource for Rules {
    fn kind(&self) -> &'static Kind {
        &RULES
    }

    /// `pkg/registry/authorization/selfsubjectrulesreview/rest.go`.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        let namespace = object.spec()["namespace"].as_str().unwrap_or_default();
        if namespace.is_empty() {
            return Err(ApiError::bad_request("no namespace on request"));
        }
        let (rules, faults) = judge.rules(namespace)?;
        let of = |is_shown: fn(&Rule) -> bool, shown: fn(&Rule) -> Value| {
            rules.iter().filter(|rule| is_shown(rule)).map(shown).collect::<Vec<_>>()
        };
        let mut status = json!({
            "resourceRules": of(|rule| !rule.resources.is_empty(), Rule::on_resources),
            "nonResourceRules": of(|rule| !rule.paths.is_empty(), Rule::on_paths),
            "incomplete": false,
        });
        if !faults.is_empty() {
            status["evaluationError"] = faults.join(", ").into();
        }
        let mut answer = answered(object, status);
        answer.0.insert("spec".to_owned(), json!({}));
        Ok(answer)
    }
}

/// SelfSubjectReviews (`kubectl auth whoami`).
pub struct Subject;

impl Resource for Subject {
    fn kind(&self) -> &'static Kind {
        &SUBJECT
    }

    /// `pkg/registry/authentication/selfsubjectreview/rest.go`.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        let mut object = object.clone();
        object.metadata_mut().insert("creationTimestamp".to_owned(), time::format(time::now()).into());
        Ok(answered(&object, json!({"userInfo": judge.user().info()})))
    }
}

/// TokenReviews: whose token this is.
pub struct Token;

impl Resource for Token {
    fn kind(&self) -> &'static Kind {
        &TOKEN
    }

    /// `pkg/registry/authentication/tokenreview/storage.go`.
    fn answer(&self, judge: &dyn Judge, object: &Object) -> Result<Object, ApiError> {
        let token = object.spec()["token"].as_str().unwrap_or_default();
        if token.is_empty() {
            return Err(ApiError::bad_request("token is required for TokenReview in authentication"));
        }
        let audiences = object.spec()["audiences"].as_array().into_iter().flatten();
        let audiences: Vec<String> = audiences.filter_map(Value::as_str).map(str::to_owned).collect();
        let status = match judge.bearer(token, &audiences) {
            Some((user, audiences)) => {
                json!({"authenticated": true, "user": user.info(), "audiences": audiences})
            }
            None if audiences.is_empty() || audiences.iter().any(|one| one == ISSUER) => {
                json!({"error": "invalid bearer token"})
            }
            None => json!({"error": "invalid bearer token, or one for other audiences"}),
        };
        Ok(answered(object, status))
    }
}
