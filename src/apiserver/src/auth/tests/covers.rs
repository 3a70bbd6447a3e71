//! Which rules cover others, by cases of upstream's own test (`policy_comparator_test.go` in
//! `k8s.io/component-helpers/auth/rbac/validation`).

use serde_json::{Value, json};

use super::rule;
use crate::auth::rule::{Rule, compact, uncovered};

/// What is missing of `wanted` where there are the rules `own`.
fn missing(own: &[Value], wanted: &[Value]) -> Vec<String> {
    let rules = |values: &[Value]| values.iter().map(Rule::of).collect::<Vec<_>>();
    compact(uncovered(&rules(own), &rules(wanted))).iter().map(Rule::to_string).collect()
}

#[test]
fn rules_cover_each_other() {
    let named = |verbs: &str, names: &[&str]| {
        let mut rule = rule(verbs, "v1", "builds");
        rule["resourceNames"] = json!(names);
        rule
    };
    let paths = |verbs: &str, paths: &[&str]| json!({"verbs": verbs.split(',').collect::<Vec<_>>(), "nonResourceURLs": paths});
    let covered = [
        (vec![rule("get", "v1", "builds")], vec![rule("get", "v1", "builds")]),
        (
            vec![rule("get,list", "v1,v2", "builds,pods")],
            vec![rule("get", "v2", "pods"), rule("list", "v1", "builds")],
        ),
        (vec![rule("*", "*", "*")], vec![rule("get,list", "v1,*", "a,a/b,*")]),
        (
            vec![rule("get", "v1", "builds"), rule("get", "v1", "pods")],
            vec![rule("get", "v1", "builds,pods")],
        ),
        (vec![rule("get", "v1", "builds")], vec![named("get", &["one", "two"])]),
        (vec![named("get", &["one", "two"])], vec![named("get", &["two"])]),
        (vec![rule("get", "v1", "*/status")], vec![rule("get", "v1", "pods/status,*/status")]),
        (vec![paths("get", &["/foo/*", "/bar"])], vec![paths("get", &["/foo/a", "/foo/*", "/bar"])]),
        (vec![paths("*", &["*"])], vec![paths("get,post", &["/", "/x*"])]),
        (vec![], vec![]),
    ];
    for (own, wanted) in covered {
        assert_eq!(missing(&own, &wanted), [""; 0], "{own:?} {wanted:?}");
    }
    let uncovered = [
        (
            vec![],
            vec![rule("get,list", "", "nodes")],
            "{APIGroups:[\"\"], Resources:[\"nodes\"], Verbs:[\"get\" \"list\"]}",
        ),
        (
            vec![rule("get", "v1", "builds")],
            vec![rule("*", "v1", "builds")],
            "{APIGroups:[\"v1\"], Resources:[\"builds\"], Verbs:[\"*\"]}",
        ),
        (
            vec![rule("get", "v1", "builds")],
            vec![rule("get", "v1,v2", "builds")],
            "{APIGroups:[\"v2\"], Resources:[\"builds\"], Verbs:[\"get\"]}",
        ),
        (
            vec![rule("get", "v1", "pods")],
            vec![rule("get", "v1", "pods/status")],
            "{APIGroups:[\"v1\"], Resources:[\"pods/status\"], Verbs:[\"get\"]}",
        ),
        (
            vec![rule("get", "v1", "*/status")],
            vec![rule("get", "v1", "pods")],
            "{APIGroups:[\"v1\"], Resources:[\"pods\"], Verbs:[\"get\"]}",
        ),
        (
            vec![named("get", &["one"])],
            vec![rule("get", "v1", "builds")],
            "{APIGroups:[\"v1\"], Resources:[\"builds\"], Verbs:[\"get\"]}",
        ),
        (
            vec![named("get", &["one"])],
            vec![named("get", &["two"])],
            "{APIGroups:[\"v1\"], Resources:[\"builds\"], ResourceNames:[\"two\"], Verbs:[\"get\"]}",
        ),
        (vec![rule("*", "*", "*")], vec![paths("get", &["/"])], "{NonResourceURLs:[\"/\"], Verbs:[\"get\"]}"),
        (
            vec![paths("get", &["/foo/*"])],
            vec![paths("get", &["/foo"])],
            "{NonResourceURLs:[\"/foo\"], Verbs:[\"get\"]}",
        ),
        (
            vec![paths("get", &["/foo/a"])],
            vec![paths("get", &["/foo/*"])],
            "{NonResourceURLs:[\"/foo/*\"], Verbs:[\"get\"]}",
        ),
    ];
    for (own, wanted, expected) in uncovered {
        assert_eq!(missing(&own, &wanted), [expected], "{own:?} {wanted:?}");
    }
}
