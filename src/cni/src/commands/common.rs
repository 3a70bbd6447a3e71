//! What several commands do alike.

use std::path::Path;

use crate::config::request::DnsSource;
use crate::ipam::book::Book;
use crate::protocol::environment::Parameters;
use crate::protocol::error::{CniError, Code};
use crate::protocol::result::Dns;
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir::{self, Lock, LockKind};
use sys::net::rtnetlink::{Namespace, NamespaceId};

/// Largest resolv.conf that is read, in bytes.
const RESOLV_CONF_MAX: usize = 64 << 10;

/// Keeps GC out of the network's directory `dir` while an attachment is made or undone, which takes several steps.
pub(super) fn against_gc(dir: &Path, kind: LockKind) -> Result<Lock, CniError> {
    Ok(state_dir::lock_in_turn(&dir.join("gc.lock"), kind)?)
}

/// Opens the address book in `dir`; adds what it has to say to `notices`.
pub(super) fn open_book(dir: &Path, notices: &mut Vec<String>) -> Result<Book, CniError> {
    let mut book = Book::open(dir, &sys::boot_id()?)?;
    notices.append(&mut book.notices);
    Ok(book)
}

/// Opens the pod's network namespace, which must not be the node's.
pub(super) fn pod_namespace(
    parameters: &Parameters,
    node: &Namespace,
) -> Result<(Namespace, NamespaceId), CniError> {
    let pod = Namespace::open(&parameters.netns)?;
    let id = pod.id()?;
    if id == node.id()? && !parameters.netns_override {
        let msg = format!(
            "CNI_NETNS: {} is the node's own network namespace, expected a container's",
            parameters.netns.display()
        );
        return Err(CniError::new(Code::InvalidNetns, msg));
    }
    Ok((pod, id))
}

/// Reads the DNS settings of the result.
pub(super) fn read_dns(source: &DnsSource) -> Result<Dns, CniError> {
    match source {
        DnsSource::Given(dns) => Ok(dns.clone()),
        DnsSource::ResolvConf(path) => {
            let bytes = files::read(path, RESOLV_CONF_MAX, LastLink::Follow)
                .map_err(|error| CniError::new(Code::Io, format!("ipam.resolvConf: {error}")))?;
            Ok(Dns::parse_resolv_conf(&String::from_utf8_lossy(&bytes)))
        }
    }
}
