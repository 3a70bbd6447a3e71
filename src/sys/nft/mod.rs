//! The packet filter: masquerading and host ports, told to the kernel's nf_tables directly.
//!
//! There is one table, `inet podhosts`. All that there is of a pod are elements of its maps, so that a packet costs
//! the same whatever the number of pods, and a pod is removed by its addresses alone. A network has chains that say
//! what is masqueraded; they stay as long as an element leads to them, and the table as long as it has elements.
//!
//! Every change is one transaction of the kernel's, all or nothing.

mod chains;
mod elements;
mod message;
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

use super::files::FileError;
use super::state_dir::{self, Lock, LockKind};

use chains::Chain;
use elements::Element;
use socket::{Batch, Netfilter};
use wanted::{Wanted, unused_chains};

pub use types::{PortMapping, Protocol};

/// What is locked while the packet filter is changed.
const LOCK: &str = "/run/podhosts/nftables.lock";

/// What one attachment needs of the packet filter.
#[derive(Debug, Clone, Copy)]
pub struct Rules<'a> {
    /// Name of its network.
    pub network: &'a str,
    /// Where its network is: what is sent there is not masqueraded.
    pub subnets: &'a [(IpAddr, u8)],
    /// The pod's addresses.
    pub addresses: &'a [IpAddr],
    /// Whether the pod leaves the node under the node's address.
    pub masquerade: bool,
    /// Ports of the node's that lead to the pod's first address of each family.
    pub ports: &'a [PortMapping],
}

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
    #[error("cannot change the packet filter: this kernel has no nf_tables")]
    NoNfTables,
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
/// its subnets.
///
/// # Errors
/// [`NftError`]; nothing was changed.
pub fn install(rules: &Rules<'_>) -> Result<(), NftError> {
    let wanted = Wanted::new(rules)?;
    if wanted.elements.is_empty() {
        return Ok(());
    }
    let _lock = lock()?;
    let mut netfilter = Netfilter::open()?;
    let chains = changed_chains(&mut netfilter, &wanted)?;
    let batch = wanted.batch(&chains);
    let Err(refusal) = netfilter.commit(&batch) else { return Ok(()) };
    let refused = batch.explain(refusal);
    if !refused.is_clash() {
        return Err(refused);
    }
    // These addresses are this attachment's alone: what has them belongs to a pod that is gone, or to this one's
    // last attempt.
    let (stale, others) = of_and_not_of(rules.addresses, netfilter.contents()?.elements);
    if let Some(taken) = taken(&wanted.elements, &others) {
        return Err(taken);
    }
    if stale.is_empty() {
        return Err(refused);
    }
    let batch = wanted.batch_replacing(&chains, &stale, &others);
    netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal))
}

/// The chains that are not there as they have to be. The others are left alone: whoever deletes a rule waits until
/// no packet is at it any more, which takes longer than all the rest.
fn changed_chains(netfilter: &mut Netfilter, wanted: &Wanted) -> Result<Vec<Chain>, NftError> {
    let mut changed = Vec::new();
    for chain in wanted.all_chains() {
        if netfilter.differs(&chain)?.is_some() {
            changed.push(chain);
        }
    }
    Ok(changed)
}

/// Rules that are removed, and whose memory the kernel has still to free. Dropping this waits for that, so whoever has
/// something else to wait for does that first.
#[allow(missing_debug_implementations, reason = "there is nothing to see")]
pub struct Removed {
    _netfilter: Option<Netfilter>,
}

/// Removes all that there is of these addresses, which were in `network`, in the calling thread's network
/// namespace. With the last of its elements a chain goes, and with the last of all the table.
///
/// # Errors
/// [`NftError`]; nothing was changed. That there is nothing to remove is no error.
pub fn remove(network: &str, addresses: &[IpAddr]) -> Result<Removed, NftError> {
    remove_of(network, || Ok(addresses.to_vec()))
}

