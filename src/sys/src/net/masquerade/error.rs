//! Why the table cannot be read or changed.

use std::io;

use thiserror::Error;

use crate::net::netfilter::missing::{is_missing, is_unanswered};

/// A change that failed; the table is as it was before.
#[derive(Debug, Error)]
pub enum MasqueradeError {
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
    /// The kernel has no nf_tables, or the module is missing.
    #[error("cannot masquerade what pods send beyond the cluster: this kernel has no nf_tables")]
    NoNfTables,
}

impl MasqueradeError {
    /// The error for a socket that cannot be used.
    pub(super) fn of_socket(verb: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| if is_missing(&cause) { Self::NoNfTables } else { Self::Socket { verb, cause } }
    }

    /// The error for a question without an answer.
    pub(super) fn unread(what: String, cause: io::Error) -> Self {
        if is_unanswered(&cause) {
            return Self::NoNfTables;
        }
        Self::Refused { step: format!("read the {what}"), cause }
    }
}
