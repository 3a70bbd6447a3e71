//! Transactions on the table: all of their steps, or none.

use std::io;

use super::error::MasqueradeError;
use super::layout::{self};
use super::layout::{
    CHAIN, FAMILY, RULE_CHAIN, RULE_EXPRESSIONS, SET_NAME, Set, TABLE, in_table, named, rules,
};
use crate::net::netfilter::intervals::{ELEMENTS, Item, Network, interval};
use crate::net::netfilter::message::Attributes;
use crate::net::netfilter::operations::{
    APPEND, CREATE, DELETE_ELEMENT, DELETE_TABLE, NEW_CHAIN, NEW_ELEMENT, NEW_RULE, NEW_SET, NEW_TABLE,
};
use crate::net::netfilter::socket::{Change, Netfilter, Refusal};

/// A message has elements of at most so many bytes: a list is an attribute, and those end at 64 KiB.
const LIST_MAX: usize = 48 * 1024;

/// A network in a set.
pub(super) type Member = (Set, Network);

/// Steps to make.
#[derive(Debug, Default)]
pub(super) struct Transaction {
    steps: Vec<Change>,
    /// The words after "cannot" in a step's error.
    names: Vec<String>,
}

impl Transaction {
    fn push(&mut self, operation: u16, flags: u16, attributes: Attributes, name: String) {
        self.steps.push(Change { operation, flags, family: FAMILY, attributes });
        self.names.push(name);
    }

    pub(super) fn remove_table(&mut self) {
        self.push(DELETE_TABLE, 0, in_table(), format!("remove the table inet {TABLE}"));
    }

    /// Makes the table without elements, in place of the one that may be there.
    pub(super) fn make_table(&mut self) {
        let make = || format!("make the table inet {TABLE}");
        // So that there is one to remove.
        self.push(NEW_TABLE, CREATE, in_table(), make());
        self.remove_table();
        self.push(NEW_TABLE, CREATE, in_table(), make());
        for (set, id) in Set::all().zip(1..) {
            let about = set.describe().number(10, id);
            self.push(NEW_SET, CREATE, about, format!("make the set {}", set.name()));
        }
        self.push(NEW_CHAIN, CREATE, layout::chain(), format!("make the chain {CHAIN}"));
        for (rule, number) in rules().iter().zip(1..) {
            let about = named(RULE_CHAIN, CHAIN).nested(RULE_EXPRESSIONS, rule.expressions());
            let name = format!("make rule {number} of the chain {CHAIN}");
            self.push(NEW_RULE, CREATE | APPEND, about, name);
        }
    }

    /// Adds networks to their sets.
    pub(super) fn add<'a>(&mut self, members: impl Iterator<Item = &'a Member>) {
        self.elements(members, (NEW_ELEMENT, CREATE), "add");
    }

    /// Takes networks out of their sets.
    pub(super) fn take_away<'a>(&mut self, members: impl Iterator<Item = &'a Member>) {
        self.elements(members, (DELETE_ELEMENT, 0), "take away");
    }

    fn elements<'a>(
        &mut self,
        members: impl Iterator<Item = &'a Member>,
        (operation, flags): (u16, u16),
        verb: &str,
    ) {
        let mut lists: [(Attributes, Vec<String>); 4] = Default::default();
        let sets: Vec<Set> = Set::all().collect();
        for (set, network) in members {
            let Some(at) = sets.iter().position(|other| other == set) else { continue };
            let (list, shown) = &mut lists[at];
            for item in interval(network, None) {
                *list = std::mem::take(list).nested(1, &Item::describe(&item, operation == DELETE_ELEMENT));
            }
            shown.push(network.to_string());
            if list.len() > LIST_MAX {
                let (list, shown) = std::mem::take(&mut lists[at]);
                self.list(*set, (operation, flags), verb, &list, &shown);
            }
        }
        for (set, (list, shown)) in sets.into_iter().zip(&lists) {
            if !shown.is_empty() {
                self.list(set, (operation, flags), verb, list, shown);
            }
        }
    }

    fn list(
        &mut self,
        set: Set,
        (operation, flags): (u16, u16),
        verb: &str,
        list: &Attributes,
        shown: &[String],
    ) {
        let what = match shown {
            [network] => network.clone(),
            all => format!("{} networks", all.len()),
        };
        let about = named(SET_NAME, set.name()).nested(ELEMENTS, list);
        self.push(operation, flags, about, format!("{verb} {what} in the set {}", set.name()));
    }

    /// Makes all steps, or none.
    pub(super) fn commit(&self, netfilter: &mut Netfilter) -> Result<(), MasqueradeError> {
        if self.steps.is_empty() {
            return Ok(());
        }
        netfilter.transact(None, self.steps.iter()).map_err(|refusal| self.explain(refusal))
    }

    fn explain(&self, Refusal { change, cause }: Refusal) -> MasqueradeError {
        match change.and_then(|index| self.names.get(index)) {
            Some(step) => MasqueradeError::Refused { step: step.clone(), cause },
            None => MasqueradeError::of_socket("change")(cause),
        }
    }
}

/// Whether an object was not there.
pub(super) fn is_absent(error: &MasqueradeError) -> bool {
    matches!(error, MasqueradeError::Refused { cause, .. } if cause.kind() == io::ErrorKind::NotFound)
}
