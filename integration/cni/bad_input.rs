//! Configurations and variables that make no sense: the right code, the key and what was expected, and nothing made.
//! A pod that runs already has everything as before, and DEL gets through.

use serde_json::{Value, json};

use crate::harness::cni::{Call, CniNode, error_of, routed};
use crate::harness::subject::without_carrier;
use crate::harness::{Run, bin, needs};

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

/// Tries a table, one case a line: the code, the key at which a value is put, the value, and how the message begins.
/// Each is refused on ADD, changes nothing, and does not keep DEL from succeeding.
pub(crate) fn try_table(config: &Value, table: &str) {
    let node = node_with(config);
    let before = state(&node);
    for line in table.lines().filter(|line| !line.is_empty()) {
        println!("{line}");
        let (case, message) = line.split_once(" => ").unwrap();
        let [code, key, value] = case.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
        let mut bad = config.clone();
        put(&mut bad, key, &serde_json::from_str(value).unwrap());
        let (answered, msg) = error_of(&node.call(&Call::new("ADD", "c2", &bad)));
        assert!(answered.to_string() == code && msg.starts_with(message), "{answered} {msg}");
        assert_eq!(node.call(&Call::new("DEL", "c2", &bad)).success(), "");
        assert_eq!(state(&node), before);
    }
    node.del("c1", config);
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
        ("CNI_CONTAINERID", &long[..129], 4, "at most 128"),
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
