//! The Service proxy, with real packets.

mod elements;
mod table;
mod table_traffic;
mod world;
