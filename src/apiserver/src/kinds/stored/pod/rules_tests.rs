use super::*;

fn pod(spec: Value) -> Object {
    let mut pod = Object::from_value(json!({"metadata": {"name": "a"}, "spec": spec})).unwrap();
    begin(&mut pod);
    fill(&mut pod);
    pod
}

fn simple(more: Value) -> Object {
    let mut spec = json!({"containers": [{"name": "a", "image": "a"}]});
    spec.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    pod(spec)
}

fn told(faults: &[Cause]) -> Vec<String> {
    faults.iter().map(|fault| format!("{}: {}", fault.field, fault.message)).collect()
}

#[test]
fn what_no_kubelet_can_run_is_refused() {
    let required = |field: &str| format!("spec.{field}: Required value");
    let invalid = |field: &str, rest: &str| format!("spec.{field}: Invalid value: {rest}");
    let table = [
        (json!({"containers": []}), vec![required("containers")]),
        (
            json!({"containers": [{}]}),
            vec![required("containers[0].name"), required("containers[0].image")],
        ),
        (
            json!({"containers": [{"name": "a", "image": "a"}, {"name": "a", "image": " a"}]}),
            vec![
                "spec.containers[1].name: Duplicate value: \"a\"".to_owned(),
                invalid("containers[1].image", "\" a\": must not have leading or trailing whitespace"),
            ],
        ),
        (
            json!({"containers": [{"name": "a", "image": "a", "ports": [{}, {"containerPort": 70000},
                {"containerPort": 80, "hostPort": 81, "protocol": "x"}]}], "hostNetwork": true}),
            vec![
                required("containers[0].ports[0].containerPort"),
                invalid("containers[0].ports[1].containerPort", "70000: must be between 1 and 65535, inclusive"),
                invalid("containers[0].ports[1].hostPort", "70000: must be between 1 and 65535, inclusive"),
                invalid("containers[0].ports[2].hostPort", "81: must match containerPort when hostNetwork is true"),
                "spec.containers[0].ports[2].protocol: Unsupported value: \"x\": supported values: \"SCTP\", \
                 \"TCP\", \"UDP\""
                    .to_owned(),
            ],
        ),
        (
            json!({"containers": [{"name": "a", "image": "a", "env": [{"value": "x"}], "livenessProbe": {},
                "volumeMounts": [{"name": "v"}, {"name": "w", "mountPath": "/w"}, {"name": "v", "mountPath": "/w"}]}],
                "volumes": [{"name": "v"}]}),
            vec![
                required("containers[0].env[0].name"),
                required("containers[0].volumeMounts[0].mountPath"),
                "spec.containers[0].volumeMounts[1].name: Not found: \"w\"".to_owned(),
                invalid("containers[0].volumeMounts[2].mountPath", "\"/w\": must be unique"),
                required("containers[0].livenessProbe") + ": must specify a handler type",
            ],
        ),
    ];
    for (spec, expected) in table {
        let found = told(&faults(&pod(spec.clone()), None));
        assert_eq!(found, expected, "{spec}");
    }
}

#[test]
fn names_and_policies_are_checked() {
    let faulty = simple(json!({"restartPolicy": "x", "dnsPolicy": "y", "nodeName": "!", "hostname": "A",
        "volumes": [{"name": ""}],
        "hostAliases": [{"ip": "1", "hostnames": ["!", "a"]}, {"ip": "::1"}]}));
    let fields: Vec<String> = faults(&faulty, None).into_iter().map(|fault| fault.field).collect();
    let expected = [
        "volumes[0].name",
        "restartPolicy",
        "dnsPolicy",
        "nodeName",
        "hostname",
        "hostAliases[0].ip",
        "hostAliases[0].hostnames[0]",
    ];
    assert_eq!(fields, expected.map(|field| format!("spec.{field}")));
    let ephemeral = simple(json!({"ephemeralContainers": [{"name": "e", "image": "e"}]}));
    let expected = "spec.ephemeralContainers: Forbidden: cannot be set on create";
    assert_eq!(told(&faults(&ephemeral, None)), [expected]);
}

#[test]
fn variables_and_host_ports_are_checked() {
    let source = json!({"fieldRef": {"fieldPath": "metadata.name"}});
    let port = json!({"containerPort": 80, "hostPort": 8080});
    let faulty = simple(json!({"containers": [{"name": "a", "image": "a", "ports": [port, port],
        "env": [{"name": "a=b"}, {"name": "b", "valueFrom": {}}, {"name": "c", "value": "d", "valueFrom": source},
            {"name": "d", "valueFrom": source}]}]}));
    let path = "spec.containers[0]";
    let expected = [
        format!(
            "{path}.env[0].name: Invalid value: \"a=b\": a valid environment variable name must consist only of printable \
             ASCII characters other than '='"
        ),
        format!(
            "{path}.env[1].valueFrom: Invalid value: \"\": must specify one of: `fieldRef`, `resourceFieldRef`, \
             `configMapKeyRef`, `secretKeyRef` or `fileKeyRef`"
        ),
        format!(
            "{path}.env[2].valueFrom: Invalid value: \"\": may not be specified when `value` is not empty"
        ),
        format!("{path}.ports[1].hostPort: Duplicate value: \"TCP//8080\""),
    ];
    assert_eq!(told(&faults(&faulty, None)), expected);
}

