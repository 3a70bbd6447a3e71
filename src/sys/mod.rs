//! The only door to the kernel. Everything above it is values in, values out.

pub mod capabilities;
pub mod container;
pub mod exec;
pub mod files;
pub mod log;
pub mod netns;
pub mod nft;
pub mod rootfs;
pub mod seal;

mod mount_attr;

/// The node's host name.
pub fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}
