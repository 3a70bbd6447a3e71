//! An ADD that fails half-way: what it had made until then is undone, and nobody else notices.

use serde_json::{Value, json};

use crate::cni::bad_input::{bridged, node_with, put, state};
use crate::harness::cni::{Call, addresses, error_of, routed};
use crate::harness::needs;

/// Why the ADD of `c2` fails while `c1` runs.
struct Failure {
    /// Run on the node before.
    script: &'static str,
    /// More keys, of `c2` only.
    more: Value,
    code: u64,
    text: &'static str,
    /// Run on the node afterwards; then the same ADD succeeds.
    remedy: Option<&'static str>,
}

fn failure(script: &'static str, code: u64, text: &'static str, remedy: &'static str) -> Failure {
    Failure { script, more: json!({}), code, text, remedy: Some(remedy) }
}

fn refusal(more: Value, code: u64, text: &'static str) -> Failure {
    Failure { script: "", more, code, text, remedy: None }
}

fn try_all(config: &Value, failures: &[Failure]) {
    for Failure { script, more, code, text, remedy } in failures {
        println!("{script} {more}");
        let node = node_with(config);
        node.sh(script);
        let before = state(&node);
        let mut changed = config.clone();
        more.as_object().unwrap().iter().for_each(|(path, value)| put(&mut changed, path, value));
        for _ in 0..2 {
            let (answered, msg) = error_of(&node.call(&Call::new("ADD", "c2", &changed)));
            assert!(answered == *code && msg.contains(text), "{answered} {msg} lacks {text}");
            assert_eq!(state(&node), before);
            // What engines do then.
            node.del("c2", &changed);
            assert_eq!(state(&node), before);
        }
        // Nothing holds an address that was taken meanwhile.
        node.sh(remedy.unwrap_or_default());
        let good = if remedy.is_some() { &changed } else { config };
        let result = node.add("c2", good);
        assert!(!addresses(&result).contains(&"10.244.1.2".to_owned()), "{result}");
        for pod in ["c1", "c2"] {
            node.del(pod, config);
        }
    }
}

#[test]
fn what_is_in_the_way_of_the_interface() {
    needs!("ip", "nft");
    let exists = "cannot make veth pair eth0 and veth";
    let in_pod = || {
        [
            failure("ip -n c2 link add eth0 type bridge", 100, exists, "ip -n c2 link del eth0"),
            failure(
                "ip -n c2 link add eth0 type veth peer name x; ip -n c2 addr add 10.244.1.77/24 dev eth0",
                100,
                exists,
                "ip -n c2 link del eth0",
            ),
        ]
    };
    try_all(&routed(), &in_pod());
    try_all(&bridged(), &in_pod());
}

#[test]
fn what_is_in_the_way_of_the_nodes_routes() {
    needs!("ip", "nft");
    let mut config = routed();
    // Whoever comes after c1 gets the same address at each attempt.
    config["ipam"]["podCIDRs"] = json!(["10.244.1.0/30", "10.244.2.0/30", "2001:db8:1::/64"]);
    let taken = "ip route add 10.244.2.2/32 dev lo";
    try_all(
        &config,
        &[
            failure(taken, 100, "cannot add route 10.244.2.2/32: File exists", "ip route del 10.244.2.2/32"),
            Failure {
                script: "ip -6 route add 2001:db8:1::77 dev lo metric 1024",
                more: json!({"args/cni/ips": ["2001:db8:1::77"]}),
                code: 100,
                text: "cannot add route 2001:db8:1::77/128: File exists",
                remedy: Some("ip -6 route del 2001:db8:1::77"),
            },
        ],
    );
}

#[test]
fn routes_that_the_kernel_refuses() {
    needs!("ip", "nft");
    let route = |route: Value| json!({"ipam/routes": [route]});
    let unreachable = "cannot add route 192.0.2.0/24 via 203.0.113.1: ";
    for config in [routed(), bridged()] {
        try_all(
            &config,
            &[
                refusal(route(json!({"dst": "192.0.2.0/24", "gw": "203.0.113.1"})), 100, unreachable),
                refusal(
                    json!({"ipam/routes": [{"dst": "192.0.2.0/24"}, {"dst": "192.0.2.0/24"}]}),
                    100,
                    "cannot add route 192.0.2.0/24 via ",
                ),
                refusal(
                    route(json!({"dst": "192.0.2.0/24", "scope": 254})),
                    100,
                    "cannot add route 192.0.2.0/24",
                ),
            ],
        );
    }
}

