//! Services that are reachable: the packet filter's table, real packets, and the server that keeps it.

mod addresses;
mod announce;
mod announce_rivals;
mod conntrack;
mod elements;
mod link;
mod programmer;
mod table;
mod table_traffic;
mod world;
