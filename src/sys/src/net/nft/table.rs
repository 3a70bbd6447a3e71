//! The tables: messages that change them, and questions about their content.

use std::io;

use super::batch::Batch;
use super::chains::Chain;
use super::elements::Element;
use super::error::NftError;
use super::maps::{Map, Table, Value};
use super::rules::Rule;
use crate::net::netfilter::data::VERDICTS;
use crate::net::netfilter::message::{Attributes, attributes, covers, find};
use crate::net::netfilter::missing::is_unanswered;
use crate::net::netfilter::operations::{
    APPEND, CREATE, DELETE_CHAIN, DELETE_ELEMENT, DELETE_RULE, DELETE_TABLE, EXCLUSIVE, GET_CHAIN,
    GET_ELEMENT, GET_GENERATION, GET_RULE, GET_TABLE, NEW_CHAIN, NEW_ELEMENT, NEW_RULE, NEW_SET, NEW_TABLE,
};
use crate::net::netfilter::socket::Netfilter;

/// Name of both tables.
const TABLE: &str = "podhosts";
/// `NFT_SET_MAP`.
const SET_IS_MAP: u32 = 0x8;
/// The attribute with the generation.
const GENERATION: u16 = 1;
/// The attribute with the number of a chain's users.
const CHAIN_USE: u16 = 6;
/// The attribute with a rule's expressions.
const RULE_EXPRESSIONS: u16 = 4;

/// The attributes that name the table.
fn in_table() -> Attributes {
    Attributes::new().text(1, TABLE)
}

fn named(kind: u16, name: &str) -> Attributes {
    in_table().text(kind, name)
}

impl Batch {
    /// Makes the tables of `chains` if they are missing, with the maps and sets that the chains use.
    pub(super) fn make_tables(&mut self, chains: &[Chain]) {
        for table in Table::ALL {
            let mut own = chains.iter().filter(|chain| chain.table == table).peekable();
            if own.peek().is_some() {
                self.make_table(table, own.any(Chain::translates));
            }
        }
    }

    fn make_table(&mut self, table: Table, translates: bool) {
        self.change(table, NEW_TABLE, CREATE, in_table(), format!("make the table {}", table.name()));
        for (map, id) in table.maps().filter(|map| translates || !map.translates()).zip(1..) {
            let (key, value) = (map.key(), map.value());
            let flags = if value == Value::None { 0 } else { SET_IS_MAP };
            let about = named(2, map.name()).number(3, flags).number(4, key.id).number(5, key.length);
            let about = match value {
                Value::Data(value) => about.number(6, value.id).number(7, value.length),
                Value::Verdict => about.number(6, VERDICTS),
                Value::None => about,
            };
            self.change(table, NEW_SET, CREATE, about.number(10, id), format!("make the {}", map.shown()));
        }
    }

    /// Makes a chain if it is missing, and replaces its rules.
    pub(super) fn make_chain(&mut self, chain: &Chain) {
        let (table, name) = (chain.table, &chain.name);
        self.change(table, NEW_CHAIN, CREATE, chain.describe(in_table()), format!("make the chain {name}"));
        self.change(table, DELETE_RULE, 0, named(2, name), format!("empty the chain {name}"));
        for (rule, number) in chain.rules.iter().zip(1..) {
            let about = named(2, name).nested(RULE_EXPRESSIONS, rule.expressions());
            self.change(
                table,
                NEW_RULE,
                CREATE | APPEND,
                about,
                format!("make rule {number} of the chain {name}"),
            );
        }
    }

    /// Adds an element. A host port has to be free; other elements may exist already.
    pub(super) fn add(&mut self, element: &Element) {
        self.add_element(element, matches!(element, Element::Port { .. }));
    }

    /// Adds an element that must not exist.
    pub(super) fn add_new(&mut self, element: &Element) {
        self.add_element(element, true);
    }

    fn add_element(&mut self, element: &Element, is_new: bool) {
        let exclusive = if is_new { EXCLUSIVE } else { 0 };
        let map = element.map();
        let about = element.added_to(named(2, map.name()));
        self.change(map.table(), NEW_ELEMENT, CREATE | exclusive, about, format!("add the {element}"));
    }

    pub(super) fn take_away(&mut self, element: &Element) {
        let map = element.map();
        let about = element.keyed_in(named(2, map.name()));
        self.change(map.table(), DELETE_ELEMENT, 0, about, format!("take the {element} away"));
    }

    /// Removes a network's chain.
    pub(super) fn remove_chain(&mut self, name: &str) {
        self.change(Table::Inet, DELETE_CHAIN, 0, named(3, name), format!("remove the chain {name}"));
    }

    /// Removes the table with everything in it.
    pub(super) fn remove_table(&mut self, table: Table) {
        self.change(table, DELETE_TABLE, 0, in_table(), format!("remove the table {}", table.name()));
    }
}

/// The content of maps and sets.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) elements: Vec<Element>,
    /// Maps that do not exist.
    pub(super) absent: Vec<Map>,
}

impl Netfilter {
    /// The number of transactions so far, if the kernel tells it.
    pub(super) fn generation(&mut self) -> Option<u32> {
        let found = self.get(Table::Inet.family(), GET_GENERATION, &Attributes::new()).ok()??;
        // In a batch, 0 would mean any generation.
        Some(u32::from_be_bytes(*find(&found, GENERATION)?.first_chunk()?)).filter(|count| *count != 0)
    }

    pub(super) fn has_table(&mut self, table: Table) -> Result<bool, NftError> {
        let found = self.get(table.family(), GET_TABLE, &in_table());
        Ok(found.map_err(|cause| unanswered(format!("find the table {}", table.name()), cause))?.is_some())
    }

