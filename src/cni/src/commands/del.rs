//! Undoing an ADD: its own failure, DEL, and GC do the same things in the same order.
//!
//! An address is given back when nothing uses it any more: after the interface is gone, and before what was written
//! down of it is forgotten.

use std::path::Path;

use crate::commands::call::{Call, against_gc};
use crate::commands::pod_record;
use crate::config::document::Role;
use crate::interface::names;
use crate::protocol::error::CniError;
use records::attachment::Attachment;
use records::attachment::Holder;
use records::directory;
use records::stores;
use sys::fs::state_dir::LockKind;
use sys::net::nft::{self, Leaving};
use sys::net::rtnetlink::{Namespace, NetworkError, RouteSocket};

/// What there is to undo beside the addresses.
#[derive(Debug)]
pub(crate) struct Remains {
    /// The node's end of a veth pair.
    pub(crate) link: Option<String>,
    /// Whether there may be rules in the packet filter.
    pub(crate) has_rules: bool,
    /// Whether there may be a record.
    pub(crate) has_record: bool,
}

/// Undoes an ADD that failed, as far as it had come.
pub(crate) fn undo(call: &mut Call, remains: &Remains) -> Result<(), CniError> {
    let (dir, holder) = (call.document.dir.clone(), call.parameters.holder());
    let known = directory::read(&dir, &holder);
    take_down(call, &dir, &holder, known.as_ref(), remains)
}

/// DEL: succeeds where nothing is left to do.
pub(crate) fn del(call: &mut Call) -> Result<(), CniError> {
    let (dir, holder) = (call.document.dir.clone(), call.parameters.holder());
    let mut was_there = false;
    // Without the directory there are neither addresses nor a GC to be kept out.
    if dir.is_dir() && is_to_undo(call.document.role, &dir, &holder) {
        let _no_gc = against_gc(&dir, LockKind::Shared)?;
        was_there = detach(call, &dir, &holder)?;
    }
    if !was_there {
        // The configuration may have had another dataDir at ADD.
        for dir in stores::others(&call.document.name, &dir)? {
            if directory::read(&dir, &holder).is_some() && is_to_undo(call.document.role, &dir, &holder) {
                let _no_gc = against_gc(&dir, LockKind::Shared)?;
                detach(call, &dir, &holder)?;
            }
        }
        if call.document.role == Role::Main {
            let link = names::host_interface(&call.document.name, &holder);
            remove_link(&link, None, &holder)?;
        }
    }
    pod_record::remove(&call.document.name, &holder.container, &holder.ifname)
}

/// Whether DEL of that role undoes an attachment. Addresses that a plugin before the chained role has asked for are in
/// use until that one's DEL; an interface of the main role is there when `ipam` was removed from the configuration.
fn is_to_undo(role: Role, dir: &Path, holder: &Holder) -> bool {
    let has_interface =
        || directory::read(dir, holder).is_some_and(|attachment| attachment.host_interface.is_some());
    role != Role::Chained || has_interface()
}

/// Undoes everything of one attachment; tells whether there was anything.
pub(crate) fn detach(call: &mut Call, dir: &Path, holder: &Holder) -> Result<bool, CniError> {
    let known = directory::read(dir, holder);
    let (was_there, link, has_rules) = match &known {
        Some(attachment) => (true, attachment.host_interface.clone(), attachment.has_rules),
        // Nothing readable is written down, so everything is looked for.
        None => {
            let is_held = !call.book_in(dir)?.held(holder)?.is_empty();
            let is_main = call.document.role == Role::Main;
            let link = is_main.then(|| names::host_interface(&call.document.name, holder));
            (is_held, link, is_main && is_held)
        }
    };
    let remains = Remains { link, has_rules, has_record: true };
    take_down(call, dir, holder, known.as_ref(), &remains)?;
    Ok(was_there)
}

