use std::path::Path;

use cri::messages::{
    CONTAINER_CREATED, CONTAINER_EXITED, CONTAINER_RUNNING, ContainerMetadata, ContainerStatus, ImageSpec,
    LinuxPodSandboxStatus, NAMESPACE_OF_NODE, Namespace, NamespaceOption, PodIp, PodSandboxMetadata,
    PodSandboxNetworkStatus, PodSandboxStatus, SANDBOX_NOTREADY, SANDBOX_READY,
};
use serde_json::json;

use super::*;
use crate::time;

/// 2026-01-01T00:00:00Z, and the same in the CRI's nanoseconds `seconds` later.
const START: i64 = 1_767_225_600;

fn at(seconds: i64) -> i64 {
    (START + seconds) * 1_000_000_000 + 7
}

fn config() -> Config {
    Config {
        node_name: "n1".to_owned(),
        node_ips: vec!["10.0.0.5".parse().unwrap(), "fd00::5".parse().unwrap()],
        ..Config::default()
    }
}

fn sandbox(id: &str, name: &str, state: i32, ips: &[&str], containers: Vec<ContainerStatus>) -> Sandbox {
    let metadata = PodSandboxMetadata {
        name: name.to_owned(),
        uid: format!("uid-{name}"),
        namespace: "default".to_owned(),
        attempt: 0,
    };
    let network = PodSandboxNetworkStatus {
        ip: ips.first().copied().unwrap_or_default().to_owned(),
        additional_ips: ips.iter().skip(1).map(|ip| PodIp { ip: (*ip).to_owned() }).collect(),
    };
    let status = PodSandboxStatus {
        id: id.to_owned(),
        metadata: Some(metadata),
        state,
        created_at: at(0),
        network: Some(network),
        ..PodSandboxStatus::default()
    };
    Sandbox { status, containers }
}

fn container(name: &str, attempt: u32, state: i32, exit_code: i32) -> ContainerStatus {
    let offset = i64::from(attempt) * 100;
    ContainerStatus {
        id: format!("{name}{attempt}"),
        metadata: Some(ContainerMetadata { name: name.to_owned(), attempt }),
        state,
        created_at: at(offset + 1),
        started_at: if state == CONTAINER_CREATED { 0 } else { at(offset + 2) },
        finished_at: if state == CONTAINER_EXITED { at(offset + 50) } else { 0 },
        exit_code,
        image: Some(ImageSpec { image: "busybox:1".to_owned(), ..ImageSpec::default() }),
        image_ref: "sha256:1".to_owned(),
        ..ContainerStatus::default()
    }
}

fn seen(sandboxes: Vec<Sandbox>) -> Seen {
    Seen { engine: "containerd".to_owned(), is_connected: true, sandboxes }
}

fn pods(seen: &Seen, records: &[PodRecord]) -> Vec<Object> {
    object::pods(&config(), seen, records).0
}

fn record(id: &str, name: &str, uid: &str, since: i64, ips: &[&str]) -> PodRecord {
    serde_json::from_value(json!({
        "version": 1, "sandboxID": id, "namespace": "default", "name": name, "uid": uid, "podIPs": ips,
        "annotations": {"a": "b"}, "labels": {"app": name}, "since": time::format(START + since),
    }))
    .unwrap()
}

fn condition<'a>(pod: &'a Object, kind: &str) -> (&'a str, &'a str, i64) {
    let conditions = pod.0["status"]["conditions"].as_array().unwrap();
    let found = conditions.iter().find(|condition| condition["type"] == kind).unwrap();
    let since = time::parse(found["lastTransitionTime"].as_str().unwrap()).unwrap();
    (found["status"].as_str().unwrap(), found["reason"].as_str().unwrap_or_default(), since - START)
}

