use super::*;

fn map(pairs: &[(&str, &str)]) -> Annotations {
    pairs.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// The value that a pod gets for `path`.
fn value(path: &str, change: impl FnOnce(&mut PodFields<'_>)) -> Result<String, String> {
    let mut identity = PodIdentity::of(Dialect::Containerd);
    identity.name = "web".into();
    identity.uid = Some("u1".into());
    let (annotations, labels) = (map(&[("a/b", "x y")]), map(&[("app", "web"), ("nul", "a\0b")]));
    let pod_ips = ["10.244.1.4", "2001:db8::4"].map(str::to_owned);
    let host_ips = ["192.0.2.1", "2001:db8::1"].map(str::to_owned);
    let mut pod = PodFields {
        identity: &identity,
        annotations: PodAnnotations::new(Some(&annotations), None),
        annotations_are_complete: true,
        labels: Some(&labels),
        node_name: "node-1",
        pod_ips: &pod_ips,
        host_ips: &host_ips,
    };
    change(&mut pod);
    let variable = EnvVar { name: "V".into(), field: FieldPath::parse(path).expect("a field") };
    variable.entry(&pod).map_err(|error| error.to_string())
}

#[test]
fn every_field() {
    for (path, expected) in [
        ("status.podIP", "V=10.244.1.4"),
        ("status.podIPs", "V=10.244.1.4,2001:db8::4"),
        ("status.hostIP", "V=192.0.2.1"),
        ("status.hostIPs", "V=192.0.2.1,2001:db8::1"),
        ("spec.nodeName", "V=node-1"),
        ("metadata.name", "V=web"),
        ("metadata.namespace", "V=default"),
        ("metadata.uid", "V=u1"),
        ("metadata.labels['app']", "V=web"),
        ("metadata.labels['none']", "V="),
        ("metadata.annotations['a/b']", "V=x y"),
        ("metadata.annotations['none']", "V="),
    ] {
        assert_eq!(value(path, |_| {}).unwrap(), expected, "{path}");
        assert_eq!(FieldPath::parse(path).unwrap().name(), path);
    }
}

#[test]
fn a_name_that_an_engine_gave_is_the_value_as_it_is() {
    let named = |dialect: Dialect, name: &str, path: &str| {
        let mut identity = PodIdentity::of(dialect);
        identity.name = name.into();
        identity.namespace = name.into();
        identity.uid = Some(name.into());
        value(path, |pod| pod.identity = Box::leak(Box::new(identity.clone())))
    };
    for path in ["metadata.name", "metadata.namespace", "metadata.uid"] {
        for name in ["", "Web_1", "a b\n# \u{202e}", "日本"] {
            assert_eq!(named(Dialect::Containerd, name, path).unwrap(), format!("V={name}"));
            assert_eq!(named(Dialect::CriO, name, path).unwrap(), format!("V={name}"));
        }
        assert!(named(Dialect::Containerd, "a\0b", path).unwrap_err().ends_with("has a NUL in it"));
        assert!(named(Dialect::Podman, "", path).unwrap_err().contains("nothing tells metadata."));
    }
}

#[test]
fn one_address_of_each_family_the_primary_one_first() {
    let ips = ["2001:db8::4", "10.244.1.4", "10.244.1.5", "x"].map(str::to_owned);
    assert_eq!(in_status(&ips, IpFamily::V4), ["10.244.1.4", "2001:db8::4"]);
    assert_eq!(in_status(&ips, IpFamily::V6), ["2001:db8::4", "10.244.1.4"]);
    assert_eq!(in_status(&ips[1..], IpFamily::V6), ["10.244.1.4"]);
}

#[test]
fn what_nobody_knows_is_an_error_and_no_empty_value() {
    let error = value("metadata.labels['app']", |pod| pod.labels = None).unwrap_err();
    assert_eq!(error, "cannot set V: nothing tells metadata.labels['app'] of the pod (containerd)");
    assert!(value("metadata.annotations['c']", |pod| pod.annotations_are_complete = false).is_err());
    assert!(value("metadata.annotations['a/b']", |pod| pod.annotations_are_complete = false).is_ok());
    assert!(value("status.podIPs", |pod| pod.pod_ips = &[]).is_err());
    assert!(value("status.hostIP", |pod| pod.host_ips = &[]).is_err());
    assert!(value("spec.nodeName", |pod| pod.node_name = "").is_err());
    let error = value("metadata.labels['nul']", |_| {}).unwrap_err();
    assert_eq!(error, "cannot set V: the value of metadata.labels['nul'] has a NUL in it");
}

#[test]
fn what_no_program_could_be_started_with_is_an_error() {
    let long: &'static str = "x".repeat(ENTRY_MAX).leak();
    let with = |node_name: &'static str| value("spec.nodeName", |pod| pod.node_name = node_name);
    assert_eq!(with(&long[2..]).unwrap().len(), ENTRY_MAX);
    assert_eq!(
        with(&long[1..]).unwrap_err(),
        "cannot set V: the value of spec.nodeName has 131070 bytes, expected an entry of at most 131071"
    );
}

#[test]
fn what_is_asked_for() {
    let config = map(&[("podhosts.io/env.MY_A", "metadata.name"), ("podhosts.io/environment", "x")]);
    let record = map(&[("podhosts.io/env.MY_A", "metadata.uid"), ("podhosts.io/env.b.C-1", "status.podIPs")]);
    let asked = requested(PodAnnotations::new(Some(&config), Some(&record)), &["b.*".to_owned()]).unwrap();
    assert_eq!(
        asked,
        [
            EnvVar { name: "MY_A".into(), field: FieldPath::Name },
            EnvVar { name: "b.C-1".into(), field: FieldPath::PodIps }
        ]
    );
    for (key, value, expected) in [
        ("podhosts.io/env.MY_A", "spec.replicas", "got \"spec.replicas\", expected status.podIP, "),
        ("podhosts.io/env.MY_A", "metadata.labels", "got "),
        ("podhosts.io/env.MY_A", "metadata.labels['']", "got "),
        ("podhosts.io/env.MY_A", "metadata.labels['a'] ", "got "),
        ("podhosts.io/env.MY_A", "", "got \"\""),
        ("podhosts.io/env.1A", "metadata.name", "\"1A\" is no environment variable, expected a name"),
        ("podhosts.io/env.", "metadata.name", "\"\" is no environment variable"),
        ("podhosts.io/env.MY_A=B", "metadata.name", "\"MY_A=B\" is no"),
        ("podhosts.io/env.BASH_ENV", "metadata.name", "\"BASH_ENV\" is not allowed, expected a name such as"),
    ] {
        let annotations = map(&[(key, value)]);
        let error = requested(PodAnnotations::new(Some(&annotations), None), &[]).unwrap_err().to_string();
        assert!(error.starts_with(&format!("cannot read annotation {key}: {expected}")), "{error}");
    }
}

#[test]
fn a_pod_may_ask_for_so_many_and_no_more() {
    let of = |count: usize| -> Annotations {
        (0..count).map(|n| (format!("podhosts.io/env.MY_{n}"), "metadata.name".to_owned())).collect()
    };
    let ask = |annotations: &Annotations| requested(PodAnnotations::new(Some(annotations), None), &[]);
    assert_eq!(ask(&of(VARIABLES_MAX)).unwrap().len(), VARIABLES_MAX);
    let error = ask(&of(VARIABLES_MAX + 1)).unwrap_err().to_string();
    assert_eq!(
        error,
        "cannot read annotation podhosts.io/env.*: the pod has 257 of them, expected at most 256"
    );
}
