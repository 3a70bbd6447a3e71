//! Connection tracking: the kernel's list of UDP and SCTP flows, and how to make it forget one.
//!
//! The kernel chooses an endpoint for the first packet of a flow only. The packets that follow go to the same endpoint
//! for as long as its entry lives, even when that endpoint is gone: a UDP client that never falls silent would never
//! reach another one. TCP ends such connections by itself.

mod entry;

use std::io;
use std::net::SocketAddr;
use std::path::Path;

use netlink_sys::{Socket, SocketAddr as NetlinkAddress, protocols::NETLINK_NETFILTER};
use pod::addresses::IpFamily;
use thiserror::Error;

use crate::net::netfilter::family::Encoding;
use crate::net::netfilter::message::{About, Attributes, Reply, message, replies};
use crate::net::nft::Protocol;

/// `NFNL_SUBSYS_CTNETLINK` of linux/netfilter/nfnetlink.h, and its messages.
const SUBSYSTEM: u16 = 1;
const GET: u16 = 1;
const DELETE: u16 = 2;
/// Flags of linux/netlink.h.
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
/// Types of linux/netlink.h.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel makes no datagram that is longer.
const DATAGRAM_MAX: usize = 64 * 1024;
/// It is there as soon as the kernel tracks connections.
const COUNT: &str = "/proc/sys/net/netfilter/nf_conntrack_count";
/// Without the others TCP, whose connections end by themselves.
const PROTOCOLS: [Protocol; 2] = [Protocol::Udp, Protocol::Sctp];

/// A flow that the kernel tracks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    /// UDP or SCTP.
    pub protocol: Protocol,
    /// The sender of the first packet.
    pub client: SocketAddr,
    /// The destination of the first packet, before it was translated.
    pub destination: SocketAddr,
    /// Who answers: the endpoint, or `destination` if it was not translated.
    pub answered_by: SocketAddr,
    /// Which entry of the kernel's it is.
    pub entry: Entry,
}

/// What an entry of the kernel's has besides its addresses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Entry {
    /// The kernel's number for it. An entry that is made anew has another one, unless it is at the same place in memory.
    id: u32,
    /// The zone of both directions, and of the first packet's direction.
    zone: Option<u16>,
    original_zone: Option<u16>,
}

/// Connection tracking does not answer, or refuses.
#[derive(Debug, Error)]
pub enum ConntrackError {
    /// The kernel tracks connections and cannot list them.
    #[error("cannot list tracked flows: this kernel lacks nf_conntrack_netlink")]
    NoNetlink,
    /// The kernel refused.
    #[error("cannot {verb}: {cause}")]
    Refused {
        /// What was tried.
        verb: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
}

/// A socket to connection tracking in the network namespace in which it was opened.
#[derive(Debug)]
pub struct Conntrack {
    /// `None` in a kernel without netfilter's netlink.
    socket: Option<Socket>,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Conntrack {
    /// Opens a socket in this thread's namespace.
    ///
    /// # Errors
    /// The kernel's answer. A kernel that tracks no connections has no flows, which is no error.
    pub fn open() -> Result<Self, ConntrackError> {
        let open = || {
            let socket = Socket::new(NETLINK_NETFILTER)?;
            // Without it an error quotes the whole message.
            socket.set_cap_ack(true)?;
            io::Result::Ok(socket)
        };
        let socket = match open() {
            Ok(socket) => Some(socket),
            Err(cause) if is_missing(&cause) => None,
            Err(cause) => return Err(refused("open a socket to connection tracking", cause)),
        };
        Ok(Self { socket, sequence: 0, buffer: Vec::with_capacity(DATAGRAM_MAX) })
    }

    /// Calls `visit` for each UDP and SCTP flow of both families. The kernel sends the list in parts, and at most one
    /// of them is in memory. A flow that begins or ends meanwhile may be missing or be visited twice.
    ///
    /// # Errors
    /// The kernel's answer; some flows may have been visited.
    pub fn for_each(&mut self, mut visit: impl FnMut(&Flow)) -> Result<(), ConntrackError> {
        for protocol in PROTOCOLS {
            for family in [IpFamily::V4, IpFamily::V6] {
                let filter = entry::filter(protocol);
                let asked = self.ask(GET, DUMP, family, &filter, |reply| {
                    let flow = entry::decode(reply.attributes());
                    // A kernel before Linux 5.8 does not know the filter, and lists everything.
                    flow.filter(|flow| flow.protocol == protocol).iter().for_each(&mut visit);
                });
                match asked {
                    Ok(()) => {}
                    Err(cause) if is_missing(&cause) && !tracks() => return Ok(()),
                    Err(cause) if is_missing(&cause) => return Err(ConntrackError::NoNetlink),
                    Err(cause) => return Err(refused("list tracked flows", cause)),
                }
            }
        }
        Ok(())
    }

    /// Makes the kernel forget a flow, so that its next packet is treated as the first of a new one. `false` if the
    /// entry is gone.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn delete(&mut self, flow: &Flow) -> Result<bool, ConntrackError> {
        let asked = self.ask(DELETE, ACK, flow.family(), &entry::encode(flow), |_| {});
        match asked {
            Ok(()) => Ok(true),
            Err(cause) if cause.raw_os_error() == Some(libc::ENOENT) => Ok(false),
            Err(cause) if is_missing(&cause) && !tracks() => Ok(false),
            Err(cause) => Err(refused(format!("delete the tracked flow {flow}"), cause)),
        }
    }

    /// Sends a request, and calls `take` for each object in the answer.
    fn ask(
        &mut self,
        operation: u16,
        flags: u16,
        family: IpFamily,
        attributes: &Attributes,
        mut take: impl FnMut(&Reply<'_>),
    ) -> io::Result<()> {
        let Some(socket) = &self.socket else { return Err(io::Error::from_raw_os_error(libc::EINVAL)) };
        self.sequence = self.sequence.wrapping_add(1);
        let about = About { family: family.protocol(), resource: 0 };
        let kind = (SUBSYSTEM << 8) | operation;
        let request = message(kind, REQUEST | flags, self.sequence, about, attributes)?;
        socket.send_to(&request, &NetlinkAddress::new(0, 0), 0)?;
        loop {
            receive(socket, &mut self.buffer)?;
            for reply in replies(&self.buffer).filter(|reply| reply.sequence == self.sequence) {
                match reply.kind {
                    // Both have an errno or 0.
                    ERROR | DONE => {
                        return match reply.errno().unwrap_or(libc::EPROTO) {
                            0 => Ok(()),
                            errno => Err(io::Error::from_raw_os_error(errno)),
                        };
                    }
                    _ => take(&reply),
                }
            }
        }
    }
}

/// Reads the next datagram. An answer never has to be waited for: netlink to the kernel is synchronous.
fn receive(socket: &Socket, buffer: &mut Vec<u8>) -> io::Result<()> {
    loop {
        buffer.clear();
        match socket.recv(buffer, libc::MSG_DONTWAIT) {
            Ok(_) => return Ok(()),
            Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => {
                return Err(io::Error::other("the kernel did not answer"));
            }
            Err(cause) => return Err(cause),
        }
    }
}

/// Whether the kernel has nothing that understands the request.
fn is_missing(cause: &io::Error) -> bool {
    matches!(cause.raw_os_error(), Some(libc::EINVAL | libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT))
}

/// Whether the kernel tracks connections at all.
fn tracks() -> bool {
    Path::new(COUNT).exists()
}

fn refused(verb: impl Into<String>, cause: io::Error) -> ConntrackError {
    ConntrackError::Refused { verb: verb.into(), cause }
}
