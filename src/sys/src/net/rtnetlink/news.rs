//! News of the kernel's: changes of interfaces and addresses as they happen, whoever makes them.

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use ipnet::IpNet;
use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::address::AddressScope;
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::error::NetworkError;
use super::links::link_of;
use super::netlink::receive;
use super::route_list::Route;

/// Larger than any message about an interface.
const BUFFER: usize = 64 << 10;
pub(in crate::net) const OF_LINKS: u32 = libc::RTNLGRP_LINK;
/// `RT_TABLE_LOCAL` of linux/rtnetlink.h: this host's own addresses.
const TABLE_LOCAL: u32 = 255;
pub(in crate::net) const OF_ADDRESSES: [u32; 2] = [libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR];

/// A socket that gets news of one network namespace.
#[derive(Debug)]
pub(in crate::net) struct News {
    socket: Socket,
    buffer: Vec<u8>,
}

/// The socket whose request has caused a change; 0 is the kernel.
pub(in crate::net) type Sender = u32;

/// One of the news.
pub(in crate::net) enum Told {
    /// An object was made, changed or removed.
    Change(RouteNetlinkMessage, Sender),
    /// There was no room for all news: anything may have changed.
    Lost,
}

impl News {
    /// Subscribes in this thread's namespace.
    pub(in crate::net) fn subscribe(groups: &[u32]) -> Result<Self, NetworkError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind(&SocketAddr::new(0, 0))?;
            socket.set_non_blocking(true)?;
            groups.iter().try_for_each(|group| socket.add_membership(*group))?;
            io::Result::Ok(socket)
        };
        Ok(Self { socket: open().map_err(refused)?, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Reads all that is there, without waiting.
    pub(in crate::net) fn read(&mut self, mut take: impl FnMut(Told)) -> Result<(), NetworkError> {
        loop {
            let read = receive(&self.socket, &mut self.buffer, libc::MSG_DONTWAIT, |header, payload| {
                if let NetlinkPayload::InnerMessage(message) = payload {
                    take(Told::Change(message, header.port_number));
                }
                Ok(())
            });
            match read {
                Ok(()) => {}
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                // A message of a later kernel that cannot be read tells as little as one that was lost.
                Err(cause) if cause.kind() == io::ErrorKind::InvalidData => take(Told::Lost),
                Err(cause) if cause.raw_os_error() == Some(libc::ENOBUFS) => take(Told::Lost),
                Err(cause) => return Err(refused(cause)),
            }
        }
    }
}

impl AsFd for News {
    #[allow(unsafe_code)]
    fn as_fd(&self) -> BorrowedFd<'_> {
        // SAFETY: the socket owns the descriptor and lives at least as long as the borrow.
        unsafe { BorrowedFd::borrow_raw(self.socket.as_raw_fd()) }
    }
}

/// A socket that is readable when an address of this network namespace has changed.
#[derive(Debug)]
pub struct AddressChanges(News);

impl AddressChanges {
    /// Begins to watch. Changes after this call are not missed, so list the addresses afterwards.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn watch() -> Result<Self, NetworkError> {
        News::subscribe(&OF_ADDRESSES).map(Self)
    }

    /// Reads all news that are there, without waiting; tells whether an address may have changed.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn read(&mut self) -> Result<bool, NetworkError> {
        let mut changed = false;
        self.0.read(|_| changed = true)?;
        Ok(changed)
    }
}

impl AsFd for AddressChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// A socket that is readable when an interface, an address or a route of this network namespace has changed.
#[derive(Debug)]
pub struct NetworkChanges(News);

impl NetworkChanges {
    /// Begins to watch. Changes after this call are not missed, so look at the network afterwards.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn watch() -> Result<Self, NetworkError> {
        let groups = [OF_LINKS, libc::RTNLGRP_IPV4_ROUTE, libc::RTNLGRP_IPV6_ROUTE];
        let groups: Vec<u32> = groups.into_iter().chain(OF_ADDRESSES).collect();
        News::subscribe(&groups).map(Self)
    }

    /// Reads all news that are there, without waiting; tells whether any of them may matter to whom the routes of
    /// `protocol` belong. Of pods, which come and go all the time, none does, nor what the socket `own` has changed. Of
    /// routes to single addresses only those to `destinations` do.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn read(
        &mut self,
        own: u32,
        protocol: u8,
        destinations: &BTreeSet<IpNet>,
    ) -> Result<bool, NetworkError> {
        let mut changed = false;
        self.0.read(|told| {
            changed |= match told {
                Told::Lost => true,
                Told::Change(_, sender) if sender == own && own != 0 => false,
                Told::Change(message, _) => matters(&message, protocol, destinations),
            };
        })?;
        Ok(changed)
    }
}

impl AsFd for NetworkChanges {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn matters(message: &RouteNetlinkMessage, protocol: u8, destinations: &BTreeSet<IpNet>) -> bool {
    match message {
        RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link) => {
            // A bridge tells of its ports.
            link.header.interface_family == AddressFamily::Unspec
                && link_of(&RouteNetlinkMessage::NewLink(link.clone()))
                    .is_none_or(|link| link.check.is_none())
        }
        RouteNetlinkMessage::NewAddress(address) | RouteNetlinkMessage::DelAddress(address) => {
            matches!(address.header.scope, AddressScope::Universe | AddressScope::Site)
        }
        RouteNetlinkMessage::NewRoute(route) | RouteNetlinkMessage::DelRoute(route) => Route::of(route)
            .is_some_and(|route| {
                let is_link_local = match route.dst {
                    IpNet::V4(_) => false,
                    IpNet::V6(dst) => dst.addr().is_unicast_link_local() || dst.addr().is_multicast(),
                };
                let is_single = route.dst.prefix_len() == route.dst.max_prefix_len();
                route.table != TABLE_LOCAL
                    && !is_link_local
                    && (route.protocol == protocol || !is_single || destinations.contains(&route.dst))
            }),
        _ => false,
    }
}

fn refused(cause: io::Error) -> NetworkError {
    NetworkError::Refused { verb: "watch", what: "the network".to_owned(), cause }
}
