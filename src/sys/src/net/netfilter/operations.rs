//! Operations of linux/netfilter/nf_tables.h, with the flags of linux/netlink.h that they take.

pub(in crate::net) const NEW_TABLE: u16 = 0;
pub(in crate::net) const GET_TABLE: u16 = 1;
pub(in crate::net) const DELETE_TABLE: u16 = 2;
pub(in crate::net) const NEW_CHAIN: u16 = 3;
pub(in crate::net) const GET_CHAIN: u16 = 4;
pub(in crate::net) const DELETE_CHAIN: u16 = 5;
pub(in crate::net) const NEW_RULE: u16 = 6;
pub(in crate::net) const GET_RULE: u16 = 7;
pub(in crate::net) const DELETE_RULE: u16 = 8;
pub(in crate::net) const NEW_SET: u16 = 9;
pub(in crate::net) const GET_SET: u16 = 10;
pub(in crate::net) const NEW_ELEMENT: u16 = 12;
pub(in crate::net) const GET_ELEMENT: u16 = 13;
pub(in crate::net) const DELETE_ELEMENT: u16 = 14;
pub(in crate::net) const NEW_GENERATION: u16 = 15;
pub(in crate::net) const GET_GENERATION: u16 = 16;
/// Since Linux 6.3.
pub(in crate::net) const DESTROY_TABLE: u16 = 26;
pub(in crate::net) const DESTROY_CHAIN: u16 = 27;

/// Makes what is missing.
pub(in crate::net) const CREATE: u16 = 0x400;
/// Refuses what exists.
pub(in crate::net) const EXCLUSIVE: u16 = 0x200;
/// Adds at the end.
pub(in crate::net) const APPEND: u16 = 0x800;
