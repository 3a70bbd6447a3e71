use serde_json::json;

use super::*;
use crate::config::roles::PLUGIN;

fn parse(config: &Value, command: Command) -> Result<Document, CniError> {
    Document::parse(config.to_string().as_bytes(), command)
}

fn document(extra: Value) -> Document {
    let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": PLUGIN});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    parse(&config, Command::Add).unwrap()
}

#[test]
fn the_configuration_tells_the_role_and_the_place() {
    let main = document(json!({"ipam": {}}));
    assert_eq!((main.role, main.network.dir.to_str()), (Role::Main, Some("/run/podhosts/networks/net")));
    assert_eq!(document(json!({})).role, Role::Chained);
    let ipam = document(json!({"type": "bridge", "ipam": {"type": PLUGIN, "dataDir": "/data"}}));
    assert_eq!((ipam.role, ipam.network.dir.to_str()), (Role::Ipam, Some("/data/net")));
}

#[test]
fn versions_and_names() {
    let error = |config: Value, command| parse(&config, command).unwrap_err();
    let old = error(json!({"cniVersion": "9.9.9", "name": "net"}), Command::Add);
    assert_eq!(
        (old.msg.as_str(), old.details.as_str()),
        (
            "incompatible CNI versions",
            r#"config is "9.9.9", plugin supports ["0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]"#
        )
    );
    assert_eq!(error(json!({"name": "net"}), Command::Del).code, Code::IncompatibleVersion);
    for (version, command) in [("0.3.1", Command::Check), ("1.0.0", Command::Gc), ("1.0.0", Command::Status)]
    {
        let error = error(json!({"cniVersion": version, "name": "net"}), command);
        assert_eq!(error.code, Code::IncompatibleVersion);
        assert!(error.msg.contains("does not allow"), "{error}");
    }
    for name in [json!(null), json!(""), json!(7), json!("../net"), json!("a/b"), json!("a".repeat(201))] {
        let error = error(json!({"cniVersion": "1.0.0", "name": name}), Command::Del);
        assert!(error.code == Code::InvalidConfig && error.msg.contains("name"), "{error}");
    }
    let text = Document::parse(b"{", Command::Add).unwrap_err();
    assert_eq!(text.code, Code::Decode);
    assert_eq!(Document::parse(b"[]", Command::Add).unwrap_err().code, Code::Decode);
}

#[test]
fn an_error_names_the_key() {
    let previous = document(json!({"prevResult": {"ips": [{"address": "10.0.0.1"}]}})).prev_result();
    assert!(previous.unwrap_err().msg.starts_with("prevResult.ips[0].address: "));
}

#[test]
fn what_gc_keeps_is_under_two_names() {
    let kept = |extra: Value| document(extra).valid_attachments();
    let one = |id: &str| json!([{"containerID": id, "ifname": "eth0"}]);
    assert_eq!(kept(json!({"cni.dev/valid-attachments": one("a")})).unwrap().unwrap()[0].container, "a");
    let both = kept(json!({"cni.dev/attachments": one("b"), "cni.dev/valid-attachments": one("a")})).unwrap();
    assert_eq!(both.unwrap().len(), 2);
    assert_eq!(kept(json!({"cni.dev/valid-attachments": null})).unwrap(), Some(vec![]));
    assert_eq!(kept(json!({})).unwrap(), None);
    let wrong = kept(json!({"cni.dev/valid-attachments": [{"containerID": "a"}]})).unwrap_err().msg;
    assert!(wrong.starts_with("cni.dev/valid-attachments[0]: missing field `ifname`"), "{wrong}");
}
