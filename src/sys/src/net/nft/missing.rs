//! Finds missing parts of the packet filter.

use std::collections::{BTreeMap, BTreeSet};

use super::chains::Chain;
use super::error::NftError;
use super::maps::Table;
use super::types::Rules;
use super::wanted::Wanted;
use crate::net::netfilter::socket::Netfilter;

/// Names the missing parts of the attachments' rules in the calling thread's network namespace.
///
/// # Errors
/// [`NftError`] for rules that could not be installed, and if the kernel refuses an answer.
pub fn missing(all: &[Rules]) -> Result<Vec<String>, NftError> {
    let wanted: Vec<Wanted> = all.iter().map(Wanted::new).collect::<Result<_, _>>()?;
    let tables: BTreeSet<Table> = wanted.iter().flat_map(Wanted::tables).collect();
    if tables.is_empty() {
        return Ok(Vec::new());
    }
    let (mut missing, mut present) = (Vec::new(), BTreeSet::new());
    let mut netfilter = Netfilter::open()?;
    for table in tables {
        if !netfilter.has_table(table)? {
            missing.push(format!("table {}", table.name()));
            continue;
        }
        let translates = wanted.iter().any(Wanted::translates);
        let contents = netfilter.contents(table.maps().filter(|map| translates || !map.translates()))?;
        missing.extend(contents.absent.iter().map(|map| map.shown()));
        for chain in Chain::bases(table, translates) {
            missing.extend(netfilter.differs(&chain)?);
        }
        // The attachments of a network share its chains.
        let chains = wanted.iter().flat_map(|one| &one.chains).filter(|chain| chain.table == table);
        let chains: BTreeMap<&str, &Chain> = chains.map(|chain| (chain.name.as_str(), chain)).collect();
        for chain in chains.into_values() {
            missing.extend(netfilter.lacks(chain)?);
        }
        let elements = wanted.iter().flat_map(|one| &one.elements);
        present.extend(contents.elements);
        let absent = elements.filter(|one| one.map().table() == table && !present.contains(one));
        missing.extend(absent.map(ToString::to_string));
    }
    Ok(missing)
}