/// The same for addresses that are looked up while nobody else changes anything.
///
/// # Errors
/// [`NftError`], or that of `addresses`; nothing was changed.
pub fn remove_of<E: From<NftError>>(
    network: &str,
    addresses: impl FnOnce() -> Result<Vec<IpAddr>, E>,
) -> Result<Removed, E> {
    let _lock = lock().map_err(NftError::from)?;
    Ok(remove_locked(network, &addresses()?)?)
}

fn remove_locked(network: &str, addresses: &[IpAddr]) -> Result<Removed, NftError> {
    let Some(mut netfilter) = open_table()? else { return Ok(Removed { _netfilter: None }) };
    let (gone, kept) = of_and_not_of(addresses, netfilter.contents()?.elements);
    let mut batch = Batch::default();
    if kept.is_empty() {
        batch.remove_table();
    } else {
        gone.iter().for_each(|element| batch.take_away(element));
        unused_chains(&gone, &kept).into_iter().for_each(|chain| batch.remove_chain(chain));
        for chain in [chains::masquerade_name(network), chains::hairpin_name(network)] {
            // One whose last element somebody else took away.
            let is_known = gone.iter().chain(&kept).any(|element| element.chain() == Some(&chain));
            if !is_known && netfilter.has_chain(&chain)? {
                batch.remove_chain(&chain);
            }
        }
    }
    if !batch.is_empty() {
        netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal))?;
    }
    Ok(Removed { _netfilter: Some(netfilter) })
}

/// Names what of an attachment's rules is not there, in the calling thread's network namespace.
///
/// # Errors
/// [`NftError`] for rules that could not be installed, and where the kernel does not tell.
pub fn missing(rules: &Rules<'_>) -> Result<Vec<String>, NftError> {
    let wanted = Wanted::new(rules)?;
    if wanted.elements.is_empty() {
        return Ok(Vec::new());
    }
    let Some(mut netfilter) = open_table()? else { return Ok(vec!["table inet podhosts".to_owned()]) };
    let contents = netfilter.contents()?;
    let mut missing: Vec<String> = contents.absent.iter().map(|map| format!("map {}", map.name())).collect();
    for chain in Chain::base() {
        missing.extend(netfilter.differs(&chain)?);
    }
    for chain in wanted.chains() {
        missing.extend(netfilter.lacks(chain)?);
    }
    let present: BTreeSet<&Element> = contents.elements.iter().collect();
    let absent = wanted.elements.iter().filter(|element| !present.contains(element));
    missing.extend(absent.map(ToString::to_string));
    Ok(missing)
}

/// One change at a time: removal looks at what is left before it removes the table.
fn lock() -> Result<Lock, FileError> {
    state_dir::lock(Path::new(LOCK), LockKind::Exclusive)
}

/// A socket, where there is a table.
fn open_table() -> Result<Option<Netfilter>, NftError> {
    let with_table = |mut netfilter: Netfilter| Ok(netfilter.has_table()?.then_some(netfilter));
    match Netfilter::open().and_then(with_table) {
        Err(NftError::NoNfTables) => Ok(None),
        other => other,
    }
}

/// The elements of these addresses, and the others.
fn of_and_not_of(addresses: &[IpAddr], elements: Vec<Element>) -> (Vec<Element>, Vec<Element>) {
    let has_any = |element: &Element| addresses.iter().any(|address| address.to_canonical() == element.pod());
    elements.into_iter().partition(has_any)
}

/// The error for a port that one of `others` has.
fn taken(wanted: &[Element], others: &[Element]) -> Option<NftError> {
    let owners: BTreeMap<_, IpAddr> = others.iter().map(|other| (other.place(), other.pod())).collect();
    wanted.iter().find_map(|element| match element {
        Element::Port { protocol, host_port, .. } => {
            let owner = *owners.get(&element.place())?;
            Some(NftError::PortTaken { port: *host_port, protocol: *protocol, owner })
        }
        _ => None,
    })
}
