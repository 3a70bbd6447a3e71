//! Configurations and variables that make no sense: the right code, the key and what was expected, and nothing made.
//! A pod that runs already has everything as before, and DEL gets through.

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, error_of, routed};
use crate::harness::subject::without_carrier;
use crate::harness::{Run, bin, needs};

/// A value for the key at a path, and the error that it makes.
pub(crate) struct Case {
    pub(crate) key: &'static str,
    pub(crate) value: Value,
    pub(crate) code: u64,
    pub(crate) text: &'static str,
}

pub(crate) fn case(key: &'static str, value: Value, code: u64, text: &'static str) -> Case {
    Case { key, value, code, text }
}

/// Puts a value at `a/b`, making the objects on the way.
pub(crate) fn put(config: &mut Value, path: &str, value: &Value) {
    let place = path.split('/').fold(config, |at, key| &mut at[key]);
    *place = value.clone();
}

/// Everything on a node, in the pod `c1` that runs and in the pod `c2` that is to be made.
pub(crate) fn state(node: &CniNode) -> String {
    without_carrier(&(node.traces() + &node.pod_state("c1") + &node.pod_state("c2")))
}

/// A node on which the pod `c1` runs, and `c2` waits.
pub(crate) fn node_with(config: &Value) -> CniNode {
    let node = CniNode::new();
    node.pod("c1");
    node.pod("c2");
    node.call(&Call::new("ADD", "c1", config)).success();
    node
}

pub(crate) fn bridged() -> Value {
    json!({"cniVersion": "1.1.0", "name": "net", "type": "podhosts-cni", "mode": "bridge", "bridge": "br0",
        "isDefaultGateway": true, "ipam": {"ranges": [[{"subnet": "10.244.1.0/24"}]]}})
}

/// Sees that each case is refused on ADD, changes nothing, and does not keep DEL from succeeding.
pub(crate) fn try_all(config: &Value, cases: &[Case]) {
    let node = node_with(config);
    let before = state(&node);
    for Case { key, value, code, text } in cases {
        println!("{key}: {value}");
        let mut bad = config.clone();
        put(&mut bad, key, value);
        let (answered, msg) = error_of(&node.call(&Call::new("ADD", "c2", &bad)));
        assert_eq!(answered, *code, "{msg}");
        assert!(msg.contains(text), "{msg} lacks {text}");
        assert_eq!(node.call(&Call::new("DEL", "c2", &bad)).success(), "");
        assert_eq!(state(&node), before);
    }
    node.del("c1", config);
}

#[test]
fn keys_of_the_main_role() {
    needs!("ip", "nft");
    let meaningless = "has no meaning here, expected \"mode\": \"bridge\"";
    try_all(
        &routed(),
        &[
            case("mode", json!("vlan"), 7, "mode: \"vlan\", expected \"routed\" or \"bridge\""),
            case("mode", json!(7), 7, "mode: invalid type: integer `7`, expected a string"),
            case("mtu", json!(67), 7, "mtu: 67, expected 68 to 65535, or 0 for the default"),
            case("mtu", json!(65536), 7, "mtu: 65536, expected 68 to 65535"),
            case("mtu", json!("1500"), 7, "mtu: invalid type: string \"1500\", expected u32"),
            case("mtu", json!(-1), 7, "mtu: invalid value: integer `-1`, expected u32"),
            case("ipMasq", json!("yes"), 7, "ipMasq: invalid type: string \"yes\", expected a boolean"),
            case("ipMasqBackend", json!("iptables"), 2, "ipMasqBackend: \"iptables\" is not supported"),
            case("macspoofchk", json!(true), 2, "macspoofchk: not supported"),
            case("enabledad", json!(true), 2, "enabledad: not supported"),
            case("disableContainerInterface", json!(true), 2, "disableContainerInterface: not supported"),
            case("vlanTrunk", json!([{"id": 7}]), 2, "vlanTrunk: not supported"),
            case("preserveDefaultVlan", json!(false), 2, "preserveDefaultVlan: not supported"),
            case("ipam/type", json!("host-local"), 2, "ipam.type: \"host-local\" is not supported"),
            case("ipam/type", json!(7), 7, "ipam.type: invalid type: integer `7`"),
            case("bridge", json!("br0"), 7, meaningless),
            case("isGateway", json!(false), 7, meaningless),
            case("vlan", json!(0), 7, meaningless),
            case(
                "prevResult",
                json!({}),
                7,
                "prevResult: there is one, expected this plugin to be the first",
            ),
            case("ipam", json!({}), 7, "ipam: no IP ranges specified, expected podCIDRs, ranges or subnet"),
            case("ipam", json!([]), 7, "ipam: invalid type: sequence, expected a JSON object"),
            case(
                "ipam",
                json!("podhosts-cni"),
                7,
                "ipam: invalid type: string \"podhosts-cni\", expected a JSON object",
            ),
        ],
    );
}

