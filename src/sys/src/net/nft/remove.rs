//! Removes a pod from the packet filter in two steps: its elements before its interface, since both take the kernel a
//! while, and the tables after it, since without them nothing would be checked.
//!
//! For a node's last pod all goes at once, while the kernel still removes its interface, on which no packets arrive any
//! more: so the kernel is waited for only once.

use std::net::IpAddr;

use super::batch::Batch;
use super::chains::{hairpin_name, masquerade_name};
use super::elements::Element;
use super::error::NftError;
use super::good::Good;
use super::lock::lock;
use super::maps::{Map, Purpose, Table};
use super::rebuild::{is_damaged, rebuild};
use super::types::Rules;
use super::wanted::{Wanted, unused_chains};
use crate::net::netfilter::socket::Netfilter;
use crate::net::rtnetlink::{RouteSocket, localnet};

/// An attachment that is removed.
#[derive(Debug, Clone, Copy)]
pub struct Leaving<'a> {
    /// Name of its network.
    pub network: &'a str,
    /// The node's end of its veth pair, if it has one.
    pub interface: Option<&'a str>,
    /// The same, if it is removed right after its elements.
    pub link: Option<&'a str>,
    /// The rules that were installed for it, if they are known.
    pub rules: Option<&'a Rules>,
}

/// Removed elements whose memory the kernel has yet to free. Dropping this waits for that, so other waiting should be done
/// before.
#[allow(missing_debug_implementations, reason = "there is nothing to see")]
pub struct Removed {
    addresses: Vec<IpAddr>,
    is_to_come: bool,
    _netfilter: Option<Netfilter>,
}

impl Removed {
    /// Whether nothing was removed yet: these are the last rules of all, which go with the tables after the interface.
    pub fn is_to_come(&self) -> bool {
        self.is_to_come
    }
}

/// Removes all elements of an attachment in the calling thread's network namespace, and with the last of a network its
/// chains. Its addresses are looked up under the lock. From then on its interface is cut off, if it is checked. If these
/// are the last elements of all, and the interface is still to be removed, nothing is done.
///
/// # Errors
/// [`NftError`], or that of `addresses`; nothing was changed. That there is nothing to remove is no error.
pub fn remove<E: From<NftError>>(
    leaving: &Leaving<'_>,
    addresses: impl FnOnce() -> Result<Vec<IpAddr>, E>,
    others: impl FnOnce() -> Vec<Rules>,
) -> Result<Removed, E> {
    let _lock = lock().map_err(NftError::from)?;
    let addresses = addresses()?;
    let removed = Netfilter::open().and_then(|mut netfilter| {
        let is_done = remove_locked(&mut netfilter, leaving, &addresses, others)?;
        Ok((!is_done, Some(netfilter)))
    });
    let (is_to_come, _netfilter) = match removed {
        Err(NftError::NoNfTables) => (false, None),
        other => other?,
    };
    Ok(Removed { addresses, is_to_come, _netfilter })
}

/// Tells whether anything was removed.
fn remove_locked(
    netfilter: &mut Netfilter,
    leaving: &Leaving<'_>,
    addresses: &[IpAddr],
    others: impl FnOnce() -> Vec<Rules>,
) -> Result<bool, NftError> {
    let known = leaving.rules.and_then(|rules| Wanted::new(rules).ok());
    // An error occurs again when only the elements are removed.
    match with_tables(netfilter, leaving, known.as_ref(), addresses) {
        Ok(Some(_)) if leaving.link.is_some() => return Ok(false),
        Ok(Some(batch)) if remove_tables(netfilter, &batch).is_ok() => return Ok(true),
        _ => {}
    }
    // The file of a killed call may have addresses that belong to another pod by now.
    let by_key = known.as_ref().filter(|_| leaving.rules.is_some_and(|rules| rules.addresses == addresses));
    if by_key.is_none_or(|wanted| !remove_by_key(netfilter, wanted, addresses)) {
        if let Some(wanted) = &known
            && is_damaged(netfilter, &wanted.tables())?
        {
            rebuild(netfilter, None, &others())?;
        }
        remove_by_reading(netfilter, leaving, addresses)?;
    }
    Ok(true)
}

/// The removal of all tables, if all their elements are of this attachment and no other pod has an interface. They are
/// read before anything is changed: after a change some reading has to wait for the kernel.
fn with_tables(
    netfilter: &mut Netfilter,
    leaving: &Leaving<'_>,
    known: Option<&Wanted>,
    addresses: &[IpAddr],
) -> Result<Option<Batch>, NftError> {
    let is_own = |element: &Element| is_of(element, addresses, leaving.interface);
    // If other pods have elements, the map of this one's last element most likely has one of them.
    if let Some(own) = known.and_then(|wanted| wanted.elements.last())
        && !netfilter.map_holds_only(own.map(), is_own)?
    {
        return Ok(None);
    }
    if RouteSocket::here()?.has_pods(leaving.link)? {
        return Ok(None);
    }
    let mut batch = Batch::default();
    for table in Table::ALL {
        match netfilter.holds_only(table, is_own)? {
            Some(true) => batch.remove_table(table),
            Some(false) => return Ok(None),
            None => {}
        }
    }
    Ok(Some(batch).filter(|batch| !batch.is_empty()))
}

