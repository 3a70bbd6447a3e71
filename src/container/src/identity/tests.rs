use serde_json::{Value, json};

use super::*;

fn read(annotations: Value, hostname: &str) -> Result<PodIdentity, String> {
    let json = json!({
        "root": {"path": "rootfs"}, "hostname": hostname, "annotations": annotations,
    });
    let json = json.to_string();
    PodIdentity::read(&Config::parse(json.as_bytes()).unwrap(), "node-1").map_err(|error| error.to_string())
}

fn containerd_keys() -> Value {
    json!({
        "io.kubernetes.cri.container-type": "container",
        "io.kubernetes.cri.sandbox-id": "s1",
        "io.kubernetes.cri.sandbox-name": "web",
        "io.kubernetes.cri.sandbox-namespace": "shop",
        "io.kubernetes.cri.sandbox-uid": "u1",
    })
}

fn crio_keys() -> Value {
    json!({
        "io.container.manager": "cri-o",
        "io.kubernetes.cri-o.ContainerType": "container",
        "io.kubernetes.cri-o.SandboxID": "abcdef0123456789",
        "io.kubernetes.cri-o.SandboxName": "k8s_web_shop_u1_0",
        "io.kubernetes.cri-o.IP.0": "10.0.0.1",
        "io.kubernetes.cri-o.IP.1": "fd00::1",
        "io.kubernetes.cri-o.IP.3": "6.6.6.6",
    })
}

fn with(mut keys: Value, key: &str, value: &str) -> Value {
    keys[key] = value.into();
    keys
}

#[test]
fn containerd_dialect() {
    let pod = read(containerd_keys(), "").unwrap();
    assert_eq!((pod.dialect, pod.is_sandbox), (Dialect::Containerd, false));
    assert_eq!((pod.name.as_str(), pod.namespace.as_str()), ("web", "shop"));
    assert_eq!((pod.sandbox_id.as_deref(), pod.uid.as_deref(), pod.hostname), (Some("s1"), Some("u1"), None));
    let sandbox = with(containerd_keys(), CRI_TYPE, "sandbox");
    assert!(read(sandbox, "").unwrap().is_sandbox);
}

