//! nf_tables over netlink: messages, transactions, lists. What is in the tables is decided elsewhere.

pub(in crate::net) mod data;
pub(in crate::net) mod family;
pub(in crate::net) mod intervals;
pub(in crate::net) mod message;
pub(in crate::net) mod missing;
pub(in crate::net) mod notices;
pub(in crate::net) mod operations;
pub(in crate::net) mod socket;
