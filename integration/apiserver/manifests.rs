//! Manifests of programs for clusters, checked as a cluster's API server checks them.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::kubectl::{refused, run};
use super::rbac::{done, serve};
use crate::harness::needs;
use crate::harness::serve::{Server, kubectls};

const JSON: &str = "application/json";
const RBAC: &str = "/apis/rbac.authorization.k8s.io/v1";
const DAEMON_SETS: &str = "/apis/apps/v1/namespaces/default/daemonsets";

/// The newest kubectl.
fn kubectl() -> Option<PathBuf> {
    kubectls().into_iter().next()
}

fn delivered() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../vendor-configs/kubernetes")
}

#[test]
fn what_is_delivered_is_valid() {
    needs!();
    let Some(kubectl) = kubectl() else { return };
    let server = serve();
    let dir = delivered();
    let mut count = 0;
    for entry in fs::read_dir(&dir).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|end| end != "yaml") {
            continue;
        }
        let objects =
            fs::read_to_string(&path).unwrap().lines().filter(|line| line.starts_with("kind:")).count();
        let file = path.to_str().unwrap();
        let told = run(&server, &kubectl, &format!("apply --dry-run=server --validate=strict -f {file}"));
        assert_eq!(
            told.lines().filter(|line| line.ends_with(" created (server dry run)")).count(),
            objects,
            "{told}"
        );
        count += objects;
    }
    assert!(count > 1, "{dir:?} has nothing to deliver");
    assert_eq!(server.get("/apis/apps/v1/daemonsets").json()["items"], json!([]), "a dry run keeps nothing");
    let told = run(&server, &kubectl, &format!("apply --validate=strict -f {}", dir.to_str().unwrap()));
    assert_eq!(told.lines().filter(|line| line.ends_with(" created")).count(), count, "{told}");
    let again = run(&server, &kubectl, &format!("apply --validate=strict -f {}", dir.to_str().unwrap()));
    assert_eq!(again.lines().filter(|line| line.ends_with(" unchanged")).count(), count, "{again}");
    let diff = run(
        &server,
        &kubectl,
        &format!("apply --server-side --validate=strict -f {}", dir.to_str().unwrap()),
    );
    assert_eq!(diff.lines().count(), count, "{diff}");
    run(&server, &kubectl, &format!("delete -f {}", dir.to_str().unwrap()));
    assert_eq!(server.get("/apis/apps/v1/daemonsets").json()["items"], json!([]));
}

const DAEMON_SET: &str = "apiVersion: apps/v1
kind: DaemonSet
metadata: {name: d}
spec:
  selector: {matchLabels: {a: b}}
  template:
    metadata: {labels: {a: b}}
    spec:
      containers:
      - name: c
        image: i:1
        ports: [{containerPort: 80}]
        volumeMounts: [{name: v, mountPath: /v}]
        securityContext: {capabilities: {add: [NET_ADMIN]}}
      volumes: [{name: v, hostPath: {path: /v}}]
";

#[test]
fn mistakes_in_manifests_are_told_in_upstreams_words() {
    needs!();
    let Some(kubectl) = kubectl() else { return };
    let server = serve();
    let path = server.dir.join("d.yaml");
    let line = format!("apply --dry-run=server --validate=strict -f {}", path.to_str().unwrap());
    fs::write(&path, DAEMON_SET).unwrap();
    assert_eq!(run(&server, &kubectl, &line), "daemonset.apps/d created (server dry run)\n");
    for (old, new, expected) in [
        (
            "image: i:1",
            "image: i:1\n        imagePullPolice: Never",
            "unknown field \"spec.template.spec.containers[0].imagePullPolice\"",
        ),
        ("metadata: {name: d}", "metadata: {name: d, label: {}}", "unknown field \"metadata.label\""),
        (
            "{path: /v}",
            "{path: /v, kind: Directory}",
            "unknown field \"spec.template.spec.volumes[0].hostPath.kind\"",
        ),
        (
            "add: [NET_ADMIN]",
            "add: NET_ADMIN",
            "json: cannot unmarshal string into Go struct field Capabilities.spec.template.spec.containers.securityContext.capabilities.add of type []",
        ),
        (
            "containerPort: 80",
            "containerPort: web",
            "json: cannot unmarshal string into Go struct field ContainerPort.spec.template.spec.containers.ports.containerPort of type int32",
        ),
        (
            "labels: {a: b}",
            "labels: {a: c}",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"c\"}: `selector` does not match template `labels`",
        ),
        (
            "{name: v, mountPath",
            "{name: w, mountPath",
            "spec.template.spec.containers[0].volumeMounts[0].name: Not found: \"w\"",
        ),
        ("name: c", "name: C", "spec.template.spec.containers[0].name: Invalid value: \"C\""),
        ("image: i:1", "imagePullPolicy: Always", "spec.template.spec.containers[0].image: Required value"),
        (
            "selector: {matchLabels: {a: b}}",
            "minReadySeconds: 1",
            "spec.template.metadata.labels: Invalid value: {\"a\":\"b\"}: `selector` does not match template `labels`",
        ),
        (
            "    spec:\n",
            "    spec:\n      restartPolicy: Never\n",
            "spec.template.spec.restartPolicy: Unsupported value: \"Never\": supported values: \"Always\"",
        ),
    ] {
        let text = DAEMON_SET.replace(old, new);
        assert_ne!(text, DAEMON_SET);
        fs::write(&path, text).unwrap();
        let told = refused(&server, &kubectl, &line);
        assert!(told.contains(expected), "{new}: {told}");
    }
}

