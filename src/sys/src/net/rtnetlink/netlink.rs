//! The rtnetlink socket. It is synchronous: one request, its answers, the next request. Changes that do not depend on
//! each other's answers are sent together.

use std::collections::BTreeMap;
use std::io;

use netlink_packet_core::{
    DoneMessage, ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};

use super::error::NetworkError;
use super::namespace::Namespace;

/// Larger than any request, and any part of an answer, of which the kernel sends at most 32 KiB. Pages that are not
/// used are not touched.
const BUFFER: usize = 64 << 10;

/// A change, for [`RouteSocket::make`].
#[derive(Debug)]
pub struct NetworkChange {
    message: RouteNetlinkMessage,
    flags: u16,
    verb: &'static str,
    what: String,
}

impl NetworkChange {
    /// `verb` and `what` are the words of an error: cannot `verb` `what`.
    pub(super) fn new(
        message: RouteNetlinkMessage,
        flags: u16,
        verb: &'static str,
        what: impl Into<String>,
    ) -> Self {
        Self { message, flags, verb, what: what.into() }
    }
}

/// A netlink socket of one network namespace, in which it stays.
#[derive(Debug)]
pub struct RouteSocket {
    pub(super) socket: Socket,
    pub(super) sequence: u32,
    pub(super) buffer: Vec<u8>,
}

impl RouteSocket {
    /// Opens a socket in this thread's namespace.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn here() -> Result<Self, NetworkError> {
        let open = || {
            let socket = Socket::new(NETLINK_ROUTE)?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Without the first an error quotes the whole request; without the second a dump cannot be filtered.
            socket.set_cap_ack(true)?;
            socket.set_netlink_get_strict_chk(true)?;
            Ok(socket)
        };
        let refused =
            |cause| NetworkError::Refused { verb: "open", what: "a netlink socket".to_owned(), cause };
        Ok(Self { socket: open().map_err(refused)?, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// Opens a socket in `namespace`, and comes back to `home`.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn of(namespace: &Namespace, home: &Namespace) -> Result<Self, NetworkError> {
        namespace.inside(home, Self::here)
    }

    /// The number by which the kernel names this socket as the sender of a change; 0 if it does not tell.
    pub fn port_id(&self) -> u32 {
        let mut address = SocketAddr::new(0, 0);
        self.socket.get_address(&mut address).map_or(0, |()| address.port_number())
    }

    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Makes a change and waits until it is made.
    pub(super) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.request(message, flags | NLM_F_ACK).map(|_| ())
    }

    /// Makes changes in their order. The kernel goes on after one that fails.
    ///
    /// # Errors
    /// That of the first one that failed.
    pub fn make(&mut self, changes: Vec<NetworkChange>) -> Result<(), NetworkError> {
        self.make_each(changes)?.into_iter().collect()
    }

    /// Makes changes in their order, and gives the result of each. The kernel goes on after one that fails.
    ///
    /// # Errors
    /// The socket failed; some changes may have been made.
    pub fn make_each(
        &mut self,
        changes: Vec<NetworkChange>,
    ) -> Result<Vec<Result<(), NetworkError>>, NetworkError> {
        let first = self.sequence.wrapping_add(1);
        let count = changes.len();
        let mut steps = Vec::with_capacity(count);
        self.buffer.clear();
        for (index, change) in changes.into_iter().enumerate() {
            // The kernel always reports errors; success is requested once.
            let ack = if index + 1 == count { NLM_F_ACK } else { 0 };
            self.write(change.message, change.flags | ack);
            steps.push((change.verb, change.what));
        }
        let refused = |(verb, what), cause| NetworkError::Refused { verb, what, cause };
        let mut causes = self
            .causes(first, count)
            .map_err(|cause| refused(("change", "the network".to_owned()), cause))?;
        let ends = steps.into_iter().enumerate().map(|(index, step)| match causes.remove(&index) {
            Some(cause) => Err(refused(step, cause)),
            None => Ok(()),
        });
        Ok(ends.collect())
    }

    /// Sends `count` written changes, numbered from `first`; gives the errors by index.
    fn causes(&mut self, first: u32, count: usize) -> io::Result<BTreeMap<usize, io::Error>> {
        let mut causes = BTreeMap::new();
        if count == 0 {
            return Ok(causes);
        }
        self.socket.send(&self.buffer, 0)?;
        let mut is_done = false;
        while !is_done {
            self.receive(|sequence, payload| {
                let index = usize::try_from(sequence.wrapping_sub(first)).unwrap_or(usize::MAX);
                if let (true, NetlinkPayload::Error(error)) = (index < count, payload) {
                    is_done |= index + 1 == count;
                    if error.code.is_some() {
                        causes.insert(index, error.to_io());
                    }
                }
                Ok(())
            })?;
        }
        Ok(causes)
    }

    /// Asks for one object.
    pub(super) fn get(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_ACK)
    }

    /// Asks for all objects of a kind.
    pub(super) fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_DUMP)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.buffer.clear();
        self.write(message, flags);
        self.socket.send(&self.buffer, 0)?;
        let (asked, mut answers, mut is_done) = (self.sequence, Vec::new(), false);
        while !is_done {
            self.receive(|sequence, payload| {
                match payload {
                    _ if sequence != asked => {}
                    NetlinkPayload::Error(ErrorMessage { code: None, .. })
                    | NetlinkPayload::Done(DoneMessage { code: 0, .. }) => is_done = true,
                    NetlinkPayload::Error(error) => return Err(error.to_io()),
                    NetlinkPayload::Done(done) => return Err(io::Error::from_raw_os_error(done.code.abs())),
                    NetlinkPayload::InnerMessage(message) => answers.push(message),
                    _ => {}
                }
                Ok(())
            })?;
        }
        Ok(answers)
    }

    /// Adds a message with the next number to the buffer.
    pub(super) fn write(&mut self, message: RouteNetlinkMessage, flags: u16) {
        self.sequence = self.sequence.wrapping_add(1);
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut message = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        message.finalize();
        let start = self.buffer.len();
        self.buffer.resize(start + message.buffer_len().next_multiple_of(4), 0);
        message.serialize(&mut self.buffer[start..]);
    }

    /// Reads one datagram; `take` gets each of its messages with its number.
    fn receive(
        &mut self,
        mut take: impl FnMut(u32, NetlinkPayload<RouteNetlinkMessage>) -> io::Result<()>,
    ) -> io::Result<()> {
        receive(&self.socket, &mut self.buffer, 0, |header, payload| take(header.sequence_number, payload))
    }
}

/// Reads one datagram into `buffer`; `take` gets each of its messages.
pub(super) fn receive(
    socket: &Socket,
    buffer: &mut Vec<u8>,
    flags: i32,
    mut take: impl FnMut(&NetlinkHeader, NetlinkPayload<RouteNetlinkMessage>) -> io::Result<()>,
) -> io::Result<()> {
    // Room that was zeroed before would have each of its pages touched, in every call of the plugin.
    buffer.clear();
    while let Err(error) = socket.recv(buffer, flags) {
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
    let mut rest = &buffer[..];
    while !rest.is_empty() {
        let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
        let (header, payload) = message.into_parts();
        let taken = usize::try_from(header.length).unwrap_or(rest.len()).next_multiple_of(4);
        rest = rest.get(taken..).unwrap_or_default();
        take(&header, payload)?;
    }
    Ok(())
}
