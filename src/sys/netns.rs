//! The addresses inside a network namespace.

use std::io;
use std::net::IpAddr;

use nix::ifaddrs::getifaddrs;
use thiserror::Error;

use crate::addresses::InterfaceAddress;
use crate::sys::container::{Container, ContainerError};

/// A network namespace that cannot be looked into.
#[derive(Debug, Error)]
pub enum NetnsError {
    /// It cannot be joined.
    #[error(transparent)]
    Join(#[from] ContainerError),
    /// The kernel refused the list.
    #[error("cannot list the addresses in the pod's network namespace: {0}")]
    List(#[source] io::Error),
}

/// Lists the addresses in the container's network namespace, in the kernel's order, and stays there.
///
/// # Errors
/// [`NetnsError`].
pub fn addresses(container: &Container) -> Result<Vec<InterfaceAddress>, NetnsError> {
    container.join_network()?;
    let found = getifaddrs().map_err(|errno| NetnsError::List(errno.into()))?;
    let addresses = found.filter_map(|interface| {
        let storage = interface.address?;
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        Some(InterfaceAddress { interface: interface.interface_name, address: v4.or(v6)? })
    });
    Ok(addresses.collect())
}
