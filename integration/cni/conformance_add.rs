//! The rules of the CNI specification for ADD: what its result looks like, that the kernel has what it says, and that
//! a failed one leaves nothing.

use serde_json::{Value, json};

use crate::harness::cni::error_of;
use crate::harness::needs;
use crate::harness::subject::{Role, Trial, each};

fn list<'a>(result: &'a Value, key: &str) -> &'a [Value] {
    result[key].as_array().map_or(&[], Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("{key} is no text in {value}"))
}

/// Sees that `value` has the keys `required`, and beside them at most `optional`.
#[track_caller]
fn assert_keys(value: &Value, required: &[&str], optional: &[&str]) {
    let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
    assert!(required.iter().all(|key| keys.contains(key)), "{value} lacks one of {required:?}");
    assert!(
        keys.iter().all(|key| required.contains(key) || optional.contains(key)),
        "unknown key in {value}"
    );
}

#[test]
fn a_result_has_the_shape_of_its_version() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |_, _| true,
        |trial| {
            let result = trial.add();
            let (old, newest) = (trial.version < "1.0.0", trial.version >= "1.1.0");
            assert_keys(&result, &["cniVersion", "ips"], &["interfaces", "routes", "dns"]);
            assert_eq!(result["cniVersion"], trial.version);
            assert!(!list(&result, "ips").is_empty());
            for ip in list(&result, "ips") {
                let required: &[&str] = if old { &["address", "version"] } else { &["address"] };
                assert_keys(ip, required, &["gateway", "interface"]);
                let family = if text(ip, "address").contains(':') { "6" } else { "4" };
                assert!(!old || ip["version"] == family, "{ip}");
            }
            for interface in list(&result, "interfaces") {
                let since: &[&str] = if newest {
                    &["mac", "sandbox", "mtu", "socketPath", "pciID"]
                } else {
                    &["mac", "sandbox"]
                };
                assert_keys(interface, &["name"], since);
                let made_here = trial.subject.role == Role::Main;
                assert!(!newest || !made_here || interface["mtu"].is_u64(), "{interface}");
            }
            for route in list(&result, "routes") {
                let since: &[&str] =
                    if newest { &["gw", "mtu", "advmss", "priority", "table", "scope"] } else { &["gw"] };
                assert_keys(route, &["dst"], since);
            }
        },
    );
}

#[test]
fn addresses_alone_come_without_interfaces() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, _| subject.role == Role::Ipam,
        |trial| {
            let before = trial.node.pod_state("c1");
            let result = trial.add();
            assert!(result.get("interfaces").is_none(), "{result}");
            assert!(list(&result, "ips").iter().all(|ip| ip.get("interface").is_none()), "{result}");
            assert_eq!(list(&result, "ips").len(), 2);
            assert_eq!(list(&result, "routes").len(), 2);
            assert_eq!(trial.node.pod_state("c1"), before);
        },
    );
}

/// The kernel's own account of a namespace: `ip -j` with these arguments.
fn kernel(trial: &Trial<'_>, sandbox: &str, args: &str) -> Vec<Value> {
    let json = if sandbox.is_empty() {
        trial.node.sh(&format!("ip -j {args}"))
    } else {
        trial.node.sh(&format!("ip -n {} -j {args}", sandbox.trim_start_matches("/run/netns/")))
    };
    serde_json::from_str(&json).unwrap()
}

fn assert_interface(trial: &Trial<'_>, interface: &Value) {
    let sandbox = interface["sandbox"].as_str().unwrap_or_default();
    let link = &kernel(trial, sandbox, &format!("link show dev {}", text(interface, "name")))[0];
    // The reference reads a bridge's MAC address before its first port changes it.
    let is_theirs_to_change = !trial.subject.is_ours && sandbox.is_empty();
    assert!(is_theirs_to_change || link["address"] == interface["mac"], "{link} is not {interface}");
    assert!(link["flags"].as_array().unwrap().contains(&json!("UP")), "{link}");
    assert!(interface["mtu"].is_null() || link["mtu"] == interface["mtu"], "{link} is not {interface}");
}

