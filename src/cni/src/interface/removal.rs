//! Removing a pod's veth pair.

use std::path::Path;

use crate::protocol::error::CniError;
use records::attachment::{Attachment, Holder};
use sys::net::rtnetlink::{Namespace, NetworkError, RouteSocket};

/// Removes a veth pair by the end of the node or, if that was renamed, by the end of the pod. It is no error that there
/// is none.
pub(crate) fn remove_link(
    name: &str,
    attachment: Option<&Attachment>,
    holder: &Holder,
) -> Result<(), CniError> {
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
        // An ADD that was killed before may have left the name to an interface of another plugin.
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

/// Removes the interface of a node's last pod as [`remove_link`] does, and calls `remove_rules` once, while the kernel is
/// still at the interface if that is possible.
pub(crate) fn remove_last_link(
    name: &str,
    attachment: Option<&Attachment>,
    holder: &Holder,
    remove_rules: impl FnOnce(),
) -> Result<(), CniError> {
    let mut remove_rules = Some(remove_rules);
    let gone = RouteSocket::here().and_then(|mut node| {
        node.delete_link_and(name, || {
            if let Some(remove_rules) = remove_rules.take() {
                remove_rules();
            }
        })
    });
    let gone = match gone {
        Ok(true) => Ok(()),
        Ok(false) => remove_link(name, attachment, holder),
        Err(error) => Err(error.into()),
    };
    if let Some(remove_rules) = remove_rules {
        remove_rules();
    }
    gone
}
