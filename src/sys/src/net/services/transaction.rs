//! Transactions: all of their steps, or none.

use std::collections::BTreeSet;
use std::io;

use super::chains::{Chain, Way};
use super::element::Element;
use super::error::ServicesError;
use super::items::{coverage, coverage_change, number};
use super::maps::{Map, Purpose};
use crate::net::netfilter::data::data;
use crate::net::netfilter::intervals::{ELEMENTS, Item, KEY, Network};
use crate::net::netfilter::message::Attributes;
use crate::net::netfilter::operations::{
    APPEND, CREATE, DELETE_ELEMENT, DELETE_TABLE, EXCLUSIVE, NEW_CHAIN, NEW_ELEMENT, NEW_RULE, NEW_SET,
    NEW_TABLE,
};
use crate::net::netfilter::socket::{Change, Netfilter, Refusal};
use pod::addresses::IpFamily;

pub(super) const TABLE: &str = "podhosts-services";
/// `NFPROTO_INET`.
pub(super) const FAMILY: u8 = 1;
/// A message has elements of at most so many bytes: a list is an attribute, and those end at 64 KiB.
const LIST_MAX: usize = 48 * 1024;

/// The attributes that name the table.
pub(super) fn in_table() -> Attributes {
    Attributes::new().text(1, TABLE)
}

/// Whether these bytes are the table's name.
pub(super) fn is_table(name: &[u8]) -> bool {
    name.strip_suffix(b"\0").unwrap_or(name) == TABLE.as_bytes()
}

pub(super) fn named(kind: u16, name: &str) -> Attributes {
    in_table().text(kind, name)
}

/// What happens to elements.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Add,
    TakeAway,
}

/// Steps to make, all or none.
#[derive(Debug, Default)]
pub(super) struct Transaction<'a> {
    steps: Vec<Step<'a>>,
    /// Each element has a message of its own.
    is_single: bool,
}

#[derive(Debug)]
struct Step<'a> {
    change: Change,
    about: Subject<'a>,
}

/// What a step is about, for its error.
#[derive(Debug)]
enum Subject<'a> {
    /// The words after "cannot".
    Part(String),
    Elements(Action, Vec<&'a Element>),
}

/// A message with elements that is being filled.
struct Chunk<'a> {
    list: Attributes,
    elements: Vec<&'a Element>,
}

impl<'a> Transaction<'a> {
    fn push(&mut self, operation: u16, flags: u16, attributes: Attributes, about: Subject<'a>) {
        let change = Change { operation, flags, family: FAMILY, attributes };
        self.steps.push(Step { change, about });
    }

    fn part(&mut self, operation: u16, flags: u16, attributes: Attributes, step: String) {
        self.push(operation, flags, attributes, Subject::Part(step));
    }

    pub(super) fn remove_table(&mut self) {
        self.part(DELETE_TABLE, 0, in_table(), format!("remove the table inet {TABLE}"));
    }

    /// Makes the table with its maps and chains, in place of the one that may be there.
    pub(super) fn make_table(&mut self) {
        let make = format!("make the table inet {TABLE}");
        // So that there is one to remove.
        self.part(NEW_TABLE, CREATE, in_table(), make.clone());
        self.remove_table();
        self.part(NEW_TABLE, CREATE, in_table(), make);
        for (map, id) in Map::all().zip(1..) {
            self.part(
                NEW_SET,
                CREATE,
                map.describe(in_table()).number(10, id),
                format!("make the map {}", map.name()),
            );
        }
        Chain::fixed().iter().for_each(|chain| self.make_chain(chain));
        for map in Map::all() {
            let ways: Vec<Way> = Way::fixed().into_iter().filter(|way| way.map == map).collect();
            self.make_ways(map, &ways);
        }
    }

    fn make_chain(&mut self, chain: &Chain) {
        let name = &chain.name;
        self.part(NEW_CHAIN, CREATE, chain.describe(in_table()), format!("make the chain {name}"));
        for (rule, number) in chain.rules.iter().zip(1..) {
            let step = format!("make rule {number} of the chain {name}");
            self.part(NEW_RULE, CREATE | APPEND, rule.added_to(named(2, name)), step);
        }
    }

    /// Adds verdicts to a map. There are few.
    fn make_ways(&mut self, map: Map, ways: &[Way]) {
        let list = ways.iter().fold(Attributes::new(), |list, way| {
            let key = Attributes::new().nested(KEY, &data(&number(way.key)));
            list.nested(1, &key.nested(2, &way.verdict))
        });
        if !ways.is_empty() {
            let about = named(2, &map.name()).nested(ELEMENTS, &list);
            self.part(NEW_ELEMENT, CREATE, about, format!("fill the map {}", map.name()));
        }
    }

    /// Makes the chain that renews affinity for so long.
    pub(super) fn make_affinity(&mut self, family: IpFamily, seconds: u32) {
        self.make_chain(&Chain::affinity(family, seconds));
        let way = Way::affinity(family, seconds);
        self.make_ways(way.map, &[way]);
    }

