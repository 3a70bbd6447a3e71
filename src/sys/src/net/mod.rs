//! The network: interfaces, addresses and routes over rtnetlink, and the packet filter.

pub mod nft;
pub mod rtnetlink;
