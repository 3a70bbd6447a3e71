use std::collections::BTreeSet;

use super::*;
use crate::change::Change;

/// Numbers that look random and are the same in each run: those of SplitMix64.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let number = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (number ^ (number >> 31)) % limit
    }

    fn one_in(&mut self, limit: u64) -> bool {
        self.below(limit) == 0
    }

    fn some(&mut self, limit: u64, of: impl Fn(u64) -> String) -> Vec<String> {
        (0..self.below(limit)).map(|_| self.below(5)).map(of).collect()
    }

    fn addresses(&mut self, limit: u64, v4: &str, v6: &str) -> Vec<IpAddr> {
        let mut addresses = self.some(limit, |number| format!("{v4}{number}"));
        addresses.extend(self.some(limit, |number| format!("{v6}{number}")));
        addresses.iter().map(|address| address.parse().unwrap()).collect()
    }

    fn service(&mut self) -> Service {
        let protocols = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
        let port = |numbers: &mut Self| ServicePort {
            name: if numbers.one_in(2) { "a" } else { "b" }.into(),
            protocol: protocols[numbers.below(3) as usize],
            port: numbers.below(3) as u16,
            node_port: numbers.one_in(2).then(|| 30000 + numbers.below(3) as u16),
        };
        let ports = (0..=self.below(3)).map(|_| port(self)).collect();
        Service {
            created: self.below(3) as i64,
            ports,
            cluster_ips: self.addresses(3, "10.96.0.", "fd00:96::"),
            external_ips: self.addresses(3, "203.0.113.", "2001:db8:1::"),
            load_balancer_ips: self.addresses(3, "203.0.113.", "2001:db8:1::"),
            source_ranges: self
                .some(3, |number| format!("192.0.{number}.0/23"))
                .iter()
                .map(|it| it.parse().unwrap())
                .collect(),
            internal_local: self.one_in(3),
            external_local: self.one_in(2),
            affinity_seconds: self.one_in(3).then_some(60),
            health_check_node_port: None,
        }
    }

    fn slice(&mut self) -> Slice {
        let conditions = ["", " local", " unready", " ending", " local ending"];
        let prefix = if self.one_in(2) { "10.0.0." } else { "fd00::" };
        let count = if self.one_in(20) { 70 } else { self.below(4) };
        let endpoints: Vec<_> = (0..count)
            .map(|number| {
                let number = if count > 4 { number } else { self.below(6) };
                format!("{prefix}{number}{}", conditions[self.below(5) as usize])
            })
            .collect();
        let endpoints: Vec<_> = endpoints.iter().map(String::as_str).collect();
        let mut slice = slice(&endpoints);
        slice.service = format!("s{}", self.below(6));
        slice.ports[0].name = if self.one_in(2) { "a" } else { "b" }.into();
        slice.ports[0].protocol = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp][self.below(3) as usize];
        slice
    }

    fn change(&mut self, proxy: &mut Proxy) {
        match self.below(20) {
            0 => {
                let addresses = self.addresses(3, "203.0.113.", "2001:db8:1::");
                let zone = self.one_in(2).then(|| "a".to_owned());
                proxy.set_node(Node { addresses, zone, ..node() });
            }
            1..=10 => {
                let service = format!("s{}", self.below(6));
                let value = if self.one_in(4) { None } else { Some(self.service()) };
                proxy.set_service(name(&service), value);
            }
            _ => {
                let slice = format!("e{}", self.below(12));
                let value = if self.one_in(4) { None } else { Some(self.slice()) };
                proxy.set_slice(name(&slice), value);
            }
        }
    }
}

/// The part of an element by which the kernel's map knows it.
fn key(element: &Element) -> Element {
    let mut key = *element;
    match &mut key {
        Element::Service { handling, .. } => *handling = Handling::Drop,
        Element::Slot { endpoint, .. } => *endpoint = Endpoint { address: [0; 4].into(), port: 0 },
        _ => {}
    }
    key
}

/// A change must remove only what is there, and never add what is.
fn apply(present: &mut BTreeSet<Element>, change: &Change) {
    for element in change.removed() {
        assert!(present.remove(element), "{} was not there", line(element));
    }
    for element in change.added() {
        assert!(present.insert(*element), "{} was there", line(element));
    }
}

#[test]
fn changes_one_after_the_other_lead_to_what_is_wanted() {
    let mut conflicts = 0;
    for seed in 0..40 {
        let mut numbers = Numbers(seed);
        let mut proxy = Proxy::new(node());
        let mut present = BTreeSet::new();
        for _ in 0..200 {
            for _ in 0..=numbers.below(4) {
                numbers.change(&mut proxy);
            }
            if numbers.one_in(30) {
                let change = proxy.take_difference(present.iter().copied().collect());
                apply(&mut present, &change);
            } else {
                apply(&mut present, &proxy.take_change());
            }
            let wanted = proxy.wanted();
            assert!(present.iter().eq(&wanted));
            let keys: BTreeSet<_> = wanted.iter().map(key).collect();
            assert_eq!(keys.len(), wanted.len(), "two elements have one key");
            conflicts += proxy.conflicts().count();
        }
        assert_eq!(proxy.wanted(), rebuilt(&proxy).wanted());
    }
    assert!(conflicts > 1000, "the objects are too tame: {conflicts} conflicts");
}

/// A proxy that is given the same objects in another order.
fn rebuilt(proxy: &Proxy) -> Proxy {
    let mut other = Proxy::new(proxy.node.clone());
    for (service, entry) in proxy.services.iter().rev() {
        for slice in entry.slices.iter().rev() {
            let slice_value = Slice {
                service: service.name.clone(),
                family: slice.family,
                ports: slice.ports.to_vec(),
                endpoints: slice.endpoints.to_vec(),
            };
            other.set_slice((*slice.name).clone(), Some(slice_value));
        }
        if let Some(value) = &entry.service {
            other.set_service((**service).clone(), Some((**value).clone()));
        }
    }
    other
}
