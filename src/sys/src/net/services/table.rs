//! The table: what is in it, and changes.

use std::collections::BTreeSet;
use std::io;

use super::chains::Chain;
use super::element::{Element, Network};
use super::error::ServicesError;
use super::maps::{Map, Purpose};
use super::transaction::{Action, commit, refused, try_out};
use super::{listed, read};
use crate::net::netfilter::intervals::overlap;
use crate::net::netfilter::socket::Netfilter;
use pod::addresses::IpFamily;

/// The table of the network namespace in which it was opened.
pub struct Table {
    netfilter: Netfilter,
    port: u32,
}

/// What is in the kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Present {
    /// There is no table.
    Absent,
    /// The table is of another version, or parts of it are missing or changed.
    Different,
    /// The table with these elements.
    Intact(Vec<Element>),
}

impl Table {
    /// Opens a socket in the calling thread's network namespace. The table need not exist.
    pub fn open() -> Result<Self, ServicesError> {
        let failed = ServicesError::of_socket("open a socket to");
        let mut netfilter = Netfilter::new().map_err(&failed)?;
        let port = netfilter.bind().map_err(&failed)?;
        Ok(Self { netfilter, port })
    }

    /// Reads the table.
    pub fn read(&mut self) -> Result<Present, ServicesError> {
        read::present(&mut self.netfilter)
    }

    /// Whether there is a table, whatever is in it.
    pub fn is_there(&mut self) -> Result<bool, ServicesError> {
        read::has_table(&mut self.netfilter)
    }

    /// Lets the kernel check the whole table without making it, to see whether it has all that the table needs. There
    /// must be no table.
    pub fn try_out(&mut self) -> Result<(), ServicesError> {
        try_out(&mut self.netfilter)
    }

    /// Makes the table with these elements, in place of the one that may be there. It is one transaction; connections are
    /// not cut, but clients with session affinity get an endpoint anew.
    pub fn replace(&mut self, elements: &[Element]) -> Result<(), ServicesError> {
        check(elements)?;
        let inside = IpFamily::ALL.map(|family| (family, insides(family, elements)));
        for (_, inside) in &inside {
            no_overlap(inside)?;
        }
        let timeouts: BTreeSet<_> = elements.iter().filter_map(read::timeout).collect();
        commit(&mut self.netfilter, |transaction| {
            transaction.make_table();
            for (family, seconds) in &timeouts {
                transaction.make_affinity(*family, *seconds);
            }
            for (family, inside) in &inside {
                transaction.cover(*family, inside);
            }
            transaction.elements(Action::Add, elements);
        })
    }

    /// Takes elements away and adds others in one transaction. An element to take away has to be there, with whatever
    /// value; one to add must not be there with another value.
    pub fn change(&mut self, removed: &[Element], added: &[Element]) -> Result<(), ServicesError> {
        check(removed)?;
        check(added)?;
        let timeouts: BTreeSet<_> = added.iter().filter_map(read::timeout).collect();
        let mut missing = Vec::new();
        for (family, seconds) in timeouts {
            if !read::has_chain(&mut self.netfilter, &Chain::affinity(family, seconds))? {
                missing.push((family, seconds));
            }
        }
        let mut inside = Vec::new();
        for family in IpFamily::ALL {
            inside.extend(self.changed_inside(family, removed, added)?.map(|inside| (family, inside)));
        }
        commit(&mut self.netfilter, |transaction| {
            for (family, seconds) in &missing {
                transaction.make_affinity(*family, *seconds);
            }
            for (family, inside) in &inside {
                let (before, after): (Vec<_>, Vec<_>) =
                    (inside.before.iter().collect(), inside.after.iter().collect());
                transaction.change_coverage(*family, &before, &after);
            }
            transaction.elements(Action::TakeAway, removed);
            transaction.elements(Action::Add, added);
        })
    }

    /// Removes the table. Returns false if there was none.
    pub fn remove(&mut self) -> Result<bool, ServicesError> {
        if !read::has_table(&mut self.netfilter)? {
            return Ok(false);
        }
        match commit(&mut self.netfilter, |transaction| transaction.remove_table()) {
            Err(ServicesError::Refused { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => Ok(false),
            other => other.map(|()| true),
        }
    }

    /// The number of the socket, by which [`super::Notices`] tells own changes from those of others.
    pub fn port_id(&self) -> u32 {
        self.port
    }

    /// The networks inside before and after a change, `None` if it does not touch them.
    fn changed_inside(
        &mut self,
        family: IpFamily,
        removed: &[Element],
        added: &[Element],
    ) -> Result<Option<Inside>, ServicesError> {
        let (removed, added) = (insides(family, removed), insides(family, added));
        if removed.is_empty() && added.is_empty() {
            return Ok(None);
        }
        let map = Map(Purpose::Origins, family);
        let items = read::items(&mut self.netfilter, map)?;
        let networks = items.and_then(|items| listed::inside(family, items));
        let Some(networks) = networks else {
            let first = removed.first().or(added.first()).copied();
            return first.map_or(Ok(None), |first| Err(refused("change", first, libc::ENOENT)));
        };
        let before: BTreeSet<Element> = networks.into_iter().map(Element::Inside).collect();
        let mut after = before.clone();
        for element in removed {
            if !after.remove(element) {
                return Err(refused("take away", element, libc::ENOENT));
            }
        }
        after.extend(added.iter().copied().copied());
        no_overlap(&after.iter().collect::<Vec<_>>())?;
        Ok(Some(Inside { before, after }))
    }
}

/// The networks inside, of one family, before and after a change.
struct Inside {
    before: BTreeSet<Element>,
    after: BTreeSet<Element>,
}

fn check(elements: &[Element]) -> Result<(), ServicesError> {
    for element in elements {
        let unusable = |cause| ServicesError::Unusable { element: Box::new(*element), cause };
        element.check().map_err(unusable)?;
    }
    Ok(())
}

/// The elements that are networks inside, of one family.
fn insides(family: IpFamily, elements: &[Element]) -> Vec<&Element> {
    elements.iter().filter(|element| element.map() == Map(Purpose::Origins, family)).collect()
}

fn no_overlap(inside: &[&Element]) -> Result<(), ServicesError> {
    let networks: BTreeSet<Network> = inside.iter().filter_map(|element| element.inside()).collect();
    match overlap(&networks) {
        Some(network) => Err(refused("add", &Element::Inside(*network), libc::EEXIST)),
        None => Ok(()),
    }
}