#[test]
fn addresses_that_cannot_be_had() {
    needs!("ip", "nft");
    let ips = |ips: &[&str]| json!({"runtimeConfig/ips": ips});
    try_all(
        &routed(),
        &[
            refusal(ips(&["10.244.1.2"]), 101, "address 10.244.1.2 is in use by c1, eth0"),
            refusal(ips(&["10.244.1.9", "2001:db8:1::2"]), 101, "2001:db8:1::2 is in use by c1, eth0"),
            refusal(
                ips(&["10.244.1.1"]),
                101,
                "requested address 10.244.1.1 is not available: it is a gateway",
            ),
            refusal(
                ips(&["10.9.9.9"]),
                101,
                "10.9.9.9 is not available: it is in none of the configured ranges",
            ),
            refusal(ips(&["10.244.1.0"]), 101, "10.244.1.0 is not available: it is in none"),
            refusal(ips(&["10.244.1.255"]), 101, "10.244.1.255 is not available: it is in none"),
            refusal(
                ips(&["10.244.1.9", "10.244.1.8"]),
                101,
                "another one of the same ranges is requested, too",
            ),
            refusal(
                ips(&["10.244.1.9", "10.244.1.9"]),
                101,
                "another one of the same ranges is requested, too",
            ),
            refusal(
                json!({"ipam/podCIDRs": ["10.244.1.0/30", "2001:db8:1::/64"]}),
                11,
                "no IP addresses available in range set: 10.244.1.1-10.244.1.2",
            ),
        ],
    );
}

#[test]
fn ports_that_another_pod_has() {
    needs!("ip", "nft");
    let ports = |port: u16, protocol: &str| {
        json!([{"hostPort": 7070, "containerPort": 70},
            {"hostPort": port, "containerPort": 80, "protocol": protocol}])
    };
    for mut config in [routed(), bridged()] {
        config["ipMasq"] = true.into();
        config["runtimeConfig"] = json!({"portMappings": [{"hostPort": 8080, "containerPort": 80}]});
        let node = node_with(&config);
        let before = state(&node);
        let mut other = config.clone();
        other["runtimeConfig"]["portMappings"] = ports(8080, "tcp");
        let (code, msg) = error_of(&node.call(&Call::new("ADD", "c2", &other)));
        let expected = "cannot map host port 8080/tcp: it is already mapped to 10.244.1.2";
        assert_eq!((code, msg.as_str()), (103, expected));
        assert_eq!(state(&node), before);
        node.del("c2", &other);
        assert_eq!(state(&node), before);
        other["runtimeConfig"]["portMappings"] = ports(8080, "udp");
        node.add("c2", &other);
        for pod in ["c2", "c1"] {
            node.del(pod, &other);
        }
        assert!(!node.sh("nft list ruleset").contains("10.244.1."));
    }
}

#[test]
fn bridges_that_are_none_of_ours() {
    needs!("ip", "nft");
    let on_br1 = |script, code, text, remedy| Failure {
        script,
        more: json!({"bridge": "br1", "ipam/ranges": [[{"subnet": "10.244.7.0/24"}]]}),
        code,
        text,
        remedy,
    };
    try_all(
        &bridged(),
        &[
            on_br1(
                "ip link add br1 type veth peer name x",
                7,
                "bridge: \"br1\" is there already and no bridge, expected one or another name",
                Some("ip link del br1"),
            ),
            on_br1(
                "ip link add br1 type bridge; ip link set br1 up; ip addr add 10.244.7.9/24 dev br1",
                100,
                "\"br1\" already has an IP address different from 10.244.7.1/24: 10.244.7.9/24, expected forceAddress",
                Some("ip addr del 10.244.7.9/24 dev br1"),
            ),
        ],
    );
}

#[test]
fn records_that_cannot_be_written() {
    needs!("ip", "nft");
    let no_place = "rm -r /run/podhosts/pods; echo > /run/podhosts/pods";
    let text = "cannot write /run/podhosts/pods/c2.json: Not a directory";
    for config in [routed(), bridged()] {
        try_all(
            &config,
            &[
                failure(no_place, 5, text, "rm /run/podhosts/pods"),
                Failure {
                    script: "",
                    more: json!({"runtimeConfig/io.kubernetes.cri.pod-annotations": {"a": "x".repeat(2 << 20)}}),
                    code: 5,
                    text: "cannot write /run/podhosts/pods/c2.json: the annotations have more than 2097152 bytes",
                    remedy: None,
                },
            ],
        );
    }
}

#[test]
fn an_mtu_with_which_an_interface_has_no_ipv6() {
    needs!("ip", "nft");
    try_all(&routed(), &[refusal(json!({"mtu": 1000}), 7, "mtu: 1000, expected 1280 or more for IPv6")]);
}

#[test]
fn a_packet_filter_that_cannot_be_locked() {
    needs!("ip", "nft");
    let script = "rm -f /run/podhosts/nftables.lock; mkdir /run/podhosts/nftables.lock";
    let lock = Failure {
        more: json!({"ipMasq": true}),
        ..failure(script, 5, "cannot open /run/podhosts/nftables.lock: ", "rmdir /run/podhosts/nftables.lock")
    };
    try_all(&routed(), &[lock]);
}
