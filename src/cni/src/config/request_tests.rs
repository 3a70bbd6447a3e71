use serde_json::json;

use super::*;

fn read(command: Command, extra: Value) -> Result<Request, CniError> {
    let mut config = json!({"cniVersion": "1.1.0", "name": "net", "type": "podhosts-cni"});
    config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
    let variable = |name: &str| match name {
        "CNI_CONTAINERID" => Some("c1".to_owned()),
        "CNI_NETNS" => Some("/run/netns/x".to_owned()),
        "CNI_IFNAME" => Some("eth0".to_owned()),
        _ => None,
    };
    let parameters = Parameters::read(command, variable)?;
    let document = Document::parse(config.to_string().as_bytes(), command)?;
    Request::read(command, parameters, &document)
}

/// The configuration of each role, with the result of an earlier ADD.
fn roles() -> [Value; 3] {
    let (ipam, result) = (json!({"podCIDRs": ["10.0.0.0/24"]}), json!({"ips": [{"address": "10.0.0.2/24"}]}));
    [
        json!({"ipam": ipam, "prevResult": result}),
        json!({"type": "bridge", "ipam": ipam, "prevResult": result}),
        json!({"prevResult": result}),
    ]
}

fn without_result(mut role: Value) -> Value {
    role.as_object_mut().unwrap().remove("prevResult");
    role
}

#[test]
fn each_command_of_each_role_has_a_type() {
    let [main, ipam, chained] = roles();
    assert!(matches!(read(Command::Add, without_result(main.clone())), Ok(Request::AddMain(_))));
    assert!(matches!(read(Command::Add, ipam.clone()), Ok(Request::AddIpam(_))));
    assert!(matches!(read(Command::Add, chained.clone()), Ok(Request::AddChained(_))));
    assert!(matches!(read(Command::Check, main.clone()), Ok(Request::CheckMain(_))));
    assert!(matches!(read(Command::Check, ipam.clone()), Ok(Request::CheckIpam(_))));
    assert!(matches!(read(Command::Check, chained.clone()), Ok(Request::CheckChained(_))));
    for (role, config) in [(Role::Main, &main), (Role::Ipam, &ipam), (Role::Chained, &chained)] {
        assert!(matches!(read(Command::Del, config.clone()), Ok(Request::Del(del)) if del.role == role));
        assert!(matches!(read(Command::Gc, config.clone()), Ok(Request::Gc(gc)) if gc.role == role));
    }
    assert!(matches!(read(Command::Status, main), Ok(Request::Status(_))));
    assert!(matches!(read(Command::Status, ipam), Ok(Request::Status(_))));
    assert!(matches!(read(Command::Status, chained), Ok(Request::Nothing)));
}

#[test]
fn a_command_that_is_turned_off_is_not_checked() {
    let off = json!({"ipam": {}, "disableCheck": true, "disableGC": true, "cni.dev/valid-attachments": 1});
    assert!(matches!(read(Command::Check, off.clone()), Ok(Request::Nothing)));
    assert!(matches!(read(Command::Gc, off), Ok(Request::Nothing)));
}

#[test]
fn what_a_role_needs_is_checked() {
    let [main, ipam, chained] = roles();
    let refused = |command, config: Value| read(command, config).unwrap_err().msg;
    assert!(refused(Command::Add, main.clone()).starts_with("prevResult: there is one"));
    for role in [&main, &ipam, &chained] {
        assert!(refused(Command::Check, without_result(role.clone())).starts_with("prevResult: missing"));
    }
    assert!(refused(Command::Add, without_result(chained)).starts_with("prevResult: missing"));
    for command in [Command::Add, Command::Status] {
        assert!(refused(command, json!({"ipam": {"podCIDRs": []}})).starts_with("ipam.podCIDRs is empty"));
        let small = json!({"ipam": {"podCIDRs": ["10.0.0.0/24"]}, "mtu": 1});
        assert!(refused(command, small).starts_with("mtu: 1, expected"));
    }
    // DEL works with any configuration.
    assert!(read(Command::Del, json!({"ipam": {"podCIDRs": 7}, "mtu": "x", "prevResult": 1})).is_ok());
}

#[test]
fn dns_of_the_runtime_goes_before_that_of_the_network_and_that_before_a_file() {
    let dns = |extra: Value| {
        let mut config = json!({"ipam": {"podCIDRs": ["10.0.0.0/24"], "resolvConf": "/etc/resolv.conf"}});
        config.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        match read(Command::Add, config) {
            Ok(Request::AddMain(add)) => add.dns,
            other => panic!("{other:?}"),
        }
    };
    let network = json!({"nameservers": ["10.0.0.10"]});
    let runtime = json!({"dns": {"servers": ["10.0.0.11"]}});
    let servers = |source: DnsSource| match source {
        DnsSource::Given(dns) => dns.nameservers,
        DnsSource::ResolvConf(path) => vec![path.display().to_string()],
    };
    assert_eq!(servers(dns(json!({"dns": network, "runtimeConfig": runtime}))), ["10.0.0.11"]);
    assert_eq!(servers(dns(json!({"dns": network}))), ["10.0.0.10"]);
    assert_eq!(servers(dns(json!({}))), ["/etc/resolv.conf"]);
}