/// The answer to a POST with strict validation that is refused.
#[track_caller]
fn fault(server: &Server, path: &str, body: &Value) -> String {
    let answer = server.ask(
        "POST",
        &format!("{path}?fieldValidation=Strict&dryRun=All"),
        JSON,
        body.to_string().as_bytes(),
    );
    assert!([400, 422].contains(&answer.code), "{body}: {:?}", answer.json());
    answer.json()["message"].as_str().unwrap().to_owned()
}

#[test]
fn roles_bindings_and_small_kinds_are_checked() {
    let server = serve();
    let roles = format!("{RBAC}/namespaces/default/roles");
    let bindings = format!("{RBAC}/clusterrolebindings");
    let classes = "/apis/scheduling.k8s.io/v1/priorityclasses";
    let maps = "/api/v1/namespaces/default/configmaps";
    let group = "rbac.authorization.k8s.io";
    let role = |rule: Value| json!({"metadata": {"name": "r"}, "rules": [rule]});
    let binding = |kind: &str, subject: Value| {
        json!({"metadata": {"name": "b"},
        "roleRef": {"apiGroup": group, "kind": kind, "name": "r"}, "subjects": [subject]})
    };
    for (path, body, expected) in [
        (
            &*roles,
            role(json!({"verbs": ["get"], "nonResourceURLs": ["/x"]})),
            "rules[0].nonResourceURLs: Invalid value: [\"/x\"]: namespaced rules cannot apply to non-resource URLs",
        ),
        (
            &roles,
            role(json!({"resources": ["pods"]})),
            "[rules[0].verbs: Required value: verbs must contain at least one value, \
            rules[0].apiGroups: Required value: resource rules must supply at least one api group]",
        ),
        (
            &roles,
            role(json!({"verbs": ["get"], "apiGroups": [""]})),
            "rules[0].resources: Required value: resource rules must supply at least one resource",
        ),
        (
            &roles,
            role(json!({"verbs": "get"})),
            "json: cannot unmarshal string into Go struct field PolicyRule.rules.verbs of type []string",
        ),
        (&roles, role(json!({"verbs": ["get"], "apiGroup": [""]})), "unknown field \"rules[0].apiGroup\""),
        (
            &bindings,
            binding("Role", json!({"kind": "User", "name": "u"})),
            "roleRef.kind: Unsupported value: \"Role\": supported values: \"ClusterRole\"",
        ),
        (
            &bindings,
            binding("ClusterRole", json!({"kind": "ServiceAccount", "name": "a"})),
            "subjects[0].namespace: Required value",
        ),
        (
            &bindings,
            binding("ClusterRole", json!({"kind": "Robot", "name": "a"})),
            "subjects[0].kind: Unsupported value: \"Robot\": supported values: \"ServiceAccount\", \"User\", \"Group\"",
        ),
        (&bindings, binding("ClusterRole", json!({"kind": "User"})), "subjects[0].name: Required value"),
        (
            &format!("{RBAC}/clusterroles"),
            json!({"metadata": {"name": "r"}, "aggregationRule": {"clusterRoleSelectors": [{}]}}),
            "aggregationRule: Forbidden: this server aggregates no roles",
        ),
        (
            classes,
            json!({"metadata": {"name": "p"}, "value": 1_000_000_001}),
            "value: Forbidden: maximum allowed value of a user defined priority is 1000000000",
        ),
        (
            classes,
            json!({"metadata": {"name": "system-x"}, "value": 1}),
            "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only",
        ),
        (
            classes,
            json!({"metadata": {"name": "p"}, "preemptionPolicy": "Yes"}),
            "preemptionPolicy: Unsupported value: \"Yes\"",
        ),
        (
            "/apis/node.k8s.io/v1/runtimeclasses",
            json!({"metadata": {"name": "r"}, "handler": "A_B"}),
            "handler: Invalid value: \"A_B\"",
        ),
        (
            maps,
            json!({"metadata": {"name": "m"}, "data": {"a/b": "c"}}),
            "data[a/b]: Invalid value: \"a/b\": a valid config key must consist of",
        ),
        (
            maps,
            json!({"metadata": {"name": "m"}, "data": {"a": 1}}),
            "json: cannot unmarshal number into Go struct field ConfigMap.data",
        ),
        (
            "/api/v1/namespaces/default/serviceaccounts",
            json!({"metadata": {"name": "A"}}),
            "metadata.name: Invalid value: \"A\"",
        ),
        (
            "/apis/apps/v1/namespaces/default/deployments",
            json!({"metadata": {"name": "d"}, "spec": {"replicas": "1"}}),
            "json: cannot unmarshal string into Go struct field DeploymentSpec.spec.replicas of type int32",
        ),
    ] {
        let told = fault(&server, path, &body);
        assert!(told.contains(expected), "{body}: {told}");
    }
    // What stays as it was made.
    let made =
        done(&server, "POST", &bindings, &binding("ClusterRole", json!({"kind": "User", "name": "u"})));
    let mut other = made;
    other["roleRef"]["name"] = "s".into();
    let answer = server.ask("PUT", &format!("{bindings}/b"), JSON, other.to_string().as_bytes());
    let why = "roleRef: Invalid value: {\"APIGroup\":\"rbac.authorization.k8s.io\",\"Kind\":\"ClusterRole\",\"Name\":\"s\"}: cannot change roleRef";
    assert!(
        answer.code == 422 && answer.json()["message"].as_str().unwrap().ends_with(why),
        "{}",
        answer.json()
    );
    done(&server, "POST", maps, &json!({"metadata": {"name": "m"}, "data": {"a": "b"}, "immutable": true}));
    let patch =
        server.ask("PATCH", &format!("{maps}/m"), "application/merge-patch+json", br#"{"data": {"a": "c"}}"#);
    let why = "data: Forbidden: field is immutable when `immutable` is set";
    assert!(patch.json()["message"].as_str().unwrap().contains(why), "{}", patch.json());
}

#[test]
fn daemon_sets_have_defaults_and_a_generation() {
    let server = serve();
    let template =
        json!({"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i"}]}});
    let body = json!({"metadata": {"name": "d"}, "spec": {"selector": {"matchLabels": {"a": "b"}}, "template": template}});
    let made = done(&server, "POST", DAEMON_SETS, &body);
    assert_eq!(made["metadata"]["generation"], 1);
    assert_eq!(
        made["spec"]["updateStrategy"],
        json!({"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 0, "maxUnavailable": 1}})
    );
    let spec = &made["spec"]["template"]["spec"];
    assert_eq!(
        (&spec["restartPolicy"], &spec["containers"][0]["imagePullPolicy"]),
        (&json!("Always"), &json!("Always"))
    );
    let patch = |body: &str| {
        let path = format!("{DAEMON_SETS}/d");
        server.ask("PATCH", &path, "application/strategic-merge-patch+json", body.as_bytes()).json()
    };
    let changed =
        patch(r#"{"spec": {"template": {"spec": {"containers": [{"name": "c", "image": "i:2"}]}}}}"#);
    assert_eq!(changed["metadata"]["generation"], 2, "{changed}");
    assert_eq!(changed["spec"]["template"]["spec"]["containers"].as_array().unwrap().len(), 1);
    assert_eq!(patch(r#"{"metadata": {"labels": {"x": "y"}}}"#)["metadata"]["generation"], 2);
    let refused = patch(
        r#"{"spec": {"selector": {"matchLabels": {"a": "c"}}, "template": {"metadata": {"labels": {"a": "c"}}}}}"#,
    );
    assert!(refused["message"].as_str().unwrap().contains("spec.selector: Invalid value"), "{refused}");
}
