//! GC: what the runtime does not know any more, and what belongs to network namespaces that are gone, is undone.
//! What cannot be undone does not keep the rest from being undone.
//!
//! A runtime that gives no list of valid attachments has none: libcni leaves the key out where its caller has no
//! arguments for GC, as `cnitool gc`. But so does somebody who has forgotten it, on a node full of pods. So without a
//! list only attachments go whose network namespace is gone. (libcni itself has sent a DEL for every attachment that it
//! knows by then.)

use std::collections::BTreeSet;
use std::path::Path;

use crate::commands::call::{Call, against_gc};
use crate::commands::{del, pod_record};
use crate::config::document::Role;
use crate::protocol::error::{CniError, Code};
use records::attachment::Holder;
use records::directory;
use records::stores;
use sys::fs::state_dir::LockKind;
use sys::net::nft;
use sys::net::rtnetlink::{Namespace, NetworkError, RouteSocket};

/// Undoes everything that is not valid.
pub(crate) fn run(call: &mut Call) -> Result<(), CniError> {
    if call.document.is_set("disableGC") {
        return Ok(());
    }
    let valid = call.document.valid_attachments()?;
    let valid = valid.as_deref();
    let mut errors = Vec::new();
    let mut dirs = stores::others(&call.document.name, &call.document.dir)?;
    dirs.extend(Some(call.document.dir.clone()).filter(|dir| dir.is_dir()));
    for dir in dirs {
        errors.extend(collect(call, &dir, valid).unwrap_or_else(|error| vec![error]));
        // Whoever keeps a lock keeps it from all of them, and meanwhile this call keeps ADD waiting.
        if errors.iter().any(is_held) {
            return CniError::joined(&errors).map_or(Ok(()), Err);
        }
    }
    // A record tells no network namespace.
    if let (Role::Chained, Some(valid)) = (call.document.role, valid) {
        let of_pods = valid.iter().filter(|holder| pod_record::is_pod_interface(&holder.ifname));
        let valid: BTreeSet<&str> = of_pods.map(|holder| holder.container.as_str()).collect();
        let containers = pod_record::containers(&call.document.name)?;
        for id in containers.iter().filter(|id| !valid.contains(id.as_str())) {
            errors.extend(pod_record::remove_of(&call.document.name, id).err());
        }
    }
    if call.document.role == Role::Main {
        errors.extend(nft::repair(|| stores::rules(None)).err().map(CniError::from));
    }
    CniError::joined(&errors).map_or(Ok(()), Err)
}

/// Undoes what is not valid in the network's directory `dir`; gives what could not be undone.
fn collect(call: &mut Call, dir: &Path, valid: Option<&[Holder]>) -> Result<Vec<CniError>, CniError> {
    let _alone = against_gc(dir, LockKind::Exclusive)?;
    let mut holders: BTreeSet<Holder> = call.book_in(dir)?.holders()?.into_iter().collect();
    holders.extend(directory::list(dir)?);
    let mut errors = Vec::new();
    for holder in holders {
        let is_unknown = valid.is_some_and(|valid| valid.binary_search(&holder).is_err());
        if is_unknown || is_gone(dir, &holder) {
            let error = del::detach(call, dir, &holder).err();
            errors.extend(error);
            if errors.iter().any(is_held) {
                return Ok(errors);
            }
        }
    }
    errors.extend(directory::sweep(dir).err().map(CniError::from));
    Ok(errors)
}

/// Whether somebody keeps a lock.
fn is_held(error: &CniError) -> bool {
    error.code == Code::TryAgainLater
}

/// Whether an attachment's network namespace is gone, though the runtime lists it. What cannot be judged is not gone.
fn is_gone(dir: &Path, holder: &Holder) -> bool {
    let Some(attachment) = directory::read(dir, holder) else { return false };
    let Some(id) = attachment.netns_id else { return false };
    let now = Namespace::open(Path::new(&attachment.netns)).and_then(|netns| netns.id());
    match (now, &attachment.host_interface) {
        // A namespace lives on without its path while a process is in it; the veth pair tells.
        (Ok(now), Some(link)) if now != id => !is_there(link),
        (Err(NetworkError::NoNamespace(_)), Some(link)) => !is_there(link),
        // Of another plugin's interface nothing is known, and a path in /proc is that of whoever has the process id now.
        (Ok(now), None) => now != id && !attachment.netns.starts_with("/proc/"),
        _ => false,
    }
}

fn is_there(link: &str) -> bool {
    RouteSocket::here().and_then(|mut node| node.link(link)).is_ok_and(|found| found.is_some())
}
