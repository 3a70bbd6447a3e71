//! Objects in memory. Everything is searched for: tests are small.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde_json::Value;

use crate::accounts::Account;
use crate::kind::Kind;
use crate::kinds::family::{FamilyExt, number};
use crate::kinds::service::numbers::waiting;
use crate::kinds::{ip_address, namespace, service, service_cidr};
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;
use crate::time;

type Objects = BTreeMap<(&'static Kind, String, String), Object>;

/// The objects, by kind, namespace and name.
pub(crate) struct Store {
    pub(crate) objects: Objects,
    pub(crate) dry_run: bool,
    pub(crate) now: i64,
    /// How often all objects of a kind were listed, by kind.
    pub(crate) lists: BTreeMap<&'static Kind, usize>,
    version: u64,
    random: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self {
            objects: Objects::new(),
            dry_run: false,
            now: 1_800_000_000,
            lists: BTreeMap::new(),
            version: 0,
            random: 1,
        }
    }
}

fn key(kind: &'static Kind, namespace: &str, name: &str) -> (&'static Kind, String, String) {
    (kind, namespace.to_owned(), name.to_owned())
}

impl Store {
    pub(crate) fn object(&self, kind: &'static Kind, namespace: &str, name: &str) -> Option<Object> {
        self.objects.get(&key(kind, namespace, name)).cloned()
    }

    pub(crate) fn all(&self, kind: &'static Kind) -> Vec<Object> {
        let of_kind = self.objects.iter().filter(|((own, ..), _)| *own == kind);
        of_kind.map(|(_, object)| object.clone()).collect()
    }

    pub(crate) fn stamp(&mut self, object: &mut Object) {
        if object.uid().is_empty() {
            self.version += 1;
            let (uid, now) = (format!("uid-{}", self.version), time::format(self.now));
            object.metadata_mut().insert("uid".to_owned(), uid.into());
            object.metadata_mut().insert("creationTimestamp".to_owned(), now.into());
        }
    }

    pub(crate) fn insert(&mut self, kind: &'static Kind, object: &mut Object) {
        self.stamp(object);
        self.version += 1;
        object.metadata_mut().insert("resourceVersion".to_owned(), self.version.to_string().into());
        self.objects.insert(key(kind, object.namespace(), object.name()), object.clone());
    }

    pub(crate) fn erase(&mut self, kind: &'static Kind, object: &Object) {
        self.objects.remove(&key(kind, object.namespace(), object.name()));
    }

    /// The numbers that are in use, in order.
    fn numbers(&self, account: Account) -> Vec<u128> {
        let mut numbers: Vec<u128> = match account {
            Account::V4 | Account::V6 => {
                let addresses = self.all(&ip_address::KIND);
                let addresses = addresses.iter().filter_map(|object| object.name().parse().ok());
                addresses.filter(|ip: &IpAddr| ip.is_ipv4() == (account == Account::V4)).map(number).collect()
            }
            Account::NodePort => self.all(&service::KIND).iter().flat_map(node_ports).collect(),
            Account::LoadBalancerV4 | Account::LoadBalancerV6 => {
                let ips = self.all(&service::KIND).into_iter().flat_map(|service| ingress(&service));
                ips.filter(|ip| ip.is_ipv4() == (account == Account::LoadBalancerV4)).map(number).collect()
            }
            Account::Waiting => {
                let waiting = self.all(&service::KIND).iter().flat_map(waiting).collect::<Vec<_>>();
                waiting.into_iter().map(FamilyExt::waiting_number).collect()
            }
            Account::Terminating => [&namespace::KIND, &service_cidr::KIND]
                .into_iter()
                .flat_map(|kind| {
                    self.all(kind).iter().flat_map(|object| kind.entries(object)).collect::<Vec<_>>()
                })
                .map(|(_, number)| number)
                .collect(),
        };
        numbers.sort_unstable();
        numbers.dedup();
        numbers
    }
}

fn node_ports(service: &Object) -> Vec<u128> {
    let ports = service.spec()["ports"].as_array().cloned().unwrap_or_default();
    let own = ports.iter().map(|port| &port["nodePort"]).chain([&service.spec()["healthCheckNodePort"]]);
    own.filter_map(Value::as_u64).map(u128::from).collect()
}

fn ingress(service: &Object) -> Vec<IpAddr> {
    let ingress = service.0.get("status").map(|status| status["loadBalancer"]["ingress"].clone());
    let ingress = ingress.as_ref().and_then(Value::as_array).cloned().unwrap_or_default();
    ingress.iter().map(|one| one["ip"].as_str().unwrap().parse().unwrap()).collect()
}

impl Transaction for Store {
    fn is_dry_run(&self) -> bool {
        self.dry_run
    }

    fn now(&self) -> i64 {
        self.now
    }

    fn random(&mut self, bound: u128) -> u128 {
        // Knuth's multiplier: the tests need the same numbers each time.
        self.random =
            self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        u128::from(self.random >> 16) % bound
    }

    fn free(&mut self, account: Account, first: u128, last: u128) -> Option<u128> {
        let used = self.numbers(account);
        let mut free = first;
        for number in used.into_iter().filter(|number| *number >= first) {
            if number != free {
                break;
            }
            free += 1;
        }
        (free <= last).then_some(free)
    }

    fn used(&mut self, account: Account, first: u128, last: u128) -> u128 {
        self.numbers(account).iter().filter(|number| (first..=last).contains(*number)).count() as u128
    }

    fn get(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<Option<Object>, ApiError> {
        Ok(self.object(kind, namespace, name))
    }

    fn list(&mut self, kind: &'static Kind) -> Result<Vec<Object>, ApiError> {
        *self.lists.entry(kind).or_default() += 1;
        Ok(self.all(kind))
    }

    fn list_in(&mut self, kind: &'static Kind, namespace: &str) -> Result<Vec<Object>, ApiError> {
        let all = self.all(kind).into_iter();
        Ok(all.filter(|object| object.namespace() == namespace).collect())
    }

    fn put(&mut self, kind: &'static Kind, object: &mut Object) -> Result<(), ApiError> {
        self.insert(kind, object);
        Ok(())
    }

    fn remove(&mut self, kind: &'static Kind, namespace: &str, name: &str) -> Result<(), ApiError> {
        self.objects.remove(&key(kind, namespace, name));
        Ok(())
    }
}
