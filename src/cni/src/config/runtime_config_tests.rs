use serde_json::{Value, json};

use super::*;
use crate::protocol::environment::Command;

fn read(extra: Value, args: &Args) -> Result<RuntimeConfig, CniError> {
    let mut config = json!({"cniVersion": "1.0.0", "name": "net", "type": "podhosts-cni"});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let document = Document::parse(config.to_string().as_bytes(), Command::Add).unwrap();
    RuntimeConfig::read(&document, args)
}

fn runtime(runtime: Value) -> Result<RuntimeConfig, CniError> {
    read(json!({"runtimeConfig": runtime}), &Args::default())
}

#[test]
fn containerd_and_everybody_else_spell_keys_differently() {
    let containerd = runtime(json!({
        "PortMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}],
        "portMappings": null,
        "dns": {"Servers": ["10.0.0.10"], "Searches": ["a"], "Options": null},
        "io.kubernetes.cri.pod-annotations": {"podhosts.io/hostname": "x"},
    }));
    let others = runtime(json!({
        "portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}, {"hostPort": 0, "containerPort": 9}],
        "dns": {"servers": ["10.0.0.10"], "searches": ["a"]},
        "io.kubernetes.cri.pod-annotations": {"podhosts.io/hostname": "x"},
        "cgroupPath": "/kubepods",
    }));
    // A key in both spellings is one that serde refuses; no engine writes that.
    assert!(containerd.is_err());
    let containerd = runtime(json!({
        "PortMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}],
        "dns": {"Servers": ["10.0.0.10"], "Searches": ["a"], "Options": null},
        "io.kubernetes.cri.pod-annotations": {"podhosts.io/hostname": "x"},
    }))
    .unwrap();
    let others = others.unwrap();
    assert_eq!(containerd.port_mappings, others.port_mappings);
    assert_eq!((&containerd.dns, &containerd.annotations), (&others.dns, &others.annotations));
    assert_eq!(others.port_mappings.len(), 1);
}

#[test]
fn the_capability_goes_before_args_and_args_before_cni_args() {
    let args = Args { ips: vec!["10.0.0.3".parse().unwrap()], ..Args::default() };
    let all = json!({"runtimeConfig": {"ips": ["10.0.0.1/24"], "mac": "0a:00:00:00:00:01"},
        "args": {"cni": {"ips": ["10.0.0.2"], "mac": "0a:00:00:00:00:02"}}});
    let first = |extra: Value| read(extra, &args).unwrap();
    assert_eq!(first(all.clone()).ips[0].to_string(), "10.0.0.1");
    assert_eq!(first(all.clone()).mac.unwrap().to_string(), "0a:00:00:00:00:01");
    let older = first(json!({"args": all["args"]}));
    assert_eq!((older.ips[0].to_string().as_str(), older.mac.unwrap().0[5]), ("10.0.0.2", 2));
    assert_eq!(first(json!({})).ips[0].to_string(), "10.0.0.3");
}

#[test]
fn what_is_wrong_is_named() {
    for (config, start) in [
        (json!({"ips": ["x"]}), "runtimeConfig.ips[0]: \"x\" is no IP address"),
        (json!({"mac": "x"}), "runtimeConfig.mac: \"x\": expected a unicast MAC"),
        (json!({"portMappings": [{"hostPort": 70000}]}), "runtimeConfig.portMappings[0].hostPort: "),
        (
            json!({"portMappings": [{"hostPort": 1, "containerPort": 0}]}),
            "runtimeConfig.portMappings[0].containerPort",
        ),
        (
            json!({"portMappings": [{"hostPort": 1, "containerPort": 1, "protocol": "x"}]}),
            "runtimeConfig.portMappings[0].protocol",
        ),
        (
            json!({"portMappings": [{"hostPort": 1, "containerPort": 1, "hostIP": "x"}]}),
            "runtimeConfig.portMappings[0].hostIP",
        ),
        (
            json!({"io.kubernetes.cri.pod-annotations": {"a": 1}}),
            "runtimeConfig.io.kubernetes.cri.pod-annotations.a: ",
        ),
    ] {
        let error = runtime(config).unwrap_err();
        assert!(error.code == Code::InvalidConfig && error.msg.starts_with(start), "{error}");
    }
    let limits = runtime(json!({"Bandwidth": {"IngressRate": 1}})).unwrap_err();
    assert_eq!(limits.code, Code::UnsupportedField);
    assert!(runtime(json!({"bandwidth": {"ingressRate": 0, "egressBurst": 4294967295_u64}})).is_ok());
}
