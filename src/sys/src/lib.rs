//! The only door to the kernel. Everything above it is values in, values out.

pub mod container;
pub mod fnv;
pub mod fs;
pub mod net;
pub mod process;
pub mod random;
pub mod report;
pub mod service;

/// The node's host name.
pub fn node_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

/// What tells this boot from all others.
///
/// # Errors
/// `/proc` cannot be read.
pub fn boot_id() -> Result<String, fs::files::FileError> {
    let path = std::path::Path::new("/proc/sys/kernel/random/boot_id");
    let bytes = fs::files::read(path, 64, fs::files::LastLink::Refuse)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