    /// Fills a family's `origins`, which is empty. `inside` are the elements of which it consists.
    pub(super) fn cover(&mut self, family: IpFamily, inside: &[&'a Element]) {
        self.fill(Map(Purpose::Origins, family), Action::Add, &coverage(family, &networks(inside)), inside);
    }

    /// Changes a family's `origins`, where `before` are inside, so that `after` are: only the intervals that differ, for the
    /// kernel takes long to fill a map with thousands of them.
    pub(super) fn change_coverage(
        &mut self,
        family: IpFamily,
        before: &[&'a Element],
        after: &[&'a Element],
    ) {
        let map = Map(Purpose::Origins, family);
        let (gone, new) = coverage_change(family, &networks(before), &networks(after));
        self.fill(map, Action::TakeAway, &gone, before);
        self.fill(map, Action::Add, &new, after);
    }

    /// Adds items of a map, or takes them away, which are there because of `elements`.
    fn fill(&mut self, map: Map, action: Action, items: &[Item], elements: &[&'a Element]) {
        let mut chunk = Chunk { list: Attributes::new(), elements: elements.to_vec() };
        for item in items {
            chunk.push(item, action);
            self.end(map, action, &mut chunk, LIST_MAX);
        }
        self.end(map, action, &mut chunk, 0);
    }

    /// Adds elements, or takes them away.
    pub(super) fn elements(&mut self, action: Action, elements: &'a [Element]) {
        let mut sorted: Vec<(Map, &Element)> = elements.iter().map(|e| (e.map(), e)).collect();
        sorted.sort_by_key(|(map, _)| *map);
        for of_map in sorted.chunk_by(|a, b| a.0 == b.0) {
            let Some((map, _)) = of_map.first().filter(|(map, _)| map.0 != Purpose::Origins) else {
                continue;
            };
            let mut chunk = Chunk { list: Attributes::new(), elements: Vec::new() };
            for (_, element) in of_map {
                chunk.elements.push(element);
                element.items().iter().for_each(|item| chunk.push(item, action));
                let most = if self.is_single { 0 } else { LIST_MAX };
                self.end(*map, action, &mut chunk, most);
            }
            self.end(*map, action, &mut chunk, 0);
        }
    }

    /// Makes a message of a chunk that has more than so many bytes.
    fn end(&mut self, map: Map, action: Action, chunk: &mut Chunk<'a>, most: usize) {
        if chunk.list.len() <= most {
            return;
        }
        let list = std::mem::take(&mut chunk.list);
        let about = Subject::Elements(action, std::mem::take(&mut chunk.elements));
        let (operation, flags) = match action {
            Action::Add => (NEW_ELEMENT, CREATE),
            Action::TakeAway => (DELETE_ELEMENT, 0),
        };
        self.push(operation, flags, named(2, &map.name()).nested(ELEMENTS, &list), about);
    }

    fn explain(&self, refusal: Refusal) -> ServicesError {
        let step = refusal.change.and_then(|index| self.steps.get(index));
        let (step, element) = match step.map(|step| &step.about) {
            None => return ServicesError::of_socket("change")(refusal.cause),
            Some(Subject::Part(step)) => (step.clone(), None),
            Some(Subject::Elements(action, elements)) => {
                let verb = if *action == Action::Add { "add" } else { "take away" };
                match elements.as_slice() {
                    [element] => (format!("{verb} the {element}"), Some(Box::new(**element))),
                    all => (format!("{verb} {} elements", all.len()), None),
                }
            }
        };
        ServicesError::Refused { step: step.into(), element, cause: refusal.cause }
    }

    /// Whether this change has elements among which it has to be found which one was refused.
    fn has_several(&self, change: Option<usize>) -> bool {
        let step = change.and_then(|index| self.steps.get(index));
        step.is_some_and(|step| matches!(&step.about, Subject::Elements(_, all) if all.len() > 1))
    }
}

/// The networks of the elements that are inside.
fn networks(elements: &[&Element]) -> BTreeSet<Network> {
    elements.iter().filter_map(|element| element.inside()).collect()
}

impl Chunk<'_> {
    fn push(&mut self, item: &Item, action: Action) {
        let list = std::mem::take(&mut self.list);
        self.list = list.nested(1, &item.describe(action == Action::TakeAway));
    }
}

/// Makes the transaction that `fill` fills. If one of several elements in a message is refused, it is filled once more with
/// a message for each: so the error names the element.
pub(super) fn commit<'a>(
    netfilter: &mut Netfilter,
    fill: impl Fn(&mut Transaction<'a>),
) -> Result<(), ServicesError> {
    let mut attempt = |is_single| {
        let mut transaction = Transaction { steps: Vec::new(), is_single };
        fill(&mut transaction);
        if transaction.steps.is_empty() {
            return Ok(());
        }
        let made = netfilter.transact(None, transaction.steps.iter().map(|step| &step.change));
        made.map_err(|refusal| (transaction.has_several(refusal.change), transaction.explain(refusal)))
    };
    match attempt(false) {
        Err((true, _)) => attempt(true).map_err(|(_, error)| error),
        other => other.map_err(|(_, error)| error),
    }
}

/// Lets the kernel check the transaction that makes the table, and make nothing of it.
pub(super) fn try_out(netfilter: &mut Netfilter) -> Result<(), ServicesError> {
    let mut transaction = Transaction::default();
    transaction.make_table();
    for family in IpFamily::ALL {
        transaction.make_affinity(family, 1);
    }
    // It is there already: so the kernel undoes everything before.
    let refused = transaction.steps.len();
    transaction.part(NEW_TABLE, CREATE | EXCLUSIVE, in_table(), format!("make the table inet {TABLE}"));
    match netfilter.transact(None, transaction.steps.iter().map(|step| &step.change)) {
        Err(refusal) if refusal.change == Some(refused) => Ok(()),
        Err(refusal) => Err(transaction.explain(refusal)),
        Ok(()) => Ok(()),
    }
}

/// The error for an element that stands in the way of others.
pub(super) fn refused(verb: &str, element: &Element, errno: i32) -> ServicesError {
    ServicesError::Refused {
        step: format!("{verb} the {element}").into(),
        element: Some(Box::new(*element)),
        cause: io::Error::from_raw_os_error(errno),
    }
}
