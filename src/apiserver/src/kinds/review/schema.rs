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
