//! The addresses inside a network namespace.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use thiserror::Error;

use crate::container::process::{Container, ContainerError};
use crate::net::rtnetlink::{Namespace, NetworkError};
use pod::addresses::{InterfaceAddress, IpFamily};

/// A network namespace that cannot be looked into.
#[derive(Debug, Error)]
pub enum NetnsError {
    /// It cannot be joined.
    #[error(transparent)]
    Join(#[from] ContainerError),
    /// It is not where the configuration says.
    #[error(transparent)]
    Path(#[from] NetworkError),
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
    list()
}

/// Lists the addresses in the network namespace at `path`, and comes back; `None` where it is the one that this
/// process is in.
///
/// # Errors
/// [`NetnsError`].
pub fn addresses_at(path: &Path) -> Result<Option<Vec<InterfaceAddress>>, NetnsError> {
    let (home, pods) = (Namespace::own()?, Namespace::open(path)?);
    if home.id()? == pods.id()? {
        return Ok(None);
    }
    Ok(Some(pods.inside(&home, || Ok(list()))??))
}

/// The addresses that this process's network namespace has towards its default routes, one of each family, IPv4 first.
pub fn towards_default_routes() -> Vec<IpAddr> {
    IpFamily::ALL.into_iter().filter_map(towards_default_route).collect()
}

/// The address that this process's network namespace has towards its default route of that family. Nothing is sent:
/// connecting a UDP socket asks for the route and no more.
fn towards_default_route(family: IpFamily) -> Option<IpAddr> {
    let own: IpAddr = match family {
        IpFamily::V4 => Ipv4Addr::UNSPECIFIED.into(),
        IpFamily::V6 => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((own, 0)).ok()?;
    socket.connect((beyond_default_route(family), 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// An address in the blocks for documentation: only the default route leads there.
pub fn beyond_default_route(family: IpFamily) -> IpAddr {
    match family {
        IpFamily::V4 => Ipv4Addr::new(203, 0, 113, 1).into(),
        IpFamily::V6 => Ipv6Addr::new(0x2001, 0xdb8, 0xffff, 0, 0, 0, 0, 1).into(),
    }
}

fn list() -> Result<Vec<InterfaceAddress>, NetnsError> {
    let found = getifaddrs().map_err(|errno| NetnsError::List(errno.into()))?;
    let addresses = found.filter_map(|interface| {
        let storage = interface.address?;
        let v4 = storage.as_sockaddr_in().map(|address| IpAddr::V4(address.ip()));
        let v6 = storage.as_sockaddr_in6().map(|address| IpAddr::V6(address.ip()));
        Some(InterfaceAddress { interface: interface.interface_name, address: v4.or(v6)? })
    });
    Ok(addresses.collect())
}
