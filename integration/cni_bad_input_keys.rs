//! Keys of `ipam`, of the runtime and of previous results that make no sense; as in `cni_bad_input.rs`.

use serde_json::{Value, json};

use crate::cni_bad_input::{bridged, case, try_all};
use crate::harness::cni::routed;
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

#[test]
fn ranges_as_host_local_has_them() {
    needs!("ip", "nft");
    let range = |range: Value| json!([[range]]);
    let key = "ipam/ranges";
    let cases = || {
        [
            case(key, json!([]), 7, "ipam: no IP ranges specified"),
            case(key, json!([[]]), 7, "ipam.ranges[0] is empty, expected at least one range"),
            case(
                key,
                json!([{"subnet": "10.0.0.0/24"}]),
                7,
                "ipam.ranges[0]: invalid type: map, expected a sequence",
            ),
            case(
                key,
                json!([[["10.0.0.0/24"]]]),
                7,
                "ipam.ranges[0][0]: invalid type: sequence, expected a JSON object",
            ),
            case(key, range(json!({})), 7, "ipam.ranges[0][0]: missing field `subnet`"),
            case(key, range(json!({"subnet": "x"})), 7, "ipam.ranges[0][0].subnet: \"x\" is no CIDR"),
            case(
                key,
                range(json!({"subnet": "10.0.0.0/24", "rangeStart": "x"})),
                7,
                "ipam.ranges[0][0].rangeStart: \"x\" is no IP address",
            ),
            case(
                key,
                range(json!({"subnet": "10.0.0.0/24", "rangeStart": 7})),
                7,
                "ipam.ranges[0][0].rangeStart: invalid type: integer `7`",
            ),
            case(
                key,
                range(json!({"subnet": "10.0.0.0/24", "rangeEnd": "10.0.1.1"})),
                7,
                "ipam.ranges[0][0].rangeEnd: 10.0.1.1 is not in 10.0.0.0/24",
            ),
            case(
                key,
                range(json!({"subnet": "10.0.0.0/24", "rangeEnd": "::1"})),
                7,
                "ipam.ranges[0][0].rangeEnd: ::1 is not in 10.0.0.0/24",
            ),
            case(
                key,
                range(json!({"subnet": "10.0.0.0/24", "gateway": "2001:db8::1"})),
                7,
                "ipam.ranges[0][0].gateway: 2001:db8::1 is not in 10.0.0.0/24",
            ),
            case(
                key,
                range(json!({"subnet": "10.0.0.0/24", "rangeStart": "10.0.0.9", "rangeEnd": "10.0.0.8"})),
                7,
                "rangeEnd 10.0.0.8 is before rangeStart 10.0.0.9",
            ),
            case(
                key,
                json!([[{"subnet": "10.0.0.0/24"}, {"subnet": "2001:db8::/64"}]]),
                7,
                "ipam.ranges[0][1]: 2001:db8::/64 is of another family than 10.0.0.0/24",
            ),
            case(
                key,
                json!([[{"subnet": "10.0.0.0/24"}], [{"subnet": "10.0.0.0/16"}]]),
                7,
                "ipam.ranges[1]: 10.0.0.1-10.0.255.254 overlaps with 10.0.0.1-10.0.0.254",
            ),
            case("ipam/subnet", json!(""), 7, "ipam.subnet: \"\" is no CIDR"),
            case("ipam/rangeStart", json!("x"), 7, "ipam.rangeStart: \"x\" is no IP address"),
            case("ipam/dataDir", json!("run"), 7, "ipam.dataDir: \"run\", expected an absolute path"),
            case("ipam/dataDir", json!(7), 7, "ipam.dataDir: 7, expected an absolute path"),
            case("ipam/resolvConf", json!(7), 7, "ipam.resolvConf: invalid type: integer `7`"),
            case("ipam/resolvConf", json!("/none"), 5, "ipam.resolvConf: cannot open /none: No such file"),
            case("ipam/resolvConf", json!("/run"), 5, "ipam.resolvConf: "),
            case("ipam/routes", json!({}), 7, "ipam.routes: invalid type: map, expected a sequence"),
            case("ipam/routes", json!([{}]), 7, "ipam.routes[0]: missing field `dst`"),
            case(
                "ipam/routes",
                json!([["0.0.0.0/0"]]),
                7,
                "ipam.routes[0]: invalid type: sequence, expected a JSON object",
            ),
            case("ipam/routes", json!([{"dst": "0.0.0.0"}]), 7, "ipam.routes[0].dst: "),
            case("ipam/routes", json!([{"dst": "0.0.0.0/0", "gw": "x"}]), 7, "ipam.routes[0].gw: "),
            case(
                "ipam/routes",
                json!([{"dst": "0.0.0.0/0", "gw": "fe80::1"}]),
                7,
                "ipam.routes[0].gw: fe80::1 is of another family than 0.0.0.0/0",
            ),
            case(
                "ipam/routes",
                json!([{"dst": "0.0.0.0/0", "priority": -1}]),
                7,
                "ipam.routes[0].priority: ",
            ),
        ]
    };
    try_all(&bridged(), &cases());
    try_all(&ipam(), &cases());
}

