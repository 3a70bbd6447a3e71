//! What runtimes say of one pod: `runtimeConfig` in both spellings, `args.cni`, `CNI_ARGS`; and what a chained plugin
//! hands on of it.

use serde_json::{Value, json};

use crate::harness::cni::{Call, addresses, error_of};
use crate::harness::needs;
use crate::harness::subject::{Role, Subject, Trial, each};

fn is_ours(subject: &Subject, version: &str) -> bool {
    subject.is_ours && version == "1.1.0"
}

/// The configuration with more keys.
fn with(trial: &Trial<'_>, more: &Value) -> Value {
    let mut config = trial.config();
    for (key, value) in more.as_object().unwrap() {
        config[key] = value.clone();
    }
    config
}

/// ADD with `args` behind those of Kubernetes.
fn add(trial: &Trial<'_>, config: &Value, args: &str) -> Value {
    let args = format!("IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web;{args}");
    // The reference refuses an empty pair.
    let args = args.trim_end_matches(';');
    let run = trial.call_as(&Call { args, ..Call::new("ADD", "c1", config) });
    serde_json::from_str(&run.success()).unwrap()
}

#[test]
fn requested_addresses_are_given_wherever_they_are_requested() {
    needs!("ip", "nft", "/usr/lib/cni/host-local");
    for (more, args) in [
        (json!({"runtimeConfig": {"ips": ["10.244.1.50", "2001:db8:1::50"]}}), ""),
        (json!({"runtimeConfig": {"ips": ["10.244.1.50/24", "2001:db8:1::50/64"]}}), ""),
        (json!({"args": {"cni": {"ips": ["10.244.1.50", "2001:db8:1::50"]}}}), ""),
        (json!({}), "IP=10.244.1.50,2001:db8:1::50"),
    ] {
        // The reference takes one address only from CNI_ARGS.
        let is_common = args.is_empty();
        each(
            |subject, version| {
                let is_reference = subject.name == "host-local" && version == "1.0.0";
                is_reference && is_common || is_asked(subject, version)
            },
            |trial| {
                println!("{more} {args}");
                let result = add(trial, &with(trial, &more), args);
                assert_eq!(addresses(&result), ["10.244.1.50", "2001:db8:1::50"]);
            },
        );
    }
}

/// Ours, where it gives addresses.
fn is_asked(subject: &Subject, version: &str) -> bool {
    is_ours(subject, version) && subject.role != Role::Chained
}

#[test]
fn one_request_is_enough_and_the_other_family_is_free() {
    needs!("ip", "nft");
    each(is_asked, |trial| {
        let result = add(trial, &with(trial, &json!({"runtimeConfig": {"ips": ["2001:db8:1::50"]}})), "");
        assert_eq!(addresses(&result), ["10.244.1.2", "2001:db8:1::50"]);
    });
}

#[test]
fn runtime_config_goes_before_args_and_args_before_cni_args() {
    needs!("ip", "nft");
    let runtime = json!({"ips": ["10.244.1.51", "2001:db8:1::51"], "mac": "0a:00:00:00:00:51"});
    let older = json!({"cni": {"ips": ["10.244.1.52", "2001:db8:1::52"], "mac": "0a:00:00:00:00:52"}});
    let oldest = "IP=10.244.1.53,2001:db8:1::53;MAC=0a:00:00:00:00:53";
    for (more, last) in [
        (json!({"runtimeConfig": runtime, "args": older}), "51"),
        (json!({"runtimeConfig": {"ips": [], "mac": ""}, "args": older}), "52"),
        (json!({"runtimeConfig": null, "args": {"cni": {"ips": null}}}), "53"),
    ] {
        each(is_asked, |trial| {
            println!("{more}");
            let result = add(trial, &with(trial, &more), oldest);
            assert_eq!(addresses(&result), [format!("10.244.1.{last}"), format!("2001:db8:1::{last}")]);
            if trial.subject.role == Role::Main {
                let link = trial.node.in_pod("c1", "ip link show dev eth0");
                assert!(link.contains(&format!("0a:00:00:00:00:{last}")), "{link}");
            }
        });
    }
}

#[test]
fn a_requested_mac_address_is_the_interfaces() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    for (more, args) in [
        (json!({"runtimeConfig": {"mac": "0a:00:00:00:00:51"}}), ""),
        (json!({"args": {"cni": {"mac": "0a:00:00:00:00:51"}}}), ""),
        (json!({}), "MAC=0a:00:00:00:00:51"),
    ] {
        each(
            |subject, version| {
                subject.role == Role::Main
                    && (subject.is_ours || subject.name == "bridge")
                    && version == "1.0.0"
            },
            |trial| {
                let result = add(trial, &with(trial, &more), args);
                let interfaces = result["interfaces"].as_array().unwrap();
                let inside = interfaces.iter().find(|one| one["name"] == "eth0").unwrap();
                assert_eq!(inside["mac"], "0a:00:00:00:00:51");
                assert!(trial.node.in_pod("c1", "ip link show dev eth0").contains("0a:00:00:00:00:51"));
            },
        );
    }
}

