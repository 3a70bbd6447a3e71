//! DEL, and how GC undoes an attachment.
//!
//! An address is given back when nothing uses it any more: after the interface is gone, and before the attachment's
//! file is removed.

use super::common::{against_gc, open_book};
use super::pod_record;
use crate::config::document::Network;
use crate::config::request::Del;
use crate::config::roles::Role;
use crate::interface::names;
use crate::interface::removal::{remove_last_link, remove_link};
use crate::protocol::error::CniError;
use records::attachment::{Attachment, Holder};
use records::directory;
use records::stores;
use sys::fs::state_dir::LockKind;
use sys::net::nft::{self, Leaving};

/// What there may be to undo beside the addresses and the record.
#[derive(Debug)]
struct Remains {
    /// The node's end of a veth pair.
    link: Option<String>,
    /// Whether there may be rules in the packet filter.
    has_rules: bool,
}

/// Succeeds where nothing is left to do.
pub(super) fn run(request: &Del, notices: &mut Vec<String>) -> Result<(), CniError> {
    let Del { network, role, holder } = request;
    let mut was_there = false;
    // Without the directory there are neither addresses nor a GC to be kept out.
    if network.dir.is_dir() && is_to_undo(*role, network, holder) {
        let _no_gc = against_gc(&network.dir, LockKind::Shared)?;
        was_there = detach(network, *role, holder, notices)?;
    }
    if !was_there {
        // The configuration may have had another dataDir at ADD.
        for dir in stores::others(&network.name, &network.dir)? {
            let other = Network { name: network.name.clone(), dir };
            if directory::read(&other.dir, holder).is_some() && is_to_undo(*role, &other, holder) {
                let _no_gc = against_gc(&other.dir, LockKind::Shared)?;
                detach(&other, *role, holder, notices)?;
            }
        }
        if *role == Role::Main {
            remove_link(&names::host_interface(&network.name, holder), None, holder)?;
        }
    }
    pod_record::remove(&network.name, &holder.container, &holder.ifname)
}

/// Whether DEL of that role undoes an attachment. Addresses that an earlier plugin of the list has asked for are in use
/// until that plugin's DEL, so the chained role leaves them. An attachment with an interface is the main role's, whose
/// configuration has lost its `ipam`.
fn is_to_undo(role: Role, network: &Network, holder: &Holder) -> bool {
    let has_interface = || {
        directory::read(&network.dir, holder).is_some_and(|attachment| attachment.host_interface.is_some())
    };
    role != Role::Chained || has_interface()
}

/// Undoes everything of one attachment; tells whether there was anything.
pub(super) fn detach(
    network: &Network,
    role: Role,
    holder: &Holder,
    notices: &mut Vec<String>,
) -> Result<bool, CniError> {
    let known = directory::read(&network.dir, holder);
    let (was_there, link, has_rules) = match &known {
        Some(attachment) => (true, attachment.host_interface.clone(), attachment.has_rules),
        // Without a file that can be read, everything is looked for.
        None => {
            let is_held = !open_book(&network.dir, notices)?.held(holder)?.is_empty();
            let is_main = role == Role::Main;
            let link = is_main.then(|| names::host_interface(&network.name, holder));
            (is_held, link, is_main && is_held)
        }
    };
    take_down(network, holder, known.as_ref(), &Remains { link, has_rules }, notices)?;
    Ok(was_there)
}

fn take_down(
    network: &Network,
    holder: &Holder,
    known: Option<&Attachment>,
    remains: &Remains,
    notices: &mut Vec<String>,
) -> Result<(), CniError> {
    let own = names::host_interface(&network.name, holder);
    let rules = known.and_then(|attachment| attachment.rules(&network.name));
    let interface = known.and_then(|attachment| attachment.host_interface.as_deref()).unwrap_or(&own);
    let link = remains.link.as_deref();
    let leaving = Leaving { network: &network.name, interface: Some(interface), link, rules: rules.as_ref() };
    // Both take the kernel a while; it frees the rules while it removes the interface.
    let mut removed = remains.has_rules.then(|| remove_rules(network, holder, &leaving, notices)).transpose();
    let link = match (link, &removed) {
        (Some(link), Ok(Some(first))) if first.is_to_come() => {
            let remove = || {
                let leaving = Leaving { link: None, ..leaving };
                removed = remove_rules(network, holder, &leaving, notices).map(Some);
            };
            remove_last_link(link, known, holder, remove)
        }
        (Some(link), _) => remove_link(link, known, holder),
        (None, _) => Ok(()),
    };
    pod_record::remove(&network.name, &holder.container, &holder.ifname)?;
    // An interface or rules that are still there keep their addresses; the rest is undone all the same.
    link?;
    if let Some(removed) = removed? {
        nft::sweep(&leaving, &removed)?;
    }
    release(network, holder, notices)
}

/// Gives the addresses of an attachment back, and removes its file.
pub(super) fn release(network: &Network, holder: &Holder, notices: &mut Vec<String>) -> Result<(), CniError> {
    let mut book = open_book(&network.dir, notices)?;
    book.release(holder)?;
    notices.append(&mut book.notices);
    directory::forget(&network.dir, holder)?;
    Ok(())
}

/// Removes the rules of the addresses that the book has. The addresses in the attachment's file may be another pod's by
/// now, if a call was killed or another DEL of the same attachment was faster. The book's could be, too, so they are
/// looked up while no other call can install rules.
pub(super) fn remove_rules(
    network: &Network,
    holder: &Holder,
    leaving: &Leaving<'_>,
    notices: &mut Vec<String>,
) -> Result<nft::Removed, CniError> {
    let held = || Ok(open_book(&network.dir, notices)?.held(holder)?);
    nft::remove(leaving, held, || stores::rules(leaving.interface))
}