#[test]
fn keys_of_the_bridge() {
    needs!("ip", "nft");
    try_all(
        &bridged(),
        &[
            case(
                "bridge",
                json!("sixteen-bytes-xx"),
                7,
                "bridge: \"sixteen-bytes-xx\" is no name of an interface",
            ),
            case("bridge", json!("a/b"), 7, "bridge: \"a/b\" is no name"),
            case("bridge", json!("a b"), 7, "bridge: \"a b\" is no name"),
            case("bridge", json!(".."), 7, "bridge: \"..\" is no name"),
            case("bridge", json!("br%d"), 7, "bridge: \"br%d\" is no name"),
            case("vlan", json!(4095), 7, "vlan: 4095, expected 1 to 4094, or 0 for none"),
            case("vlan", json!(65536), 7, "vlan: invalid value: integer `65536`, expected u16"),
            case("promiscMode", json!(1), 7, "promiscMode: invalid type: integer `1`, expected a boolean"),
            case("hairpinMode", json!("on"), 7, "hairpinMode: invalid type: string \"on\""),
        ],
    );
    let mut hairpin = bridged();
    hairpin["hairpinMode"] = true.into();
    try_all(&hairpin, &[case("promiscMode", json!(true), 7, "hairpinMode: true together with promiscMode")]);
    let mut vlan = bridged();
    vlan["vlan"] = 0.into();
    vlan["bridge"] = "a-bridge-of-15b".into();
    let too_long = "bridge: \"a-bridge-of-15b.100\", which the VLAN needs, is too long for a name";
    try_all(&vlan, &[case("vlan", json!(100), 7, too_long)]);
}

#[test]
fn pod_cidrs() {
    needs!("ip", "nft");
    let cidrs = |cidrs: &[&str]| json!(cidrs);
    let key = "ipam/podCIDRs";
    try_all(
        &routed(),
        &[
            case(key, json!([]), 7, "ipam.podCIDRs is empty, expected at least one range"),
            case(
                key,
                json!("10.0.0.0/24"),
                7,
                "ipam.podCIDRs: invalid type: string \"10.0.0.0/24\", expected a sequence",
            ),
            case(key, json!([7]), 7, "ipam.podCIDRs[0]: invalid type: integer `7`, expected a string"),
            case(
                key,
                cidrs(&["10.0.0.0"]),
                7,
                "ipam.podCIDRs[0]: \"10.0.0.0\" is no CIDR, expected one such as",
            ),
            case(key, cidrs(&["10.0.0.0/24", ""]), 7, "ipam.podCIDRs[1]: \"\" is no CIDR"),
            case(key, cidrs(&["10.0.0.0/33"]), 7, "ipam.podCIDRs[0]: \"10.0.0.0/33\" is no CIDR"),
            case(key, cidrs(&["10.0.0.0/-1"]), 7, "ipam.podCIDRs[0]: \"10.0.0.0/-1\" is no CIDR"),
            case(
                key,
                cidrs(&["10.0.0.7/24"]),
                7,
                "ipam.podCIDRs[0]: 10.0.0.7/24 has host bits set, expected 10.0.0.0/24",
            ),
            case(
                key,
                cidrs(&["10.0.0.0/31"]),
                7,
                "ipam.podCIDRs[0]: network 10.0.0.0/31 is too small to allocate from",
            ),
            case(key, cidrs(&["2001:db8::/127"]), 7, "expected a prefix of at most 126 bits"),
            case(
                key,
                cidrs(&["10.0.0.0/24", "10.0.0.128/25"]),
                7,
                "ipam.podCIDRs[1]: 10.0.0.129-10.0.0.254 overlaps",
            ),
            case(
                "ipam/subnet",
                json!("10.9.0.0/24"),
                7,
                "ipam.podCIDRs: given together with subnet or ranges",
            ),
            case("ipam/ranges", json!([[]]), 7, "ipam.podCIDRs: given together with subnet or ranges"),
        ],
    );
}

/// Sees that a call is refused on a node that stays as it is.
fn refused(node: &CniNode, before: &str, run: &Run, code: u64, text: &str) {
    let (answered, msg) = error_of(run);
    assert_eq!(answered, code, "{msg}");
    assert!(msg.contains(text), "{msg} lacks {text}");
    assert_eq!(state(node), before);
}

