//! Why the packet filter cannot be changed.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

use super::types::Protocol;
use crate::fs::files::FileError;
use crate::net::netfilter::missing::is_missing;
use crate::net::rtnetlink::NetworkError;
use crate::net::rtnetlink::localnet::LocalnetError;

/// A change that failed; the packet filter is as it was before.
#[derive(Debug, Error)]
pub enum NftError {
    /// Another pod has the port.
    #[error("cannot map host port {port}/{protocol}: it is already mapped to {owner}")]
    PortTaken {
        /// The port.
        port: u16,
        /// Its protocol.
        protocol: Protocol,
        /// The pod that has it.
        owner: IpAddr,
    },
    /// A mapping that is not possible for this pod.
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
    /// The lock cannot be taken.
    #[error(transparent)]
    Lock(#[from] FileError),
    /// The kernel has no nf_tables, or the module is missing.
    #[error(
        "cannot change the packet filter: this kernel has no nf_tables, expected it or \"spoofCheck\": false without ipMasq and host ports"
    )]
    NoNfTables,
    /// The kernel's nf_tables has no bridge family.
    #[error(
        "cannot change the packet filter: this kernel's nf_tables has no family bridge, expected it or \"spoofCheck\": false"
    )]
    NoBridges,
    /// `route_localnet` cannot be taken back with the last host port.
    #[error(transparent)]
    Localnet(#[from] LocalnetError),
    /// The interfaces of pods cannot be listed.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

impl NftError {
    /// The error for a socket that cannot be used.
    pub(super) fn of_socket(verb: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| if is_missing(&cause) { Self::NoNfTables } else { Self::Socket { verb, cause } }
    }

    /// Whether another element or object is in the way.
    pub(super) fn is_clash(&self) -> bool {
        let Self::Refused { cause, .. } = self else { return false };
        // ENOBUFS: there were too many refusals for the socket's buffer.
        matches!(cause.raw_os_error(), Some(libc::EEXIST | libc::EBUSY | libc::ENOBUFS))
    }
}
