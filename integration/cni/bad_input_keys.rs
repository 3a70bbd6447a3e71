//! Configurations that make no sense, as in `bad_input.rs`: tables of keys, values and errors.

use serde_json::{Value, json};

use crate::cni::bad_input::{bridged, try_table};
use crate::harness::cni::{Call, CniNode, routed};
use crate::harness::needs;

fn ipam() -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "other",
        "ipam": {"type": "podhosts-cni", "ranges": [[{"subnet": "10.244.1.0/24"}]]}})
}

fn chained() -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "podhosts-cni", "prevResult": {
        "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}],
        "ips": [{"address": "10.0.0.2/24", "interface": 0}]}})
}

const MAIN: &str = r#"
7 mode "vlan" => mode: "vlan", expected "routed" or "bridge"
7 mode 7 => mode: invalid type: integer `7`, expected a string
7 mtu 67 => mtu: 67, expected 68 to 65535, or 0 for the default
7 mtu 65536 => mtu: 65536, expected 68 to 65535
7 mtu "1500" => mtu: invalid type: string "1500", expected u32
7 mtu -1 => mtu: invalid value: integer `-1`, expected u32
7 ipMasq "yes" => ipMasq: invalid type: string "yes", expected a boolean
2 ipMasqBackend "iptables" => ipMasqBackend: "iptables" is not supported
7 macspoofchk true => macspoofchk: has no meaning here, expected "mode": "bridge"
7 spoofCheck "no" => spoofCheck: invalid type: string "no", expected a boolean
2 enabledad true => enabledad: not supported
2 disableContainerInterface true => disableContainerInterface: not supported
2 vlanTrunk [{"id": 7}] => vlanTrunk: not supported
2 preserveDefaultVlan false => preserveDefaultVlan: not supported
2 ipam/type "host-local" => ipam.type: "host-local" is not supported
7 ipam/type 7 => ipam.type: invalid type: integer `7`
7 bridge "br0" => bridge: has no meaning here, expected "mode": "bridge"
7 isGateway false => isGateway: has no meaning here, expected "mode": "bridge"
7 vlan 0 => vlan: has no meaning here, expected "mode": "bridge"
7 prevResult {} => prevResult: there is one, expected this plugin to be the first
7 ipam {} => ipam: no IP ranges specified, expected podCIDRs, ranges or subnet
7 ipam [] => ipam: invalid type: sequence, expected a JSON object
7 ipam "podhosts-cni" => ipam: invalid type: string "podhosts-cni", expected a JSON object
"#;

#[test]
fn keys_of_the_main_role() {
    needs!("ip", "nft");
    try_table(&routed(), MAIN);
}

const BRIDGE: &str = r#"
7 bridge "sixteen-bytes-xx" => bridge: "sixteen-bytes-xx" is no name of an interface
7 bridge "a/b" => bridge: "a/b" is no name
7 bridge "a b" => bridge: "a b" is no name
7 bridge ".." => bridge: ".." is no name
7 bridge "br%d" => bridge: "br%d" is no name
7 vlan 4095 => vlan: 4095, expected 1 to 4094, or 0 for none
7 vlan 65536 => vlan: invalid value: integer `65536`, expected u16
7 promiscMode 1 => promiscMode: invalid type: integer `1`, expected a boolean
7 hairpinMode "on" => hairpinMode: invalid type: string "on"
"#;

#[test]
fn keys_of_the_bridge() {
    needs!("ip", "nft");
    try_table(&bridged(), BRIDGE);
    let mut config = bridged();
    config["hairpinMode"] = true.into();
    try_table(
        &config,
        "7 promiscMode true => hairpinMode: true together with promiscMode, expected one of them",
    );
    config["bridge"] = "a-bridge-of-15b".into();
    let message = r#"bridge: "a-bridge-of-15b.100", which the VLAN needs, is too long for a name"#;
    try_table(&config, &format!("7 vlan 100 => {message}"));
}

