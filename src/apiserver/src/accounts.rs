//! Which numbers are in use: addresses and node ports. A free one is found in the logarithm of what is in use, however
//! full a range is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use serde_json::Value;

use super::object::Object;
use super::resource::Account;

/// A set of numbers, as runs without a gap. A number may be in it more than once.
#[derive(Debug, Default)]
struct Runs {
    /// The last number of each run, by its first.
    runs: BTreeMap<u128, u128>,
    /// How often a number is in the set beyond once.
    more: BTreeMap<u128, u32>,
}

impl Runs {
    /// The run that has `number` in it.
    fn run_of(&self, number: u128) -> Option<(u128, u128)> {
        let (&first, &last) = self.runs.range(..=number).next_back()?;
        (last >= number).then_some((first, last))
    }

    fn add(&mut self, number: u128) {
        if self.run_of(number).is_some() {
            *self.more.entry(number).or_default() += 1;
            return;
        }
        let before = number.checked_sub(1).and_then(|before| self.run_of(before));
        let after = number.checked_add(1).and_then(|after| self.runs.remove(&after));
        let first = before.map_or(number, |(first, _)| first);
        self.runs.insert(first, after.unwrap_or(number));
    }

    fn remove(&mut self, number: u128) {
        if let Some(more) = self.more.get_mut(&number) {
            *more -= 1;
            if *more == 0 {
                self.more.remove(&number);
            }
            return;
        }
        let Some((first, last)) = self.run_of(number) else { return };
        self.runs.remove(&first);
        if first < number {
            self.runs.insert(first, number - 1);
        }
        if number < last {
            self.runs.insert(number + 1, last);
        }
    }

    fn free(&self, first: u128, last: u128) -> Option<u128> {
        let free = match self.run_of(first) {
            Some((_, end)) => end.checked_add(1)?,
            None => first,
        };
        (free <= last).then_some(free)
    }

    fn used(&self, first: u128, last: u128) -> u128 {
        let reaching_in = self.run_of(first);
        let inside =
            first.checked_add(1).filter(|next| *next <= last).map(|next| self.runs.range(next..=last));
        let inside = inside.into_iter().flatten().map(|(&start, &end)| (start, end));
        reaching_in.into_iter().chain(inside).map(|(start, end)| end.min(last) - start.max(first) + 1).sum()
    }
}

/// All accounts.
#[derive(Debug, Default)]
pub struct Accounts {
    accounts: HashMap<Account, Runs>,
}

/// A number that is in use.
pub type Entry = (Account, u128);

impl Accounts {
    /// Enters what `object` has.
    pub fn add(&mut self, plural: &str, object: &Object) -> Vec<Entry> {
        let entries = numbers(plural, object);
        self.enter(&entries);
        entries
    }

    /// Enters what [`Self::remove`] took out.
    pub fn enter(&mut self, entries: &[Entry]) {
        for (account, number) in entries {
            self.accounts.entry(*account).or_default().add(*number);
        }
    }

    /// Strikes out what `object` had.
    pub fn remove(&mut self, plural: &str, object: &Object) -> Vec<Entry> {
        let entries = numbers(plural, object);
        self.strike_out(&entries);
        entries
    }

    /// Takes out what [`Self::add`] entered.
    pub fn strike_out(&mut self, entries: &[Entry]) {
        for (account, number) in entries {
            self.accounts.entry(*account).or_default().remove(*number);
        }
    }

    /// The lowest number from `first` to `last`, both included, that nobody has.
    pub fn free(&self, account: Account, first: u128, last: u128) -> Option<u128> {
        match self.accounts.get(&account) {
            _ if first > last => None,
            None => Some(first),
            Some(runs) => runs.free(first, last),
        }
    }

    /// How many numbers from `first` to `last` somebody has.
    pub fn used(&self, account: Account, first: u128, last: u128) -> u128 {
        let runs = self.accounts.get(&account).filter(|_| first <= last);
        runs.map_or(0, |runs| runs.used(first, last))
    }
}

/// An address as a number.
pub fn number_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// The numbers that an object has.
fn numbers(plural: &str, object: &Object) -> Vec<Entry> {
    let mut entries = own_numbers(plural, object);
    let owners = object.owners().filter_map(|owner| number_of_uid(owner["uid"].as_str()?));
    entries.extend(owners.map(|uid| (Account::Owner, uid)));
    entries
}

/// A uid as a number; `None` where it is none that is given out here.
pub fn number_of_uid(uid: &str) -> Option<u128> {
    let is_digit = |c: char| c.is_ascii_hexdigit();
    let digits: String = uid.chars().filter(|c| *c != '-').collect();
    if digits.len() == 32 && digits.chars().all(is_digit) {
        u128::from_str_radix(&digits, 16).ok()
    } else {
        None
    }
}

fn own_numbers(plural: &str, object: &Object) -> Vec<Entry> {
    match plural {
        "ipaddresses" => {
            let ip: Option<IpAddr> = object.name().parse().ok();
            ip.map(|ip| (if ip.is_ipv4() { Account::V4 } else { Account::V6 }, number_of(ip)))
                .into_iter()
                .collect()
        }
        "services" => of_service(object),
        "namespaces" if object.is_being_deleted() => vec![(Account::Terminating, 0)],
        _ => Vec::new(),
    }
}