#[test]
fn what_surprises_is_warned_of() {
    let mut odd = simple(
        json!({"hostAliases": [{"ip": "192.0.2.1"}, {"ip": "192.0.2.1"}], "terminationGracePeriodSeconds": 5,
        "imagePullSecrets": [{"name": "x"}, {"name": "x"}, {}], "topologySpreadConstraints": [{"maxSkew": 1}],
        "containers": [{"name": "a", "image": "a",
            "env": [{"name": "X", "value": "1"}, {"name": "X", "value": "$(X)2"}, {"name": "X", "value": "3"}],
            "ports": [{"name": "p", "containerPort": 80}, {"containerPort": 80}, {"containerPort": 80, "hostPort": 80},
                {"name": "p", "containerPort": 81, "hostIP": "192.0.2.1"}]}]}),
    );
    odd.metadata_mut().insert("name".to_owned(), "a.b".into());
    let container = "spec.containers[0]";
    let expected = [
        "spec.topologySpreadConstraints[0].labelSelector: a null labelSelector results in matching no pod".to_owned(),
        "spec.hostAliases[1].ip: duplicate ip \"192.0.2.1\"".to_owned(),
        "spec.imagePullSecrets[1].name: duplicate name \"x\"".to_owned(),
        "spec.imagePullSecrets[2].name: invalid empty name \"\"".to_owned(),
        format!("{container}.env[2]: hides previous definition of \"X\", which may be dropped when using apply"),
        format!("{container}.ports[1]: duplicate port definition with {container}.ports[0]"),
        format!("{container}.ports[2]: overlapping port definition with {container}.ports[0]"),
        format!("{container}.ports[2]: overlapping port definition with {container}.ports[1]"),
        format!(
            "{container}.ports[3]: hostIP set without hostPort: {{Name:p HostPort:0 ContainerPort:81 Protocol:TCP \
             HostIP:192.0.2.1}}"
        ),
        format!(
            "{container}.ports[3]: duplicate port name \"p\" with {container}.ports[0], services and probes that select \
             ports by name will use {container}.ports[0]"
        ),
        "metadata.name: this is used in the Pod's hostname, which can result in surprising behavior; a DNS label is \
         recommended: [must not contain dots]"
            .to_owned(),
    ];
    assert_eq!(warnings(&odd, None), expected);
    assert_eq!(warnings(&odd, Some(&odd)), [""; 0]);
}

#[test]
fn a_pod_keeps_its_spec() {
    let old = simple(json!({"nodeName": "n1", "tolerations": [{"key": "a", "operator": "Exists"}]}));
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut spec = old.spec().clone();
        change(&mut spec);
        told(&faults(&pod(spec), Some(&old)))
    };
    assert_eq!(changed(&|spec| spec["containers"][0]["image"] = json!("b")), [""; 0]);
    assert_eq!(changed(&|spec| spec["activeDeadlineSeconds"] = json!(5)), [""; 0]);
    let more = json!([{"key": "a", "operator": "Exists", "tolerationSeconds": 5}, {"key": "b"}]);
    assert_eq!(changed(&|spec| spec["tolerations"] = more.clone()), [""; 0]);
    let moved = changed(&|spec| spec["nodeName"] = json!("n2"));
    assert!(
        moved[0].starts_with("spec: Forbidden: pod updates may not change fields other than"),
        "{moved:?}"
    );
    let tolerations = changed(&|spec| spec["tolerations"] = json!([]));
    assert!(
        tolerations[0].starts_with("spec.tolerations: Forbidden: existing toleration"),
        "{tolerations:?}"
    );
}

#[test]
fn a_status_has_its_addresses_in_step() {
    let with = |status: Value| {
        let mut pod = simple(json!({}));
        pod.0.insert("status".to_owned(), status);
        fill(&mut pod);
        let faults = told(&faults(&pod, Some(&simple(json!({})))));
        (pod.0["status"].clone(), faults)
    };
    let both = json!({"podIP": "10.0.0.1", "podIPs": [{"ip": "10.0.0.1"}, {"ip": "fd00::1"}]});
    assert_eq!(with(json!({"podIPs": both["podIPs"]})), (both.clone(), vec![]));
    let one = json!({"podIP": "10.0.0.2", "podIPs": [{"ip": "10.0.0.2"}]});
    assert_eq!(with(json!({"podIP": "10.0.0.2"})), (one.clone(), vec![]));
    assert_eq!(with(json!({"podIP": "10.0.0.2", "podIPs": both["podIPs"]})), (one, vec![]));
    let (_, faults) = with(json!({"podIPs": [{"ip": "10.0.0.1"}, {"ip": "10.0.0.2"}]}));
    assert!(faults[0].ends_with("may specify no more than one IP for each IP family"), "{faults:?}");
    let (_, faults) = with(json!({"podIPs": [{"ip": "x"}]}));
    assert!(
        faults[0].starts_with("status.podIPs[0]: Invalid value: \"x\": must be a valid IP"),
        "{faults:?}"
    );
}

#[test]
fn pods_have_their_class_and_their_time() {
    for (resources, class) in [
        (json!({}), "BestEffort"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}}), "Guaranteed"),
        (json!({"requests": {"cpu": "1"}}), "Burstable"),
        (json!({"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "500m"}}), "Burstable"),
    ] {
        let pod = pod(json!({"containers": [{"name": "a", "image": "a", "resources": resources}]}));
        assert_eq!(pod.0["status"], json!({"phase": "Pending", "qosClass": class}));
    }
    let scheduled = simple(json!({"nodeName": "n1"}));
    assert_eq!([None, Some(5), Some(0), Some(-5)].map(|asked| grace(&scheduled, asked)), [30, 5, 0, 1]);
    assert_eq!(grace(&simple(json!({})), Some(5)), 0);
    let mut ended = scheduled;
    ended.status_mut().insert("phase".to_owned(), "Failed".into());
    assert_eq!(grace(&ended, None), 0);
}
