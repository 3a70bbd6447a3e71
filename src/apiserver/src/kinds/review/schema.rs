//! `k8s.io/api/authorization/v1` and `k8s.io/api/authentication/v1`: what clients ask about themselves.

use crate::schema::meta::{API_VERSION, KIND, METADATA};
use crate::schema::{Field, Form, Type};

pub(in crate::kinds) static SELF_SUBJECT_ACCESS_REVIEW: Type = Type::new(
    "io.k8s.api.authorization.v1.SelfSubjectAccessReview",
    "Asks whether whoever asks may do something.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&ACCESS_SPEC), "What is asked.").required(),
        Field::new(3, "status", Form::Object(&ACCESS_STATUS), "The answer."),
    ],
);

static ACCESS_SPEC: Type = Type::new(
    "io.k8s.api.authorization.v1.SelfSubjectAccessReviewSpec",
    "What is to be done: one of the two.",
    &[
        Field::new(1, "resourceAttributes", Form::Object(&RESOURCE_ATTRIBUTES), "Something with objects."),
        Field::new(
            2,
            "nonResourceAttributes",
            Form::Object(&NON_RESOURCE_ATTRIBUTES),
            "Something with another path.",
        ),
    ],
);

static RESOURCE_ATTRIBUTES: Type = Type::new(
    "io.k8s.api.authorization.v1.ResourceAttributes",
    "Something that is done with objects.",
    &[
        Field::new(1, "namespace", Form::Text, "Their namespace; empty for all."),
        Field::new(2, "verb", Form::Text, "What is done: get, list, create, ..."),
        Field::new(3, "group", Form::Text, "Their API group."),
        Field::new(4, "version", Form::Text, "Its version."),
        Field::new(5, "resource", Form::Text, "Their resource, such as services."),
        Field::new(6, "subresource", Form::Text, "A part of them, such as status."),
        Field::new(7, "name", Form::Text, "The name of one; empty for all."),
        Field::new(8, "fieldSelector", Form::Any, "Those that it selects."),
        Field::new(9, "labelSelector", Form::Any, "Those that it selects."),
    ],
);

static NON_RESOURCE_ATTRIBUTES: Type = Type::new(
    "io.k8s.api.authorization.v1.NonResourceAttributes",
    "Something that is done with a path that is no object's.",
    &[
        Field::new(1, "path", Form::Text, "The path."),
        Field::new(2, "verb", Form::Text, "The method of HTTP."),
    ],
);

static ACCESS_STATUS: Type = Type::new(
    "io.k8s.api.authorization.v1.SubjectAccessReviewStatus",
    "Whether something may be done.",
    &[
        Field::new(1, "allowed", Form::Boolean, "Whether it may be done.").required(),
        Field::new(4, "denied", Form::Boolean, "Whether it may not, whatever others say."),
        Field::new(2, "reason", Form::Text, "Why."),
        Field::new(3, "evaluationError", Form::Text, "What went wrong."),
    ],
);

pub(in crate::kinds) static SELF_SUBJECT_RULES_REVIEW: Type = Type::new(
    "io.k8s.api.authorization.v1.SelfSubjectRulesReview",
    "Asks for everything that whoever asks may do in a namespace.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&RULES_SPEC), "What is asked.").required(),
        Field::new(3, "status", Form::Object(&RULES_STATUS), "The answer."),
    ],
);

static RULES_SPEC: Type = Type::new(
    "io.k8s.api.authorization.v1.SelfSubjectRulesReviewSpec",
    "Where it is to be done.",
    &[Field::new(1, "namespace", Form::Text, "The namespace.")],
);

static RULES_STATUS: Type = Type::new(
    "io.k8s.api.authorization.v1.SubjectRulesReviewStatus",
    "Everything that may be done.",
    &[
        Field::new(1, "resourceRules", Form::List(&Form::Any), "With objects.").required(),
        Field::new(2, "nonResourceRules", Form::List(&Form::Any), "With other paths.").required(),
        Field::new(3, "incomplete", Form::Boolean, "Whether there is more.").required(),
        Field::new(4, "evaluationError", Form::Text, "What went wrong."),
    ],
);

pub(in crate::kinds) static SELF_SUBJECT_REVIEW: Type = Type::new(
    "io.k8s.api.authentication.v1.SelfSubjectReview",
    "Asks as whom the server knows whoever asks.",
    &[API_VERSION, KIND, METADATA, Field::new(2, "status", Form::Object(&SUBJECT_STATUS), "The answer.")],
);

static SUBJECT_STATUS: Type = Type::new(
    "io.k8s.api.authentication.v1.SelfSubjectReviewStatus",
    "Who asks.",
    &[Field::new(1, "userInfo", Form::Object(&USER_INFO), "Who asks.")],
);

static USER_INFO: Type = Type::new(
    "io.k8s.api.authentication.v1.UserInfo",
    "A user.",
    &[
        Field::new(1, "username", Form::Text, "The name."),
        Field::new(2, "uid", Form::Text, "What tells the user from an earlier one of the name."),
        Field::new(3, "groups", Form::List(&Form::Text), "The groups that the user is in."),
        Field::new(4, "extra", Form::Any, "More about the user."),
    ],
);

