//! The table: what a transaction makes of it, and what is in it.

use super::NftError;
use super::chains::Chain;
use super::elements::{Element, Map};
use super::message::{Attributes, attributes, covers, find};
use super::rules::Rule;
use super::socket::{Batch, Change, Netfilter};

/// Name of the table, which has the family `inet`.
const TABLE: &str = "podhosts";
/// Operations of linux/netfilter/nf_tables.h.
const NEW_TABLE: u16 = 0;
const GET_TABLE: u16 = 1;
const DELETE_TABLE: u16 = 2;
const NEW_CHAIN: u16 = 3;
const GET_CHAIN: u16 = 4;
const DELETE_CHAIN: u16 = 5;
const NEW_RULE: u16 = 6;
const GET_RULE: u16 = 7;
const DELETE_RULE: u16 = 8;
const NEW_SET: u16 = 9;
const NEW_ELEMENT: u16 = 12;
const GET_ELEMENT: u16 = 13;
const DELETE_ELEMENT: u16 = 14;
/// Flags of linux/netlink.h.
const EXCLUSIVE: u16 = 0x200;
const CREATE: u16 = 0x400;
const APPEND: u16 = 0x800;
/// `NFT_SET_MAP`, and what a map to verdicts has as its type of values.
const SET_IS_MAP: u32 = 0x8;
const VERDICTS: u32 = 0xffff_ff00;
/// Where a message has a rule's expressions.
const RULE_EXPRESSIONS: u16 = 4;

/// What a message is about: something of the table.
fn in_table() -> Attributes {
    Attributes::new().text(1, TABLE)
}

fn named(kind: u16, name: &str) -> Attributes {
    in_table().text(kind, name)
}

impl Batch {
    fn change(&mut self, operation: u16, flags: u16, attributes: Attributes, step: String) {
        self.push(Change { operation, flags, attributes, step });
    }

    /// Makes the table with its maps, where they are missing.
    pub(super) fn make_table(&mut self) {
        self.change(NEW_TABLE, CREATE, in_table(), format!("make the table inet {TABLE}"));
        for (map, id) in Map::ALL.into_iter().zip(1..) {
            let key = map.key();
            let about = named(2, map.name()).number(3, SET_IS_MAP).number(4, key.id).number(5, key.length);
            let about = match map.value() {
                Some(value) => about.number(6, value.id).number(7, value.length),
                None => about.number(6, VERDICTS),
            };
            self.change(NEW_SET, CREATE, about.number(10, id), format!("make the map {}", map.name()));
        }
    }

    /// Makes a chain where it is missing, and gives it its rules in the place of those that it has.
    pub(super) fn make_chain(&mut self, chain: &Chain) {
        let name = &chain.name;
        self.change(NEW_CHAIN, CREATE, chain.describe(in_table()), format!("make the chain {name}"));
        self.change(DELETE_RULE, 0, named(2, name), format!("empty the chain {name}"));
        for (rule, number) in chain.rules.iter().zip(1..) {
            let about = named(2, name).nested(RULE_EXPRESSIONS, rule.expressions());
            self.change(NEW_RULE, CREATE | APPEND, about, format!("make rule {number} of the chain {name}"));
        }
    }

    /// Adds an element. A host port has to be free; masquerading may be there already.
    pub(super) fn add(&mut self, element: &Element) {
        let exclusive = if matches!(element, Element::Port { .. }) { EXCLUSIVE } else { 0 };
        let about = element.added_to(named(2, element.map().name()));
        self.change(NEW_ELEMENT, CREATE | exclusive, about, format!("add the {element}"));
    }

    pub(super) fn take_away(&mut self, element: &Element) {
        let about = element.taken_from(named(2, element.map().name()));
        self.change(DELETE_ELEMENT, 0, about, format!("take the {element} away"));
    }

    pub(super) fn remove_chain(&mut self, name: &str) {
        self.change(DELETE_CHAIN, 0, named(3, name), format!("remove the chain {name}"));
    }

    /// Removes the table and all that is in it.
    pub(super) fn remove_table(&mut self) {
        self.change(DELETE_TABLE, 0, in_table(), format!("remove the table inet {TABLE}"));
    }
}

/// What the maps hold.
#[derive(Debug)]
pub(super) struct Contents {
    pub(super) elements: Vec<Element>,
    /// Maps that are not there.
    pub(super) absent: Vec<Map>,
}

impl Netfilter {
    /// Whether the table is there.
    pub(super) fn has_table(&mut self) -> Result<bool, NftError> {
        match self.get(GET_TABLE, &in_table()) {
            // Nothing is wrong with the question: nobody is there to answer it.
            Err(cause) if cause.raw_os_error() == Some(libc::EINVAL) => Err(NftError::NoNfTables),
            Err(cause) => Err(NftError::Socket { verb: "ask", cause }),
            Ok(found) => Ok(found.is_some()),
        }
    }

    /// Reads all maps.
    pub(super) fn contents(&mut self) -> Result<Contents, NftError> {
        let mut contents = Contents { elements: Vec::new(), absent: Vec::new() };
        for map in Map::ALL {
            let refused = |cause| NftError::Refused { step: format!("read the map {}", map.name()), cause };
            match self.list(GET_ELEMENT, &named(2, map.name())).map_err(refused)? {
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

    /// Whether there is a chain of this name.
    pub(super) fn has_chain(&mut self, name: &str) -> Result<bool, NftError> {
        Ok(self.chain(name)?.is_some())
    }

    /// What is not as `chain` is: the chain, or its rules.
    pub(super) fn differs(&mut self, chain: &Chain) -> Result<Option<String>, NftError> {
        let name = &chain.name;
        let found = self.chain(name)?;
        if !found.is_some_and(|found| covers(&found, chain.describe(in_table()).as_bytes())) {
            return Ok(Some(format!("chain {name}")));
        }
        let refused = |cause| NftError::Refused { step: format!("read the chain {name}"), cause };
        let rules = self.list(GET_RULE, &named(2, name)).map_err(refused)?.unwrap_or_default();
        let same = rules.len() == chain.rules.len()
            && rules.iter().zip(&chain.rules).all(|(found, rule)| is_rule(found, rule));
        Ok((!same).then(|| format!("rules of chain {name}")))
    }

    /// What is missing of a network's own chain. Its subnets are those of the network's latest pod, so only the last
    /// rule, which does the work, has to be as in `chain`.
    pub(super) fn lacks(&mut self, chain: &Chain) -> Result<Option<String>, NftError> {
        let Some(what) = self.differs(chain)? else { return Ok(None) };
        let refused = |cause| NftError::Refused { step: format!("read the chain {}", chain.name), cause };
        let rules = self.list(GET_RULE, &named(2, &chain.name)).map_err(refused)?.unwrap_or_default();
        let works = rules.last().zip(chain.rules.last()).is_some_and(|(found, rule)| is_rule(found, rule));
        Ok((!works).then_some(what))
    }

    fn chain(&mut self, name: &str) -> Result<Option<Vec<u8>>, NftError> {
        let refused = |cause| NftError::Refused { step: format!("read the chain {name}"), cause };
        self.get(GET_CHAIN, &named(3, name)).map_err(refused)
    }
}

fn is_rule(found: &[u8], rule: &Rule) -> bool {
    let found = find(found, RULE_EXPRESSIONS).unwrap_or_default();
    let wanted = rule.expressions().as_bytes();
    attributes(found).count() == attributes(wanted).count() && covers(found, wanted)
}
