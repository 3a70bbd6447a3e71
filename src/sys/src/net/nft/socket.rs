//! The socket to nf_tables. Netlink to the kernel is synchronous: after a message was sent the whole answer is there,
//! or is made while it is read. So reading never waits.

use std::io;

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};

use super::error::NftError;
use super::maps::Table;
use super::message::{About, Attributes, message, replies};

/// `NFNL_SUBSYS_NFTABLES` of linux/netfilter/nfnetlink.h.
const SUBSYSTEM: u16 = 10;
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
pub(super) const CREATE: u16 = 0x400;
const DUMP_INTERRUPTED: u16 = 0x10;
/// Types of linux/netlink.h.
const ERROR: u16 = 2;
const DONE: u16 = 3;
/// The kernel makes no datagram that is longer.
const DATAGRAM_MAX: usize = 64 * 1024;
/// How often a list is read again after an interruption; every change on the node interrupts it.
const ATTEMPTS: usize = 100;

const NO_ANSWER: &str = "the kernel did not answer";

/// Changes to make, all or none.
#[derive(Debug, Default)]
pub(super) struct Batch {
    changes: Vec<BatchMessage>,
}

/// One message of a transaction.
#[derive(Debug)]
pub(super) struct BatchMessage {
    /// `NFT_MSG_…`.
    pub(super) operation: u16,
    /// `NLM_F_…`.
    pub(super) flags: u16,
    /// The object.
    pub(super) attributes: Attributes,
    /// The table that it is in.
    pub(super) table: Table,
    /// The words after "cannot" in an error.
    pub(super) step: String,
}

/// Why nothing was changed.
#[derive(Debug)]
pub(super) struct Refusal {
    /// The index of the refused change, if it was one of them.
    pub(super) change: Option<usize>,
    /// The kernel's answer.
    pub(super) cause: io::Error,
}

impl Batch {
    pub(super) fn push(&mut self, change: BatchMessage) {
        self.changes.push(change);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.changes.is_empty()
    }

    /// The error for a refusal.
    pub(super) fn explain(&self, refusal: Refusal) -> NftError {
        let change = refusal.change.and_then(|index| self.changes.get(index));
        match (change, refusal.cause.raw_os_error()) {
            (None, Some(libc::EOPNOTSUPP)) => NftError::NoNfTables,
            // A kernel without the bridge family refuses the table or its chain.
            (Some(change), Some(libc::EOPNOTSUPP | libc::EAFNOSUPPORT | libc::ENOENT))
                if change.table == Table::Bridge && change.flags & CREATE != 0 =>
            {
                NftError::NoBridges
            }
            (None, _) => NftError::Socket { verb: "change", cause: refusal.cause },
            (Some(change), _) => NftError::Refused { step: change.step.clone(), cause: refusal.cause },
        }
    }

    /// The bytes of the batch; `first` is the number of its first message. With `generation` the kernel checks it.
    fn encode(&self, first: u32, generation: Option<u32>) -> Vec<u8> {
        let frame = |kind, sequence, about: &Attributes| message(kind, REQUEST, sequence, BATCH, about);
        let about = Attributes::new();
        let about = generation.into_iter().fold(about, |about, one| about.number(BATCH_GENERATION, one));
        let mut bytes = frame(BATCH_BEGIN, first, &about);
        let mut sequence = first;
        for (index, change) in self.changes.iter().enumerate() {
            sequence = sequence.wrapping_add(1);
            // The kernel always reports errors; success is requested once.
            let ack = if index + 1 == self.changes.len() { ACK } else { 0 };
            let flags = REQUEST | ack | change.flags;
            bytes.extend(message(
                kind(change.operation),
                flags,
                sequence,
                in_family(change.table),
                &change.attributes,
            ));
        }
        bytes.extend(frame(BATCH_END, sequence.wrapping_add(1), &Attributes::new()));
        bytes
    }
}

/// A socket of nfnetlink in the calling thread's network namespace.
pub(super) struct Netfilter {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
    /// Sockets with lists that were not read to their ends. They are closed with this one, and not before: whoever closes
    /// a socket of nf_tables waits until everything is freed that was removed, and keeps everybody else waiting.
    begun: Vec<Socket>,
}

impl Netfilter {
    pub(super) fn open() -> Result<Self, NftError> {
        let failed = |cause: io::Error| match cause.raw_os_error() {
            Some(libc::EPROTONOSUPPORT | libc::EAFNOSUPPORT) => NftError::NoNfTables,
            _ => NftError::Socket { verb: "open a socket to", cause },
        };
        Self::new().map_err(failed)
    }