#[test]
fn variables() {
    needs!("ip", "nft");
    let (config, long) = (routed(), "x".repeat(201));
    let node = node_with(&config);
    let before = state(&node);
    for (variable, value, code, text) in [
        (
            "CNI_CONTAINERID",
            "../x",
            4,
            "CNI_CONTAINERID: \"../x\" is invalid, expected a letter or digit, then",
        ),
        ("CNI_CONTAINERID", "c2\n", 4, "CNI_CONTAINERID: \"c2\\n\" is invalid"),
        ("CNI_CONTAINERID", &long, 4, "at most 200"),
        // Long enough for an attachment, and too long for a record: the hook's ids are those of engines.
        ("CNI_CONTAINERID", &long[..200], 4, "CNI_CONTAINERID: cannot use sandbox id"),
        (
            "CNI_IFNAME",
            "sixteen-bytes-xx",
            4,
            "CNI_IFNAME: \"sixteen-bytes-xx\" is too long, expected at most 15 bytes",
        ),
        ("CNI_IFNAME", "..", 4, "CNI_IFNAME: \"..\" is invalid, expected neither . nor .."),
        ("CNI_IFNAME", "eth0/1", 4, "CNI_IFNAME: \"eth0/1\" is invalid, expected no '/'"),
        ("CNI_IFNAME", "eth%d", 4, "CNI_IFNAME: \"eth%d\" is invalid, expected no '/', no ':', no '%'"),
        ("CNI_IFNAME", "lo", 100, "cannot make veth pair lo and veth"),
        ("CNI_NETNS", "/none", 8, "cannot open network namespace /none: there is none"),
        ("CNI_NETNS", "none", 8, "cannot open network namespace none: there is none"),
        ("CNI_NETNS", "/etc/passwd", 8, "cannot open network namespace /etc/passwd: there is none"),
        ("CNI_NETNS", "/run/netns", 8, "cannot open network namespace /run/netns: there is none"),
        ("CNI_NETNS", "/proc/self/ns/uts", 8, "network namespace /proc/self/ns/uts"),
        (
            "CNI_NETNS",
            "/proc/self/ns/net",
            8,
            "CNI_NETNS: /proc/self/ns/net is the node's own network namespace",
        ),
        ("CNI_ARGS", "x", 4, "CNI_ARGS: \"x\" is no pair, expected KEY=VALUE;KEY=VALUE"),
        ("CNI_ARGS", "A=1;B=2", 4, "CNI_ARGS: unknown args [A B], expected IgnoreUnknown=1"),
        ("CNI_ARGS", "IP=10.0.0", 4, "CNI_ARGS: IP: \"10.0.0\" is no IP address"),
        ("CNI_ARGS", "IP=10.244.1.9,", 4, "CNI_ARGS: IP: \"\" is no IP address"),
        ("CNI_ARGS", "MAC=zz", 4, "CNI_ARGS: MAC: \"zz\": expected a unicast MAC address"),
        ("CNI_COMMAND", "FROB", 4, "unknown CNI_COMMAND: FROB"),
    ] {
        println!("{variable}={value}");
        let mut command = node.plugin_command(&bin("podhosts-cni"), &Call::new("ADD", "c2", &config));
        command.env(variable, value);
        refused(&node, &before, &node.pipe(command, config.to_string().as_bytes()), code, text);
    }
}

#[test]
fn input_that_is_no_configuration() {
    needs!("ip", "nft");
    let node = node_with(&routed());
    let before = state(&node);
    let nested = format!("{{\"name\": {}", "[".repeat(1000));
    let large = vec![b' '; (4 << 20) + 1];
    let cases: [(&[u8], u64, &str); 9] = [
        (b"", 6, "cannot read the network configuration from stdin: EOF while parsing"),
        (b"nonsense", 6, "cannot read the network configuration from stdin: expected ident"),
        (b"{\"name\": \"\xff\"}", 6, "cannot read the network configuration from stdin: invalid unicode"),
        (b"[]", 6, "expected a JSON object"),
        (nested.as_bytes(), 6, "recursion limit exceeded"),
        (&large, 5, "cannot read stdin: it is larger than 4194304 bytes"),
        (b"{\"name\": \"net\"}", 1, "incompatible CNI versions"),
        (b"{\"cniVersion\": 1, \"name\": \"net\"}", 1, "incompatible CNI versions"),
        (b"{\"cniVersion\": \"1.0.0\", \"name\": 7}", 7, "missing network name: name is absent or no string"),
    ];
    for (input, code, text) in cases {
        for command in ["ADD", "DEL", "CHECK"] {
            let command = node.plugin_command(&bin("podhosts-cni"), &Call::new(command, "c2", &Value::Null));
            refused(&node, &before, &node.pipe(command, input), code, text);
        }
    }
}
