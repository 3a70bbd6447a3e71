//! Reads the table, and compares it with what this version makes.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io;

use super::chains::{Chain, Way};
use super::element::{Element, Handling};
use super::error::ServicesError;
use super::listed;
use super::maps::{Map, Purpose, SET_FLAGS};
use super::table::Present;
use super::transaction::{FAMILY, in_table, is_table, named};
use crate::net::netfilter::intervals::{self, Item};
use crate::net::netfilter::message::{Attributes, attributes, covers, find, text};
use crate::net::netfilter::missing::is_unanswered;
use crate::net::netfilter::operations::{GET_CHAIN, GET_ELEMENT, GET_RULE, GET_SET, GET_TABLE};
use crate::net::netfilter::socket::Netfilter;
use pod::addresses::IpFamily;

/// How often a map is listed again that is being moved.
const ATTEMPTS: usize = 100;
/// Attributes of linux/netfilter/nf_tables.h: the table's flags; a chain's, a rule's and a set's name.
const TABLE_FLAGS: u16 = 2;
const CHAIN_NAME: u16 = 3;
const RULE_CHAIN: u16 = 2;
const RULE_EXPRESSIONS: u16 = 4;

/// The maps of timeouts, and the timeouts in them.
type Timeouts = BTreeSet<(IpFamily, u32)>;

pub(super) fn has_table(netfilter: &mut Netfilter) -> Result<bool, ServicesError> {
    Ok(table(netfilter)?.is_some())
}

/// Whether a chain exists.
pub(super) fn has_chain(netfilter: &mut Netfilter, chain: &Chain) -> Result<bool, ServicesError> {
    let found = netfilter.get(FAMILY, GET_CHAIN, &named(CHAIN_NAME, &chain.name));
    Ok(found.map_err(|cause| unread(format!("chain {}", chain.name), cause))?.is_some())
}

/// All items of a map; `None` if there is no such map, or something in it is not ours.
pub(super) fn items(netfilter: &mut Netfilter, map: Map) -> Result<Option<Vec<Item>>, ServicesError> {
    let failed = |cause| unread(format!("map {}", map.name()), cause);
    for _ in 0..ATTEMPTS {
        let found = netfilter.list(FAMILY, GET_ELEMENT, &named(2, &map.name())).map_err(failed)?;
        let Some(messages) = found else { return Ok(None) };
        let items: Option<Vec<Item>> =
            messages.iter().flat_map(|message| intervals::items(message)).collect();
        let Some(items) = items else { return Ok(None) };
        // While a map is moved to a larger one, the kernel goes on with a list at the same number in another order. Then
        // it has skipped as many items as it has listed twice.
        let distinct: HashSet<_> = items.iter().map(|item| (&item.key, item.is_interval_end)).collect();
        if distinct.len() == items.len() {
            return Ok(Some(items));
        }
    }
    Err(failed(io::Error::other(format!("it was moved {ATTEMPTS} times while it was read"))))
}

pub(super) fn present(netfilter: &mut Netfilter) -> Result<Present, ServicesError> {
    let Some(found) = table(netfilter)? else { return Ok(Present::Absent) };
    // A table with flags is switched off, or belongs to a program.
    let flags = find(&found, TABLE_FLAGS).unwrap_or_default();
    if flags.iter().any(|byte| *byte != 0) || !has_maps(netfilter)? {
        return Ok(Present::Different);
    }
    let Some(timeouts) = timeouts(netfilter)? else { return Ok(Present::Different) };
    let affinity = timeouts.iter().map(|(family, seconds)| Chain::affinity(*family, *seconds));
    let chains: Vec<Chain> = Chain::fixed().into_iter().chain(affinity).collect();
    if !has_chains(netfilter, &chains)? || !has_rules(netfilter, &chains)? {
        return Ok(Present::Different);
    }
    let mut elements = Vec::new();
    for map in Map::all().filter(|map| !map.is_filled_by_packets() && !map.has_verdicts()) {
        let items = items(netfilter, map)?;
        let Some(all) = items.and_then(|items| listed::elements(map, items)) else {
            return Ok(Present::Different);
        };
        elements.extend(all);
    }
    let lacks = |element: &Element| timeout(element).is_some_and(|timeout| !timeouts.contains(&timeout));
    Ok(if elements.iter().any(lacks) { Present::Different } else { Present::Intact(elements) })
}

/// The timeout that an element needs a chain for.
pub(super) fn timeout(element: &Element) -> Option<(IpFamily, u32)> {
    match element {
        Element::Service { place, handling: Handling::Balance(balance), .. } => {
            Some((IpFamily::of(place.address), balance.affinity_seconds)).filter(|(_, seconds)| *seconds != 0)
        }
        _ => None,
    }
}