#[test]
fn what_the_runtime_says() {
    needs!("ip", "nft");
    let ports = |port: Value| json!([port]);
    let key = "runtimeConfig/portMappings";
    let cases = || {
        [
            case(
                "runtimeConfig",
                json!("x"),
                7,
                "runtimeConfig: invalid type: string \"x\", expected a JSON object",
            ),
            case(
                "runtimeConfig",
                json!([]),
                7,
                "runtimeConfig: invalid type: sequence, expected a JSON object",
            ),
            case("runtimeConfig/ips", json!("10.244.1.9"), 7, "runtimeConfig.ips: invalid type: string"),
            case(
                "runtimeConfig/ips",
                json!(["10.244.1.9", "x"]),
                7,
                "runtimeConfig.ips[1]: \"x\" is no IP address",
            ),
            case(
                "runtimeConfig/mac",
                json!("zz"),
                7,
                "runtimeConfig.mac: \"zz\": expected a unicast MAC address",
            ),
            case(
                "runtimeConfig/mac",
                json!("01:00:5e:00:00:01"),
                7,
                "runtimeConfig.mac: \"01:00:5e:00:00:01\": expected",
            ),
            case("args", json!([]), 7, "args: invalid type: sequence, expected a JSON object"),
            case("args/cni", json!("x"), 7, "args.cni: invalid type: string \"x\", expected a JSON object"),
            case("args/cni/ips", json!(["x"]), 7, "args.cni.ips[0]: \"x\" is no IP address"),
            case("args/cni/mac", json!("zz"), 7, "args.cni.mac: \"zz\": expected"),
            case(key, json!({}), 7, "runtimeConfig.portMappings: invalid type: map, expected a sequence"),
            case(
                key,
                ports(json!([80, 80])),
                7,
                "runtimeConfig.portMappings[0]: invalid type: sequence, expected a JSON object",
            ),
            case(
                key,
                ports(json!({"hostPort": 80})),
                7,
                "runtimeConfig.portMappings[0]: missing field `containerPort`",
            ),
            case(
                key,
                ports(json!({"hostPort": 80, "containerPort": 0})),
                7,
                "runtimeConfig.portMappings[0].containerPort: \"0\", expected a port from 1 to 65535",
            ),
            case(
                key,
                ports(json!({"hostPort": 65536, "containerPort": 80})),
                7,
                "runtimeConfig.portMappings[0].hostPort: ",
            ),
            case(
                key,
                ports(json!({"hostPort": -1, "containerPort": 80})),
                7,
                "runtimeConfig.portMappings[0].hostPort: ",
            ),
            case(
                key,
                ports(json!({"hostPort": 80, "containerPort": 80, "protocol": "icmp"})),
                7,
                "runtimeConfig.portMappings[0].protocol: \"icmp\", expected tcp, udp or sctp",
            ),
            case(
                key,
                ports(json!({"hostPort": 80, "containerPort": 80, "hostIP": "x"})),
                7,
                "runtimeConfig.portMappings[0].hostIP: \"x\", expected an IP address",
            ),
            case(
                "runtimeConfig/bandwidth",
                json!({"ingressRate": "1"}),
                7,
                "runtimeConfig.bandwidth.ingressRate: ",
            ),
            case(
                "runtimeConfig/bandwidth",
                json!({"ingressRate": 1}),
                2,
                "runtimeConfig.bandwidth: not supported",
            ),
            case(
                "runtimeConfig/dns",
                json!({"servers": "x"}),
                7,
                "runtimeConfig.dns.servers: invalid type: string",
            ),
            case(
                "runtimeConfig/ipRanges",
                json!([[{}]]),
                7,
                "runtimeConfig.ipRanges[0][0]: missing field `subnet`",
            ),
            case(
                "runtimeConfig/io.kubernetes.cri.pod-annotations",
                json!({"a": 1}),
                7,
                "runtimeConfig.io.kubernetes.cri.pod-annotations.a: invalid type: integer `1`",
            ),
        ]
    };
    for config in [routed(), ipam(), chained()] {
        try_all(&config, &cases());
    }
    for config in [routed(), ipam()] {
        try_all(
            &config,
            &[
                case("dns", json!([]), 7, "dns: invalid type: sequence, expected a JSON object"),
                case("dns/nameservers", json!("x"), 7, "dns.nameservers: invalid type: string"),
            ],
        );
    }
    try_all(
        &ipam(),
        &[
            case("runtimeConfig/ipRanges", json!([[]]), 7, "runtimeConfig.ipRanges[0] is empty"),
            case(
                "runtimeConfig/ipRanges",
                json!([[{"subnet": "10.0.0.1/24"}]]),
                7,
                "runtimeConfig.ipRanges[0][0].subnet: ",
            ),
        ],
    );
}

