//! The authorizer by cases of upstream's own tests (`plugin/pkg/auth/authorizer/rbac/rbac_test.go`,
//! `k8s.io/apiserver/pkg/endpoints/request/requestinfo_test.go`,
//! `k8s.io/component-helpers/auth/rbac/validation/policy_comparator_test.go`).

use serde_json::{Value, json};

use super::attributes::Attributes;
use super::gate::refusal;
use super::policy::Policy;
use super::rule::{Rule, compact, uncovered};
use super::user::User;
use crate::kinds::rbac::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING};
use crate::object::Object;

#[test]
fn requests_are_read_as_upstream_reads_them() {
    // Method and path, then verb, group, namespace, resource, subresource, name.
    let objects = [
        ("GET /api/v1/namespaces", "list", "", "", "namespaces", "", ""),
        ("GET /api/v1/namespaces/other", "get", "", "other", "namespaces", "", "other"),
        ("PUT /api/v1/namespaces/other/finalize", "update", "", "other", "namespaces", "finalize", "other"),
        ("PUT /api/v1/namespaces/other/status", "update", "", "other", "namespaces", "status", "other"),
        ("GET /api/v1/namespaces/other/pods", "list", "", "other", "pods", "", ""),
        ("GET /api/v1/namespaces/other/pods/foo", "get", "", "other", "pods", "", "foo"),
        ("HEAD /api/v1/namespaces/other/pods/foo", "get", "", "other", "pods", "", "foo"),
        ("GET /api/v1/pods", "list", "", "", "pods", "", ""),
        ("HEAD /api/v1/pods", "list", "", "", "pods", "", ""),
        ("GET /api/v1/pods?watch=true", "watch", "", "", "pods", "", ""),
        ("GET /api/v1/pods?watch=1", "watch", "", "", "pods", "", ""),
        ("GET /api/v1/pods?watch=false", "list", "", "", "pods", "", ""),
        ("GET /api/v1/watch/pods", "watch", "", "", "pods", "", ""),
        ("GET /api/v1/watch/namespaces/other/pods", "watch", "", "other", "pods", "", ""),
        ("GET /api/v1/namespaces/other/pods/foo/status", "get", "", "other", "pods", "status", "foo"),
        ("PATCH /api/v1/nodes/n1/status", "patch", "", "", "nodes", "status", "n1"),
        ("POST /api/v1/namespaces/other/pods", "create", "", "other", "pods", "", ""),
        (
            "POST /api/v1/namespaces/a/serviceaccounts/b/token",
            "create",
            "",
            "a",
            "serviceaccounts",
            "token",
            "b",
        ),
        ("DELETE /api/v1/namespaces/other/pods", "deletecollection", "", "other", "pods", "", ""),
        ("DELETE /api/v1/namespaces/other/pods/foo", "delete", "", "other", "pods", "", "foo"),
        (
            "GET /apis/discovery.k8s.io/v1/endpointslices",
            "list",
            "discovery.k8s.io",
            "",
            "endpointslices",
            "",
            "",
        ),
        ("GET /apis/apps/v1/namespaces/a/daemonsets/b/", "get", "apps", "a", "daemonsets", "", "b"),
        ("GET /api/v1/namespaces/a/n%6fdes/b", "get", "", "a", "nodes", "", "b"),
        // A field selector for one name counts as that name.
        ("GET /api/v1/nodes?fieldSelector=metadata.name%3Dn1", "list", "", "", "nodes", "", "n1"),
        ("GET /api/v1/nodes?watch=true&fieldSelector=metadata.name%3Dn1", "watch", "", "", "nodes", "", "n1"),
        ("GET /api/v1/nodes?fieldSelector=metadata.name%21%3Dn1", "list", "", "", "nodes", "", ""),
        ("GET /api/v1/nodes?fieldSelector=metadata.name%3D%2E%2E", "list", "", "", "nodes", "", ""),
        (
            "DELETE /api/v1/nodes?fieldSelector=metadata.name%3Dn1",
            "deletecollection",
            "",
            "",
            "nodes",
            "",
            "",
        ),
    ];
    for (line, verb, group, namespace, resource, subresource, name) in objects {
        let found = of(line);
        let parts =
            [&found.verb, &found.group, &found.namespace, &found.resource, &found.subresource, &found.name];
        assert_eq!(parts, [verb, group, namespace, resource, subresource, name], "{line}");
        assert!(found.is_about_objects(), "{line}");
    }
    for line in [
        "GET /",
        "GET /api",
        "GET /api/v1",
        "GET /apis/apps",
        "GET /apis/apps/v1",
        "POST /healthz",
        "GET /api/v1/watch",
    ] {
        let (method, path) = line.split_once(' ').unwrap();
        let found = of(line);
        assert_eq!((found.verb, found.path), (method.to_lowercase(), path.to_owned()), "{line}");
    }
}