fn table(netfilter: &mut Netfilter) -> Result<Option<Vec<u8>>, ServicesError> {
    let found = netfilter.get(FAMILY, GET_TABLE, &in_table());
    found.map_err(|cause| unread("table inet podhosts-services".to_owned(), cause))
}

/// The objects of the table among those that the kernel lists.
fn own(netfilter: &mut Netfilter, operation: u16, what: &str) -> Result<Vec<Vec<u8>>, ServicesError> {
    let found =
        netfilter.list(FAMILY, operation, &in_table()).map_err(|cause| unread(what.to_owned(), cause))?;
    let is_own = |found: &Vec<u8>| find(found, 1).is_some_and(is_table);
    Ok(found.unwrap_or_default().into_iter().filter(is_own).collect())
}

fn has_maps(netfilter: &mut Netfilter) -> Result<bool, ServicesError> {
    let found = own(netfilter, GET_SET, "maps")?;
    let name = |found: &[u8]| text(find(found, 2).unwrap_or_default());
    let found: BTreeMap<String, Vec<u8>> = found.into_iter().map(|found| (name(&found), found)).collect();
    let is_same = |map: Map| {
        let wanted = map.describe(in_table());
        found.get(&map.name()).is_some_and(|found| {
            let has_flags = |map| find(map, SET_FLAGS).is_some();
            covers(found, wanted.as_bytes()) && has_flags(found) == has_flags(wanted.as_bytes())
        })
    };
    Ok(found.len() == Map::all().count() && Map::all().all(is_same))
}

/// The timeouts that lead to their chains; `None` if a map of verdicts is not as it has to be.
fn timeouts(netfilter: &mut Netfilter) -> Result<Option<Timeouts>, ServicesError> {
    let mut timeouts = Timeouts::new();
    let fixed = Way::fixed();
    for map in Map::all().filter(|map| map.has_verdicts()) {
        let failed = |cause| unread(format!("map {}", map.name()), cause);
        let messages = netfilter.list(FAMILY, GET_ELEMENT, &named(2, &map.name())).map_err(failed)?;
        let messages = messages.unwrap_or_default();
        let found: Option<BTreeMap<u32, &[u8]>> =
            messages.iter().flat_map(|message| listed::verdicts(message)).collect();
        let Some(found) = found else { return Ok(None) };
        let is_same = |way: &Way| {
            let wanted = find(way.verdict.as_bytes(), crate::net::netfilter::data::DATA_VERDICT);
            found.get(&way.key).zip(wanted).is_some_and(|(found, wanted)| covers(found, wanted))
        };
        let same = match map.0 {
            Purpose::AffinityTimeouts => {
                timeouts.extend(found.keys().map(|seconds| (map.1, *seconds)));
                found.keys().all(|seconds| is_same(&Way::affinity(map.1, *seconds)))
            }
            _ => {
                let ways: Vec<&Way> = fixed.iter().filter(|way| way.map == map).collect();
                found.len() == ways.len() && ways.into_iter().all(is_same)
            }
        };
        if !same {
            return Ok(None);
        }
    }
    Ok(Some(timeouts))
}

fn has_chains(netfilter: &mut Netfilter, chains: &[Chain]) -> Result<bool, ServicesError> {
    let found = own(netfilter, GET_CHAIN, "chains")?;
    let name = |found: &[u8]| text(find(found, CHAIN_NAME).unwrap_or_default());
    let found: BTreeMap<String, Vec<u8>> = found.into_iter().map(|found| (name(&found), found)).collect();
    let is_same = |chain: &Chain| {
        let wanted = chain.describe(in_table());
        found.get(&chain.name).is_some_and(|found| covers(found, wanted.as_bytes()))
    };
    Ok(found.len() == chains.len() && chains.iter().all(is_same))
}

fn has_rules(netfilter: &mut Netfilter, chains: &[Chain]) -> Result<bool, ServicesError> {
    let mut found: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for rule in own(netfilter, GET_RULE, "rules")? {
        found.entry(text(find(&rule, RULE_CHAIN).unwrap_or_default())).or_default().push(rule);
    }
    let count = |rule: &[u8]| attributes(find(rule, RULE_EXPRESSIONS).unwrap_or_default()).count();
    let is_same = |chain: &Chain| {
        let found = found.get(&chain.name).map(Vec::as_slice).unwrap_or_default();
        found.len() == chain.rules.len()
            && found.iter().zip(&chain.rules).all(|(found, rule)| {
                let wanted: Attributes = rule.added_to(named(RULE_CHAIN, &chain.name));
                count(found) == count(wanted.as_bytes()) && covers(found, wanted.as_bytes())
            })
    };
    Ok(chains.iter().all(is_same))
}

fn unread(what: String, cause: io::Error) -> ServicesError {
    if is_unanswered(&cause) {
        return ServicesError::NoNfTables;
    }
    ServicesError::Refused { step: format!("read the {what}").into(), element: None, cause }
}
