use super::*;
use container::node_config::{EtcVolume, OnError};

const KUBELETS: &str = "/var/lib/kubelet/pods/u1/etc-hosts";

fn pod() -> PodSandbox {
    PodSandbox {
        id: "s1".into(),
        name: "web".into(),
        uid: "u1".into(),
        namespace: "default".into(),
        annotations: strings(&[("podhosts.io/hostname", "www"), ("other", "x")]),
        ips: vec!["10.0.0.1".into(), "fd00::1".into()],
    }
}

fn strings(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

fn container(mounts: &[(&str, &str)]) -> Container {
    let mount = |&(destination, source): &(&str, &str)| Mount {
        destination: destination.into(),
        source: source.into(),
    };
    Container { id: "c1".into(), mounts: mounts.iter().map(mount).collect(), ..Container::default() }
}

fn decide(pod: &PodSandbox, container: &Container, node: &NodeConfig) -> Result<Option<Sealing>, String> {
    let new = New { dialect: Dialect::Containerd, pod, container };
    new.decide(node).map(Result::ok).map_err(|error| error.to_string())
}

fn adjusted(pod: &PodSandbox, container: &Container, node: &NodeConfig) -> Option<ContainerAdjustment> {
    Some(decide(pod, container, node).unwrap()?.adjustment("/usr/bin/podhosts-hook", 10))
}

#[test]
fn containerds_file_goes_and_the_hook_gets_the_addresses() {
    let container = container(&[("/proc", "proc"), ("/etc/hosts", "/x/sandboxes/s1/hosts")]);
    let adjustment = adjusted(&pod(), &container, &NodeConfig::default()).unwrap();
    let hook = Hook {
        path: "/usr/bin/podhosts-hook".into(),
        args: ["podhosts-hook", "--nri-pod-ips", "10.0.0.1,fd00::1"].map(str::to_owned).to_vec(),
        timeout: Some(OptionalInt { value: 10 }),
    };
    let expected = ContainerAdjustment {
        annotations: strings(&[("podhosts.io/hostname", "www")]),
        mounts: vec![Mount { destination: "-/etc/hosts".into(), source: String::new() }],
        hooks: Some(Hooks { create_runtime: vec![hook] }),
    };
    assert_eq!(adjustment, expected);
    let open = NodeConfig { on_error: OnError::Open, ..NodeConfig::default() };
    assert_eq!(adjusted(&pod(), &container, &open), Some(ContainerAdjustment { mounts: vec![], ..expected }));
}

#[test]
fn the_kubelets_file_goes_to_the_hook() {
    let kubelets = container(&[("/etc/hosts/", KUBELETS)]);
    let adjustment = adjusted(&pod(), &kubelets, &NodeConfig::default()).unwrap();
    assert_eq!(adjustment.mounts[0].destination, "-/etc/hosts/");
    let args = &adjustment.hooks.unwrap().create_runtime[0].args;
    assert_eq!(args[1..], ["--kubelet-hosts", KUBELETS, "--nri-pod-ips", "10.0.0.1,fd00::1"]);
    // With a volume at /etc the node's configuration may leave the container alone.
    let in_volume = container(&[("/etc", "/data"), ("/etc/hosts", KUBELETS)]);
    let lenient = NodeConfig { etc_volume: EtcVolume::Skip, ..NodeConfig::default() };
    assert_eq!(decide(&pod(), &in_volume, &lenient).unwrap(), None);
}

#[test]
fn what_is_left_alone() {
    let node = NodeConfig::default();
    for source in ["/data/hosts", "/x/sandboxes/s2/hosts", "/var/lib/kubelet/pods/u2/etc-hosts"] {
        let own = container(&[("/etc/hosts", source)]);
        assert_eq!(decide(&pod(), &own, &node).unwrap(), None, "{source}");
    }
    let mut opted_out = pod();
    opted_out.annotations.insert("podhosts.io/seal".into(), "false".into());
    assert_eq!(decide(&opted_out, &container(&[]), &node).unwrap(), None);
    let strict = NodeConfig { allow_opt_out: false, ..NodeConfig::default() };
    assert!(decide(&opted_out, &container(&[]), &strict).unwrap().is_some());
}

#[test]
fn a_containers_annotation_goes_before_the_pods_and_cannot_forge_the_pod() {
    let mut forged = container(&[("/etc/hosts", "/x/sandboxes/s2/hosts")]);
    forged.annotations = strings(&[("io.kubernetes.cri.sandbox-id", "s2"), ("podhosts.io/hostname", "own")]);
    assert_eq!(decide(&pod(), &forged, &NodeConfig::default()).unwrap(), None);
    forged.mounts.clear();
    let adjustment = adjusted(&pod(), &forged, &NodeConfig::default()).unwrap();
    assert_eq!(adjustment.annotations, strings(&[("podhosts.io/hostname", "own")]));
}

#[test]
fn a_hook_that_is_there_already() {
    let mut with_hook = container(&[]);
    let hook = Hook { path: "/usr/bin/podhosts-hook".into(), ..Hook::default() };
    with_hook.hooks = Some(Hooks { create_runtime: vec![hook] });
    let pod = pod();
    let new = New { dialect: Dialect::Containerd, pod: &pod, container: &with_hook };
    assert!(new.has_hook("/usr/bin/podhosts-hook") && !new.has_hook("/usr/local/bin/podhosts-hook"));
    let adjustment = new.decide(&NodeConfig::default()).unwrap().unwrap().annotations_only();
    assert_eq!((adjustment.hooks, adjustment.annotations.len()), (None, 1));
}

#[test]
fn a_pod_may_be_called_anything() {
    for odd in ["create-PodSandbox-for-container-0F", "a_b", "", "a b\n#", "..", "日本"] {
        let odd = || odd.to_owned();
        let pod = PodSandbox { name: odd(), namespace: odd(), uid: odd(), ..pod() };
        let container = container(&[("/etc/hosts", "/x/sandboxes/s1/hosts")]);
        let adjustment = adjusted(&pod, &container, &NodeConfig::default()).unwrap();
        assert_eq!(adjustment.mounts[0].destination, "-/etc/hosts", "{}", odd());
        let args = &adjustment.hooks.unwrap().create_runtime[0].args;
        assert_eq!(args[..], ["podhosts-hook", "--nri-pod-ips", "10.0.0.1,fd00::1"]);
    }
}

#[test]
fn what_cannot_be_used_is_named() {
    let node = NodeConfig::default();
    let none = PodSandbox { id: String::new(), ..pod() };
    let error = decide(&none, &container(&[]), &node).unwrap_err();
    assert_eq!(error, "cannot use the engine's request: pod.id is missing");
    let bad_ip = PodSandbox { ips: vec!["10.0.0.1\n6.6.6.6 x".into()], ..pod() };
    let error = decide(&bad_ip, &container(&[]), &node).unwrap_err();
    assert!(error.starts_with("cannot use the pod's addresses: status.podIPs[0].ip"), "{error}");
    let mut bad_seal = pod();
    bad_seal.annotations.insert("podhosts.io/seal".into(), "no".into());
    let error = decide(&bad_seal, &container(&[]), &node).unwrap_err();
    assert!(error.starts_with("cannot read annotation podhosts.io/seal: got \"no\""), "{error}");
}