    fn new() -> io::Result<Self> {
        let (socket, buffer) = (Self::socket()?, Vec::with_capacity(DATAGRAM_MAX));
        Ok(Self { socket, sequence: 1, buffer, begun: Vec::new() })
    }

    fn socket() -> io::Result<Socket> {
        let socket = Socket::new(NETLINK_NETFILTER)?;
        // Without it an error quotes the whole message.
        socket.set_cap_ack(true)?;
        Ok(socket)
    }

    /// Makes all changes, or none.
    pub(super) fn commit(&mut self, batch: &Batch) -> Result<(), Refusal> {
        self.commit_to(None, batch)
    }

    /// Makes all changes if the packet filter has this generation, or none.
    pub(super) fn commit_at(&mut self, generation: u32, batch: &Batch) -> Result<(), Refusal> {
        self.commit_to(Some(generation), batch)
    }

    fn commit_to(&mut self, generation: Option<u32>, batch: &Batch) -> Result<(), Refusal> {
        let first = self.sequence;
        let count = batch.changes.len();
        self.sequence = first.wrapping_add(u32::try_from(count).unwrap_or(u32::MAX)).wrapping_add(2);
        let unsent = |cause| Refusal { change: None, cause };
        self.send(&batch.encode(first, generation)).map_err(unsent)?;
        let (mut done, mut refusal) = (false, None);
        while let Some(datagram) = self.receive().map_err(unsent)? {
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
            None => Err(unsent(io::Error::other(NO_ANSWER))),
        }
    }

    /// The attributes of one object; `None` if it does not exist.
    pub(super) fn get(
        &mut self,
        table: Table,
        operation: u16,
        about: &Attributes,
    ) -> io::Result<Option<Vec<u8>>> {
        let mut found = self.ask(table, operation, 0, about)?;
        Ok(found.as_mut().and_then(Vec::pop))
    }

    /// The attributes of all objects; `None` if their container does not exist.
    pub(super) fn list(
        &mut self,
        table: Table,
        operation: u16,
        about: &Attributes,
    ) -> io::Result<Option<Vec<Vec<u8>>>> {
        for _ in 0..ATTEMPTS {
            match self.ask(table, operation, DUMP, about) {
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
        Err(restless())
    }

    /// Whether all objects that [`Self::list`] would list are `such`. It is read up to the first that is not.
    pub(super) fn has_only(
        &mut self,
        table: Table,
        operation: u16,
        about: &Attributes,
        such: impl Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        for _ in 0..ATTEMPTS {
            match self.ask_for_only(table, operation, about, &such) {
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
        table: Table,
        operation: u16,
        about: &Attributes,
        such: impl Fn(&[u8]) -> bool,
    ) -> io::Result<bool> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        self.send(&message(kind(operation), REQUEST | DUMP, sequence, in_family(table), about))?;
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
        table: Table,
        operation: u16,
        flags: u16,
        about: &Attributes,
    ) -> io::Result<Option<Vec<Vec<u8>>>> {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        let ack = if flags & DUMP == 0 { ACK } else { 0 };
        self.send(&message(kind(operation), REQUEST | flags | ack, sequence, in_family(table), about))?;
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

    fn send(&self, bytes: &[u8]) -> io::Result<()> {
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

fn in_family(table: Table) -> About {
    About { family: table.family(), resource: 0 }
}

fn kind(operation: u16) -> u16 {
    (SUBSYSTEM << 8) | operation
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let change = |step: &str| BatchMessage {
            operation: 6,
            flags: 0x400,
            attributes: Attributes::new(),
            table: Table::Inet,
            step: step.to_owned(),
        };
        Batch { changes: vec![change("make a"), change("make b")] }
    }

    #[test]
    fn a_batch_is_framed_and_only_its_last_change_is_acknowledged() {
        let bytes = batch().encode(7, None);
        let messages: Vec<_> = replies(&bytes).map(|m| (m.kind, m.flags, m.sequence)).collect();
        assert_eq!(messages, [(16, 0x1, 7), (0xa06, 0x401, 8), (0xa06, 0x405, 9), (17, 0x1, 10)]);
    }

    #[test]
    fn a_refusal_names_the_step_or_the_kernel_that_has_no_nf_tables() {
        let explained = |change, errno| {
            batch().explain(Refusal { change, cause: io::Error::from_raw_os_error(errno) }).to_string()
        };
        let refused = explained(Some(1), libc::EPERM);
        assert!(refused.starts_with("cannot make b: Operation not permitted"), "{refused}");
        assert!(explained(None, libc::EOPNOTSUPP).contains("this kernel has no nf_tables"));
        assert!(explained(None, libc::EPERM).starts_with("cannot change the packet filter: Operation"));
    }
}
