//! News of the kernel's: changes of interfaces and addresses as they happen, whoever makes them.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_packet_core::NetlinkPayload;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::error::NetworkError;
use super::netlink::receive;

/// Larger than any message about an interface.
const BUFFER: usize = 64 << 10;
pub(in crate::net) const OF_LINKS: u32 = libc::RTNLGRP_LINK;
pub(in crate::net) const OF_ADDRESSES: [u32; 2] = [libc::RTNLGRP_IPV4_IFADDR, libc::RTNLGRP_IPV6_IFADDR];

/// A socket that gets news of one network namespace.
#[derive(Debug)]
pub(in crate::net) struct News {
    socket: Socket,
    buffer: Vec<u8>,
}

/// One of the news.
pub(in crate::net) enum Told {
    /// An object was made, changed or removed.
    Change(RouteNetlinkMessage),
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
            let read = receive(&self.socket, &mut self.buffer, libc::MSG_DONTWAIT, |_, payload| {
                if let NetlinkPayload::InnerMessage(message) = payload {
                    take(Told::Change(message));
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

fn refused(cause: io::Error) -> NetworkError {
    NetworkError::Refused { verb: "watch", what: "the network".to_owned(), cause }
}