fn of(line: &str) -> Attributes {
    let (method, rest) = line.split_once(' ').unwrap();
    let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
    Attributes::of(method, path, query)
}

/// Whatever the router finds in a path, the rules are asked about.
#[test]
fn rules_and_router_read_the_same() {
    use crate::api::path::{self, Place, Route};
    let kinds = crate::kinds::every();
    for kind in &kinds {
        let base = if kind.group.is_empty() {
            "/api/v1".to_owned()
        } else {
            format!("/apis/{}/{}", kind.group, kind.version)
        };
        let scope = if kind.namespaced { "/namespaces/ns" } else { "" };
        let parts = kind.subresources.iter().map(|(part, _)| format!("/{}", part.name()));
        for part in parts.chain([String::new()]) {
            let line = format!("{base}{scope}/{}/name{part}", kind.plural);
            let Some(Route::Objects(target)) = path::parse(&line, &kinds) else { panic!("{line}") };
            let asked = Attributes::of("GET", &line, "");
            let Place::One { name, part, .. } = target.place else { panic!("{line}") };
            assert_eq!(
                (asked.group.as_str(), asked.resource.as_str()),
                (target.kind.group, target.kind.plural)
            );
            assert_eq!(
                (asked.name, asked.subresource),
                (name, part.map_or("", |part| part.name()).to_owned())
            );
        }
    }
}

fn rule(verbs: &str, groups: &str, resources: &str) -> Value {
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    json!({"verbs": list(verbs), "apiGroups": list(groups), "resources": list(resources)})
}

fn role(namespace: &str, name: &str, rules: &[Value]) -> Value {
    json!({"metadata": {"namespace": namespace, "name": name}, "rules": rules})
}

/// `subjects`: `User:a`, `Group:b`, `ServiceAccount:namespace:name`.
fn binding(namespace: &str, role: &str, subjects: &[&str]) -> Value {
    let (kind, name) = role.split_once('/').unwrap();
    let subject = |text: &&str| match text.split(':').collect::<Vec<_>>()[..] {
        [kind, namespace, name] => json!({"kind": kind, "namespace": namespace, "name": name}),
        [kind, name] => json!({"kind": kind, "name": name}),
        _ => panic!("{text}"),
    };
    let subjects: Vec<Value> = subjects.iter().map(subject).collect();
    json!({
        "metadata": {"namespace": namespace, "name": format!("to-{name}")},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": name}, "subjects": subjects,
    })
}

fn policy(
    cluster_roles: &[Value],
    roles: &[Value],
    cluster_bindings: &[Value],
    bindings: &[Value],
) -> Policy {
    let object = |value: &Value| Object::from_value(value.clone()).unwrap();
    Policy::read(|kind| {
        let all = [
            (&CLUSTER_ROLE, cluster_roles),
            (&ROLE, roles),
            (&CLUSTER_ROLE_BINDING, cluster_bindings),
            (&ROLE_BINDING, bindings),
        ];
        let (_, own) = all.into_iter().find(|(own, _)| *own == kind).unwrap();
        Ok(own.iter().map(object).collect())
    })
    .unwrap()
}

