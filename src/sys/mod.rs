//! The only door to the kernel. Everything above it is values in, values out.

pub mod capabilities;
pub mod container;
pub mod exec;
pub mod files;
pub mod log;
#[cfg(feature = "serve")]
pub mod memory;
pub mod netns;
pub mod network;
pub mod nft;
pub mod notify;
pub mod process;
pub mod programs;
pub mod random;
pub mod rootfs;
pub mod seal;
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

/// The addresses that this machine uses towards others, IPv4 first: those that its default routes choose.
pub fn node_addresses() -> Vec<std::net::IpAddr> {
    // Nothing is sent: connecting a datagram socket only looks up the route.
    let source = |from: &str, to: &str| {
        let socket = std::net::UdpSocket::bind(from).ok()?;
        socket.connect(to).ok()?;
        Some(socket.local_addr().ok()?.ip())
    };
    let found = [source("0.0.0.0:0", "192.0.2.1:9"), source("[::]:0", "[2001:db8::1]:9")];
    found.into_iter().flatten().filter(|address| !address.is_unspecified()).collect()
}
