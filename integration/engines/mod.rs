//! What engines and administrators really have.

mod names;
mod node_hosts;
