//! GC undoes the attachments that the runtime does not list, and those whose network namespace is gone. A failure does
//! not keep the others from being undone.
//!
//! The list may be missing: libcni leaves the key out where its caller has no arguments for GC, as `cnitool gc`, and so
//! does a caller who forgets it, on a node full of pods. So without a list only attachments whose network namespace is
//! gone are undone. (By then libcni has sent a DEL for every attachment that it knows.)

use std::collections::BTreeSet;
use std::path::Path;

use super::common::{against_gc, open_book};
use super::{del, pod_record};
use crate::config::document::Network;
use crate::config::request::Gc;
use crate::config::roles::Role;
use crate::protocol::error::{CniError, Code};
use records::attachment::Holder;
use records::directory;
use records::stores;
use sys::fs::state_dir::LockKind;
use sys::net::nft;
use sys::net::rtnetlink::{Namespace, NetworkError, RouteSocket};

/// Undoes everything that is not valid.
pub(super) fn run(gc: &Gc, notices: &mut Vec<String>) -> Result<(), CniError> {
    let Gc { network, role, valid } = gc;
    let (name, valid) = (&network.name, valid.as_deref());
    let mut errors = Vec::new();
    let mut dirs = stores::others(name, &network.dir)?;
    dirs.extend(Some(network.dir.clone()).filter(|dir| dir.is_dir()));
    for dir in dirs {
        let network = Network { name: name.clone(), dir };
        errors.extend(collect(&network, *role, valid, notices).unwrap_or_else(|error| vec![error]));
        // A process that holds a lock holds up all others, and meanwhile this call keeps ADD waiting.
        if errors.iter().any(is_held) {
            return CniError::joined(&errors).map_or(Ok(()), Err);
        }
    }
    // A record has no network namespace to judge by.
    if let (Role::Chained, Some(valid)) = (role, valid) {
        let of_pods = valid.iter().filter(|holder| pod_record::is_pod_interface(&holder.ifname));
        let valid: BTreeSet<&str> = of_pods.map(|holder| holder.container.as_str()).collect();
        let containers = pod_record::containers(name)?;
        for id in containers.iter().filter(|id| !valid.contains(id.as_str())) {
            errors.extend(pod_record::remove_of(name, id).err());
        }
    }
    if *role == Role::Main {
        errors.extend(nft::repair(|| stores::rules(None)).err().map(CniError::from));
    }
    CniError::joined(&errors).map_or(Ok(()), Err)
}

/// Undoes the attachments in one directory of a network that are not valid; gives the errors.
fn collect(
    network: &Network,
    role: Role,
    valid: Option<&[Holder]>,
    notices: &mut Vec<String>,
) -> Result<Vec<CniError>, CniError> {
    let dir = &network.dir;
    let _alone = against_gc(dir, LockKind::Exclusive)?;
    let mut holders: BTreeSet<Holder> = open_book(dir, notices)?.holders()?.into_iter().collect();
    holders.extend(directory::list(dir)?);
    let mut errors = Vec::new();
    for holder in holders {
        let is_unknown = valid.is_some_and(|valid| valid.binary_search(&holder).is_err());
        if is_unknown || is_gone(dir, &holder) {
            let error = del::detach(network, role, &holder, notices).err();
            errors.extend(error);
            if errors.iter().any(is_held) {
                return Ok(errors);
            }
        }
    }
    errors.extend(directory::sweep(dir).err().map(CniError::from));
    Ok(errors)
}

/// Whether another process holds a lock.
fn is_held(error: &CniError) -> bool {
    error.code == Code::TryAgainLater
}

/// Whether an attachment's network namespace is gone, though the runtime lists it. One that cannot be judged is not
/// gone.
fn is_gone(dir: &Path, holder: &Holder) -> bool {
    let Some(attachment) = directory::read(dir, holder) else { return false };
    let Some(id) = attachment.netns_id else { return false };
    let now = Namespace::open(Path::new(&attachment.netns)).and_then(|netns| netns.id());
    match (now, &attachment.host_interface) {
        // A namespace without a path lives on while a process is in it; it is gone when the veth pair is.
        (Ok(now), Some(link)) if now != id => !is_there(link),
        (Err(NetworkError::NoNamespace(_)), Some(link)) => !is_there(link),
        // Another plugin's interface has no known name; a path in /proc belongs to any later process with that id.
        (Ok(now), None) => now != id && !attachment.netns.starts_with("/proc/"),
        _ => false,
    }
}

fn is_there(link: &str) -> bool {
    RouteSocket::here().and_then(|mut node| node.link(link)).is_ok_and(|found| found.is_some())
}