/// `user` or `user@group`, verb, resource or path, namespace, name.
type Asked = (&'static str, &'static str, &'static str, &'static str, &'static str);

fn asked((user, verb, what, namespace, name): Asked) -> (User, Attributes) {
    let (user, group) = user.split_once('@').unwrap_or((user, ""));
    let user = User { name: user.to_owned(), groups: vec![group.to_owned()], ..User::default() };
    let mut attributes = Attributes { verb: verb.to_owned(), ..Attributes::default() };
    if what.starts_with('/') {
        what.clone_into(&mut attributes.path);
        return (user, attributes);
    }
    let (resource, group) = what.split_once('.').unwrap_or((what, ""));
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    (attributes.resource, attributes.subresource) = (resource.to_owned(), subresource.to_owned());
    (attributes.group, attributes.namespace, attributes.name) =
        (group.to_owned(), namespace.to_owned(), name.to_owned());
    (user, attributes)
}

#[track_caller]
fn check(policy: &Policy, allowed: &[Asked], refused: &[Asked]) {
    for (list, expected) in [(allowed, true), (refused, false)] {
        for case in list {
            let (user, what) = asked(*case);
            assert_eq!(policy.decide(&user, &what).is_allowed, expected, "{case:?}");
        }
    }
}

#[test]
fn a_role_in_one_namespace() {
    let admin = rule("*", "*", "*");
    let policy = policy(
        &[role("", "admin", &[admin])],
        &[],
        &[],
        &[binding("ns1", "ClusterRole/admin", &["User:admin", "Group:admins"])],
    );
    check(
        &policy,
        &[
            ("admin", "get", "pods", "ns1", ""),
            ("user@admins", "get", "pods", "ns1", ""),
            ("user@admins", "delete", "services/status.other", "ns1", "x"),
        ],
        &[
            ("admin", "get", "pods", "ns2", ""),
            ("admin", "get", "pods", "", ""),
            ("user@admins", "get", "/anything", "", ""),
            ("user@others", "get", "pods", "ns1", ""),
            ("admins", "get", "pods", "ns1", ""),
            ("user@admin", "get", "pods", "ns1", ""),
        ],
    );
}

#[test]
fn paths_that_are_no_objects() {
    let paths = |paths: &[&str]| json!({"verbs": ["get"], "nonResourceURLs": paths});
    let policy = policy(
        &[
            role("", "some", &[paths(&["/apis", "/healthz"])]),
            role("", "prefix", &[paths(&["/foo/*", "/bar*"])]),
            role("", "all", &[json!({"verbs": ["*"], "nonResourceURLs": ["*"]})]),
            role("", "objects", &[rule("*", "*", "*")]),
        ],
        &[],
        &[
            binding("", "ClusterRole/some", &["User:some"]),
            binding("", "ClusterRole/prefix", &["User:prefix"]),
            binding("", "ClusterRole/all", &["User:all"]),
            binding("", "ClusterRole/objects", &["User:objects"]),
        ],
        &[],
    );
    check(
        &policy,
        &[
            ("some", "get", "/apis", "", ""),
            ("prefix", "get", "/foo/a/b", "", ""),
            ("prefix", "get", "/foo/", "", ""),
            ("prefix", "get", "/barn", "", ""),
            ("all", "post", "/x", "", ""),
            ("objects", "get", "nodes", "", ""),
        ],
        &[
            ("some", "get", "/apis/apps", "", ""),
            ("some", "post", "/healthz", "", ""),
            ("prefix", "get", "/foo", "", ""),
            ("prefix", "get", "/fo", "", ""),
            ("all", "get", "nodes", "", ""),
            ("objects", "get", "/healthz", "", ""),
        ],
    );
}

#[test]
fn subresources() {
    let policy = policy(
        &[
            role("", "whole", &[rule("*", "*", "pods")]),
            role("", "part", &[rule("*", "*", "pods/status")]),
            role("", "parts", &[rule("*", "*", "*/scale")]),
            role("", "all", &[rule("*", "*", "*")]),
        ],
        &[],
        &["whole", "part", "parts", "all"]
            .map(|name| binding("", &format!("ClusterRole/{name}"), &[&format!("User:{name}")])),
        &[],
    );
    check(
        &policy,
        &[
            ("whole", "get", "pods", "ns", ""),
            ("part", "patch", "pods/status", "ns", "p"),
            ("parts", "get", "deployments/scale.apps", "ns", ""),
            ("parts", "get", "pods/scale", "", ""),
            ("all", "get", "pods/status", "ns", ""),
        ],
        &[
            ("whole", "get", "pods/status", "ns", ""),
            ("part", "get", "pods", "ns", ""),
            ("part", "get", "pods/log", "ns", ""),
            ("part", "get", "nodes/status", "", ""),
            ("parts", "get", "pods", "", ""),
            ("parts", "get", "pods/status", "", ""),
        ],
    );
}

#[test]
fn names_groups_and_verbs() {
    let named = json!({"verbs": ["get", "update"], "apiGroups": ["", "apps"], "resources": ["nodes"], "resourceNames": ["n1", "n2"]});
    let policy =
        policy(&[role("", "named", &[named])], &[], &[binding("", "ClusterRole/named", &["User:u"])], &[]);
    check(
        &policy,
        &[
            ("u", "get", "nodes", "", "n1"),
            ("u", "update", "nodes", "", "n2"),
            ("u", "get", "nodes.apps", "ns", "n1"),
        ],
        &[
            ("u", "get", "nodes", "", "n3"),
            ("u", "get", "nodes", "", ""),
            ("u", "list", "nodes", "", ""),
            ("u", "patch", "nodes", "", "n1"),
            ("u", "get", "nodes.batch", "", "n1"),
            ("u", "get", "nodes/status", "", "n1"),
        ],
    );
}

#[test]
fn subjects_are_told_apart() {
    let all = [rule("*", "*", "*")];
    let policy = policy(
        &[role("", "all", &all)],
        &[role("ns", "own", &all)],
        &[binding("", "ClusterRole/all", &["ServiceAccount:kube-system:agent", "ServiceAccount::lost"])],
        // Without a namespace it is the binding's own.
        &[binding("ns", "Role/own", &["ServiceAccount::local", "Robot:u"])],
    );
    check(
        &policy,
        &[
            ("system:serviceaccount:kube-system:agent", "get", "nodes", "", ""),
            ("system:serviceaccount:ns:local", "get", "pods", "ns", ""),
            // A user of that name is that account.
            ("u@system:masters", "delete", "nodes", "", ""),
        ],
        &[
            ("agent", "get", "nodes", "", ""),
            ("system:serviceaccount:default:agent", "get", "nodes", "", ""),
            ("system:serviceaccount:kube-system:agent2", "get", "nodes", "", ""),
            ("system:serviceaccount::lost", "get", "nodes", "", ""),
            ("system:serviceaccount:ns:local", "get", "pods", "other", ""),
            ("u", "get", "pods", "ns", ""),
            ("", "get", "pods", "ns", ""),
        ],
    );
}

#[test]
fn a_role_of_another_namespace_gives_nothing() {
    let policy = policy(
        &[],
        &[role("a", "r", &[rule("*", "*", "*")])],
        &[binding("", "Role/r", &["User:u"])],
        &[binding("b", "Role/r", &["User:u"]), binding("a", "Role/r", &["User:v"])],
    );
    check(
        &policy,
        &[("v", "get", "pods", "a", "")],
        &[("u", "get", "pods", "a", ""), ("u", "get", "pods", "b", ""), ("v", "get", "pods", "b", "")],
    );
}

#[test]
fn decisions_have_upstreams_words() {
    let policy = policy(
        &[role("", "reader", &[rule("get", "", "nodes")])],
        &[],
        &[
            binding("", "ClusterRole/reader", &["ServiceAccount:kube-system:x"]),
            binding("", "ClusterRole/missing", &["User:u"]),
        ],
        &[],
    );
    let (user, get) = asked(("system:serviceaccount:kube-system:x", "get", "nodes", "", ""));
    let expected = "RBAC: allowed by ClusterRoleBinding \"to-reader\" of ClusterRole \"reader\" to ServiceAccount \"x/kube-system\"";
    assert_eq!(policy.decide(&user, &get).reason, expected);
    let (_, list) = asked(("", "list", "nodes", "", ""));
    let decision = policy.decide(&user, &list);
    assert_eq!((decision.is_allowed, decision.reason.as_str()), (false, ""));
    let told = |user: &User, what: &Attributes| {
        let error = refusal(user, what, &policy.decide(user, what).reason);
        assert_eq!((error.code, error.reason), (403, "Forbidden"));
        error.message
    };
    assert_eq!(
        told(&user, &list),
        "nodes is forbidden: User \"system:serviceaccount:kube-system:x\" cannot list resource \"nodes\" in API group \"\" \
         at the cluster scope"
    );
    let (user, patch) = asked(("u", "patch", "nodes/status", "", "n1"));
    assert_eq!(
        told(&user, &patch),
        "nodes \"n1\" is forbidden: User \"u\" cannot patch resource \"nodes/status\" in API group \"\" at the cluster \
         scope: RBAC: clusterrole.rbac.authorization.k8s.io \"missing\" not found"
    );
    let (user, get) = asked(("v", "get", "daemonsets.apps", "ns", ""));
    assert_eq!(
        told(&user, &get),
        "daemonsets.apps is forbidden: User \"v\" cannot get resource \"daemonsets\" in API group \"apps\" in the \
         namespace \"ns\""
    );
    let (user, page) = asked(("v", "get", "/metrics", "", ""));
    assert_eq!(told(&user, &page), "forbidden: User \"v\" cannot get path \"/metrics\"");
    let (user, page) = asked(("<b>", "get", "/a&b", "", ""));
    assert_eq!(told(&user, &page), "forbidden: User \"&lt;b&gt;\" cannot get path \"/a&amp;b\"");
}

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