#[test]
fn previous_results() {
    needs!("ip", "nft");
    let key = "prevResult";
    try_all(
        &chained(),
        &[
            case(
                key,
                Value::Null,
                7,
                "prevResult: missing, expected this plugin behind another one, or ipam",
            ),
            case(key, json!("x"), 7, "prevResult: invalid type: string \"x\", expected a JSON object"),
            case(key, json!([]), 7, "prevResult: invalid type: sequence, expected a JSON object"),
            case("prevResult/ips", json!({}), 7, "prevResult.ips: invalid type: map, expected a sequence"),
            case("prevResult/ips", json!([{}]), 7, "prevResult.ips[0]: missing field `address`"),
            case("prevResult/ips", json!(["10.0.0.1/24"]), 7, "prevResult.ips[0]: invalid type: string"),
            case("prevResult/ips", json!([["10.0.0.1/24"]]), 7, "prevResult.ips[0]: invalid type: sequence"),
            case("prevResult/ips", json!([{"address": "10.0.0.1"}]), 7, "prevResult.ips[0].address: "),
            case("prevResult/ips", json!([{"address": "10.0.0.1/33"}]), 7, "prevResult.ips[0].address: "),
            case(
                "prevResult/ips",
                json!([{"address": "10.0.0.1/24", "interface": -1}]),
                7,
                "prevResult.ips[0].interface: ",
            ),
            case(
                "prevResult/ips",
                json!([{"address": "10.0.0.1/24", "interface": 1}]),
                7,
                "prevResult.ips[0].interface: 1, expected the index of one of 1 interfaces",
            ),
            case(
                "prevResult/ips",
                json!([{"address": "10.0.0.1/24", "gateway": "x"}]),
                7,
                "prevResult.ips[0].gateway: ",
            ),
            case("prevResult/interfaces", json!([{}]), 7, "prevResult.interfaces[0]: missing field `name`"),
            case(
                "prevResult/interfaces",
                json!([["eth0"]]),
                7,
                "prevResult.interfaces[0]: invalid type: sequence",
            ),
            case("prevResult/routes", json!([{"dst": "x"}]), 7, "prevResult.routes[0].dst: "),
            case("prevResult/dns", json!("x"), 7, "prevResult.dns: invalid type: string \"x\""),
            case("ipam", json!([]), 7, "ipam: invalid type: sequence, expected a JSON object"),
        ],
    );
}
