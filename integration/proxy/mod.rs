//! Services that are reachable: the packet filter's table, real packets, and the server that keeps it.

mod addresses;
mod agent;
mod announce;
mod announce_rivals;
mod backends;
mod cluster;
mod conntrack;
mod containerd;
mod elements;
mod hints;
mod kills;
mod life;
mod link;
mod metrics;
mod others;
mod programmer;
mod refusals;
mod sctp;
mod table;
mod table_traffic;
mod traffic;
mod world;
