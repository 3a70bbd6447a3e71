//! The socket to nf_tables. Netlink to the kernel is synchronous: after a message was sent the whole answer is there,
//! or is made while it is read. So reading never waits.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use rustix::net::sockopt::{set_socket_send_buffer_size, set_socket_send_buffer_size_force};

use super::message::{About, Attributes, message, replies};

/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
pub(in crate::net) const SUBSYSTEM: u16 = 10;
/// The frame of a transaction, `NFNL_MSG_BATCH_BEGIN` and `NFNL_MSG_BATCH_END`.
const BATCH: About = About { family: 0, resource: SUBSYSTEM };
const BATCH_BEGIN: u16 = 16;
const BATCH_END: u16 = 17;
/// `NFNL_BATCH_GENID`.
const BATCH_GENERATION: u16 = 1;
/// Flags of linux/netlink.h.
const REQUEST: u16 = 0x1;
const ACK: u16 = 0x4;
const DUMP: u16 = 0x300;
const DUMP_INTERRUPTED: u16 = 0x10;
/// Types of linux/netlink.h.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel makes no datagram that is longer.
const DATAGRAM_MAX: usize = 64 * 1024;
/// How often a list is read again after an interruption; every change on the node interrupts it.
const ATTEMPTS: usize = 100;

/// What fits into a message of a socket whose buffer was not changed, whatever the node's default.
const SMALL: usize = 32 * 1024;

const NO_ANSWER: &str = "the kernel did not answer";

/// One change of a transaction.
#[derive(Debug)]
pub(in crate::net) struct Change {
    /// `NFT_MSG_…`.
    pub(in crate::net) operation: u16,
    /// `NLM_F_…`.
    pub(in crate::net) flags: u16,
    /// The family of the table.
    pub(in crate::net) family: u8,
    /// The object.
    pub(in crate::net) attributes: Attributes,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(in crate::net) struct Refusal {
    /// The index of the refused change, if it was one of them.
    pub(in crate::net) change: Option<usize>,
    /// The kernel's answer.
    pub(in crate::net) cause: io::Error,
}

/// The bytes of a transaction; `first` is the number of its first message. With `generation` the kernel checks it.
fn encode<'a>(
    changes: impl ExactSizeIterator<Item = &'a Change>,
    first: u32,
    generation: Option<u32>,
) -> Result<Vec<u8>, Refusal> {
    let failed = |change| move |cause| Refusal { change, cause };
    let frame = |kind, sequence, about: &Attributes| {
        message(kind, REQUEST, sequence, BATCH, about).map_err(failed(None))
    };
    let about = Attributes::new();
    let about = generation.into_iter().fold(about, |about, one| about.number(BATCH_GENERATION, one));
    let mut bytes = frame(BATCH_BEGIN, first, &about)?;
    let (mut sequence, count) = (first, changes.len());
    for (index, change) in changes.enumerate() {
        sequence = sequence.wrapping_add(1);
        // The kernel always reports errors; success is requested once.
        let ack = if index + 1 == count { ACK } else { 0 };
        let (kind, flags) = (kind(change.operation), REQUEST | ack | change.flags);
        let about = About { family: change.family, resource: 0 };
        bytes.extend(message(kind, flags, sequence, about, &change.attributes).map_err(failed(Some(index)))?);
    }
    bytes.extend(frame(BATCH_END, sequence.wrapping_add(1), &Attributes::new())?);
    Ok(bytes)
}

/// A socket of nfnetlink in the calling thread's network namespace.
pub(in crate::net) struct Netfilter {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    /// A message of so many bytes can be sent.
    room: usize,
    /// Sockets with lists that were not read to their ends. They are closed with this one, and not before: whoever closes
    /// a socket of nf_tables waits until everything is freed that was removed, and keeps everybody else waiting.
    begun: Vec<Socket>,
}