#[test]
fn unknown_args_are_ignored_only_where_that_is_asked_for() {
    needs!("ip", "nft", "/usr/lib/cni/host-local");
    each(
        |subject, version| subject.role == Role::Ipam && version == "1.0.0" || is_ours(subject, version),
        |trial| {
            let config = trial.config();
            let call = |args| trial.call_as(&Call { args, ..Call::new("ADD", "c1", &config) });
            for refused in ["FOO=1", "IgnoreUnknown=0;FOO=1", "IgnoreUnknown", "=;=x;"] {
                assert!(!call(refused).ok, "{refused}");
            }
            call("FOO=1;IgnoreUnknown=true").success();
        },
    );
}

#[test]
fn containerds_spelling_of_ports_means_the_same_as_everybody_elses() {
    needs!("ip", "nft");
    let ports = [
        json!({"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp", "hostIP": ""}]}),
        json!({"portMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}]}),
        json!({"PortMappings": [{"HostPort": 8080, "ContainerPort": 80, "Protocol": "tcp"}]}),
    ];
    for ports in &ports {
        each(
            |subject, version| is_ours(subject, version) && subject.role == Role::Main,
            |trial| {
                let clean = trial.without_pods();
                let config = with(trial, &json!({"runtimeConfig": ports}));
                let result = add(trial, &config, "");
                let rules = trial.node.sh("nft list ruleset");
                assert!(rules.contains("8080") && rules.contains("10.244.1."), "{rules}");
                let mut checked = config.clone();
                checked["prevResult"] = result;
                assert_eq!(trial.call("CHECK", &checked).success(), "");
                trial.node.sh("nft flush ruleset");
                let (_, msg) = error_of(&trial.call("CHECK", &checked));
                assert!(msg.ends_with("is missing in the packet filter"), "{msg}");
                assert_eq!(trial.call("DEL", &checked).success(), "");
                trial.assert_state(&clean);
            },
        );
    }
}

#[test]
fn a_port_of_the_container_alone_needs_no_rule() {
    needs!("ip", "nft");
    each(
        |subject, version| is_ours(subject, version) && subject.role == Role::Main,
        |trial| {
            let ports =
                json!({"portMappings": [{"hostPort": 0, "containerPort": 80}, {"containerPort": 81}]});
            let keys = json!({"runtimeConfig": ports, "spoofCheck": false});
            add(trial, &with(trial, &keys), "");
            assert_eq!(trial.node.sh("nft list ruleset"), "");
        },
    );
}

#[test]
fn the_runtimes_dns_goes_before_the_networks_and_that_before_resolv_conf() {
    needs!("ip", "nft");
    let resolv_conf = "nameserver 10.96.0.3\nsearch three\noptions ndots:3\n";
    let network = json!({"nameservers": ["10.96.0.2"], "search": ["two"], "domain": "two.local"});
    for (dns, runtime, nameserver) in [
        (
            &network,
            json!({"dns": {"servers": ["10.96.0.1"], "searches": ["one"], "options": ["ndots:1"]}}),
            "10.96.0.1",
        ),
        (
            &network,
            json!({"dns": {"Servers": ["10.96.0.1"], "Searches": ["one"], "Options": null}}),
            "10.96.0.1",
        ),
        (&network, json!({"dns": {"Servers": null, "Searches": null, "Options": null}}), "10.96.0.2"),
        (&Value::Null, json!({}), "10.96.0.3"),
    ] {
        each(is_asked, |trial| {
            println!("{dns} {runtime}");
            std::fs::write(trial.node.path("resolv.conf"), resolv_conf).unwrap();
            let mut config = with(trial, &json!({"dns": dns, "runtimeConfig": runtime}));
            config["ipam"]["resolvConf"] = trial.node.path("resolv.conf").to_str().unwrap().into();
            let result = add(trial, &config, "");
            assert_eq!(result["dns"]["nameservers"], json!([nameserver]), "{result}");
        });
    }
}

#[test]
fn ranges_of_the_runtime_stand_before_those_of_the_network() {
    needs!("ip", "nft", "/usr/lib/cni/host-local");
    for ranges in [
        json!([[{"subnet": "10.244.7.0/24", "rangeStart": "10.244.7.9"}], [{"subnet": "2001:db8:7::/64"}]]),
        json!([[{"Subnet": "10.244.7.0/24", "RangeStart": "10.244.7.9", "RangeEnd": "", "Gateway": ""}],
            [{"Subnet": "2001:db8:7::/64", "RangeStart": "", "RangeEnd": "", "Gateway": ""}]]),
    ] {
        each(
            |subject, version| subject.role == Role::Ipam && version == "1.0.0",
            |trial| {
                println!("{ranges}");
                let config = with(trial, &json!({"runtimeConfig": {"ipRanges": ranges}}));
                let expected = ["10.244.7.9", "2001:db8:7::2", "10.244.1.2", "2001:db8:1::2"];
                assert_eq!(addresses(&add(trial, &config, "")), expected);
            },
        );
    }
}