fn remove_tables(netfilter: &mut Netfilter, batch: &Batch) -> Result<(), NftError> {
    if localnet::is_open() {
        localnet::close_all()?;
    }
    netfilter.commit(batch).map_err(|refusal| batch.explain(refusal))
}

/// Removes the elements of an attachment by their keys. Only ports are read before: they may belong to another pod by now.
/// Tells whether all elements existed.
fn remove_by_key(netfilter: &mut Netfilter, wanted: &Wanted, addresses: &[IpAddr]) -> bool {
    let try_all = |netfilter: &mut Netfilter| -> Result<(), NftError> {
        let is_port = |element: &&Element| matches!(element, Element::Port { .. });
        let mut gone: Vec<Element> = wanted.elements.iter().filter(|one| !is_port(one)).cloned().collect();
        if wanted.elements.iter().any(|element| is_port(&element)) {
            let maps = Map::ALL.into_iter();
            let maps = maps.filter(|map| matches!(map.0, Purpose::HostPorts | Purpose::HostIpPorts));
            let ports = netfilter.contents(maps)?.elements;
            gone.extend(ports.into_iter().filter(|port| is_of(port, addresses, None)));
        }
        let mut batch = Batch::default();
        gone.iter().for_each(|element| batch.take_away(element));
        for chain in &wanted.chains {
            let own = gone.iter().filter(|element| element.chain() == Some(&chain.name)).count();
            if netfilter.references(&chain.name)?.is_some_and(|all| all <= own) {
                batch.remove_chain(&chain.name);
            }
        }
        if batch.is_empty() {
            return Ok(());
        }
        let mut good = Good::read();
        match good.generation([]) {
            Some(generation) if netfilter.commit_at(generation, &batch).is_ok() => {
                good.advance(generation, []);
                Ok(())
            }
            _ => netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal)),
        }
    };
    // An error occurs again when everything is read.
    try_all(netfilter).is_ok()
}

/// Removes all elements of an attachment that exist.
fn remove_by_reading(
    netfilter: &mut Netfilter,
    leaving: &Leaving<'_>,
    addresses: &[IpAddr],
) -> Result<(), NftError> {
    let elements = netfilter.contents(Map::ALL.into_iter())?.elements;
    let (gone, kept): (Vec<Element>, Vec<Element>) =
        elements.into_iter().partition(|element| is_of(element, addresses, leaving.interface));
    let mut batch = Batch::default();
    gone.iter().for_each(|element| batch.take_away(element));
    unused_chains(&gone, &kept).into_iter().for_each(|chain| batch.remove_chain(chain));
    for chain in [masquerade_name(leaving.network), hairpin_name(leaving.network)] {
        // Another program may have removed its last element.
        let is_known = gone.iter().chain(&kept).any(|element| element.chain() == Some(&chain));
        if !is_known && netfilter.has_chain(&chain)? {
            batch.remove_chain(&chain);
        }
    }
    if batch.is_empty() {
        return Ok(());
    }
    netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal))
}

fn is_of(element: &Element, addresses: &[IpAddr], interface: Option<&str>) -> bool {
    let is_own = |pod: IpAddr| addresses.iter().any(|address| address.to_canonical() == pod);
    element.pod().is_some_and(is_own)
        || element.interface().zip(interface).is_some_and(|(one, other)| one == other)
}

/// Removes leftovers of the last pods after the interface is gone: `route_localnet` after the last host port, and empty
/// tables, unless another pod has an interface.
///
/// # Errors
/// [`NftError`].
pub fn sweep(leaving: &Leaving<'_>, removed: &Removed) -> Result<(), NftError> {
    let _lock = lock()?;
    match Netfilter::open()
        .and_then(|mut netfilter| sweep_locked(&mut netfilter, leaving, &removed.addresses))
    {
        Err(NftError::NoNfTables) => Ok(()),
        other => other,
    }
}

fn sweep_locked(
    netfilter: &mut Netfilter,
    leaving: &Leaving<'_>,
    addresses: &[IpAddr],
) -> Result<(), NftError> {
    // A call that made the tables anew meanwhile has found the interface and restored its elements.
    let wanted = leaving.rules.and_then(|rules| Wanted::new(rules).ok());
    let own = wanted.iter().flat_map(|wanted| &wanted.elements);
    if let Some(own) = own.into_iter().find(|element| is_of(element, addresses, leaving.interface))
        && netfilter.has(own)?
    {
        remove_by_reading(netfilter, leaving, addresses)?;
    }
    if localnet::is_open() {
        let ports = Map::ALL.into_iter().filter(|map| map.0 == Purpose::Hairpin);
        if netfilter.contents(ports)?.elements.is_empty() {
            localnet::close_all()?;
        }
    }
    let (mut batch, mut is_left) = (Batch::default(), false);
    for table in Table::ALL {
        match netfilter.holds_only(table, |_| false)? {
            Some(true) => batch.remove_table(table),
            Some(false) => is_left = true,
            None => {}
        }
    }
    if !batch.is_empty() {
        if RouteSocket::here()?.has_pods(None)? {
            return Ok(());
        }
        netfilter.commit(&batch).map_err(|refusal| batch.explain(refusal))?;
    }
    if is_left { Ok(()) } else { Ok(Good::forget()?) }
}