const POD_CIDRS: &str = r#"
7 ipam/podCIDRs [] => ipam.podCIDRs is empty, expected at least one range
7 ipam/podCIDRs "10.0.0.0/24" => ipam.podCIDRs: invalid type: string "10.0.0.0/24", expected a sequence
7 ipam/podCIDRs [7] => ipam.podCIDRs[0]: invalid type: integer `7`, expected a string
7 ipam/podCIDRs ["10.0.0.0"] => ipam.podCIDRs[0]: "10.0.0.0" is no CIDR, expected one such as
7 ipam/podCIDRs ["10.0.0.0/24", ""] => ipam.podCIDRs[1]: "" is no CIDR
7 ipam/podCIDRs ["10.0.0.0/33"] => ipam.podCIDRs[0]: "10.0.0.0/33" is no CIDR
7 ipam/podCIDRs ["10.0.0.0/-1"] => ipam.podCIDRs[0]: "10.0.0.0/-1" is no CIDR
7 ipam/podCIDRs ["10.0.0.7/24"] => ipam.podCIDRs[0]: 10.0.0.7/24 has host bits set, expected 10.0.0.0/24
7 ipam/podCIDRs ["10.0.0.0/31"] => ipam.podCIDRs[0]: network 10.0.0.0/31 is too small to allocate from
7 ipam/podCIDRs ["2001:db8::/127"] => ipam.podCIDRs[0]: network 2001:db8::/127 is too small to allocate from, expected a prefix of at most 126 bits
7 ipam/podCIDRs ["10.0.0.0/24", "10.0.0.128/25"] => ipam.podCIDRs[1]: 10.0.0.129-10.0.0.254 overlaps
7 ipam/subnet "10.9.0.0/24" => ipam.podCIDRs: given together with other ranges
7 ipam/ranges [[]] => ipam.podCIDRs: given together with other ranges
7 ipam/gateway "10.9.0.5" => ipam.podCIDRs: given together with other ranges
"#;

#[test]
fn pod_cidrs() {
    needs!("ip", "nft");
    try_table(&routed(), POD_CIDRS);
}