fn of_service(service: &Object) -> Vec<Entry> {
    let spec = service.spec();
    let ports = spec["ports"].as_array().into_iter().flatten().map(|port| &port["nodePort"]);
    let ports =
        ports.chain([&spec["healthCheckNodePort"]]).filter_map(Value::as_u64).filter(|port| *port > 0);
    let mut ports: Vec<u128> = ports.map(u128::from).collect();
    // A port of two protocols is one port.
    ports.sort_unstable();
    ports.dedup();
    let status = service.0.get("status").unwrap_or(&Value::Null);
    let ingress = status["loadBalancer"]["ingress"].as_array().into_iter().flatten();
    let ips = ingress.filter_map(|ingress| ingress["ip"].as_str()?.parse::<IpAddr>().ok());
    let of_ip = |ip: IpAddr| {
        let account = if ip.is_ipv4() { Account::LoadBalancerV4 } else { Account::LoadBalancerV6 };
        (account, number_of(ip))
    };
    let waiting = waiting(service).into_iter().map(|family| (Account::Waiting, family));
    ports.into_iter().map(|port| (Account::NodePort, port)).chain(ips.map(of_ip)).chain(waiting).collect()
}

/// The families, 4 or 6, of which a Service of type LoadBalancer has no address yet.
pub fn waiting(service: &Object) -> Vec<u128> {
    let spec = service.spec();
    if spec["type"] != "LoadBalancer" || !spec["loadBalancerClass"].is_null() {
        return Vec::new();
    }
    let status = service.0.get("status").unwrap_or(&Value::Null);
    let has = |is_ipv4: bool| {
        let ingress = status["loadBalancer"]["ingress"].as_array().into_iter().flatten();
        let mut ips = ingress.filter_map(|ingress| ingress["ip"].as_str()?.parse::<IpAddr>().ok());
        ips.any(|ip| ip.is_ipv4() == is_ipv4)
    };
    let families = spec["ipFamilies"].as_array().into_iter().flatten();
    families
        .filter_map(|family| match family.as_str() {
            Some("IPv4") if !has(true) => Some(4),
            Some("IPv6") if !has(false) => Some(6),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::json;

    use super::*;

    #[test]
    fn runs_are_a_set() {
        let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
        // A fixed sequence that comes back to each number often.
        let mut state: u64 = 88_172_645_463_325_252;
        for _ in 0..20_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let number = u128::from(state % 64);
            if state & 0x100 == 0 && !set.contains(&number) {
                runs.add(number);
                set.insert(number);
            } else if set.remove(&number) {
                runs.remove(number);
            }
            let (first, last) = (u128::from(state >> 32 & 63), u128::from(state >> 40 & 63));
            if first <= last {
                assert_eq!(runs.free(first, last), (first..=last).find(|number| !set.contains(number)));
                assert_eq!(runs.used(first, last), set.range(first..=last).count() as u128);
            }
        }
        assert!(runs.runs.len() <= 33, "{runs:?}");
    }

    #[test]
    fn the_ends_of_all_numbers_and_numbers_twice() {
        let mut runs = Runs::default();
        for number in [0, u128::MAX, 1, u128::MAX - 1, 1] {
            runs.add(number);
        }
        assert_eq!((runs.free(0, 5), runs.free(u128::MAX - 1, u128::MAX)), (Some(2), None));
        assert_eq!(runs.used(0, u128::MAX), 4);
        runs.remove(1);
        assert_eq!(runs.free(0, 5), Some(2));
        runs.remove(1);
        assert_eq!(runs.free(0, 5), Some(1));
        runs.remove(77);
    }

    #[test]
    fn what_objects_have() {
        let object = |value: Value| Object::from_value(value).unwrap();
        let service = object(json!({
            "spec": {"healthCheckNodePort": 32000, "ports": [
                {"nodePort": 30001, "protocol": "TCP"}, {"nodePort": 30001, "protocol": "UDP"}, {"port": 80}]},
            "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.1"}, {"ip": "2001:db8::1"}, {"hostname": "a"}]}},
        }));
        let mut accounts = Accounts::default();
        accounts.add("services", &service);
        accounts.add("ipaddresses", &object(json!({"metadata": {"name": "10.96.0.1"}})));
        accounts.add("ipaddresses", &object(json!({"metadata": {"name": "fd00::1"}})));
        accounts.add("endpoints", &service);
        assert_eq!(accounts.used(Account::NodePort, 30_000, 32_767), 2);
        assert_eq!(accounts.free(Account::NodePort, 30_001, 30_001), None);
        assert_eq!(accounts.used(Account::V4, 0, u128::MAX), 1);
        assert_eq!(accounts.used(Account::V6, 0, u128::MAX), 1);
        let v4 = number_of("192.0.2.0".parse().unwrap());
        assert_eq!(accounts.free(Account::LoadBalancerV4, v4 + 1, v4 + 9), Some(v4 + 2));
        assert_eq!(accounts.used(Account::LoadBalancerV6, 0, u128::MAX), 1);
        accounts.remove("services", &service);
        assert_eq!(accounts.used(Account::NodePort, 0, 65_535), 0);
        assert_eq!(accounts.free(Account::NodePort, 5, 4), None);
    }
}