impl Netfilter {
    pub(in crate::net) fn new() -> io::Result<Self> {
        let (socket, buffer) = (Self::socket()?, Vec::with_capacity(DATAGRAM_MAX));
        Ok(Self { socket, sequence: 1, buffer, room: SMALL, begun: Vec::new() })
    }

    /// The number by which the kernel names this socket as the sender of a change.
    pub(in crate::net) fn bind(&mut self) -> io::Result<u32> {
        self.socket.bind_auto().map(|address| address.port_number())
    }

    fn socket() -> io::Result<Socket> {
        let socket = Socket::new(NETLINK_NETFILTER)?;
        // Without it an error quotes the whole message.
        socket.set_cap_ack(true)?;
        Ok(socket)
    }

    /// Makes all changes, or none. With `generation`, none if the packet filter has another one.
    pub(in crate::net) fn transact<'a>(
        &mut self,
        generation: Option<u32>,
        changes: impl ExactSizeIterator<Item = &'a Change>,
    ) -> Result<(), Refusal> {
        let first = self.sequence;
        let count = changes.len();
        self.sequence = first.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX)).wrapping_add(2);
        let unsent = |cause| Refusal { change: None, cause };
        self.send(&encode(changes, first, generation)?).map_err(unsent)?;
        let (mut done, mut refusal, mut lost) = (false, None, None);
        loop {
            let datagram = match self.receive() {
                Ok(Some(datagram)) => datagram,
                Ok(None) => break,
                // More refusals than fit into the buffer, which has the first ones.
                Err(cause) if cause.raw_os_error() == Some(libc::ENOBUFS) => {
                    lost = Some(cause);
                    continue;
                }
                Err(cause) => return Err(unsent(cause)),
            };
            for reply in replies(datagram).filter(|reply| reply.kind == ERROR) {
                let errno = reply.errno().unwrap_or(libc::EPROTO);
                let place = usize::try_from(reply.sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                let change = place.checked_sub(1).filter(|index| *index < count);
                done |= errno == 0 && change.is_some();
                if errno != 0 {
                    // The first refusal causes the others.
                    let cause = io::Error::from_raw_os_error(errno);
                    refusal.get_or_insert(Refusal { change, cause });
                }
            }
        }
        match refusal {
            Some(refusal) => Err(refusal),
            None if done => Ok(()),
            None => Err(unsent(lost.unwrap_or_else(|| io::Error::other(NO_ANSWER)))),
        }
    }

    /// The attributes of one object; `None` if it does not exist.
    pub(in crate::net) fn get(
        &mut self,
        family: u8,
        operation: u16,
        about: &Attributes,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut found = self.ask(family, operation, 0, about)?;
        Ok(found.as_mut().and_then(Vec::pop))
    }

    /// The attributes of all objects; `None` if their container does not exist.
    pub(in crate::net) fn list(
        &mut self,
        family: u8,
        operation: u16,
        about: &Attributes,
    ) -> io::Result<Option<Vec<Vec<u8>>>> {
        for _ in 0..ATTEMPTS {
            match self.ask(family, operation, DUMP, about) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
        Err(restless())
    }

    /// Whether all objects that [`Self::list`] would list are `such`. It is read up to the first that is not.
    pub(in crate::net) fn has_only(
        &mut self,
        family: u8,
        operation: u16,
        about: &Attributes,
        such: impl Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        for _ in 0..ATTEMPTS {
            match self.ask_for_only(family, operation, about, &such) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Ok(false) => {
                    // The kernel goes on with a list that is not read to its end.
                    let begun = std::mem::replace(&mut self.socket, Self::socket()?);
                    self.begun.push(begun);
                    return Ok(false);
                }
                other => return other,
            }
        }
        Err(restless())
    }

    fn ask_for_only(
        &mut self,
        family: u8,
        operation: u16,
        about: &Attributes,
        such: impl Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.send(&message(
            kind(operation),
            REQUEST | DUMP,
            sequence,
            About { family, resource: 0 },
            about,
        )?)?;
        let mut interrupted = false;
        while let Some(datagram) = self.receive()? {
            for reply in replies(datagram).filter(|reply| reply.sequence == sequence) {
                interrupted |= reply.flags & DUMP_INTERRUPTED != 0;
                match reply.kind {
                    ERROR | DONE => match reply.errno() {
                        Some(0) if interrupted => return Err(io::ErrorKind::Interrupted.into()),
                        Some(0 | libc::ENOENT) => return Ok(true),
                        errno => return Err(io::Error::from_raw_os_error(errno.unwrap_or(libc::EPROTO))),
                    },
                    _ if !such(reply.attributes()) => return Ok(false),
                    _ => {}
                }
            }
        }
        Err(io::Error::other(NO_ANSWER))
    }

    fn ask(
        &mut self,
        family: u8,
        operation: u16,
        flags: u16,
        about: &Attributes,
    ) -> io::Result<Option<Vec<Vec<u8>>>> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let ack = if flags & DUMP == 0 { ACK } else { 0 };
        self.send(&message(
            kind(operation),
            REQUEST | flags | ack,
            sequence,
            About { family, resource: 0 },
            about,
        )?)?;
        let (mut found, mut end, mut interrupted) = (Vec::new(), None, false);
        while let Some(datagram) = self.receive()? {
            for reply in replies(datagram).filter(|reply| reply.sequence == sequence) {
                interrupted |= flags & DUMP != 0 && reply.flags & DUMP_INTERRUPTED != 0;
                match reply.kind {
                    // Both have an errno or 0.
                    ERROR | DONE => end = end.or(reply.errno()),
                    _ => found.push(reply.attributes().to_vec()),
                }
            }
        }
        match end {
            None => Err(io::Error::other(NO_ANSWER)),
            Some(libc::ENOENT) => Ok(None),
            Some(0) if interrupted => Err(io::ErrorKind::Interrupted.into()),
            Some(0) => Ok(Some(found)),
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.room {
            // Without the right to exceed the node's limit, the limit may still be enough.
            set_socket_send_buffer_size_force(&self.socket, bytes.len())
                .or_else(|_| set_socket_send_buffer_size(&self.socket, bytes.len()))?;
            self.room = bytes.len();
        }
        self.socket.send_to(bytes, &SocketAddr::new(0, 0), 0).map(drop)
    }

    /// The next datagram, if there is one.
    fn receive(&mut self) -> io::Result<Option<&[u8]>> {
        self.buffer.clear();
        match self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
            Ok(_) => Ok(Some(&self.buffer)),
            Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(cause) => Err(cause),
        }
    }
}

fn restless() -> io::Error {
    io::Error::other(format!("it changed {ATTEMPTS} times while it was read"))
}

fn kind(operation: u16) -> u16 {
    (SUBSYSTEM << 8) | operation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(attributes: Attributes) -> Change {
        Change { operation: 6, flags: 0x400, family: 1, attributes }
    }

    #[test]
    fn a_batch_is_framed_and_only_its_last_change_is_acknowledged() {
        let changes = [change(Attributes::new()), change(Attributes::new())];
        let bytes = encode(changes.iter(), 7, None).unwrap();
        let messages: Vec<_> = replies(&bytes).map(|m| (m.kind, m.flags, m.sequence)).collect();
        assert_eq!(messages, [(16, 0x1, 7), (0xa06, 0x401, 8), (0xa06, 0x405, 9), (17, 0x1, 10)]);
    }

    #[test]
    fn a_change_that_is_too_long_is_refused_before_it_is_sent() {
        let long = Attributes::new().bytes(1, &[0; 65536]);
        let changes = [change(Attributes::new()), change(long)];
        let refusal = encode(changes.iter(), 7, None).unwrap_err();
        assert_eq!((refusal.change, refusal.cause.kind()), (Some(1), io::ErrorKind::InvalidInput));
    }
}
