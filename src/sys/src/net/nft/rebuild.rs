//! Makes the tables anew: for the first pod, after another program has removed them (`nft flush ruleset`), and after an
//! update of podhosts with other rules.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::batch::Batch;
use super::chains::Chain;
use super::elements::{Element, of_and_not_of, taken};
use super::error::NftError;
use super::lock::lock;
use super::maps::Table;
use super::types::Rules;
use super::wanted::Wanted;
use crate::net::netfilter::socket::Netfilter;

/// Elements of one transaction, whose messages have to fit in a socket's buffer.
const AT_ONCE: usize = 256;

/// Whether the guard of a table is missing or different; then probably everything is.
pub(super) fn is_damaged(netfilter: &mut Netfilter, tables: &BTreeSet<Table>) -> Result<bool, NftError> {
    for table in tables {
        if netfilter.has_other_rules(&Chain::guard(*table))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Restores the missing rules of all attachments. They are looked up under the lock: otherwise the rules of an
/// attachment could be restored after its DEL.
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

/// Makes the tables anew with the rules of `own`, an attachment with its addresses, and of `others`. Existing elements
/// stay.
pub(super) fn rebuild(
    netfilter: &mut Netfilter,
    own: Option<(&Wanted, &[IpAddr])>,
    others: &[Rules],
) -> Result<(), NftError> {
    // Rules that cannot be used are of a later podhosts, which has to restore them itself.
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
        // Of two attachments with one port, the first gets it.
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

/// The chains that are missing or different, of the base chains in used tables and of the networks' chains. A network
/// without a new pod keeps its subnets.
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