    pub(super) fn contents(&mut self, maps: impl Iterator<Item = Map>) -> Result<Contents, NftError> {
        let mut contents = Contents { elements: Vec::new(), absent: Vec::new() };
        for map in maps {
            match self.list(map.table().family(), GET_ELEMENT, &named(2, map.name())).map_err(unread(map))? {
                Some(messages) => {
                    contents
                        .elements
                        .extend(messages.iter().flat_map(|message| Element::listed(map, message)));
                }
                None => contents.absent.push(map),
            }
        }
        Ok(contents)
    }

    /// Whether a map has an element with the key of this one.
    pub(super) fn has(&mut self, element: &Element) -> Result<bool, NftError> {
        let map = element.map();
        let found = self.get(map.table().family(), GET_ELEMENT, &element.keyed_in(named(2, map.name())));
        Ok(found.map_err(unread(map))?.is_some())
    }

    /// Whether all elements in the maps of a table are `such`; `None` if it does not exist. Each map is read up to the first
    /// other element.
    pub(super) fn holds_only(
        &mut self,
        table: Table,
        such: impl Fn(&Element) -> bool,
    ) -> Result<Option<bool>, NftError> {
        if !self.has_table(table)? {
            return Ok(None);
        }
        // Most elements are in the last maps.
        for map in table.maps().rev() {
            if !self.map_holds_only(map, &such)? {
                return Ok(Some(false));
            }
        }
        Ok(Some(true))
    }

    /// Whether all elements of a map are `such`.
    pub(super) fn map_holds_only(
        &mut self,
        map: Map,
        such: impl Fn(&Element) -> bool,
    ) -> Result<bool, NftError> {
        let are_such = |message: &[u8]| Element::listed(map, message).iter().all(&such);
        self.has_only(map.table().family(), GET_ELEMENT, &named(2, map.name()), are_such).map_err(unread(map))
    }

    /// The number of elements that lead to a network's chain; `None` if it does not exist.
    pub(super) fn references(&mut self, chain: &str) -> Result<Option<usize>, NftError> {
        let Some(found) = self.chain(Table::Inet, chain)? else { return Ok(None) };
        let used = find(&found, CHAIN_USE).and_then(|value| Some(u32::from_be_bytes(*value.first_chunk()?)));
        let rules = self.rules(Table::Inet, chain)?.len();
        let used = used.and_then(|used| usize::try_from(used).ok()).unwrap_or(usize::MAX);
        Ok(Some(used.saturating_sub(rules)))
    }

    /// Whether a network's chain exists.
    pub(super) fn has_chain(&mut self, name: &str) -> Result<bool, NftError> {
        Ok(self.chain(Table::Inet, name)?.is_some())
    }

    /// Whether a chain is missing or has other rules.
    pub(super) fn has_other_rules(&mut self, chain: &Chain) -> Result<bool, NftError> {
        let rules = self.rules(chain.table, &chain.name)?;
        let same = rules.len() == chain.rules.len()
            && rules.iter().zip(&chain.rules).all(|(found, rule)| is_rule(found, rule));
        Ok(!same)
    }

    /// Names the part that differs from `chain`: the chain itself, or its rules.
    pub(super) fn differs(&mut self, chain: &Chain) -> Result<Option<String>, NftError> {
        let of_bridge = if chain.table == Table::Bridge { " of the table bridge podhosts" } else { "" };
        let name = format!("chain {}{of_bridge}", chain.name);
        let found = self.chain(chain.table, &chain.name)?;
        if !found.is_some_and(|found| covers(&found, chain.describe(in_table()).as_bytes())) {
            return Ok(Some(name));
        }
        Ok(self.has_other_rules(chain)?.then(|| format!("rules of {name}")))
    }

    /// Names the missing part of a network's chain. Its subnets are those of the network's latest pod, so only the last
    /// rule, which masquerades, has to be the same as in `chain`.
    pub(super) fn lacks(&mut self, chain: &Chain) -> Result<Option<String>, NftError> {
        let Some(what) = self.differs(chain)? else { return Ok(None) };
        let rules = self.rules(chain.table, &chain.name)?;
        let works = rules.last().zip(chain.rules.last()).is_some_and(|(found, rule)| is_rule(found, rule));
        Ok((!works).then_some(what))
    }

    fn chain(&mut self, table: Table, name: &str) -> Result<Option<Vec<u8>>, NftError> {
        let found = self.get(table.family(), GET_CHAIN, &named(3, name));
        found.map_err(|cause| unanswered(format!("read the chain {name}"), cause))
    }

    fn rules(&mut self, table: Table, chain: &str) -> Result<Vec<Vec<u8>>, NftError> {
        let found = self.list(table.family(), GET_RULE, &named(2, chain));
        Ok(found.map_err(|cause| unanswered(format!("read the chain {chain}"), cause))?.unwrap_or_default())
    }
}

fn unanswered(step: String, cause: io::Error) -> NftError {
    if is_unanswered(&cause) { NftError::NoNfTables } else { NftError::Refused { step, cause } }
}

fn unread(map: Map) -> impl Fn(io::Error) -> NftError {
    move |cause| unanswered(format!("read the {}", map.shown()), cause)
}

/// Whether the kernel lists this rule.
pub(in crate::net) fn is_rule(found: &[u8], rule: &Rule) -> bool {
    let found = find(found, RULE_EXPRESSIONS).unwrap_or_default();
    let wanted = rule.expressions().as_bytes();
    attributes(found).count() == attributes(wanted).count() && covers(found, wanted)
}