pub(in crate::kinds) static SUBJECT_ACCESS_REVIEW: Type = Type::new(
    "io.k8s.api.authorization.v1.SubjectAccessReview",
    "Asks whether somebody may do something.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&SUBJECT_ACCESS_SPEC), "What is asked.").required(),
        Field::new(3, "status", Form::Object(&ACCESS_STATUS), "The answer."),
    ],
);

pub(in crate::kinds) static LOCAL_SUBJECT_ACCESS_REVIEW: Type = Type::new(
    "io.k8s.api.authorization.v1.LocalSubjectAccessReview",
    "Asks whether somebody may do something in a namespace.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&SUBJECT_ACCESS_SPEC), "What is asked.").required(),
        Field::new(3, "status", Form::Object(&ACCESS_STATUS), "The answer."),
    ],
);

static SUBJECT_ACCESS_SPEC: Type = Type::new(
    "io.k8s.api.authorization.v1.SubjectAccessReviewSpec",
    "What is to be done, and by whom.",
    &[
        Field::new(1, "resourceAttributes", Form::Object(&RESOURCE_ATTRIBUTES), "Something with objects."),
        Field::new(
            2,
            "nonResourceAttributes",
            Form::Object(&NON_RESOURCE_ATTRIBUTES),
            "Something with another path.",
        ),
        Field::new(3, "user", Form::Text, "The user's name."),
        Field::new(4, "groups", Form::List(&Form::Text), "The groups that the user is in."),
        Field::new(5, "extra", Form::Any, "More about the user; no rule is about it."),
        Field::new(6, "uid", Form::Text, "What tells the user from an earlier one of the name."),
    ],
);

pub(in crate::kinds) static TOKEN_REVIEW: Type = Type::new(
    "io.k8s.api.authentication.v1.TokenReview",
    "Asks whose token this is.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&TOKEN_REVIEW_SPEC), "The token.").required(),
        Field::new(3, "status", Form::Object(&TOKEN_REVIEW_STATUS), "The answer."),
    ],
);

static TOKEN_REVIEW_SPEC: Type = Type::new(
    "io.k8s.api.authentication.v1.TokenReviewSpec",
    "A token.",
    &[
        Field::new(1, "token", Form::Text, "The token."),
        Field::new(
            2,
            "audiences",
            Form::List(&Form::Text),
            "For whom it has to be, one of them; the API server if there are none.",
        ),
    ],
);

static TOKEN_REVIEW_STATUS: Type = Type::new(
    "io.k8s.api.authentication.v1.TokenReviewStatus",
    "Whose token it is.",
    &[
        Field::new(1, "authenticated", Form::Boolean, "Whether the token is valid."),
        Field::new(2, "user", Form::Object(&USER_INFO), "The user."),
        Field::new(4, "audiences", Form::List(&Form::Text), "Those of the audiences that it is for."),
        Field::new(3, "error", Form::Text, "Why it is not valid."),
    ],
);

pub(in crate::kinds) static TOKEN_REQUEST: Type = Type::new(
    "io.k8s.api.authentication.v1.TokenRequest",
    "Asks for a token of a ServiceAccount.",
    &[
        API_VERSION,
        KIND,
        METADATA,
        Field::new(2, "spec", Form::Object(&TOKEN_REQUEST_SPEC), "What the token is for.").required(),
        Field::new(3, "status", Form::Object(&TOKEN_REQUEST_STATUS), "The token."),
    ],
);

static TOKEN_REQUEST_SPEC: Type = Type::new(
    "io.k8s.api.authentication.v1.TokenRequestSpec",
    "What a token is for.",
    &[
        Field::new(
            1,
            "audiences",
            Form::List(&Form::Text),
            "For whom it is; the API server if there are none.",
        )
        .required(),
        Field::new(4, "expirationSeconds", Form::Int64, "How long it is valid.").pointer(),
        Field::new(3, "boundObjectRef", Form::Object(&BOUND_OBJECT), "The object with which it ends."),
        Field::new(5, "attestations", Form::Any, "Not served here."),
    ],
);

static BOUND_OBJECT: Type = Type::new(
    "io.k8s.api.authentication.v1.BoundObjectReference",
    "The object with which a token ends.",
    &[
        Field::new(1, "kind", Form::Text, "Its kind."),
        Field::new(2, "apiVersion", Form::Text, "Its API group and version."),
        Field::new(3, "name", Form::Text, "Its name."),
        Field::new(4, "uid", Form::Text, "Its uid."),
    ],
);

static TOKEN_REQUEST_STATUS: Type = Type::new(
    "io.k8s.api.authentication.v1.TokenRequestStatus",
    "A token.",
    &[
        Field::new(1, "token", Form::Text, "The token.").required(),
        Field::new(2, "expirationTimestamp", Form::Time, "When it ends.").required(),
    ],
);
