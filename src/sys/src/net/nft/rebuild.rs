//! The tables made anew: by the first pod, after somebody else has removed them (`nft flush ruleset`), and of those that
//! an earlier podhosts has made.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::chains::Chain;
use super::elements::{Element, of_and_not_of, taken};
use super::error::NftError;
use super::lock::lock;
use super::maps::Table;
use super::socket::{Batch, Netfilter};
use super::types::Rules;
use super::wanted::Wanted;

/// How many elements one transaction brings: its messages have to fit in a socket's buffer.
const AT_ONCE: usize = 256;

/// Whether one of the tables lacks its guard, and with it probably everything.
pub(super) fn is_damaged(netfilter: &mut Netfilter, tables: &BTreeSet<Table>) -> Result<bool, NftError> {
    for table in tables {
        if netfilter.has_other_rules(&Chain::guard(*table))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Puts back what is missing of what all attachments need. They are looked up while nobody else changes anything: one
/// that a DEL removes meanwhile would be put back when that DEL is done with it.
///
/// # Errors
/// [`NftError`].
pub fn repair(all: impl FnOnce() -> Vec<Rules>) -> Result<(), NftError> {
    let _lock = lock()?;
    let all = all();
    if all.is_empty() {
        return Ok(());
    }
    rebuild(&mut Netfilter::open()?, None, &all)
}

/// Makes the tables anew with what `own`, an attachment with its addresses, and `others` need, and leaves alone what is
/// there of them.
pub(super) fn rebuild(
    netfilter: &mut Netfilter,
    own: Option<(&Wanted, &[IpAddr])>,
    others: &[Rules],
) -> Result<(), NftError> {
    // What cannot be understood is of a later podhosts, and is not this one's to mend.
    let others: Vec<Wanted> = others.iter().filter_map(|rules| Wanted::new(rules).ok()).collect();
    let mut tables = Vec::new();
    for table in Table::ALL {
        if netfilter.has_table(table)? {
            tables.push(table);
        }
    }
    let present = netfilter.contents(tables.into_iter().flat_map(Table::maps))?.elements;
    let (stale, present) = of_and_not_of(own.map_or(&[], |(_, addresses)| addresses), present);
    let mut places: BTreeMap<_, &Element> =
        present.iter().map(|element| (element.place(), element)).collect();
    let mut missing = Vec::new();
    for element in others.iter().flat_map(|wanted| &wanted.elements) {
        // Of two that want one port, the first has it.
        if let std::collections::btree_map::Entry::Vacant(place) = places.entry(element.place()) {
            place.insert(element);
            missing.push(element);
        }
    }
    let all: Vec<Element> = present.iter().chain(missing.iter().copied()).cloned().collect();
    if let Some(taken) = own.and_then(|(wanted, _)| taken(&wanted.elements, &all)) {
        return Err(taken);
    }
    let chains = chains(netfilter, own.map(|(wanted, _)| wanted), &others)?;
    let first = match own {
        Some((wanted, _)) => wanted.batch_replacing(&chains, &stale, &all),
        None => chains_alone(&chains),
    };
    let own = own.map_or(&[][..], |(wanted, _)| &wanted.elements);
    let missing: Vec<&Element> = missing.into_iter().filter(|element| !own.contains(element)).collect();
    let rest = missing.chunks(AT_ONCE).map(|some| {
        let mut batch = Batch::default();
        some.iter().for_each(|element| batch.add(element));
        batch
    });
    for batch in [first].into_iter().chain(rest).filter(|batch| !batch.is_empty()) {
        netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal))?;
    }
    Ok(())
}

/// The chains that are not as they have to be: all that the kernel calls in tables that are used, and those of networks.
/// A network of which there is no new pod keeps the subnets that it has.
fn chains(
    netfilter: &mut Netfilter,
    own: Option<&Wanted>,
    others: &[Wanted],
) -> Result<Vec<Chain>, NftError> {
    let all = || own.into_iter().chain(others);
    let tables: BTreeSet<Table> = all().flat_map(Wanted::tables).collect();
    let translates = all().any(Wanted::translates);
    let bases = tables.into_iter().flat_map(|table| Chain::bases(table, translates));
    let mut changed = Vec::new();
    for chain in bases.chain(own.iter().flat_map(|own| own.chains.clone())) {
        if netfilter.differs(&chain)?.is_some() {
            changed.push(chain);
        }
    }
    let mut seen: BTreeSet<&str> = own.iter().flat_map(|own| &own.chains).map(|chain| &*chain.name).collect();
    for chain in others.iter().flat_map(|wanted| &wanted.chains) {
        if seen.insert(&chain.name) && netfilter.lacks(chain)?.is_some() {
            changed.push(chain.clone());
        }
    }
    Ok(changed)
}

fn chains_alone(chains: &[Chain]) -> Batch {
    let mut batch = Batch::default();
    batch.make_tables(chains);
    chains.iter().for_each(|chain| batch.make_chain(chain));
    batch
}
