//! `--nodes=stored`: Pods that clients write.

use std::fs;
use std::time::Duration;

use serde_json::{Value, json};

use super::kubectl::{refused, run};
use super::nodes_stored::{next, watch};
use crate::harness::needs;
use crate::harness::serve::{Server, kubectls};

const PODS: &str = "/api/v1/namespaces/default/pods";
const JSON: &str = "application/json";
const MERGE: &str = "application/merge-patch+json";
const STRATEGIC: &str = "application/strategic-merge-patch+json";

fn serve() -> Server {
    Server::start(&["--nodes=stored", "--service-cluster-ip-range=10.96.0.0/16,fd00:96::/112"])
}

fn ask(server: &Server, method: &str, path: &str, media_type: &str, body: &Value) -> (u16, Value) {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = server.ask(method, path, media_type, body.as_bytes());
    (answer.code, answer.json())
}

/// A pod on a node, which is empty for none.
fn pod(name: &str, node: &str) -> Value {
    json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": {"app": "web"}}, "spec": {
        "nodeName": node, "containers": [{"name": "main", "image": "registry/web:1", "ports": [{"name": "http", "containerPort": 8080}]}],
        "hostAliases": [{"ip": "192.0.2.7", "hostnames": ["db", "db.example"]}]}})
}

fn running(ips: &[&str]) -> Value {
    let ips: Vec<Value> = ips.iter().map(|ip| json!({"ip": ip})).collect();
    json!({"status": {"phase": "Running", "podIPs": ips, "hostIP": "192.0.2.1",
        "conditions": [{"type": "Ready", "status": "True"}],
        "containerStatuses": [{"name": "main", "ready": true, "restartCount": 0, "image": "i", "imageID": "d",
            "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}]}})
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["metadata"]["name"].as_str().unwrap()).collect()
}

#[test]
fn pods_are_kept_with_all_their_fields() {
    needs!();
    let server = serve();
    let mut given = pod("a", "n1");
    given["status"] = json!({"phase": "Running"});
    given["spec"]["initContainers"] = json!([{"name": "first", "image": "i@sha256:0", "restartPolicy": "Always",
        "securityContext": {"capabilities": {"add": ["NET_ADMIN"]}, "privileged": true, "runAsUser": 0}}]);
    given["spec"]["volumes"] = json!([{"name": "v", "csi": {"driver": "d", "volumeAttributes": {"a": "b"}}},
        {"name": "p", "projected": {"sources": [{"downwardAPI": {"items": [{"path": "f", "fieldRef": {"fieldPath": "metadata.name"}}]}}]}}]);
    given["spec"]["affinity"] = json!({"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution":
        {"nodeSelectorTerms": [{"matchExpressions": [{"key": "a", "operator": "Exists"}]}]}}});
    given["spec"]["hostUsers"] = json!(false);
    // Else a volume is added.
    given["spec"]["automountServiceAccountToken"] = json!(false);
    let made = server.done("POST", PODS, JSON, &given);
    for key in ["initContainers", "volumes", "affinity", "hostUsers", "hostAliases", "nodeName", "containers"]
    {
        assert_kept(&given["spec"][key], &made["spec"][key], key);
    }
    // Of the defaults some.
    let spec = &made["spec"];
    assert_eq!((&spec["restartPolicy"], &spec["dnsPolicy"]), (&json!("Always"), &json!("ClusterFirst")));
    assert_eq!(spec["containers"][0]["ports"][0]["protocol"], "TCP");
    assert_eq!(made["status"], json!({"phase": "Pending", "qosClass": "BestEffort"}));
    assert_eq!(made["metadata"]["generation"], 1);
    for (key, strange) in [
        ("spec.foo", "/spec/foo"),
        ("spec.volumes[0].csi.foo", "/spec/volumes/0/csi/foo"),
        ("spec.containers[0].ports[0].foo", "/spec/containers/0/ports/0/foo"),
    ] {
        let mut body = given.clone();
        let (parent, last) = strange.rsplit_once('/').unwrap();
        body.pointer_mut(parent).unwrap()[last] = json!(1);
        let (code, told) = ask(&server, "POST", &format!("{PODS}?fieldValidation=Strict"), JSON, &body);
        let message = told["message"].as_str().unwrap();
        assert!(code == 400 && message.contains(&format!("unknown field \"{key}\"")), "{message}");
    }
    let (code, told) = ask(&server, "POST", PODS, JSON, &json!({"metadata": {"name": "b"}}));
    let why = "Pod \"b\" is invalid: spec.containers: Required value";
    assert_eq!((code, &told["message"]), (422, &json!(why)));
}

/// Everything that was given is there.
#[track_caller]
fn assert_kept(given: &Value, kept: &Value, at: &str) {
    match (given, kept) {
        (Value::Object(given), Value::Object(_)) => {
            given.iter().for_each(|(key, value)| assert_kept(value, &kept[key], &format!("{at}.{key}")));
        }
        (Value::Array(given), Value::Array(list)) => {
            assert_eq!(given.len(), list.len(), "{at}");
            given.iter().zip(list).for_each(|(given, kept)| assert_kept(given, kept, at));
        }
        _ => assert_eq!(given, kept, "{at}"),
    }
}

#[test]
fn agents_find_and_change_their_pods() {
    needs!();
    let server = serve();
    for (name, node) in [("a", "n1"), ("b", "n2"), ("c", "")] {
        server.done("POST", PODS, JSON, &pod(name, node));
    }
    let status =
        server.done("PATCH", &format!("{PODS}/a/status"), STRATEGIC, &running(&["10.244.1.5", "fd00::5"]));
    assert_eq!(status["status"]["podIP"], "10.244.1.5");
    for (query, expected) in [
        ("fieldSelector=spec.nodeName%3Dn1", &["a"][..]),
        ("fieldSelector=spec.nodeName%3D", &["c"]),
        ("fieldSelector=spec.nodeName%3Dn1,status.phase%3DRunning", &["a"]),
        ("fieldSelector=status.phase!%3DRunning", &["b", "c"]),
        ("labelSelector=app%3Dweb&fieldSelector=status.podIP%3D10.244.1.5", &["a"]),
    ] {
        assert_eq!(names(&server.get(&format!("/api/v1/pods?{query}")).json()), expected, "{query}");
    }
    // The conditions of others stay, and so does the spec.
    let more = json!({"spec": {"nodeName": "n9"}, "status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}});
    let more = server.done("PATCH", &format!("{PODS}/a/status"), STRATEGIC, &more);
    assert_eq!(more["status"]["conditions"].as_array().unwrap().len(), 2);
    assert_eq!(more["spec"]["nodeName"], "n1");
    let (code, told) =
        ask(&server, "PATCH", &format!("{PODS}/a"), MERGE, &json!({"spec": {"nodeName": "n9"}}));
    assert!(
        code == 422 && told["message"].as_str().unwrap().contains("pod updates may not change fields"),
        "{told}"
    );
    let image = json!({"spec": {"containers": [{"name": "main", "image": "registry/web:2"}]}});
    let changed = server.done("PATCH", &format!("{PODS}/a"), STRATEGIC, &image);
    assert_eq!(changed["spec"]["containers"][0]["ports"][0]["containerPort"], 8080);
    assert_eq!(changed["metadata"]["generation"], 2);
    assert_eq!(changed["status"], more["status"]);
}

#[test]
fn pods_end_in_their_time() {
    needs!();
    let server = serve();
    let path = |name: &str| format!("{PODS}/{name}");
    server.done("POST", PODS, JSON, &pod("nowhere", ""));
    let gone = server.done("DELETE", &path("nowhere"), JSON, &json!({}));
    assert_eq!((&gone["kind"], server.get(&path("nowhere")).code), (&json!("Pod"), 404));
    server.done("POST", PODS, JSON, &pod("a", "n1"));
    let ending = server.done("DELETE", &path("a"), JSON, &json!({}));
    assert_eq!(ending["metadata"]["deletionGracePeriodSeconds"], 30);
    assert_eq!(ending["metadata"]["generation"], 2);
    let at = |pod: &Value| pod["metadata"]["deletionTimestamp"].as_str().unwrap().to_owned();
    // Its end can be moved forward and not back; changes do not end it.
    let later = server.done("DELETE", &format!("{}?gracePeriodSeconds=60", path("a")), JSON, &Value::Null);
    assert_eq!((at(&later), &later["metadata"]["deletionGracePeriodSeconds"]), (at(&ending), &json!(30)));
    let earlier = server.done("DELETE", &path("a"), JSON, &json!({"gracePeriodSeconds": 5}));
    assert!(at(&earlier) < at(&ending), "{earlier}");
    server.done("PATCH", &format!("{PODS}/a/status"), MERGE, &json!({"status": {"phase": "Running"}}));
    server.done("PATCH", &path("a"), MERGE, &json!({"metadata": {"labels": {"x": "y"}}}));
    assert_eq!(server.get(&path("a")).code, 200);
    server.done("DELETE", &path("a"), JSON, &json!({"gracePeriodSeconds": 0}));
    assert_eq!(server.get(&path("a")).code, 404);
    // One that has ended needs no time, and one with finalizers waits for them.
    let mut kept = pod("b", "n1");
    kept["metadata"]["finalizers"] = json!(["example.com/x"]);
    server.done("POST", PODS, JSON, &kept);
    server.done("PATCH", &format!("{PODS}/b/status"), MERGE, &json!({"status": {"phase": "Succeeded"}}));
    let waiting = server.done("DELETE", &path("b"), JSON, &json!({}));
    assert_eq!(waiting["metadata"]["deletionGracePeriodSeconds"], 0);
    server.done("PATCH", &path("b"), MERGE, &json!({"metadata": {"finalizers": null}}));
    assert_eq!(server.get(&path("b")).code, 404);
}

#[test]
fn an_agent_sees_that_its_pods_end() {
    needs!();
    let server = serve();
    let version = server.get(PODS).json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    let path = format!("/api/v1/pods?fieldSelector=spec.nodeName%3Dn1&resourceVersion={version}");
    let mut stream = watch(&server, &path);
    let mut expect = |wanted: &str, grace: Value| {
        let (event, pod) = next(&mut stream);
        let metadata = &pod["metadata"];
        assert_eq!((event.as_str(), &metadata["deletionGracePeriodSeconds"]), (wanted, &grace));
        assert_eq!(metadata["deletionTimestamp"].is_string(), !grace.is_null(), "{pod}");
    };
    for (name, node) in [("elsewhere", "n2"), ("a", "n1")] {
        server.done("POST", PODS, JSON, &pod(name, node));
    }
    expect("ADDED", Value::Null);
    server.done("DELETE", &format!("{PODS}/a"), JSON, &json!({}));
    expect("MODIFIED", json!(30));
    server.done("DELETE", &format!("{PODS}/a"), JSON, &json!({"gracePeriodSeconds": 0}));
    expect("MODIFIED", json!(0));
    expect("DELETED", json!(0));
}

#[test]
fn services_lead_to_them_with_their_nodes() {
    needs!();
    let server = serve();
    let node = json!({"metadata": {"name": "n1", "labels": {"topology.kubernetes.io/zone": "z1"}}});
    server.done("POST", "/api/v1/nodes", JSON, &node);
    server.done("POST", PODS, JSON, &pod("a", "n1"));
    let service = json!({"metadata": {"name": "web"}, "spec": {"selector": {"app": "web"},
        "ipFamilyPolicy": "PreferDualStack", "ports": [{"port": 80, "targetPort": "http"}]}});
    server.done("POST", "/api/v1/namespaces/default/services", JSON, &service);
    server.done("PATCH", &format!("{PODS}/a/status"), STRATEGIC, &running(&["10.244.1.5", "fd00::5"]));
    let slices = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices?labelSelector=kubernetes.io/service-name%3Dweb";
    let endpoints = || -> Vec<Value> {
        let list = server.get(slices).json();
        let all = list["items"].as_array().unwrap().iter();
        all.flat_map(|slice| slice["endpoints"].as_array().into_iter().flatten().cloned().collect::<Vec<_>>())
            .collect()
    };
    let found = until(endpoints, |found| found.len() == 2);
    let mut addresses: Vec<&str> = found.iter().map(|one| one["addresses"][0].as_str().unwrap()).collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["10.244.1.5", "fd00::5"]);
    for endpoint in &found {
        assert_eq!((&endpoint["nodeName"], &endpoint["zone"]), (&json!("n1"), &json!("z1")), "{endpoint}");
        assert_eq!(
            (&endpoint["conditions"]["ready"], &endpoint["targetRef"]["name"]),
            (&json!(true), &json!("a"))
        );
    }
    // While it ends it is no longer ready.
    server.done("DELETE", &format!("{PODS}/a"), JSON, &json!({}));
    until(endpoints, |found| found.iter().all(|one| one["conditions"]["terminating"] == true));
    server.done("DELETE", &format!("{PODS}/a?gracePeriodSeconds=0"), JSON, &Value::Null);
    until(endpoints, |found| found.is_empty());
}

/// Asks until the answer is wanted, 30 s at most.
#[track_caller]
fn until(ask: impl Fn() -> Vec<Value>, is_wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let mut found = Vec::new();
    for _ in 0..300 {
        found = ask();
        if is_wanted(&found) {
            return found;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
    panic!("{found:?}");
}

#[test]
fn kubectls_read_and_write_pods() {
    for kubectl in kubectls() {
        let server = serve();
        let file = server.dir.join("pod.json");
        fs::write(&file, pod("a", "n1").to_string()).unwrap();
        let file = file.to_str().unwrap();
        let tried = run(&server, &kubectl, &format!("create --dry-run=server -f {file}"));
        assert_eq!(tried, "pod/a created (server dry run)\n");
        assert_eq!(run(&server, &kubectl, &format!("create -f {file}")), "pod/a created\n");
        server.done("PATCH", &format!("{PODS}/a/status"), STRATEGIC, &running(&["10.244.1.5"]));
        let wide = run(&server, &kubectl, "get pods -o wide --no-headers");
        let words: Vec<&str> = wide.split_whitespace().collect();
        assert_eq!(
            (&words[..4], &words[5..7]),
            (&["a", "1/1", "Running", "0"][..], &["10.244.1.5", "n1"][..])
        );
        let described = run(&server, &kubectl, "describe pod a");
        for text in ["registry/web:1", "10.244.1.5", "8080/TCP", "app=web"] {
            assert!(described.contains(text), "{text}: {described}");
        }
        assert_eq!(run(&server, &kubectl, "label pod a tier=front"), "pod/a labeled\n");
        run(&server, &kubectl, "wait --for=condition=Ready pod/a");
        run(&server, &kubectl, "set image pod/a main=registry/web:2");
        let strange = server.dir.join("strange.json");
        let mut body = pod("b", "n1");
        body["spec"]["containers"][0]["imagePullpolicy"] = json!("Always");
        fs::write(&strange, body.to_string()).unwrap();
        let told = refused(&server, &kubectl, &format!("create -f {}", strange.display()));
        assert!(told.contains("imagePullpolicy"), "{told}");
        let explained = run(&server, &kubectl, "explain pod.spec.containers.volumeMounts");
        assert!(explained.contains("mountPath"), "{explained}");
        run(&server, &kubectl, "delete pod a --wait=false");
        assert!(run(&server, &kubectl, "get pods --no-headers").contains("Terminating"));
        run(&server, &kubectl, "delete pod a --grace-period=0 --force");
        assert_eq!(run(&server, &kubectl, "get pods -o name"), "");
    }
}

#[test]
fn pods_have_a_priority_and_stay_on_their_node_for_a_while() {
    needs!();
    let server = serve();
    const CLASSES: &str = "/apis/scheduling.k8s.io/v1/priorityclasses";
    assert_eq!(names(&server.get(CLASSES).json()), ["system-cluster-critical", "system-node-critical"]);
    let made = |name: &str, more: Value| {
        let mut pod = pod(name, "n1");
        pod["spec"].as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        ask(&server, "POST", PODS, JSON, &pod)
    };
    let of =
        |spec: &Value| ["priorityClassName", "priority", "preemptionPolicy"].map(|key| spec[key].clone());
    let plain = made("a", json!({})).1;
    let lower = json!("PreemptLowerPriority");
    assert_eq!(of(&plain["spec"]), [Value::Null, json!(0), lower.clone()]);
    let stay = |what: &str| json!({"key": format!("node.kubernetes.io/{what}"), "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300});
    assert_eq!(plain["spec"]["tolerations"], json!([stay("not-ready"), stay("unreachable")]));
    let critical = made("b", json!({"priorityClassName": "system-node-critical"})).1;
    assert_eq!(of(&critical["spec"]), [json!("system-node-critical"), json!(2_000_001_000), lower]);
    for (more, why) in [
        (
            json!({"priorityClassName": "lost"}),
            "pods \"c\" is forbidden: no PriorityClass with name lost was found",
        ),
        (
            json!({"priority": 7}),
            "pods \"c\" is forbidden: the integer value of priority (7) must not be provided in pod spec; priority admission \
             controller computed 0 from the given PriorityClass name",
        ),
    ] {
        let (code, told) = made("c", more);
        assert_eq!((code, &told["message"]), (403, &json!(why)));
    }
    let class = json!({"metadata": {"name": "usual"}, "value": 5, "globalDefault": true, "preemptionPolicy": "Never"});
    server.done("POST", CLASSES, JSON, &class);
    assert_eq!(of(&made("c", json!({})).1["spec"]), [json!("usual"), json!(5), json!("Never")]);
    let (code, told) =
        ask(&server, "POST", CLASSES, JSON, &json!({"metadata": {"name": "other"}, "globalDefault": true}));
    let why = "priorityclasses.scheduling.k8s.io \"other\" is forbidden: PriorityClass usual is already marked as default. Only \
               one default can exist";
    assert_eq!((code, &told["message"]), (403, &json!(why)));
    // A client that replaces a pod need not say what it was given.
    let mut whole = plain.clone();
    for key in ["tolerations", "priority", "preemptionPolicy"] {
        whole["spec"].as_object_mut().unwrap().remove(key);
    }
    let replaced = server.done("PUT", &format!("{PODS}/a"), JSON, &whole);
    assert_eq!(replaced["spec"], plain["spec"]);
}
