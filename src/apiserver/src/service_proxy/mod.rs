//! `--proxy nftables`: a thread that keeps the packet filter equal to the Services and EndpointSlices in the store.
//!
//! It reads the registry's changes as every watch does and gives them to the library `proxy`. A thread of its own, so that
//! a long transaction of the kernel's keeps no request waiting.

mod announce;
mod feed;
mod health;
mod lock;
mod metrics;
mod node;
mod objects;
mod readable;
mod run;
mod thread;

pub(crate) use announce::Announcing;
pub(crate) use metrics::ProxyMetrics;
pub(crate) use thread::{ProxyError, ServiceProxy, clean_up};
