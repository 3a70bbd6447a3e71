//! The only door to the kernel. Everything above it is values in, values out.

pub mod capabilities;
pub mod container;
pub mod engine_mounts;
pub mod exec;
pub mod files;
pub mod fnv;
pub mod lock;
pub mod log;
pub mod memory;
pub mod memory_cgroup;
pub mod netns;
pub mod network;
pub mod nft;
pub mod node_files;
pub mod notify;
pub mod process;
pub mod programs;
pub mod random;
pub mod report;
pub mod rootfs;
pub mod seal;
pub mod service;
pub mod signals;
pub mod state_dir;

mod mount_attr;

/// The node's host name.
pub fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What tells this boot from all others.
///
/// # Errors
/// `/proc` cannot be read.
pub fn boot_id() -> Result<String, files::FileError> {
    let path = std::path::Path::new("/proc/sys/kernel/random/boot_id");
    let bytes = files::read(path, 64, files::LastLink::Refuse)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
