//! The network: interfaces, addresses and routes over rtnetlink, the packet filter, Services and others in it, tracked
//! connections, and answers for addresses on a link.

pub mod announce;
pub mod conntrack;
pub mod firewalls;
pub mod kube_proxy;
pub mod masquerade;
mod netfilter;
pub mod nft;
pub mod rtnetlink;
pub mod services;
