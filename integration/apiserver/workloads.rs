//! What kube-apiserver 1.36.2 makes of DaemonSets, Deployments and the small kinds beside them, with `--nodes=stored`.

use serde_json::{Value, json};

use super::rules::{JSON, MERGE, object, refused};
use crate::harness::needs;
use crate::harness::serve::Server;

const APPS: &str = "/apis/apps/v1/namespaces/default";
const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/default/leases";
const ACCOUNTS: &str = "/api/v1/namespaces/default/serviceaccounts";
const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
const RUNTIMES: &str = "/apis/node.k8s.io/v1/runtimeclasses";
const PODS: &str = "/api/v1/namespaces/default/pods";
const TEMPLATES: &str = "deprecated.daemonset.template.generation";

fn serve() -> Server {
    Server::start(&["--nodes=stored"])
}

/// A workload whose `spec` has also `more`.
fn workload(kind: &str, more: &Value) -> Value {
    let mut made = object(
        "apps/v1",
        kind,
        "a",
        &json!({"spec": {"selector": {"matchLabels": {"a": "b"}},
        "template": {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "i:1",
            "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}}]}}}}),
    );
    for (key, value) in more.as_object().unwrap() {
        made["spec"][key] = value.clone();
    }
    made
}

/// `SetDefaults_Pod` is not for templates: tools that compare a manifest with the object would find a difference.
#[test]
fn a_template_has_the_defaults_of_a_template() {
    needs!();
    let server = serve();
    let mut manifest = workload("Deployment", &json!({}));
    manifest["spec"]["template"]["spec"]["hostNetwork"] = true.into();
    let made = server.done("POST", &format!("{APPS}/deployments"), JSON, &manifest);
    let spec = &made["spec"]["template"]["spec"];
    assert_eq!(spec.get("enableServiceLinks"), None);
    assert_eq!(spec["containers"][0]["ports"], json!([{"containerPort": 80, "protocol": "TCP"}]));
    assert_eq!(spec["containers"][0]["resources"], json!({"limits": {"cpu": "1"}}));
    let pod = object("v1", "Pod", "a", &json!({"spec": manifest["spec"]["template"]["spec"].clone()}));
    let spec = server.done("POST", PODS, JSON, &pod)["spec"].clone();
    assert_eq!(spec["enableServiceLinks"], true);
    assert_eq!(spec["containers"][0]["ports"][0]["hostPort"], 80);
    assert_eq!(spec["containers"][0]["resources"]["requests"], json!({"cpu": "1"}));
}

/// `PrepareForUpdate` in `pkg/registry/apps/deployment/strategy.go`, `pkg/registry/apps/daemonset/strategy.go` and
/// `pkg/registry/scheduling/priorityclass/strategy.go`.
#[test]
fn generations_count_what_they_count_upstream() {
    needs!();
    let server = serve();
    let path = format!("{APPS}/deployments/a");
    server.done("POST", &format!("{APPS}/deployments"), JSON, &workload("Deployment", &json!({})));
    let noted = json!({"metadata": {"annotations": {"a": "b"}, "labels": {"c": "d"}}});
    assert_eq!(server.done("PATCH", &path, MERGE, &noted)["metadata"]["generation"], 2);
    let labeled = json!({"metadata": {"labels": {"e": "f"}, "annotations": {"g": "h"}}});
    assert_eq!(
        server.done("PATCH", &path, MERGE, &json!({"metadata": {"labels": {"c": "x"}}}))["metadata"]["generation"],
        2
    );
    let status = server.done("PATCH", &format!("{path}/status"), MERGE, &labeled);
    assert_eq!(
        (&status["metadata"]["labels"], &status["metadata"]["annotations"]["g"]),
        (&json!({"c": "x"}), &json!("h"))
    );

    let path = format!("{APPS}/daemonsets/a");
    let count = |object: &Value| object["metadata"]["annotations"][TEMPLATES].clone();
    let made = server.done("POST", &format!("{APPS}/daemonsets"), JSON, &workload("DaemonSet", &json!({})));
    assert_eq!(count(&made), "1");
    for (patch, expected) in [
        (json!({"spec": {"minReadySeconds": 5}}), "1"),
        (json!({"spec": {"template": {"metadata": {"labels": {"c": "d"}}}}}), "2"),
        (json!({"metadata": {"annotations": {TEMPLATES: "9"}}}), "2"),
        (json!({"metadata": {"annotations": null}}), "2"),
    ] {
        assert_eq!(count(&server.done("PATCH", &path, MERGE, &patch)), expected, "{patch}");
    }

    let class = object(
        "scheduling.k8s.io/v1",
        "PriorityClass",
        "a",
        &json!({"value": 5, "metadata": {"name": "a", "generation": -1}}),
    );
    assert_eq!(server.done("POST", CLASSES, JSON, &class)["metadata"]["generation"], 1);
    let changed = server.done("PATCH", &format!("{CLASSES}/a"), MERGE, &json!({"description": "d"}));
    assert_eq!(changed["metadata"]["generation"], 1);
}

/// Sees that workloads with more in their `spec` are refused, each with its fault.
fn are_refused(server: &Server, kind: &str, table: &[(Value, &str)]) {
    let path = format!("{APPS}/{}s", kind.to_lowercase());
    for (more, fault) in table {
        let body = workload(kind, more).to_string();
        let told = server.ask("POST", &path, JSON, body.as_bytes()).json();
        let message = format!("{kind}.apps \"a\" is invalid: {fault}");
        assert_eq!(
            (told["code"].as_u64(), told["message"].as_str().unwrap()),
            (Some(422), message.as_str()),
            "{more}"
        );
    }
}

const RATE: &str = "a valid percent string must be a numeric string followed by an ending '%' (e.g. '1%',  or '93%', regex used for validation is '[0-9]+%')";

/// `ValidateDeploymentSpec` in `pkg/apis/apps/validation/validation.go`.
#[test]
fn deployments_are_refused_as_in_1_36() {
    needs!();
    let server = serve();
    let rolling = "spec.strategy.rollingUpdate";
    let recreate = format!("{rolling}: Forbidden: may not be specified when strategy `type` is 'Recreate'");
    let nothing = format!("{rolling}.maxUnavailable: Invalid value: 0: may not be 0 when `maxSurge` is 0");
    let rates = format!(
        "[{rolling}.maxSurge: Invalid value: \"x\": {RATE}, {rolling}.maxUnavailable: Invalid value: \"150%\": must not be \
         greater than 100%]"
    );
    let negative = |key: &str| format!("spec.{key}: Invalid value: -1: must be greater than or equal to 0");
    let numbers = ["replicas", "minReadySeconds", "revisionHistoryLimit", "progressDeadlineSeconds"];
    let below = format!(
        "[{}, spec.progressDeadlineSeconds: Invalid value: -1: must be greater than minReadySeconds]",
        numbers.map(negative).join(", ")
    );
    let below_0 = json!({"replicas": -1, "minReadySeconds": -1, "revisionHistoryLimit": -1, "progressDeadlineSeconds": -1});
    let odd = json!({"matchExpressions": [{"key": "a", "operator": "x"}]});
    let table = [
        (json!({"strategy": {"type": "Recreate", "rollingUpdate": {}}}), recreate.as_str()),
        (
            json!({"strategy": {"type": "x", "rollingUpdate": {"maxSurge": 1}}}),
            r#"spec.strategy: Unsupported value: {"Type":"x","RollingUpdate":{"MaxUnavailable":0,"MaxSurge":1}}: supported values: "Recreate", "RollingUpdate""#,
        ),
        (json!({"strategy": {"rollingUpdate": {"maxSurge": 0, "maxUnavailable": 0}}}), &nothing),
        (json!({"strategy": {"rollingUpdate": {"maxSurge": "x", "maxUnavailable": "150%"}}}), &rates),
        (below_0, &below),
        (
            json!({"selector": null}),
            r#"[spec.selector: Required value, spec.template.metadata.labels: Invalid value: {"a":"b"}: `selector` does not match template `labels`]"#,
        ),
        (
            json!({"selector": {}}),
            "spec.selector: Invalid value: {}: empty selector is invalid for deployment",
        ),
        (
            json!({"selector": odd}),
            r#"[spec.selector.matchExpressions[0].operator: Invalid value: "x": not a valid selector operator, spec.selector: Invalid value: {"matchExpressions":[{"key":"a","operator":"x"}]}: invalid label selector]"#,
        ),
    ];
    are_refused(&server, "Deployment", &table);
}

/// `ValidateDaemonSetSpec` in `pkg/apis/apps/validation/validation.go`.
#[test]
fn daemon_sets_are_refused_as_in_1_36() {
    needs!();
    let server = serve();
    let table = [
        (
            json!({"selector": {"matchExpressions": [{"key": "a", "operator": "In"}]}}),
            "spec.selector.matchExpressions[0].values: Required value: must be specified when `operator` is 'In' or 'NotIn'",
        ),
        (
            json!({"updateStrategy": {"rollingUpdate": {"maxUnavailable": 0}}}),
            "spec.updateStrategy.rollingUpdate.maxUnavailable: Required value: cannot be 0 when maxSurge is 0",
        ),
        (
            json!({"updateStrategy": {"rollingUpdate": {"maxSurge": 1}}}),
            "spec.updateStrategy.rollingUpdate.maxSurge: Invalid value: 1: may not be set when maxUnavailable is non-zero",
        ),
        (
            json!({"updateStrategy": {"type": "x"}}),
            r#"spec.updateStrategy: Unsupported value: {"Type":"x","RollingUpdate":null}: supported values: "RollingUpdate", "OnDelete""#,
        ),
        (
            json!({"minReadySeconds": -1}),
            "spec.minReadySeconds: Invalid value: -1: must be greater than or equal to 0",
        ),
    ];
    are_refused(&server, "DaemonSet", &table);
}

/// A rolling update is the default, so whoever wants the other strategy has to say that there is none.
#[test]
fn a_deployment_changes_its_strategy() {
    needs!();
    let server = serve();
    let all = format!("{APPS}/deployments");
    let mut ends = workload("Deployment", &json!({}));
    ends["spec"]["template"]["spec"]["activeDeadlineSeconds"] = 5.into();
    let fault = [
        "spec.template.spec.activeDeadlineSeconds: Forbidden: activeDeadlineSeconds in ReplicaSet is not Supported",
    ];
    refused(&server, ("POST", &all, JSON), &ends, 422, &fault);
    server.done("POST", &all, JSON, &workload("Deployment", &json!({})));
    let path = format!("{all}/a");
    let recreate = json!({"spec": {"strategy": {"type": "Recreate"}}});
    let fault =
        ["spec.strategy.rollingUpdate: Forbidden: may not be specified when strategy `type` is 'Recreate'"];
    refused(&server, ("PATCH", &path, MERGE), &recreate, 422, &fault);
    let without = json!({"spec": {"strategy": {"type": "Recreate", "rollingUpdate": null}}});
    assert_eq!(server.done("PATCH", &path, MERGE, &without)["spec"]["strategy"], json!({"type": "Recreate"}));
}

/// `AllowUnconditionalUpdate`, `ReturnDeletedObject`, and the finalizers of kinds that are validated by
/// `k8s.io/apimachinery/pkg/api/validation` alone.
#[test]
fn small_kinds_are_written_as_in_1_36() {
    needs!();
    let server = serve();
    let lease = object(
        "coordination.k8s.io/v1",
        "Lease",
        "a",
        &json!({"metadata": {"name": "a", "finalizers": ["x"]}}),
    );
    let runtime = object(
        "node.k8s.io/v1",
        "RuntimeClass",
        "a",
        &json!({"handler": "h", "metadata": {"name": "a", "finalizers": ["x"]}}),
    );
    for (path, made) in [(LEASES, lease), (RUNTIMES, runtime)] {
        server.done("POST", path, JSON, &made);
        let one = format!("{path}/a");
        let version = ["metadata.resourceVersion: Invalid value: 0: must be specified for an update"];
        let patch = json!({"metadata": {"resourceVersion": "0"}});
        refused(&server, ("PATCH", &one, MERGE), &patch, 422, &version);
        refused(&server, ("PUT", &one, JSON), &made, 422, &version);
        server.done("PATCH", &one, MERGE, &json!({"metadata": {"finalizers": null}}));
    }
    // Where it is goes before what it says.
    let mut elsewhere = object("coordination.k8s.io/v1", "Lease", "a", &json!({}));
    elsewhere["metadata"]["namespace"] = "other".into();
    let namespace = ["the namespace of the provided object does not match the namespace sent on the request"];
    refused(&server, ("PUT", &format!("{LEASES}/a"), JSON), &elsewhere, 400, &namespace);

    server.done("POST", ACCOUNTS, JSON, &object("v1", "ServiceAccount", "a", &json!({})));
    let deleted = server.ask("DELETE", &format!("{ACCOUNTS}/a"), JSON, b"").json();
    assert_eq!((&deleted["kind"], &deleted["metadata"]["name"]), (&json!("ServiceAccount"), &json!("a")));
}

/// `podStatusStrategy` in `pkg/registry/core/pod/strategy.go`, and `ValidatePodUpdate`.
#[test]
fn the_class_of_a_pod_stays() {
    needs!();
    let server = serve();
    let pod = object("v1", "Pod", "a", &json!({"spec": {"containers": [{"name": "c", "image": "i"}]}}));
    server.done("POST", PODS, JSON, &pod);
    let path = format!("{PODS}/a/status");
    let running =
        object("v1", "Pod", "a", &json!({"spec": pod["spec"].clone(), "status": {"phase": "Running"}}));
    assert_eq!(server.done("PUT", &path, JSON, &running)["status"]["qosClass"], "BestEffort");
    let class = ["status.qosClass: Invalid value: \"Guaranteed\": field is immutable"];
    refused(&server, ("PATCH", &path, MERGE), &json!({"status": {"qosClass": "Guaranteed"}}), 422, &class);
    let owned = json!({"metadata": {"labels": {"a": "b"},
        "ownerReferences": [{"apiVersion": "v1", "kind": "Foo", "name": "x", "uid": "y"}]}});
    let metadata = server.done("PATCH", &path, MERGE, &owned)["metadata"].clone();
    assert_eq!((metadata.get("ownerReferences"), &metadata["labels"]), (None, &json!({"a": "b"})));
}

/// Who stops to apply `replicas` leaves them to the autoscaler that has changed them (structured-merge-diff's ownership).
#[test]
fn an_apply_leaves_what_others_have_changed() {
    needs!();
    let server = serve();
    let path = format!("{APPS}/deployments/a");
    let apply = |more: &Value| {
        let body = workload("Deployment", more);
        server.done(
            "PATCH",
            &format!("{path}?fieldManager=m&force=true"),
            "application/apply-patch+yaml",
            &body,
        )
    };
    apply(&json!({"replicas": 3, "minReadySeconds": 5}));
    server.done("PATCH", &path, MERGE, &json!({"spec": {"replicas": 5}}));
    let left = apply(&json!({}));
    assert_eq!((&left["spec"]["replicas"], left["spec"].get("minReadySeconds")), (&json!(5), None));
}
