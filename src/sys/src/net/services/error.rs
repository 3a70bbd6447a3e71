//! Why the table cannot be read or changed.

use std::fmt;
use std::io;

use thiserror::Error;

use super::element::Element;
use crate::net::netfilter::missing::is_missing;

/// A change that failed; the table is as it was before.
#[derive(Debug, Error)]
pub enum ServicesError {
    /// The kernel refused.
    #[error("cannot {step}: {cause}")]
    Refused {
        /// What was tried.
        step: Box<str>,
        /// The element that was refused, if it was one.
        element: Option<Box<Element>>,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// An element that the table cannot have.
    #[error("cannot add the {element}: {cause}")]
    Unusable {
        /// The element.
        element: Box<Element>,
        /// What is wrong with it.
        cause: Fault,
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
    #[error("cannot lead connections to Services: this kernel has no nf_tables, expected it or --proxy none")]
    NoNfTables,
}

/// What is wrong with an element.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Addresses of both families.
    Families,
    /// The number of slots is none that [`super::slots_for`] returns, or 0.
    Slots(u32),
    /// The index is not below [`super::SLOTS_MAX`].
    Index(u32),
    /// The last address comes before the first.
    Order,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Families => f.write_str("it has addresses of both families, expected one"),
            Self::Slots(slots) => write!(f, "it has {slots} slots, expected a number that slots_for returns"),
            Self::Index(index) => write!(f, "its index is {index}, expected less than {}", super::SLOTS_MAX),
            Self::Order => f.write_str("its last address comes before its first"),
        }
    }
}

impl ServicesError {
    /// The error for a socket that cannot be used.
    pub(super) fn of_socket(verb: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| if is_missing(&cause) { Self::NoNfTables } else { Self::Socket { verb, cause } }
    }

    /// The element that stands in the way. The others may be tried without it.
    pub fn element(&self) -> Option<&Element> {
        match self {
            Self::Refused { element, .. } => element.as_deref(),
            Self::Unusable { element, .. } => Some(element),
            Self::Socket { .. } | Self::NoNfTables => None,
        }
    }
}
