//! Defaults of a pod, and of a template of pods (`SetDefaults_Pod` and `SetDefaults_PodSpec` in `pkg/apis/core/v1/defaults.go`).

use serde_json::{Map, Value, json};

/// The mode of files in volumes of configuration: 0644.
const FILE_MODE: i64 = 420;
/// The volumes whose files have such a mode.
const OF_FILES: [&str; 4] = ["configMap", "secret", "downwardAPI", "projected"];
const PROBES: [&str; 3] = ["livenessProbe", "readinessProbe", "startupProbe"];
const HOOKS: [&str; 2] = ["postStart", "preStop"];

/// The lists of containers whose ports and requests a pod completes.
const CONTAINERS: [&str; 2] = ["initContainers", "containers"];

/// Fills in a pod's `spec`: also what a template leaves to the pods that are made of it.
pub(in crate::kinds::stored) fn fill(spec: &mut Map<String, Value>) {
    fill_template(spec);
    fill_in(spec, "enableServiceLinks", json!(true));
    let is_on_node = spec.get("hostNetwork") == Some(&json!(true));
    for key in CONTAINERS {
        for container in maps(spec, key) {
            fill_requests(container);
            for port in maps(container, "ports").filter(|_| is_on_node) {
                if let Some(own) = port.get("containerPort").cloned() {
                    fill_in(port, "hostPort", own);
                }
            }
        }
    }
}

/// Fills in the `spec` of a template of pods.
pub(in crate::kinds::stored) fn fill_template(spec: &mut Map<String, Value>) {
    let names = ["serviceAccountName", "serviceAccount"];
    if let Some(account) = names.iter().find_map(|key| spec.get(*key)).cloned() {
        spec.extend(names.map(|key| (key.to_owned(), account.clone())));
    }
    for (key, value) in [
        ("dnsPolicy", json!("ClusterFirst")),
        ("restartPolicy", json!("Always")),
        ("schedulerName", json!("default-scheduler")),
        ("securityContext", json!({})),
        ("terminationGracePeriodSeconds", json!(30)),
    ] {
        fill_in(spec, key, value);
    }
    for key in ["initContainers", "containers", "ephemeralContainers"] {
        maps(spec, key).for_each(fill_container);
    }
    maps(spec, "volumes").for_each(fill_volume);
}

fn fill_in(map: &mut Map<String, Value>, key: &str, default: Value) {
    map.entry(key).or_insert(default);
}

/// The structures in the list at `key`.
fn maps<'a>(
    map: &'a mut Map<String, Value>,
    key: &str,
) -> impl Iterator<Item = &'a mut Map<String, Value>> + use<'a> {
    let list = map.get_mut(key).and_then(Value::as_array_mut);
    list.into_iter().flatten().filter_map(Value::as_object_mut)
}

/// The structure at `key`.
fn inner<'a>(map: &'a mut Map<String, Value>, key: &str) -> Option<&'a mut Map<String, Value>> {
    map.get_mut(key).and_then(Value::as_object_mut)
}

fn fill_container(container: &mut Map<String, Value>) {
    let image = container.get("image").and_then(Value::as_str).unwrap_or_default();
    let policy = if is_latest(image) { "Always" } else { "IfNotPresent" };
    fill_in(container, "imagePullPolicy", policy.into());
    fill_in(container, "terminationMessagePath", "/dev/termination-log".into());
    fill_in(container, "terminationMessagePolicy", "File".into());
    for port in maps(container, "ports") {
        fill_in(port, "protocol", "TCP".into());
    }
    for variable in maps(container, "env") {
        if let Some(source) = inner(variable, "valueFrom")
            && let Some(field) = inner(source, "fieldRef")
        {
            fill_in(field, "apiVersion", "v1".into());
        }
    }
    for key in PROBES {
        if let Some(probe) = inner(container, key) {
            fill_probe(probe);
        }
    }
    for key in HOOKS {
        if let Some(hook) = inner(container, "lifecycle").and_then(|hooks| inner(hooks, key)) {
            fill_handler(hook);
        }
    }
}

/// A container needs as much as it may use, if it does not say what it needs.
fn fill_requests(container: &mut Map<String, Value>) {
    if let Some(resources) = inner(container, "resources")
        && let Some(limits) = resources.get("limits").and_then(Value::as_object).cloned()
        && let Value::Object(requests) = resources.entry("requests").or_insert_with(|| json!({}))
    {
        limits.into_iter().for_each(|(name, amount)| fill_in(requests, &name, amount));
    }
}

fn fill_probe(probe: &mut Map<String, Value>) {
    for (key, value) in
        [("timeoutSeconds", 1), ("periodSeconds", 10), ("successThreshold", 1), ("failureThreshold", 3)]
    {
        fill_in(probe, key, value.into());
    }
    if let Some(grpc) = inner(probe, "grpc") {
        fill_in(grpc, "service", "".into());
    }
    fill_handler(probe);
}

fn fill_handler(handler: &mut Map<String, Value>) {
    if let Some(http) = inner(handler, "httpGet") {
        fill_in(http, "path", "/".into());
        fill_in(http, "scheme", "HTTP".into());
    }
}

