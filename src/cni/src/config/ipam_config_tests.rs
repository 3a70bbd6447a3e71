use serde_json::json;

use super::*;
use crate::config::roles::PLUGIN;
use crate::protocol::environment::Command;
use crate::protocol::error::Code;

fn document(extra: Value) -> Document {
    let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": PLUGIN});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    Document::parse(config.to_string().as_bytes(), Command::Add).unwrap()
}

fn ipam_error(ipam: Value) -> String {
    let error = IpamConfig::read(&document(json!({"ipam": ipam})), &RuntimeConfig::default()).unwrap_err();
    assert_eq!(error.code, Code::InvalidConfig, "{error}");
    error.msg
}

#[test]
fn ranges_stand_in_host_locals_order() {
    let document = document(json!({"ipam": {"subnet": "10.0.0.0/24", "gateway": "10.0.0.9",
        "ranges": [[{"subnet": "10.2.0.0/24"}, {"subnet": "10.3.0.0/24"}]], "routes": [{"dst": "0.0.0.0/0"}]}}));
    let of_runtime =
        RangeConfig { subnet: "10.1.0.0/24".into(), range_start: None, range_end: None, gateway: None };
    let runtime = RuntimeConfig { ip_ranges: vec![vec![of_runtime]], ..RuntimeConfig::default() };
    let ipam = IpamConfig::read(&document, &runtime).unwrap();
    let subnets: Vec<Vec<String>> = ipam
        .sets
        .iter()
        .map(|set| set.ranges.iter().map(|range| range.subnet.to_string()).collect())
        .collect();
    assert_eq!(subnets, [vec!["10.0.0.0/24"], vec!["10.1.0.0/24"], vec!["10.2.0.0/24", "10.3.0.0/24"]]);
    assert_eq!(ipam.sets[0].ranges[0].gateway.to_string(), "10.0.0.9");
    assert_eq!(ipam.routes.len(), 1);
}

#[test]
fn an_error_names_the_key() {
    let expected = [
        (json!({}), "ipam: no IP ranges specified"),
        (json!({"subnet": 7}), "ipam.subnet: invalid type: integer `7`, expected a string"),
        (json!({"ranges": [[{"subnet": "10.0.0.0/24", "gateway": "x"}]]}), "ipam.ranges[0][0].gateway: "),
        (json!({"ranges": [[{}]]}), "ipam.ranges[0][0]: missing field `subnet`"),
        (json!({"ranges": [[]]}), "ipam.ranges[0] is empty"),
        (json!({"podCIDRs": ["10.0.0.0/24"], "subnet": "10.0.0.0/24"}), "ipam.podCIDRs: given together"),
        (json!({"podCIDRs": ["10.0.0.7/24"]}), "ipam.podCIDRs[0]: 10.0.0.7/24 has host bits set"),
        (
            json!({"podCIDRs": ["10.0.0.0/24"], "dataDir": "here"}),
            "ipam.dataDir: \"here\", expected an absolute",
        ),
        (json!({"podCIDRs": ["10.0.0.0/24"], "routes": [{"dst": "x"}]}), "ipam.routes[0].dst: "),
        (json!({"ranges": [[{"subnet": "10.0.0.0/8"}], [{"subnet": "10.1.0.0/16"}]]}), "ipam.ranges[1]: "),
    ];
    for (ipam, start) in expected {
        let error = ipam_error(ipam);
        assert!(error.starts_with(start), "{error}");
    }
}
