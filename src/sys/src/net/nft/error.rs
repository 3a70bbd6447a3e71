//! Why the packet filter cannot be changed.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

use super::types::Protocol;
use crate::fs::files::FileError;
use crate::net::rtnetlink::NetworkError;
use crate::net::rtnetlink::localnet::LocalnetError;

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
    #[error(
        "cannot change the packet filter: this kernel has no nf_tables, expected it or \"spoofCheck\": false without ipMasq and host ports"
    )]
    NoNfTables,
    /// The same of its part for bridges.
    #[error(
        "cannot change the packet filter: this kernel's nf_tables has no family bridge, expected it or \"spoofCheck\": false"
    )]
    NoBridges,
    /// What goes with the last pod's rules.
    #[error(transparent)]
    Localnet(#[from] LocalnetError),
    /// Whether there are pods cannot be told.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl NftError {
    /// Whether something else is there already, as an element or by a name.
    pub(super) fn is_clash(&self) -> bool {
        let Self::Refused { cause, .. } = self else { return false };
        // Too many refusals of one batch have no room to be told.
        matches!(cause.raw_os_error(), Some(libc::EEXIST | libc::EBUSY | libc::ENOBUFS))
    }
}