fn assert_address(trial: &Trial<'_>, result: &Value, ip: &Value) {
    let index = usize::try_from(ip["interface"].as_u64().unwrap()).unwrap();
    let interface = &result["interfaces"][index];
    assert_eq!(text(interface, "name"), "eth0");
    let present = kernel(trial, text(interface, "sandbox"), "addr show dev eth0");
    let has = |one: &Value| {
        let [local, prefix] = [&one["local"], &one["prefixlen"]];
        format!("{}/{prefix}", local.as_str().unwrap()) == text(ip, "address")
            && one.get("tentative").is_none()
    };
    assert!(present[0]["addr_info"].as_array().unwrap().iter().any(has), "{ip} is not in {present:?}");
}

fn assert_route(trial: &Trial<'_>, route: &Value) {
    let dst = text(route, "dst");
    let family = if dst.contains(':') { "-6" } else { "-4" };
    let shown = match dst {
        "0.0.0.0/0" | "::/0" => "default",
        other => other.trim_end_matches("/32").trim_end_matches("/128"),
    };
    let present = kernel(trial, "/run/netns/c1", &format!("{family} route show dev eth0"));
    let has = |one: &Value| one["dst"] == shown && (route["gw"].is_null() || one["gateway"] == route["gw"]);
    assert!(present.iter().any(has), "{route} is not in {present:?}");
}

#[test]
fn what_the_result_says_is_in_the_kernel() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, _| subject.role == Role::Main,
        |trial| {
            let result = trial.add();
            let interfaces = list(&result, "interfaces");
            interfaces.iter().for_each(|interface| assert_interface(trial, interface));
            let inside: Vec<&Value> = interfaces.iter().filter(|one| one.get("sandbox").is_some()).collect();
            assert_eq!(inside.len(), 1);
            assert_eq!((text(inside[0], "name"), text(inside[0], "sandbox")), ("eth0", "/run/netns/c1"));
            list(&result, "ips").iter().for_each(|ip| assert_address(trial, &result, ip));
            assert!(!list(&result, "routes").is_empty());
            list(&result, "routes").iter().for_each(|route| assert_route(trial, route));
        },
    );
}

#[test]
fn an_interface_that_is_there_already_stays_as_it_is() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, _| subject.role == Role::Main,
        |trial| {
            trial.without_pods();
            for script in [
                "ip link add eth0 type bridge; ip link set eth0 up; ip addr add 192.0.2.9/24 dev eth0",
                "ip link del eth0; ip link add eth0 type veth peer name eth9; ip link set eth0 up",
            ] {
                trial.node.in_pod("c1", script);
                let before = trial.state();
                error_of(&trial.call("ADD", &trial.config()));
                trial.assert_state(&before);
            }
        },
    );
}

#[test]
fn a_second_add_is_refused_and_the_first_stays_as_it_is() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, _| subject.role != Role::Chained,
        |trial| {
            let result = trial.add();
            let before = trial.state();
            error_of(&trial.call("ADD", &trial.config()));
            error_of(&trial.call("ADD", &trial.config()));
            trial.assert_state(&before);
            if trial.version >= "0.4.0" {
                assert_eq!(trial.call("CHECK", &trial.after(&result)).success(), "");
            }
            assert_eq!(trial.call("DEL", &trial.after(&result)).success(), "");
            trial.add();
        },
    );
}

#[test]
fn two_pods_have_addresses_of_their_own() {
    needs!("ip", "nft", "/usr/lib/cni/bridge");
    each(
        |subject, version| subject.role != Role::Chained && version == "1.0.0",
        |trial| {
            trial.node.pod("c2");
            let config = trial.config();
            let [one, other] = ["c1", "c2"].map(|pod| -> Value {
                let run = trial.call_as(&crate::harness::cni::Call::new("ADD", pod, &config));
                serde_json::from_str(&run.success()).unwrap()
            });
            for ip in list(&one, "ips") {
                assert!(list(&other, "ips").iter().all(|of_other| of_other["address"] != ip["address"]));
            }
        },
    );
}