#[test]
fn limits_of_bandwidth_are_refused_unless_they_are_none() {
    needs!("ip", "nft");
    for (bandwidth, is_refused) in [
        (json!({"ingressRate": 1000, "ingressBurst": 1000}), true),
        (json!({"EgressRate": 1000, "EgressBurst": u64::MAX}), true),
        (
            json!({"ingressRate": 0, "ingressBurst": 0, "egressRate": 0, "egressBurst": 34_359_738_352_u64}),
            false,
        ),
        (json!({"IngressRate": 0, "IngressBurst": u64::from(u32::MAX), "EgressRate": 0}), false),
        (Value::Null, false),
    ] {
        each(is_ours, |trial| {
            println!("{bandwidth}");
            // Who records has no interface to limit.
            let is_refused = is_refused && trial.subject.role != Role::Chained;
            let before = trial.state();
            let config = with(trial, &json!({"runtimeConfig": {"bandwidth": bandwidth}}));
            let run = trial.call("ADD", &config);
            assert_eq!(run.ok, !is_refused, "{run:?}");
            if is_refused {
                let (code, msg) = error_of(&run);
                assert!(
                    code == 2 && msg.starts_with("runtimeConfig.bandwidth: not supported"),
                    "{code} {msg}"
                );
                trial.assert_state(&before);
            }
        });
    }
}

/// A result with everything in it that the specification allows, and more.
fn foreign_result(version: &str) -> Value {
    json!({"cniVersion": version,
        "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1", "mac": "0a:00:00:00:00:01", "mtu": 9000,
            "pciID": "0000:00:1f.6", "socketPath": "/x", "io.example/port": {"a": [1, null]}},
            {"name": "eth1", "sandbox": "/run/netns/c1"}],
        "ips": [{"address": "10.1.0.9/16", "interface": 1}, {"address": "2001:db8:9::9/64", "interface": 0,
            "gateway": "2001:db8:9::1", "version": "6"}, {"address": "10.9.0.9/16", "interface": 0, "unknown": 1.5}],
        "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.0.1", "mtu": 1400, "priority": 7, "unknown": {}}],
        "dns": {"nameservers": ["10.96.0.10"], "unknown": []}, "io.example/more": [{"deep": true}]})
}

#[test]
fn a_chained_plugin_hands_on_the_result_as_it_came_and_writes_the_record() {
    needs!("ip", "nft");
    each(
        |subject, _| subject.name == "chained",
        |trial| {
            let (before, previous) = (trial.node.traces(), foreign_result(trial.version));
            let annotations = json!({"io.kubernetes.cri.pod-annotations": {"a.example/b": "c"}});
            let config = with(trial, &json!({"prevResult": previous, "runtimeConfig": annotations}));
            assert_eq!(add(trial, &config, "K8S_POD_UID=u1"), previous);
            let record = trial.node.sh("cat /run/podhosts/pods/c1.json");
            let record: Value = serde_json::from_str(&record).unwrap();
            // Those of eth0 only, in their order.
            assert_eq!(record["podIPs"], json!(["2001:db8:9::9", "10.9.0.9"]));
            assert_eq!(record["annotations"], json!({"a.example/b": "c"}));
            assert_eq!([&record["namespace"], &record["name"], &record["uid"]], ["default", "web", "u1"]);
            assert_eq!(trial.call("DEL", &config).success(), "");
            assert_eq!(trial.node.traces(), before);
        },
    );
}

#[test]
fn the_reference_hands_on_the_result_too() {
    needs!("ip", "nft", "/usr/lib/cni/tuning");
    each(|subject, _| subject.role == Role::Chained, |trial| assert_eq!(trial.add(), trial.previous()));
}

#[test]
fn the_record_is_written_in_every_role_and_goes_with_the_pod() {
    needs!("ip", "nft");
    each(
        |subject, version| subject.is_ours && matches!(version, "0.3.1" | "1.1.0"),
        |trial| {
            let result = trial.add();
            let record = trial.node.sh("cat /run/podhosts/pods/c1.json");
            let record: Value = serde_json::from_str(&record).unwrap();
            assert_eq!(record["podIPs"], json!(addresses(&result)));
            assert_eq!(trial.call("DEL", &trial.after(&result)).success(), "");
            assert_eq!(trial.node.sh("ls /run/podhosts/pods"), "");
        },
    );
}

#[test]
fn what_a_configuration_leaves_empty_it_leaves_out() {
    needs!("ip", "nft", "/usr/lib/cni/host-local");
    each(
        |subject, version| subject.role == Role::Ipam && version == "1.0.0",
        |trial| {
            let mut config = trial.config();
            config["ipam"]["ranges"] = Value::Null;
            let rest = json!({"subnet": "10.244.1.0/24", "rangeStart": "", "rangeEnd": "", "gateway": "",
                "dataDir": "", "resolvConf": "", "routes": null});
            for (key, value) in rest.as_object().unwrap() {
                config["ipam"][key] = value.clone();
            }
            assert_eq!(addresses(&add(trial, &config, "")), ["10.244.1.2"]);
        },
    );
}
