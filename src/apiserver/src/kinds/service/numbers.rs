//! The numbers that a Service takes in the accounts: its node ports, its external addresses, and the families in which it
//! waits for one.

use std::net::IpAddr;

use serde_json::Value;

use crate::accounts::{Account, Entry};
use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::object::Object;

/// The numbers of `service`.
pub(super) fn of(service: &Object) -> Vec<Entry> {
    let spec = service.spec();
    let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
    let ports =
        ports.chain([&spec["healthCheckNodePort"]]).filter_map(Value::as_u64).filter(|port| *port > 0);
    let mut ports: Vec<u128> = ports.map(u128::from).collect();
    // A port with two protocols counts once.
    ports.sort_unstable();
    ports.dedup();
    let of_ip = |ip| (IpFamily::of(ip).load_balancer_account(), number(ip));
    let waiting = waiting(service).into_iter().map(|family| (Account::Waiting, family.waiting_number()));
    let ports = ports.into_iter().map(|port| (Account::NodePort, port));
    ports.chain(external(service).map(of_ip)).chain(waiting).collect()
}

/// The addresses in `status.loadBalancer.ingress`.
fn external(service: &Object) -> impl Iterator<Item = IpAddr> {
    let status = service.0.get("status").unwrap_or(&Value::Null);
    let ingress = status["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    ingress.filter_map(|ingress| ingress["ip"].as_str()?.parse().ok())
}

/// The families of which a Service of type LoadBalancer has no address yet.
pub(in crate::kinds) fn waiting(service: &Object) -> Vec<IpFamily> {
    let spec = service.spec();
    if spec["type"] != "LoadBalancer" || !spec["loadBalancerClass"].is_null() {
        return Vec::new();
    }
    let families = spec["ipFamilies"].as_array().into_iter().flatten();
    let families = families.filter_map(|family| IpFamily::from_name(family.as_str()?));
    families.filter(|family| !external(service).any(|ip| IpFamily::of(ip) == *family)).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::accounts::{Accounts, number_of};
    use crate::kind::Kind;
    use crate::kinds::{ip_address, namespace, service};

    #[test]
    fn what_objects_have() {
        let object = |value: Value| Object::from_value(value).unwrap();
        let service = object(json!({
            "spec": {"healthCheckNodePort": 32000, "ports": [
                {"nodePort": 30001, "protocol": "TCP"}, {"nodePort": 30001, "protocol": "UDP"}, {"port": 80}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}, {"hostname": "a"}]}},
        }));
        let mut accounts = Accounts::default();
        let add =
            |accounts: &mut Accounts, kind: &Kind, object: &Object| accounts.enter(&kind.entries(object));
        add(&mut accounts, &service::KIND, &service);
        add(&mut accounts, &ip_address::KIND, &object(json!({"metadata": {"name": "10.96.0.1"}})));
        add(&mut accounts, &ip_address::KIND, &object(json!({"metadata": {"name": "fd00::1"}})));
        add(&mut accounts, &namespace::KIND, &service);
        assert_eq!(accounts.used(Account::NodePort, 30_000, 32_767), 2);
        assert_eq!(accounts.free(Account::NodePort, 30_001, 30_001), None);
        assert_eq!(accounts.used(Account::V4, 0, u128::MAX), 1);
        assert_eq!(accounts.used(Account::V6, 0, u128::MAX), 1);
        let v4 = number_of("192.0.2.0".parse().unwrap());
        assert_eq!(accounts.free(Account::LoadBalancerV4, v4 + 1, v4 + 9), Some(v4 + 2));
        assert_eq!(accounts.used(Account::LoadBalancerV6, 0, u128::MAX), 1);
        accounts.strike_out(&service::KIND.entries(&service));
        assert_eq!(accounts.used(Account::NodePort, 0, 65_535), 0);
        assert_eq!(accounts.free(Account::NodePort, 5, 4), None);
    }
}
