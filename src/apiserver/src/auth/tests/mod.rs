//! The authorizer by cases of upstream's own tests (`plugin/pkg/auth/authorizer/rbac/rbac_test.go`).

mod covers;
mod requests;

use serde_json::{Value, json};

use super::attributes::Attributes;
use super::gate::refusal;
use super::policy::Policy;
use super::user::User;
use crate::kinds::rbac::{CLUSTER_ROLE, CLUSTER_ROLE_BINDING, ROLE, ROLE_BINDING};
use crate::object::Object;

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

/// Reads `user` or `user@group`, verb, resource or path, namespace and name. `-` is an empty one; those at the end may be
/// left out.
fn asked(words: &str) -> (User, Attributes) {
    let mut words = words.split(' ').map(|word| if word == "-" { "" } else { word });
    let [user, verb, what, namespace, name] = std::array::from_fn(|_| words.next().unwrap_or_default());
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
fn check(policy: &Policy, allowed: &[&str], refused: &[&str]) {
    for (list, expected) in [(allowed, true), (refused, false)] {
        for case in list {
            let (user, what) = asked(case);
            assert_eq!(policy.decide(&user, &what).is_allowed, expected, "{case}");
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
        &["admin get pods ns1", "user@admins get pods ns1", "user@admins delete services/status.other ns1 x"],
        &[
            "admin get pods ns2",
            "admin get pods",
            "user@admins get /anything",
            "user@others get pods ns1",
            "admins get pods ns1",
            "user@admin get pods ns1",
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
            "some get /apis",
            "prefix get /foo/a/b",
            "prefix get /foo/",
            "prefix get /barn",
            "all post /x",
            "objects get nodes",
        ],
        &[
            "some get /apis/apps",
            "some post /healthz",
            "prefix get /foo",
            "prefix get /fo",
            "all get nodes",
            "objects get /healthz",
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
            "whole get pods ns",
            "part patch pods/status ns p",
            "parts get deployments/scale.apps ns",
            "parts get pods/scale",
            "all get pods/status ns",
        ],
        &[
            "whole get pods/status ns",
            "part get pods ns",
            "part get pods/log ns",
            "part get nodes/status",
            "parts get pods",
            "parts get pods/status",
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
        &["u get nodes - n1", "u update nodes - n2", "u get nodes.apps ns n1"],
        &[
            "u get nodes - n3",
            "u get nodes",
            "u list nodes",
            "u patch nodes - n1",
            "u get nodes.batch - n1",
            "u get nodes/status - n1",
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
            "system:serviceaccount:kube-system:agent get nodes",
            "system:serviceaccount:ns:local get pods ns",
            // A user of that name is that account.
            "u@system:masters delete nodes",
        ],
        &[
            "agent get nodes",
            "system:serviceaccount:default:agent get nodes",
            "system:serviceaccount:kube-system:agent2 get nodes",
            "system:serviceaccount::lost get nodes",
            "system:serviceaccount:ns:local get pods other",
            "u get pods ns",
            "- get pods ns",
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
    check(&policy, &["v get pods a"], &["u get pods a", "u get pods b", "v get pods b"]);
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
    let (user, get) = asked("system:serviceaccount:kube-system:x get nodes");
    let expected = "RBAC: allowed by ClusterRoleBinding \"to-reader\" of ClusterRole \"reader\" to ServiceAccount \"x/kube-system\"";
    assert_eq!(policy.decide(&user, &get).reason, expected);
    let (_, list) = asked("- list nodes");
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
    let (user, patch) = asked("u patch nodes/status - n1");
    assert_eq!(
        told(&user, &patch),
        "nodes \"n1\" is forbidden: User \"u\" cannot patch resource \"nodes/status\" in API group \"\" at the cluster \
         scope: RBAC: clusterrole.rbac.authorization.k8s.io \"missing\" not found"
    );
    let (user, get) = asked("v get daemonsets.apps ns");
    assert_eq!(
        told(&user, &get),
        "daemonsets.apps is forbidden: User \"v\" cannot get resource \"daemonsets\" in API group \"apps\" in the \
         namespace \"ns\""
    );
    let (user, page) = asked("v get /metrics");
    assert_eq!(told(&user, &page), "forbidden: User \"v\" cannot get path \"/metrics\"");
    let (user, page) = asked("<b> get /a&b");
    assert_eq!(told(&user, &page), "forbidden: User \"&lt;b&gt;\" cannot get path \"/a&amp;b\"");
}
