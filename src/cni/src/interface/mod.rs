//! A pod's interface: the veth pair, and how it is connected.

pub(crate) mod bridge;
pub(crate) mod names;
pub(crate) mod removal;
pub(crate) mod routed;
pub(crate) mod wiring;
