//! The network: interfaces, addresses and routes over rtnetlink, the packet filter, and Services in it.

pub mod announce;
pub mod conntrack;
mod netfilter;
pub mod nft;
pub mod rtnetlink;
pub mod services;
