//! Which addresses and node ports are in use. Finding a free one takes time logarithmic in the number of those in use,
//! however full a range is.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;

use uuid::Uuid;

/// The numbers that the registry counts, so that it never searches all objects for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Account {
    /// IPv4 addresses that IPAddresses name.
    V4,
    /// IPv6 addresses that IPAddresses name.
    V6,
    /// `spec.ports[].nodePort` of Services, and `spec.healthCheckNodePort`.
    NodePort,
    /// IPv4 addresses in `status.loadBalancer.ingress` of Services.
    LoadBalancerV4,
    /// IPv6 addresses there.
    LoadBalancerV6,
    /// 4 or 6 for each Service that waits for such an address of that family.
    Waiting,
    /// [`NAMESPACE_NUMBER`] or [`SERVICE_CIDR_NUMBER`] for each object of those kinds that is being deleted.
    Terminating,
}

/// The number of a Namespace in [`Account::Terminating`].
pub(crate) const NAMESPACE_NUMBER: u128 = 0;
/// The number of a ServiceCIDR in [`Account::Terminating`].
pub(crate) const SERVICE_CIDR_NUMBER: u128 = 1;

/// A multiset of numbers, stored as runs of consecutive numbers.
#[derive(Debug, Default)]
struct Runs {
    /// The last number of each run, by its first.
    runs: BTreeMap<u128, u128>,
    /// For each number that is in the set more than once: how many times more.
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

#[derive(Debug, Default)]
pub(crate) struct Accounts {
    accounts: HashMap<Account, Runs>,
}

/// A number that is in use, and the account it is in.
pub(crate) type Entry = (Account, u128);

impl Accounts {
    /// Enters the numbers of an object.
    pub(crate) fn enter(&mut self, entries: &[Entry]) {
        for (account, number) in entries {
            self.accounts.entry(*account).or_default().add(*number);
        }
    }

    /// Strikes the numbers of an object out.
    pub(crate) fn strike_out(&mut self, entries: &[Entry]) {
        for (account, number) in entries {
            self.accounts.entry(*account).or_default().remove(*number);
        }
    }

    /// The lowest free number from `first` to `last`, both included.
    pub(crate) fn free(&self, account: Account, first: u128, last: u128) -> Option<u128> {
        match self.accounts.get(&account) {
            _ if first > last => None,
            None => Some(first),
            Some(runs) => runs.free(first, last),
        }
    }

    /// How many numbers from `first` to `last` are in use.
    pub(crate) fn used(&self, account: Account, first: u128, last: u128) -> u128 {
        let runs = self.accounts.get(&account).filter(|_| first <= last);
        runs.map_or(0, |runs| runs.used(first, last))
    }
}

/// An address as a number.
pub(crate) fn number_of(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => u32::from(v4).into(),
        IpAddr::V6(v6) => v6.into(),
    }
}

/// A uid as a number; `None` if it is not a UUID, as every uid of this server is.
pub(crate) fn number_of_uid(uid: &str) -> Option<u128> {
    Uuid::try_parse(uid).ok().map(|uid| uid.as_u128())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn runs_are_a_set() {
        let (mut runs, mut set) = (Runs::default(), BTreeSet::new());
        // A fixed sequence that repeats each number often.
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
}