/// Whether an image has the tag `latest`, which it has without a tag and a digest.
fn is_latest(image: &str) -> bool {
    let name = image.rsplit('/').next().unwrap_or_default();
    match name.split_once(':') {
        _ if image.contains('@') => false,
        None => true,
        Some((_, tag)) => tag == "latest",
    }
}

fn fill_volume(volume: &mut Map<String, Value>) {
    if volume.keys().all(|key| key == "name") {
        fill_in(volume, "emptyDir", json!({}));
    }
    if let Some(path) = inner(volume, "hostPath") {
        fill_in(path, "type", "".into());
    }
    for key in OF_FILES {
        if let Some(files) = inner(volume, key) {
            fill_in(files, "defaultMode", FILE_MODE.into());
            fill_fields(files);
        }
    }
    for source in inner(volume, "projected").into_iter().flat_map(|projected| maps(projected, "sources")) {
        if let Some(token) = inner(source, "serviceAccountToken") {
            fill_in(token, "expirationSeconds", 3600.into());
        }
        if let Some(files) = inner(source, "downwardAPI") {
            fill_fields(files);
        }
    }
}

/// Fills in the references of files to fields of the pod.
fn fill_fields(files: &mut Map<String, Value>) {
    for file in maps(files, "items") {
        if let Some(field) = inner(file, "fieldRef") {
            fill_in(field, "apiVersion", "v1".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_missing_is_filled_in() {
        let mut spec = json!({
            "serviceAccountName": "sa", "hostNetwork": true, "dnsPolicy": "Default",
            "containers": [{"name": "a", "image": "registry:5000/a", "ports": [{"containerPort": 80}],
                "readinessProbe": {"httpGet": {"port": 80}, "periodSeconds": 1},
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m"}},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]}],
            "initContainers": [{"name": "b", "image": "b:1"}],
            "volumes": [{"name": "v"}, {"name": "h", "hostPath": {"path": "/"}}, {"name": "c", "configMap": {"name": "c"}},
                {"name": "p", "projected": {"sources": [{"serviceAccountToken": {"path": "t"}}]}}],
        });
        fill(spec.as_object_mut().unwrap());
        let log = "/dev/termination-log";
        let filled = json!({
            "serviceAccountName": "sa", "serviceAccount": "sa", "hostNetwork": true, "dnsPolicy": "Default",
            "enableServiceLinks": true, "restartPolicy": "Always", "schedulerName": "default-scheduler",
            "securityContext": {}, "terminationGracePeriodSeconds": 30,
            "containers": [{"name": "a", "image": "registry:5000/a", "imagePullPolicy": "Always",
                "terminationMessagePath": log, "terminationMessagePolicy": "File",
                "ports": [{"containerPort": 80, "hostPort": 80, "protocol": "TCP"}],
                "readinessProbe": {"httpGet": {"port": 80, "path": "/", "scheme": "HTTP"}, "periodSeconds": 1,
                    "timeoutSeconds": 1, "successThreshold": 1, "failureThreshold": 3},
                "resources": {"limits": {"cpu": "1", "memory": "1Gi"}, "requests": {"cpu": "100m", "memory": "1Gi"}},
                "env": [{"name": "IP", "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.podIP"}}}]}],
            "initContainers": [{"name": "b", "image": "b:1", "imagePullPolicy": "IfNotPresent",
                "terminationMessagePath": log, "terminationMessagePolicy": "File"}],
            "volumes": [{"name": "v", "emptyDir": {}}, {"name": "h", "hostPath": {"path": "/", "type": ""}},
                {"name": "c", "configMap": {"name": "c", "defaultMode": FILE_MODE}},
                {"name": "p", "projected": {"defaultMode": FILE_MODE,
                    "sources": [{"serviceAccountToken": {"path": "t", "expirationSeconds": 3600}}]}}],
        });
        assert_eq!(spec, filled);
    }

    #[test]
    fn a_template_leaves_some_defaults_to_its_pods() {
        let mut spec = json!({"hostNetwork": true, "containers": [{"name": "a", "image": "a:1",
            "ports": [{"containerPort": 80}], "resources": {"limits": {"cpu": "1"}}}]});
        fill_template(spec.as_object_mut().unwrap());
        let container = &spec["containers"][0];
        assert_eq!(container["ports"], json!([{"containerPort": 80, "protocol": "TCP"}]));
        assert_eq!(container["resources"], json!({"limits": {"cpu": "1"}}));
        assert_eq!((&spec["enableServiceLinks"], &spec["dnsPolicy"]), (&Value::Null, &json!("ClusterFirst")));
    }

    #[test]
    fn images_without_a_tag_are_the_latest() {
        for (image, expected) in [
            ("a", true),
            ("a:latest", true),
            ("r:5000/a", true),
            ("a:1", false),
            ("r:5000/a:1", false),
            ("a@sha256:0", false),
        ] {
            assert_eq!(is_latest(image), expected, "{image}");
        }
    }
}