#[test]
fn phase_and_readiness_are_the_kubelets() {
    use cri::messages::SANDBOX_NOTREADY as DOWN;
    use cri::messages::SANDBOX_READY as UP;
    let created = |name| container(name, 0, CONTAINER_CREATED, 0);
    let running = |name| container(name, 0, CONTAINER_RUNNING, 0);
    let exited = |name, code| container(name, 0, CONTAINER_EXITED, code);
    let lost = |name| container(name, 0, 3, 0);
    let again = |name| vec![exited(name, 1), container(name, 1, CONTAINER_CREATED, 0)];
    for (state, containers, phase, ready, reason, since, cells) in [
        (UP, vec![], "Pending", "False", "ContainersNotReady", 0, ["0/0", "Pending"]),
        (UP, vec![created("a")], "Pending", "False", "ContainersNotReady", 0, ["0/1", "ContainerCreating"]),
        (UP, vec![running("a")], "Running", "True", "", 2, ["1/1", "Running"]),
        (
            UP,
            vec![running("a"), created("b")],
            "Pending",
            "False",
            "ContainersNotReady",
            0,
            ["1/2", "ContainerCreating"],
        ),
        (
            UP,
            vec![running("a"), exited("b", 0)],
            "Running",
            "False",
            "ContainersNotReady",
            50,
            ["1/2", "NotReady"],
        ),
        (
            UP,
            vec![running("a"), exited("b", 1)],
            "Running",
            "False",
            "ContainersNotReady",
            50,
            ["1/2", "Error"],
        ),
        (UP, vec![exited("a", 0)], "Succeeded", "False", "PodCompleted", 50, ["0/1", "Completed"]),
        (UP, vec![exited("a", 0), exited("b", 2)], "Failed", "False", "PodFailed", 50, ["0/2", "Completed"]),
        (UP, again("a"), "Running", "False", "ContainersNotReady", 50, ["0/1", "ContainerCreating"]),
        (UP, vec![lost("a")], "Failed", "False", "PodFailed", 0, ["0/1", "ContainerStatusUnknown"]),
        (DOWN, vec![], "Succeeded", "False", "PodCompleted", 0, ["0/0", "Succeeded"]),
        (DOWN, vec![created("a")], "Failed", "False", "PodFailed", 0, ["0/1", "ContainerCreating"]),
        (DOWN, vec![running("a")], "Running", "False", "ContainersNotReady", 0, ["0/1", "Running"]),
        (DOWN, vec![exited("a", 137)], "Failed", "False", "PodFailed", 50, ["0/1", "Error"]),
        (DOWN, again("a"), "Failed", "False", "PodFailed", 50, ["0/1", "ContainerCreating"]),
    ] {
        let about = format!("{state} {containers:?}");
        let pod = pods(&seen(vec![sandbox("s", "web", state, &["10.1.0.2"], containers)]), &[]).remove(0);
        assert_eq!(pod.0["status"]["phase"], phase, "{about}");
        for kind in ["Ready", "ContainersReady"] {
            assert_eq!(condition(&pod, kind), (ready, reason, since), "{about}");
        }
        let network = if state == UP { ("True", 0) } else { ("False", since) };
        let (status, _, when) = condition(&pod, "PodReadyToStartContainers");
        assert_eq!((status, when), network, "{about}");
        assert_eq!((condition(&pod, "PodScheduled").0, condition(&pod, "Initialized").0), ("True", "True"));
        let row = Pods.cells(&pod, START + 60);
        assert_eq!(row[1..3], cells, "{about}");
        assert_eq!(row.len(), KIND.columns.len());
    }
    assert_eq!((SANDBOX_READY, SANDBOX_NOTREADY), (UP, DOWN));
}

#[test]
fn a_container_is_its_last_attempt() {
    let mut running = container("main", 2, CONTAINER_RUNNING, 0);
    running.annotations.insert(
        "io.kubernetes.container.ports".to_owned(),
        r#"[{"name":"http","containerPort":80,"protocol":"TCP"},{"containerPort":53,"protocol":"UDP","hostPort":5353},
            {"name":"HTTP!","containerPort":81},{"containerPort":0},{"containerPort":70000},{"containerPort":82,"protocol":"X"},
            "no port"]"#
            .to_owned(),
    );
    let sidecar = ContainerStatus { created_at: at(0), ..container("sidecar", 0, CONTAINER_RUNNING, 0) };
    let all = vec![running, container("main", 1, CONTAINER_EXITED, 3), sidecar];
    let pod = pods(&seen(vec![sandbox("s", "web", SANDBOX_READY, &[], all)]), &[]).remove(0);
    let names: Vec<_> = pod.spec()["containers"].as_array().unwrap().iter().map(|c| &c["name"]).collect();
    assert_eq!(names, ["sidecar", "main"]);
    let expected = json!([
        {"containerPort": 80, "protocol": "TCP", "name": "http"},
        {"containerPort": 53, "protocol": "UDP", "hostPort": 5353}, {"containerPort": 81, "protocol": "TCP"},
    ]);
    assert_eq!(pod.spec()["containers"][1]["ports"], expected);
    let ended = json!({"terminated": {
        "exitCode": 3, "reason": "Error", "containerID": "containerd://main1",
        "startedAt": "2026-01-01T00:01:42Z", "finishedAt": "2026-01-01T00:02:30Z",
    }});
    let expected = json!({
        "name": "main", "image": "busybox:1", "imageID": "sha256:1", "containerID": "containerd://main2",
        "state": {"running": {"startedAt": "2026-01-01T00:03:22Z"}}, "lastState": ended,
        "ready": true, "started": true, "restartCount": 2,
    });
    assert_eq!(pod.0["status"]["containerStatuses"][1], expected);
    let row = Pods.cells(&pod, START + 200);
    assert_eq!(row[1..4], ["2/2", "Running", "2 (50s ago)"]);
}