#[test]
fn containerd_without_a_key_names_it() {
    for key in ["sandbox-id", "sandbox-name", "sandbox-namespace"] {
        let mut keys = containerd_keys();
        keys.as_object_mut().unwrap().remove(&format!("io.kubernetes.cri.{key}"));
        let error = read(keys, "").unwrap_err();
        assert_eq!(
            error,
            format!("cannot tell the pod: containerd annotation io.kubernetes.cri.{key} is missing")
        );
    }
    let odd = read(with(containerd_keys(), CRI_TYPE, "pause\n"), "").unwrap_err();
    assert!(odd.contains(r#"is "pause\n", expected "sandbox" or "container""#), "{odd}");
}

#[test]
fn crio_dialect() {
    let pod = read(crio_keys(), "abcdef012345").unwrap();
    assert_eq!((pod.dialect, pod.name.as_str(), pod.namespace.as_str()), (Dialect::CriO, "web", "shop"));
    assert_eq!(pod.crio_ips, ["10.0.0.1", "fd00::1"], "the list ends at the first gap");
    assert_eq!(pod.hostname, None, "the start of the id is not a name that anybody chose");
    assert_eq!(read(crio_keys(), "front").unwrap().hostname.as_deref(), Some("front"));
    assert_eq!(
        read(crio_keys(), "abc").unwrap().hostname.as_deref(),
        Some("abc"),
        "chosen, not cut from the id"
    );
    for odd in
        ["web", "k8s_web_shop_u1", "k8s_web_shop_u1_x", "k8s__shop_u1_0", "k8s_a__u1_0", "x_web_shop_u1_0"]
    {
        let odd = read(with(crio_keys(), CRIO_SANDBOX_NAME, odd), "").unwrap_err();
        assert!(odd.contains("expected k8s_<name>_"), "{odd}");
    }
}

fn names(pod: &PodIdentity) -> [&str; 3] {
    [&pod.name, &pod.namespace, pod.uid.as_deref().unwrap()]
}

#[test]
fn crio_joins_names_that_have_underscores() {
    let joined = |value: &str| with(crio_keys(), CRIO_SANDBOX_NAME, value);
    let odd = joined("k8s_create-PodSandbox_for_container-0F_shop_u1_2");
    let pod = read(odd.clone(), "").unwrap();
    assert_eq!(names(&pod), ["create-PodSandbox_for_container-0F", "shop", "u1"]);
    assert!(pod.is_guess);
    assert_eq!(names(&read(joined("k8s_a b\n#_N.s_u/1_4294967295"), "").unwrap()), ["a b\n#", "N.s", "u/1"]);
    assert!(!read(crio_keys(), "").unwrap().is_guess);
    // The kubelet's labels tell which part has the underscore, where they are of this pod.
    let labels = |mut keys: Value, name: &str, namespace: &str, uid: &str| {
        for (key, value) in [(POD_NAME, name), (POD_NAMESPACE, namespace), (POD_UID, uid)] {
            keys[key] = value.into();
        }
        let pod = read(keys, "").unwrap();
        (names(&pod).map(str::to_owned), pod.is_guess)
    };
    let of = |name: &str, namespace: &str, uid: &str| [name, namespace, uid].map(str::to_owned);
    let odd = joined("k8s_a_b_c_d_0");
    assert_eq!(labels(odd.clone(), "a", "b_c", "d"), (of("a", "b_c", "d"), false));
    assert_eq!(labels(odd.clone(), "a", "b", "c_d"), (of("a", "b", "c_d"), false));
    for (name, namespace, uid) in
        [("a", "b", "c"), ("a_b_c_d", "", ""), ("x", "b_c", "d"), ("a", "", "b_c_d")]
    {
        assert_eq!(labels(odd.clone(), name, namespace, uid), (of("a_b", "c", "d"), true));
    }
}

#[test]
fn crios_sandbox_tells_its_names_one_by_one() {
    let config = |keys: Value| {
        Config::parse(json!({"root": {"path": "rootfs"}, "annotations": keys}).to_string().as_bytes())
            .unwrap()
    };
    let own = config(with(crio_keys(), CRIO_SANDBOX_NAME, "k8s_a_b_c_d_0"));
    for (name, namespace, expected) in [
        ("a", "b_c", ["a", "b_c", "d"]),
        ("a", "b", ["a", "b", "c_d"]),
        ("a_b", "c", ["a_b", "c", "d"]),
        // None of this pod.
        ("a", "c", ["a_b", "c", "d"]),
        ("a_b_c", "d", ["a_b", "c", "d"]),
        ("", "", ["a_b", "c", "d"]),
    ] {
        let sandbox = with(crio_keys(), CRIO_TYPE, "sandbox");
        let sandbox = with(with(sandbox, CRIO_KUBE_NAME, name), CRIO_NAMESPACE, namespace);
        let sandbox = config(sandbox);
        let mut pod = PodIdentity::read(&own, "node").unwrap();
        assert!(pod.is_sandbox_config(&sandbox) && !pod.is_sandbox_config(&own));
        pod.take_names_of(&sandbox, &own);
        assert_eq!(names(&pod), expected, "{name:?} {namespace:?}");
    }
}

#[test]
fn a_name_may_be_anything() {
    for odd in ["Web_1", "a b", "", "a\0\n", &"x".repeat(1000)] {
        for key in ["sandbox-name", "sandbox-namespace", "sandbox-uid"] {
            let keys = with(containerd_keys(), &format!("io.kubernetes.cri.{key}"), odd);
            let pod = read(keys, "").unwrap();
            assert!(names(&pod).contains(&odd), "{key} {odd:?}");
        }
    }
}

#[test]
fn podman_and_plain_dialects() {
    let podman = json!({"io.container.manager": "libpod", "io.kubernetes.cri-o.SandboxID": "s"});
    let pod = read(podman.clone(), "c1").unwrap();
    assert_eq!(
        (pod.dialect, pod.name.as_str(), pod.sandbox_id.as_deref()),
        (Dialect::Podman, "c1", Some("s"))
    );
    assert!(read(with(podman, CRIO_TYPE, "sandbox"), "c1").unwrap().is_sandbox);
    let plain = read(json!({"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "shop"}), "h");
    let plain = plain.unwrap();
    assert_eq!(
        (plain.dialect, plain.name.as_str(), plain.namespace.as_str()),
        (Dialect::Plain, "web", "shop")
    );
    let bare = read(Value::Null, "h").unwrap();
    assert_eq!((bare.name.as_str(), bare.namespace.as_str()), ("h", "default"));
}

#[test]
fn a_pod_cannot_pass_for_another_engines() {
    // Under CRI-O a pod may carry any containerd key but the container type; under containerd it may carry
    // CRI-O's manager where the node passes it through. Neither turns a container into a sandbox.
    let forged = with(crio_keys(), "io.kubernetes.cri.sandbox-id", "other");
    assert_eq!(read(forged, "").unwrap().sandbox_id.as_deref(), Some("abcdef0123456789"));
    let both = with(containerd_keys(), MANAGER, "cri-o");
    assert!(read(both, "").unwrap_err().contains("both containerd's and CRI-O's"));
    let libpod = with(containerd_keys(), MANAGER, "libpod");
    assert_eq!(read(libpod, "").unwrap().dialect, Dialect::Containerd);
}

#[test]
fn the_sandboxs_bundle_is_beside_the_containers() {
    let bundle = |dialect: Dialect, bundle: &str| {
        let mut pod = PodIdentity::of(dialect);
        pod.sandbox_id = Some("s1".into());
        pod.sandbox_bundle(Path::new(bundle)).map(|path| path.to_str().unwrap().to_owned())
    };
    assert_eq!(bundle(Dialect::Containerd, "/run/task/k8s.io/c1").as_deref(), Some("/run/task/k8s.io/s1"));
    assert_eq!(
        bundle(Dialect::Podman, "/x/vfs-containers/c1/userdata").as_deref(),
        Some("/x/vfs-containers/s1/userdata")
    );
    assert_eq!(bundle(Dialect::Containerd, "/"), None);
    assert_eq!(bundle(Dialect::Podman, "/userdata"), None);
    assert_eq!(bundle(Dialect::CriO, "/x/c1/userdata").as_deref(), Some("/x/s1/userdata"));
    assert_eq!(bundle(Dialect::Plain, "/x/c1/userdata"), None);
    assert_eq!(PodIdentity::of(Dialect::Containerd).sandbox_bundle(Path::new("/x/c1")), None);
}

#[test]
fn another_configuration_is_not_the_sandboxs() {
    let is_sandboxs = |dialect: Dialect, annotations: Value| {
        let mut pod = PodIdentity::of(dialect);
        pod.sandbox_id = Some("s1".into());
        let json = json!({"root": {"path": "rootfs"}, "annotations": annotations}).to_string();
        pod.is_sandbox_config(&Config::parse(json.as_bytes()).unwrap())
    };
    let sandbox = with(containerd_keys(), CRI_TYPE, "sandbox");
    assert!(is_sandboxs(Dialect::Containerd, sandbox.clone()));
    assert!(!is_sandboxs(Dialect::Containerd, with(sandbox, CRI_SANDBOX_ID, "s2")));
    assert!(!is_sandboxs(Dialect::Containerd, containerd_keys()));
    assert!(is_sandboxs(Dialect::Podman, json!({MANAGER: "libpod"})));
    assert!(!is_sandboxs(Dialect::Podman, containerd_keys()));
}
