//! What happens to addresses, and what fails.

use std::io;
use std::net::IpAddr;

use thiserror::Error;

use crate::net::rtnetlink::{Mac, NetworkError};

/// Addresses cannot be answered for.
#[derive(Debug, Error)]
pub enum AnnounceError {
    /// The interface does not exist, or no longer.
    #[error("cannot answer for addresses on {0}: there is no such interface")]
    NoInterface(String),
    /// The interface has no MAC address.
    #[error("cannot answer for addresses on {0}: it is no Ethernet interface")]
    NotEthernet(String),
    /// The address is not one that a machine can have.
    #[error("cannot answer for {0}: expected a unicast address")]
    NotUnicast(IpAddr),
    /// The kernel refused.
    #[error("cannot {step} on {interface}: {cause}")]
    Refused {
        /// What was tried.
        step: &'static str,
        /// The interface.
        interface: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The interface or its addresses cannot be looked at.
    #[error(transparent)]
    Network(#[from] NetworkError),
}

/// What has happened to an address or the interface.
#[derive(Debug)]
pub enum Event {
    /// Nobody else has the address: from now on it is answered for.
    Held {
        /// The address.
        address: IpAddr,
    },
    /// Another machine has the address: it is not answered for. It is probed again after a minute.
    Taken {
        /// The address.
        address: IpAddr,
        /// The other machine.
        by: Mac,
    },
    /// Another machine claims an address that is answered for. It still is, unless the other one insists.
    Conflict {
        /// The address.
        address: IpAddr,
        /// The other machine.
        by: Mac,
    },
    /// An interface of this node has the address: the kernel answers.
    Own {
        /// The address.
        address: IpAddr,
    },
    /// A frame about the address cannot be sent.
    Unsent {
        /// The address.
        address: IpAddr,
        /// The kernel's answer.
        cause: io::Error,
    },
    /// The interface is down or has no carrier. When it is back, all addresses are probed again.
    Down,
    /// The interface is back.
    Up,
}
