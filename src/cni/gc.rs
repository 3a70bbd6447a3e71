//! GC: what the runtime does not know any more, and what belongs to network namespaces that are gone, is undone.
//! What cannot be undone does not keep the rest from being undone.

use std::collections::BTreeSet;
use std::path::Path;

use super::call::Call;
use super::config::Role;
use super::error::CniError;
use super::{detach, pod_record};
use crate::ipam::allocate::Holder;
use crate::ipam::attachments;
use crate::sys::network::{Namespace, Network, NetworkError};
use crate::sys::state_dir::LockKind;

/// Undoes everything that is not valid.
pub(super) fn run(call: &mut Call) -> Result<(), CniError> {
    if call.document.is_set("disableGC") {
        return Ok(());
    }
    let valid = call.document.valid_attachments()?;
    let mut errors = Vec::new();
    let dir = call.document.dir.clone();
    if dir.is_dir() {
        let _alone = call.against_gc(LockKind::Exclusive)?;
        let mut holders: BTreeSet<Holder> = call.book()?.holders()?.into_iter().collect();
        holders.extend(attachments::list(&dir)?);
        for holder in holders {
            if valid.binary_search(&holder).is_ok() && !is_gone(&dir, &holder) {
                continue;
            }
            errors.extend(detach::detach(call, &dir, &holder).err());
        }
        errors.extend(attachments::sweep(&dir).err().map(CniError::from));
    }
    if call.document.role == Role::Chained {
        let is_valid = |id: &str| {
            valid.iter().any(|holder| holder.container == id && pod_record::is_pod_interface(&holder.ifname))
        };
        for id in pod_record::containers(&call.document.name)?.iter().filter(|id| !is_valid(id)) {
            errors.extend(pod_record::remove_of(&call.document.name, id).err());
        }
    }
    CniError::joined(&errors).map_or(Ok(()), Err)
}

/// Whether an attachment's network namespace is gone, and nothing of it is left. What cannot be judged is not gone.
fn is_gone(dir: &Path, holder: &Holder) -> bool {
    let Some(attachment) = attachments::read(dir, holder) else { return false };
    let Some(id) = attachment.netns_id else { return false };
    // A process may end while others are still in its namespace.
    if attachment.netns.starts_with("/proc/") && attachment.host_interface.is_none() {
        return false;
    }
    let namespace = match Namespace::open(Path::new(&attachment.netns)).and_then(|netns| netns.id()) {
        Ok(now) => now != id,
        Err(NetworkError::NoNamespace(_)) => true,
        Err(_) => false,
    };
    // A namespace lives on without its path while a process is in it; the veth pair tells.
    let link = attachment.host_interface.as_deref();
    namespace
        && link.is_none_or(|link| {
            Network::here().and_then(|mut node| node.link(link)).is_ok_and(|l| l.is_none())
        })
}
