//! The table: what is in it, and how it becomes what it has to be.

use std::collections::BTreeSet;
use std::os::fd::{AsFd, BorrowedFd};

use super::error::MasqueradeError;
use super::layout::{
    self, Addresses, CHAIN, CHAIN_NAME, FAMILY, RULE_CHAIN, SET_NAME, Set, TABLE, in_table, named, rules,
};
use super::transaction::{Member, Transaction, is_absent};
use crate::net::netfilter::intervals::{Network, intervals, items};
use crate::net::netfilter::message::{covers, find, text};
use crate::net::netfilter::notices::TableNotices;
use crate::net::netfilter::operations::{GET_CHAIN, GET_ELEMENT, GET_RULE, GET_SET, GET_TABLE};
use crate::net::netfilter::socket::Netfilter;
use crate::net::nft::table::is_rule;
use pod::addresses::IpFamily;

/// The attribute with a table's flags.
const TABLE_FLAGS: u16 = 2;

/// What is masqueraded. The networks of each list neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Masquerading {
    /// The addresses of this node's pods.
    pub pods: Vec<Network>,
    /// Where pods connect to with their own addresses.
    pub inside: Vec<Network>,
}

/// What [`MasqueradeTable::apply`] did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Nothing: the table was as it has to be.
    Unchanged,
    /// It changed elements.
    Changed,
    /// It made the table anew.
    Replaced,
}

/// The table of the network namespace in which it was opened.
pub struct MasqueradeTable {
    netfilter: Netfilter,
    port: u32,
}

impl MasqueradeTable {
    /// Opens a socket in the calling thread's network namespace. The table need not exist.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn open() -> Result<Self, MasqueradeError> {
        let failed = MasqueradeError::of_socket("open a socket to");
        let mut netfilter = Netfilter::new().map_err(&failed)?;
        let port = netfilter.bind().map_err(&failed)?;
        Ok(Self { netfilter, port })
    }

    /// Makes the table what it has to be, in one transaction; no connection is cut.
    ///
    /// # Errors
    /// The kernel's answer; the table is as it was.
    pub fn apply(&mut self, wanted: &Masquerading) -> Result<Outcome, MasqueradeError> {
        let wanted: BTreeSet<Member> = members(wanted).collect();
        if let Some(present) = self.read()? {
            let mut transaction = Transaction::default();
            transaction.take_away(present.difference(&wanted));
            transaction.add(wanted.difference(&present));
            match transaction.commit(&mut self.netfilter) {
                Ok(()) if present == wanted => return Ok(Outcome::Unchanged),
                Ok(()) => return Ok(Outcome::Changed),
                // Somebody else has changed it since, or the kernel does not take these changes together.
                Err(MasqueradeError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        let mut transaction = Transaction::default();
        transaction.make_table();
        transaction.add(wanted.iter());
        transaction.commit(&mut self.netfilter)?;
        Ok(Outcome::Replaced)
    }

    /// Removes the table. Returns false if there was none.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn remove(&mut self) -> Result<bool, MasqueradeError> {
        if self.table()?.is_none() {
            return Ok(false);
        }
        let mut transaction = Transaction::default();
        transaction.remove_table();
        match transaction.commit(&mut self.netfilter) {
            Err(error) if is_absent(&error) => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// Watches for changes that others make in the table.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn watch(&self) -> Result<MasqueradeChanges, MasqueradeError> {
        let notices = TableNotices::of(TABLE).map_err(MasqueradeError::of_socket("watch"))?;
        let mut changes = MasqueradeChanges { notices, own: self.port };
        changes.read()?;
        Ok(changes)
    }

    /// The networks in the table; `None` if it does not exist or is not what this version makes.
    fn read(&mut self) -> Result<Option<BTreeSet<Member>>, MasqueradeError> {
        let Some(table) = self.table()? else { return Ok(None) };
        // A table with flags is switched off, or belongs to a program.
        let flags = find(&table, TABLE_FLAGS).unwrap_or_default();
        if flags.iter().any(|byte| *byte != 0) || !self.has_sets()? || !self.has_chain()? {
            return Ok(None);
        }
        let mut present = BTreeSet::new();
        for set in Set::all() {
            let about = named(SET_NAME, set.name());
            let unread = |cause| MasqueradeError::unread(format!("set {}", set.name()), cause);
            let messages = self.netfilter.list(FAMILY, GET_ELEMENT, &about).map_err(unread)?;
            let messages = messages.unwrap_or_default();
            let items: Option<Vec<_>> = messages.iter().flat_map(|message| items(message)).collect();
            let Some(networks) = items.and_then(|items| intervals(set.1, items)) else { return Ok(None) };
            present.extend(networks.into_iter().map(|(network, _)| (set, network)));
        }
        Ok(Some(present))
    }

    fn table(&mut self) -> Result<Option<Vec<u8>>, MasqueradeError> {
        let found = self.netfilter.get(FAMILY, GET_TABLE, &in_table());
        found.map_err(|cause| MasqueradeError::unread(format!("table inet {TABLE}"), cause))
    }

    /// The table's objects of a kind.
    fn own(&mut self, operation: u16, what: &str) -> Result<Vec<Vec<u8>>, MasqueradeError> {
        let found = self.netfilter.list(FAMILY, operation, &in_table());
        let found = found.map_err(|cause| MasqueradeError::unread(what.to_owned(), cause))?;
        let is_own = |found: &Vec<u8>| find(found, 1).is_some_and(|table| text(table) == TABLE);
        Ok(found.unwrap_or_default().into_iter().filter(is_own).collect())
    }

    fn has_sets(&mut self) -> Result<bool, MasqueradeError> {
        let found = self.own(GET_SET, "sets")?;
        let is_there = |set: Set| found.iter().any(|found| covers(found, set.describe().as_bytes()));
        Ok(found.len() == Set::all().count() && Set::all().all(is_there))
    }

    fn has_chain(&mut self) -> Result<bool, MasqueradeError> {
        let found = self.own(GET_CHAIN, "chains")?;
        let [chain] = found.as_slice() else { return Ok(false) };
        if find(chain, CHAIN_NAME).is_none_or(|name| text(name) != CHAIN)
            || !covers(chain, layout::chain().as_bytes())
        {
            return Ok(false);
        }
        let found = self.own(GET_RULE, "rules")?;
        let rules = rules();
        let is_same = |(found, rule): (&Vec<u8>, _)| {
            find(found, RULE_CHAIN).is_some_and(|chain| text(chain) == CHAIN) && is_rule(found, rule)
        };
        Ok(found.len() == rules.len() && found.iter().zip(&rules).all(is_same))
    }
}

fn members(wanted: &Masquerading) -> impl Iterator<Item = Member> {
    let of = |addresses, networks: &[Network]| -> Vec<Member> {
        let set = |network: &Network| Set(addresses, IpFamily::of(network.first));
        networks.iter().map(|network| (set(network), *network)).collect()
    };
    of(Addresses::Pods, &wanted.pods).into_iter().chain(of(Addresses::Inside, &wanted.inside))
}

/// A socket that is readable when somebody has changed the table.
#[derive(Debug)]
pub struct MasqueradeChanges {
    notices: TableNotices,
    /// The table's own socket.
    own: u32,
}

impl MasqueradeChanges {
    /// Reads what has arrived, without waiting; tells whether another program may have changed the table.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn read(&mut self) -> Result<bool, MasqueradeError> {
        self.notices.has_foreign_change(self.own).map_err(MasqueradeError::of_socket("watch"))
    }
}

impl AsFd for MasqueradeChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.notices.as_fd()
    }
}