fn take_down(
    call: &mut Call,
    dir: &Path,
    holder: &Holder,
    known: Option<&Attachment>,
    remains: &Remains,
) -> Result<(), CniError> {
    let network = call.document.name.clone();
    let own = names::host_interface(&network, holder);
    let rules = known.and_then(|attachment| attachment.rules(&network));
    let interface = known.and_then(|attachment| attachment.host_interface.as_deref()).unwrap_or(&own);
    let link = remains.link.as_deref();
    let leaving = Leaving { network: &network, interface: Some(interface), link, rules: rules.as_ref() };
    // The kernel takes its time over both; while it removes the interface it is done with the rules.
    let mut removed = remains.has_rules.then(|| remove_rules(call, dir, holder, &leaving)).transpose();
    let link = match (link, &removed) {
        (Some(link), Ok(Some(first))) if first.is_to_come() => {
            let (gone, last) = remove_last(call, dir, holder, (&leaving, link), known);
            removed = last.map(Some);
            gone
        }
        (Some(link), _) => remove_link(link, known, holder),
        (None, _) => Ok(()),
    };
    if remains.has_record {
        pod_record::remove(&call.document.name, &holder.container, &holder.ifname)?;
    }
    // An interface or rules that are still there keep their addresses; the rest is undone all the same.
    link?;
    if let Some(removed) = removed? {
        nft::sweep(&leaving, &removed)?;
    }
    let mut book = call.book_in(dir)?;
    book.release(holder)?;
    call.notices.append(&mut book.notices);
    directory::forget(dir, holder)?;
    Ok(())
}

/// Removes the rules of the addresses that the book has. Those that are written down may be another pod's by now, where
/// a call was killed or another DEL of the same attachment was faster; and so may those of the book, unless nobody can
/// install rules meanwhile.
fn remove_rules(
    call: &mut Call,
    dir: &Path,
    holder: &Holder,
    leaving: &Leaving<'_>,
) -> Result<nft::Removed, CniError> {
    nft::remove(leaving, || Ok(call.book_in(dir)?.held(holder)?), || stores::rules(leaving.interface))
}

/// Removes the interface of a node's last pod, and its rules while the kernel is still at that.
fn remove_last(
    call: &mut Call,
    dir: &Path,
    holder: &Holder,
    (leaving, link): (&Leaving<'_>, &str),
    known: Option<&Attachment>,
) -> (Result<(), CniError>, Result<nft::Removed, CniError>) {
    let leaving = Leaving { link: None, ..*leaving };
    let (mut remove, mut removed) = (|| remove_rules(call, dir, holder, &leaving), None);
    let gone = Network::here().and_then(|mut node| node.delete_link_and(link, || removed = Some(remove())));
    let gone = match gone {
        Ok(true) => Ok(()),
        Ok(false) => remove_link(link, known, holder),
        Err(error) => Err(error.into()),
    };
    (gone, removed.unwrap_or_else(remove))
}

/// Removes a veth pair, by the node's end, or where somebody has renamed that, by the pod's.
fn remove_link(name: &str, attachment: Option<&Attachment>, holder: &Holder) -> Result<(), CniError> {
    if RouteSocket::here()?.delete_link(name)? {
        return Ok(());
    }
    let Some(attachment) = attachment.filter(|known| known.netns_id.is_some() && known.mac.is_some()) else {
        return Ok(());
    };
    let in_pod = || -> Result<(), NetworkError> {
        let (pod, node) = (Namespace::open(Path::new(&attachment.netns))?, Namespace::own()?);
        if Some(pod.id()?) != attachment.netns_id {
            return Ok(());
        }
        let mut inside = RouteSocket::of(&pod, &node)?;
        // Where ADD had not come so far, the interface of that name is somebody else's.
        if inside.link(&holder.ifname)?.is_some_and(|link| link.kind == "veth" && link.mac == attachment.mac)
        {
            inside.delete_link(&holder.ifname)?;
        }
        Ok(())
    };
    match in_pod() {
        Err(error) if error.is_absent() => Ok(()),
        other => Ok(other?),
    }
}
