//! The only door to the kernel: system calls, and all unsafe code.

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

/// The id of this boot.
///
/// # Errors
/// `/proc` cannot be read.
pub fn boot_id() -> Result<String, fs::files::FileError> {
    let path = std::path::Path::new("/proc/sys/kernel/random/boot_id");
    let bytes = fs::files::read(path, 64, fs::files::LastLink::Refuse)?;
    Ok(String::from_utf8_lossy(&bytes).trim().to_owned())
}
