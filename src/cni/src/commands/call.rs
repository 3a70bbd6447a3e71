//! One call of the plugin: what was asked, and with which configuration.

use std::path::Path;

use crate::config::document::Document;
use crate::config::runtime_config::RuntimeConfig;
use crate::ipam::book::Book;
use crate::protocol::environment::Parameters;
use crate::protocol::error::{CniError, Code};
use crate::protocol::result::Dns;
use records::DATA_DIR;
use sys::fs::files::{self, LastLink};
use sys::fs::state_dir::{self, Lock, LockKind};
use sys::net::rtnetlink::{Namespace, NamespaceId};

/// Largest resolv.conf that is read, in bytes.
const RESOLV_CONF_MAX: usize = 64 << 10;

/// What was asked, and with which configuration.
#[derive(Debug)]
pub(crate) struct Call {
    /// From the environment.
    pub(crate) parameters: Parameters,
    /// From standard input.
    pub(crate) document: Document,
    /// Lines for stderr, whatever becomes of the call.
    pub(crate) notices: Vec<String>,
}

/// Keeps GC out of the network's directory `dir` while an attachment is made or undone, which is more than one step.
pub(crate) fn against_gc(dir: &Path, kind: LockKind) -> Result<Lock, CniError> {
    Ok(state_dir::lock_in_turn(&dir.join("gc.lock"), kind)?)
}

impl Call {
    /// Opens the network's address book.
    pub(crate) fn book(&mut self) -> Result<Book, CniError> {
        self.book_in(&self.document.dir.clone())
    }

    /// Opens the address book in `dir`.
    pub(crate) fn book_in(&mut self, dir: &Path) -> Result<Book, CniError> {
        let mut book = Book::open(dir, &sys::boot_id()?)?;
        self.notices.append(&mut book.notices);
        Ok(book)
    }

    /// Opens the pod's network namespace, which must not be the node's.
    pub(crate) fn pod_namespace(&self, node: &Namespace) -> Result<(Namespace, NamespaceId), CniError> {
        let pod = Namespace::open(&self.parameters.netns)?;
        let id = pod.id()?;
        if id == node.id()? && !self.parameters.netns_override {
            let msg = format!(
                "CNI_NETNS: {} is the node's own network namespace, expected a container's",
                self.parameters.netns.display()
            );
            return Err(CniError::new(Code::InvalidNetns, msg));
        }
        Ok((pod, id))
    }

    /// The DNS settings of the result: the runtime's, else the network's, else those of `ipam.resolvConf`.
    pub(crate) fn dns(&self, runtime: &RuntimeConfig, resolv_conf: Option<&Path>) -> Result<Dns, CniError> {
        if let Some(dns) = &runtime.dns {
            return Ok(dns.clone());
        }
        match (self.document.dns()?, resolv_conf) {
            (Some(dns), _) => Ok(dns),
            (None, Some(path)) => {
                let bytes = files::read(path, RESOLV_CONF_MAX, LastLink::Follow)
                    .map_err(|error| CniError::new(Code::Io, format!("ipam.resolvConf: {error}")))?;
                Ok(Dns::parse_resolv_conf(&String::from_utf8_lossy(&bytes)))
            }
            (None, None) => Ok(Dns::default()),
        }
    }

    /// Whether the network's state is where it is by default.
    pub(crate) fn is_in_default_dir(&self) -> bool {
        self.document.dir.parent() == Some(Path::new(DATA_DIR))
    }
}
