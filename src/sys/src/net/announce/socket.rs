//! Sockets that receive and send whole frames of one interface.
#![allow(unsafe_code)]

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use libc::{c_ushort, sock_filter, sock_fprog, sockaddr_ll, socklen_t};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recv, send, socket_with};

/// `ETH_P_ARP` and `ETH_P_IPV6` of linux/if_ether.h.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    Arp = 0x0806,
    Ipv6 = 0x86dd,
}

#[derive(Debug)]
pub(super) struct PacketSocket(OwnedFd);

impl PacketSocket {
    /// Opens a socket for frames of `protocol` on the interface with that index, of which its filter drops all.
    pub(super) fn open(index: u32, protocol: Protocol) -> io::Result<Self> {
        // Without a protocol it receives nothing before it is bound.
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = Self(socket_with(AddressFamily::PACKET, SocketType::RAW, flags, None)?);
        socket.set_filter(&super::filter::arp(&[]))?;
        socket.bind(index, protocol)?;
        Ok(socket)
    }

    fn bind(&self, index: u32, protocol: Protocol) -> io::Result<()> {
        // SAFETY: a `sockaddr_ll` consists of integers, all of which may be zero.
        let mut address: sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = c_ushort::try_from(libc::AF_PACKET).map_err(io::Error::other)?;
        address.sll_protocol = (protocol as u16).to_be();
        address.sll_ifindex = i32::try_from(index).map_err(io::Error::other)?;
        let length = socklen_t::try_from(size_of::<sockaddr_ll>()).map_err(io::Error::other)?;
        // SAFETY: `address` is a `sockaddr_ll` of that length and lives longer than the call, which only reads it.
        let result = unsafe { libc::bind(self.0.as_raw_fd(), (&raw const address).cast(), length) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Receives from now on what `program` passes on.
    pub(super) fn set_filter(&self, program: &[sock_filter]) -> io::Result<()> {
        let len = c_ushort::try_from(program.len()).map_err(io::Error::other)?;
        let program = sock_fprog { len, filter: program.as_ptr().cast_mut() };
        let length = socklen_t::try_from(size_of::<sock_fprog>()).map_err(io::Error::other)?;
        // SAFETY: `program` points to `len` instructions; both live longer than the call, which only reads them.
        let result = unsafe {
            libc::setsockopt(
                self.0.as_raw_fd(),
                libc::SOL_SOCKET,
                libc::SO_ATTACH_FILTER,
                (&raw const program).cast(),
                length,
            )
        };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Reads a frame, if there is one; tells its length.
    pub(super) fn receive(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        loop {
            match recv(&self.0, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((length, _)) => return Ok(Some(length)),
                Err(Errno::INTR) => {}
                // The interface has gone down, which is told once, and by other news, too.
                Err(Errno::AGAIN | Errno::NETDOWN) => return Ok(None),
                Err(cause) => return Err(cause.into()),
            }
        }
    }

    /// Sends a frame.
    pub(super) fn send(&self, frame: &[u8]) -> io::Result<()> {
        match send(&self.0, frame, SendFlags::DONTWAIT) {
            Ok(_) => Ok(()),
            // The interface is down or gone, which other news tell, or it has no room: lost, as frames may be.
            Err(Errno::NETDOWN | Errno::NXIO | Errno::NODEV | Errno::NOBUFS | Errno::AGAIN) => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
