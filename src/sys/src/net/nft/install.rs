//! ADD's change of the packet filter: the rules of one more attachment.

use super::chains::Chain;
use super::elements::{of_and_not_of, taken};
use super::error::NftError;
use super::good::Good;
use super::lock::lock;
use super::maps::Map;
use super::rebuild;
use super::types::Rules;
use super::wanted::Wanted;
use crate::net::netfilter::socket::Netfilter;

/// Installs the rules of an attachment in the calling thread's network namespace. The chains of its network get its
/// subnets. If the tables were removed, they are made anew with the rules of `others`.
///
/// # Errors
/// [`NftError`]; nothing of this attachment was changed.
pub fn install(rules: &Rules, others: impl FnOnce() -> Vec<Rules>) -> Result<(), NftError> {
    let wanted = Wanted::new(rules)?;
    if wanted.elements.is_empty() {
        return Ok(());
    }
    let _lock = lock()?;
    let (mut netfilter, mut good) = (Netfilter::open()?, Good::read());
    let tables = wanted.tables();
    let known = good.generation(tables.iter().copied());
    let generation = known.or_else(|| netfilter.generation());
    if known.is_none() && rebuild::is_damaged(&mut netfilter, &tables)? {
        rebuild::rebuild(&mut netfilter, Some((&wanted, &rules.addresses)), &others())?;
        good.doubt();
        return Ok(());
    }
    let mut chains = changed_chains(&mut netfilter, &wanted)?;
    // The kernel refuses it if any program has changed anything since the guards were read.
    if let Some(generation) = generation
        && netfilter.commit_at(generation, &wanted.batch_of_new(&chains)).is_ok()
    {
        good.advance(generation, tables);
        return Ok(());
    }
    if known.is_some() {
        if rebuild::is_damaged(&mut netfilter, &tables)? {
            rebuild::rebuild(&mut netfilter, Some((&wanted, &rules.addresses)), &others())?;
            good.doubt();
            return Ok(());
        }
        chains = changed_chains(&mut netfilter, &wanted)?;
    }
    let batch = wanted.batch(&chains);
    let Err(refusal) = netfilter.commit(&batch) else { return Ok(()) };
    let refused = batch.explain(refusal);
    if !refused.is_clash() {
        return Err(refused);
    }
    // The addresses belong to this attachment alone, so their elements are left over from an earlier pod or attempt.
    let (stale, others) = of_and_not_of(&rules.addresses, netfilter.contents(Map::ALL.into_iter())?.elements);
    if let Some(taken) = taken(&wanted.elements, &others) {
        return Err(taken);
    }
    if stale.is_empty() {
        return Err(refused);
    }
    let batch = wanted.batch_replacing(&chains, &stale, &others);
    netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal))
}

/// The chains whose rules are missing or different. The others are left alone: deleting a rule waits until no packet
/// uses it, which takes longer than everything else.
fn changed_chains(netfilter: &mut Netfilter, wanted: &Wanted) -> Result<Vec<Chain>, NftError> {
    let mut changed = Vec::new();
    for chain in wanted.needed_chains() {
        if netfilter.has_other_rules(&chain)? {
            changed.push(chain);
        }
    }
    Ok(changed)
}