const RANGES: &str = r#"
7 ipam/ranges [] => ipam: no IP ranges specified
7 ipam/ranges [[]] => ipam.ranges[0] is empty, expected at least one range
7 ipam/ranges [{"subnet": "10.0.0.0/24"}] => ipam.ranges[0]: invalid type: map, expected a sequence
7 ipam/ranges [[["10.0.0.0/24"]]] => ipam.ranges[0][0]: invalid type: sequence, expected a JSON object
7 ipam/ranges [[{}]] => ipam.ranges[0][0]: missing field `subnet`
7 ipam/ranges [[{"subnet": "x"}]] => ipam.ranges[0][0].subnet: "x" is no CIDR
7 ipam/ranges [[{"subnet": "10.0.0.0/24", "rangeStart": "x"}]] => ipam.ranges[0][0].rangeStart: "x" is no IP address
7 ipam/ranges [[{"subnet": "10.0.0.0/24", "rangeStart": 7}]] => ipam.ranges[0][0].rangeStart: invalid type: integer `7`
7 ipam/ranges [[{"subnet": "10.0.0.0/24", "rangeEnd": "10.0.1.1"}]] => ipam.ranges[0][0].rangeEnd: 10.0.1.1 is not in 10.0.0.0/24
7 ipam/ranges [[{"subnet": "10.0.0.0/24", "rangeEnd": "::1"}]] => ipam.ranges[0][0].rangeEnd: ::1 is not in 10.0.0.0/24
7 ipam/ranges [[{"subnet": "10.0.0.0/24", "gateway": "2001:db8::1"}]] => ipam.ranges[0][0].gateway: 2001:db8::1 is not in 10.0.0.0/24
7 ipam/ranges [[{"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"}]] => ipam.ranges[0][0]: rangeEnd 10.0.0.8 is before rangeStart 10.0.0.9
7 ipam/ranges [[{"subnet": "10.0.0.0/24"}, {"subnet": "2001:db8::/64"}]] => ipam.ranges[0][1]: 2001:db8::/64 is of another family than 10.0.0.0/24
7 ipam/ranges [[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.0.0/16"}]] => ipam.ranges[1]: 10.0.0.1-10.0.255.254 overlaps with 10.0.0.1-10.0.0.254
7 ipam/subnet "" => ipam.subnet: "" is no CIDR
7 ipam/rangeStart "x" => ipam.rangeStart: "x" is no IP address
7 ipam/dataDir "run" => ipam.dataDir: "run", expected an absolute path
7 ipam/dataDir 7 => ipam.dataDir: 7, expected an absolute path
7 ipam/resolvConf 7 => ipam.resolvConf: invalid type: integer `7`
5 ipam/resolvConf "/none" => ipam.resolvConf: cannot open /none: No such file
5 ipam/resolvConf "/run" => ipam.resolvConf: cannot read /run: it is not a regular file
7 ipam/routes {} => ipam.routes: invalid type: map, expected a sequence
7 ipam/routes [{}] => ipam.routes[0]: missing field `dst`
7 ipam/routes [["0.0.0.0/0"]] => ipam.routes[0]: invalid type: sequence, expected a JSON object
7 ipam/routes [{"dst": "0.0.0.0"}] => ipam.routes[0].dst: "0.0.0.0" is no CIDR, expected one such as 10.244.1.0/24
7 ipam/routes [{"dst": "0.0.0.0/0", "gw": "x"}] => ipam.routes[0].gw: "x" is no IP address
7 ipam/routes [{"dst": "0.0.0.0/0", "gw": "fe80::1"}] => ipam.routes[0].gw: fe80::1 is of another family than 0.0.0.0/0
7 ipam/routes [{"dst": "0.0.0.0/0", "priority": -1}] => ipam.routes[0].priority: invalid value: integer `-1`, expected u32
"#;

#[test]
fn ranges_as_host_local_has_them() {
    needs!("ip", "nft");
    try_table(&bridged(), RANGES);
    try_table(&ipam(), RANGES);
}

/// Where addresses are given.
const RUNTIME: &str = r#"
7 runtimeConfig "x" => runtimeConfig: invalid type: string "x", expected a JSON object
7 runtimeConfig [] => runtimeConfig: invalid type: sequence, expected a JSON object
7 runtimeConfig/ips "10.244.1.9" => runtimeConfig.ips: invalid type: string
7 runtimeConfig/ips ["10.244.1.9", "x"] => runtimeConfig.ips[1]: "x" is no IP address
7 runtimeConfig/mac "zz" => runtimeConfig.mac: "zz": expected a unicast MAC address
7 runtimeConfig/mac "01:00:5e:00:00:01" => runtimeConfig.mac: "01:00:5e:00:00:01": expected
7 args [] => args: invalid type: sequence, expected a JSON object
7 args/cni "x" => args.cni: invalid type: string "x", expected a JSON object
7 args/cni/ips ["x"] => args.cni.ips[0]: "x" is no IP address
7 args/cni/mac "zz" => args.cni.mac: "zz": expected
7 runtimeConfig/portMappings {} => runtimeConfig.portMappings: invalid type: map, expected a sequence
7 runtimeConfig/portMappings [[80, 80]] => runtimeConfig.portMappings[0]: invalid type: sequence, expected a JSON object
7 runtimeConfig/portMappings [{"hostPort": 80}] => runtimeConfig.portMappings[0]: missing field `containerPort`
7 runtimeConfig/portMappings [{"hostPort": 80, "containerPort": 0}] => runtimeConfig.portMappings[0].containerPort: "0", expected a port from 1 to 65535
7 runtimeConfig/portMappings [{"hostPort": 65536, "containerPort": 80}] => runtimeConfig.portMappings[0].hostPort: invalid value: integer `65536`, expected u16
7 runtimeConfig/portMappings [{"hostPort": -1, "containerPort": 80}] => runtimeConfig.portMappings[0].hostPort: invalid value: integer `-1`, expected u16
7 runtimeConfig/portMappings [{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}] => runtimeConfig.portMappings[0].protocol: "icmp", expected tcp, udp or sctp
7 runtimeConfig/portMappings [{"hostPort": 80, "containerPort": 80, "hostIP": "x"}] => runtimeConfig.portMappings[0].hostIP: "x", expected an IP address
7 runtimeConfig/bandwidth {"ingressRate": "1"} => runtimeConfig.bandwidth.ingressRate: invalid type: string "1", expected u64
2 runtimeConfig/bandwidth {"ingressRate": 1} => runtimeConfig.bandwidth: not supported
7 runtimeConfig/dns {"servers": "x"} => runtimeConfig.dns.servers: invalid type: string
7 runtimeConfig/ipRanges [[{}]] => runtimeConfig.ipRanges[0][0]: missing field `subnet`
7 runtimeConfig/io.kubernetes.cri.pod-annotations {"a": 1} => runtimeConfig.io.kubernetes.cri.pod-annotations.a: invalid type: integer `1`
7 dns [] => dns: invalid type: sequence, expected a JSON object
7 dns/nameservers "x" => dns.nameservers: invalid type: string
7 runtimeConfig/ipRanges [[]] => runtimeConfig.ipRanges[0] is empty
7 runtimeConfig/ipRanges [[{"subnet": "10.0.0.1/24"}]] => runtimeConfig.ipRanges[0][0].subnet: 10.0.0.1/24 has host bits set, expected 10.0.0.0/24
"#;

#[test]
fn what_the_runtime_says() {
    needs!("ip", "nft");
    for config in [bridged(), ipam()] {
        try_table(&config, RUNTIME);
    }
}

const PREVIOUS: &str = r#"
7 prevResult null => prevResult: missing, expected this plugin behind another one, or ipam
7 prevResult "x" => prevResult: invalid type: string "x", expected a JSON object
7 prevResult [] => prevResult: invalid type: sequence, expected a JSON object
7 prevResult/ips {} => prevResult.ips: invalid type: map, expected a sequence
7 prevResult/ips [{}] => prevResult.ips[0]: missing field `address`
7 prevResult/ips ["10.0.0.1/24"] => prevResult.ips[0]: invalid type: string
7 prevResult/ips [["10.0.0.1/24"]] => prevResult.ips[0]: invalid type: sequence
7 prevResult/ips [{"address": "10.0.0.1"}] => prevResult.ips[0].address: "10.0.0.1" is no CIDR, expected one such as
7 prevResult/ips [{"address": "10.0.0.1/33"}] => prevResult.ips[0].address: "10.0.0.1/33" is no CIDR
7 prevResult/interfaces [["eth0"]] => prevResult.interfaces[0]: invalid type: sequence
7 runtimeConfig "x" => runtimeConfig: invalid type: string "x", expected a JSON object
7 runtimeConfig/io.kubernetes.cri.pod-annotations {"a": 1} => runtimeConfig.io.kubernetes.cri.pod-annotations.a: invalid type: integer `1`
7 ipam [] => ipam: invalid type: sequence, expected a JSON object
"#;

#[test]
fn previous_results() {
    needs!("ip", "nft");
    try_table(&chained(), PREVIOUS);
}

/// What other plugins write in their results, and runtimes to them, keeps no pod from its record.
#[test]
fn a_recorder_takes_whatever_it_does_not_use() {
    needs!("ip", "nft");
    for (key, value) in [
        ("/prevResult/ips/0/interface", json!(-1)),
        ("/prevResult/ips/0/interface", json!(7)),
        ("/prevResult/ips/0/address", json!("::ffff:10.0.0.2/120")),
        ("/prevResult/interfaces", Value::Null),
        ("/prevResult/interfaces/0/mac", json!(["x"])),
        ("/prevResult/routes", json!([{"dst": "x"}])),
        ("/prevResult/dns", json!({"nameservers": null, "search": 7})),
        ("/runtimeConfig/portMappings", json!({"x": 1})),
        ("/runtimeConfig/bandwidth", json!({"ingressRate": 1})),
        ("/args/cni", json!({"ips": ["x"]})),
        ("/dns", json!({"nameservers": "x"})),
    ] {
        let node = CniNode::new();
        node.pod("c1");
        let mut config = chained();
        for name in ["dns", "routes"] {
            config["prevResult"][name] = Value::Null;
        }
        for name in ["runtimeConfig", "args"] {
            config[name] = json!({"portMappings": null, "bandwidth": null, "cni": null});
        }
        config["dns"] = Value::Null;
        config["prevResult"]["interfaces"][0]["mac"] = Value::Null;
        *config.pointer_mut(key).unwrap() = value;
        let result: Value =
            serde_json::from_str(&node.call(&Call::new("ADD", "c1", &config)).success()).unwrap();
        // Handed on as it came.
        assert_eq!(result["ips"], config["prevResult"]["ips"], "{key}");
        let record = node.sh("cat /run/podhosts/pods/c1.json");
        assert!(record.contains("[\"10.0.0.2\"]"), "{key}: {record}");
    }
}