#[test]
fn engine_and_records_are_joined() {
    let mut one = sandbox("s1", "one", SANDBOX_READY, &["fd00::9", "10.1.0.9"], vec![]);
    one.status.labels =
        [("app", "one"), ("io.kubernetes.pod.name", "one")].map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    let mut host = sandbox("s2", "host", SANDBOX_READY, &[], vec![]);
    let options = Some(NamespaceOption { network: NAMESPACE_OF_NODE });
    host.status.linux = Some(LinuxPodSandboxStatus { namespaces: Some(Namespace { options }) });
    let stopped = sandbox("s6", "stopped", SANDBOX_NOTREADY, &["10.1.0.6"], vec![]);
    let other = sandbox("s3", "other-plugin", SANDBOX_READY, &["10.2.0.3", "nonsense", "10.2.0.4"], vec![]);
    let records = [
        record("s1", "one", "uid-one", 0, &["10.1.0.9", "fd00::9"]),
        record("s4", "made-now", "uid-4", 1, &["10.1.0.4"]),
        record("s5", "podman", "", 1, &["10.1.0.5"]),
    ];
    let seen = seen(vec![one, host, other, stopped]);
    let found = pods(&seen, &records);
    let ips = |pod: &Object| -> Vec<String> {
        let ips = pod.0["status"]["podIPs"].as_array().unwrap().iter();
        ips.map(|ip| ip["ip"].as_str().unwrap().to_owned()).collect()
    };
    let told: Vec<_> =
        found.iter().map(|pod| (pod.name(), condition(pod, "Ready").0, ips(pod).join(" "))).collect();
    let expected = [
        ("host", "False", "10.0.0.5 fd00::5"),
        ("made-now", "False", "10.1.0.4"),
        ("one", "False", "10.1.0.9 fd00::9"),
        ("other-plugin", "False", "10.2.0.3"),
        ("podman", "True", "10.1.0.5"),
        ("stopped", "False", ""),
    ];
    assert_eq!(told, expected.map(|(name, ready, ips)| (name, ready, ips.to_owned())));
    assert_eq!(
        (&found[0].spec()["hostNetwork"], &found[2].spec()["hostNetwork"]),
        (&json!(true), &json!(null))
    );
    assert_eq!(found[2].labels().collect::<Vec<_>>(), [("app", "one")]);
    assert_eq!(found[0].uid(), "uid-host");
    // Without an engine the records are all that is known.
    let records_alone = pods(&Seen::default(), &records);
    let told: Vec<_> = records_alone.iter().map(|pod| (pod.name(), condition(pod, "Ready").0)).collect();
    assert_eq!(told, [("made-now", "True"), ("one", "True"), ("podman", "True")]);
}

#[test]
fn the_newest_sandbox_of_a_pod_counts() {
    let mut old = sandbox("s1", "web", SANDBOX_NOTREADY, &[], vec![]);
    old.status.created_at = at(-100);
    let new =
        sandbox("s2", "web", SANDBOX_READY, &["10.1.0.2"], vec![container("a", 0, CONTAINER_RUNNING, 0)]);
    for sandboxes in [[old.clone(), new.clone()], [new, old.clone()]] {
        let found = pods(&seen(sandboxes.to_vec()), &[]);
        assert_eq!((found.len(), condition(&found[0], "Ready").0), (1, "True"));
    }
    // One that the engine is making.
    let found = pods(&seen(vec![old]), &[record("s3", "web", "uid-web", 3, &["10.1.0.3"])]);
    assert_eq!((found.len(), &found[0].0["status"]["podIP"]), (1, &json!("10.1.0.3")));
}

fn write(dir: &Path, id: &str, namespace: &str, name: &str) {
    let record = json!({"version": 1, "sandboxID": id, "namespace": namespace, "name": name, "podIPs": []});
    state_dir::replace(&dir.join(format!("{id}.json")), record.to_string().as_bytes()).unwrap();
}

#[test]
fn a_pod_that_no_api_server_could_have_is_left_out() {
    let dir = tempfile::tempdir().unwrap();
    let mut finder =
        Finder::new(Arc::new(Config { pod_records: dir.path().to_owned(), ..Config::default() }));
    let odd = ["create-PodSandbox-for-container-0F", "a_b", "", "a/b", "..", "a b", "x\n", "-a", "日本"];
    for (n, name) in odd.iter().enumerate() {
        write(dir.path(), &format!("s{n}"), "default", name);
    }
    write(dir.path(), "good", "default", "web");
    write(dir.path(), "n", "Not", "web");
    state_dir::replace(&dir.path().join("s99.json"), b"{").unwrap();
    let seen = seen(vec![sandbox("c", "A_B", SANDBOX_READY, &[], vec![])]);
    for _ in 0..2 {
        let found = finder.pods(&seen);
        assert_eq!(found.iter().map(Object::name).collect::<Vec<_>>(), ["web"]);
        assert_eq!(found[0].uid(), "good");
        assert_eq!(finder.left_out.len(), odd.len() + 2);
    }
    // What is gone is not remembered.
    state_dir::remove(&dir.path().join("s0.json")).unwrap();
    finder.pods(&seen);
    assert_eq!(finder.left_out.len(), odd.len() + 1);
}

#[test]
fn no_records_are_no_pods() {
    let config = Config { pod_records: "/nonexistent".into(), ..Config::default() };
    assert_eq!(Finder::new(Arc::new(config)).pods(&Seen::default()), Vec::new());
}
