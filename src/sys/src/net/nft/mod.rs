//! The packet filter: source address checks, masquerading and host ports, told to the kernel's nf_tables directly.
//!
//! There are two tables, `inet podhosts` and, for what passes between the ports of bridges, `bridge podhosts`. All that
//! there is of a pod are elements of their maps and sets, so that a packet costs the same whatever the number of pods,
//! and a pod is removed by what is known of it alone. A network has chains that say what is masqueraded; they stay as
//! long as an element leads to them, and a table as long as it has elements or a pod has an interface.
//!
//! Every change is one transaction of the kernel's, all or nothing.

mod chains;
mod elements;
mod good;
mod maps;
mod message;
mod rebuild;
mod remove;
mod rules;
mod socket;
mod table;
mod types;
mod wanted;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::path::Path;

use thiserror::Error;

use super::rtnetlink::NetworkError;
use super::rtnetlink::localnet::LocalnetError;
use crate::fs::files::FileError;
use crate::fs::state_dir::{self, Lock, LockKind};

use chains::Chain;
use elements::Element;
use good::Good;
use maps::{Map, Table};
use socket::Netfilter;
use wanted::Wanted;

pub use rebuild::repair;
pub use remove::{Leaving, Removed, remove, sweep};
pub use types::{PodInterface, PortMapping, Protocol, Rules};

/// What is locked while the packet filter is changed.
const LOCK: &str = "/run/podhosts/nftables.lock";

/// A packet filter that cannot be changed as wanted; it is left as it was.
#[derive(Debug, Error)]
pub enum NftError {
    /// Somebody else has the port.
    #[error("cannot map host port {port}/{protocol}: it is already mapped to {owner}")]
    PortTaken {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The pod that has it.
        owner: IpAddr,
    },
    /// A mapping that means nothing for this pod.
    #[error("cannot map host port {port}/{protocol}: {cause}")]
    Unusable {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// What is wrong with it.
        cause: String,
    },
    /// The kernel refused.
    #[error("cannot {step}: {cause}")]
    Refused {
        /// What was tried.
        step: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel cannot be talked to.
    #[error("cannot {verb} the packet filter: {cause}")]
    Socket {
        /// What was tried.
        verb: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The lock cannot be had.
    #[error(transparent)]
    Lock(#[from] FileError),
    /// The kernel was built without it, or its module is missing.
    #[error(
        "cannot change the packet filter: this kernel has no nf_tables, expected it or \"spoofCheck\": false without ipMasq and host ports"
    )]
    NoNfTables,
    /// The same of its part for bridges.
    #[error(
        "cannot change the packet filter: this kernel's nf_tables has no family bridge, expected it or \"spoofCheck\": false"
    )]
    NoBridges,
    /// What goes with the last pod's rules.
    #[error(transparent)]
    Localnet(#[from] LocalnetError),
    /// Whether there are pods cannot be told.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl NftError {
    /// Whether something else is there already, as an element or by a name.
    fn is_clash(&self) -> bool {
        let Self::Refused { cause, .. } = self else { return false };
        // Too many refusals of one batch have no room to be told.
        matches!(cause.raw_os_error(), Some(libc::EEXIST | libc::EBUSY | libc::ENOBUFS))
    }
}

/// Installs what an attachment needs, in the calling thread's network namespace. The chains of its network get
/// its subnets. Where the tables were removed, they are made anew, with what `others` need.
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
    // The kernel refuses it where anybody has changed anything since the guards were read.
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
    // These addresses are this attachment's alone: what has them belongs to a pod that is gone, or to this one's
    // last attempt.
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

/// The chains that do not have the rules that they have to have. The others are left alone: whoever deletes a rule waits
/// until no packet is at it any more, which takes longer than all the rest.
fn changed_chains(netfilter: &mut Netfilter, wanted: &Wanted) -> Result<Vec<Chain>, NftError> {
    let mut changed = Vec::new();
    for chain in wanted.needed_chains() {
        if netfilter.has_other_rules(&chain)? {
            changed.push(chain);
        }
    }
    Ok(changed)
}

/// Names what of the attachments' rules is not there, in the calling thread's network namespace.
///
/// # Errors
/// [`NftError`] for rules that could not be installed, and where the kernel does not tell.
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
        // Several attachments have the chains of their network in common.
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

/// One change at a time: removal looks at what is left before it removes a table.
fn lock() -> Result<Lock, FileError> {
    state_dir::lock(Path::new(LOCK), LockKind::Exclusive)
}

/// The elements of these addresses, and the others.
fn of_and_not_of(addresses: &[IpAddr], elements: Vec<Element>) -> (Vec<Element>, Vec<Element>) {
    let is_own = |pod: IpAddr| addresses.iter().any(|address| address.to_canonical() == pod);
    elements.into_iter().partition(|element| element.pod().is_some_and(is_own))
}

/// The error for a port that one of `others` has.
fn taken(wanted: &[Element], others: &[Element]) -> Option<NftError> {
    let places: BTreeMap<_, _> = others.iter().map(|other| (other.place(), other)).collect();
    wanted.iter().find_map(|element| {
        let owner = places.get(&element.place()).filter(|other| **other != element)?.pod()?;
        match element {
            Element::Port { protocol, host_port, .. } => {
                Some(NftError::PortTaken { port: *host_port, protocol: *protocol, owner })
            }
            _ => None,
        }
    })
}
