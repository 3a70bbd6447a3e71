//! rtnetlink, synchronous: one request, its answers, the next request.

use std::io;
use std::path::PathBuf;

use netlink_packet_core::{
    DoneMessage, ErrorMessage, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkHeader, NetlinkMessage,
    NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_ROUTE};
use thiserror::Error;

use super::namespace::Namespace;

/// Larger than any answer, of which the kernel makes parts of at most 32 KiB, and than any request. Only what is used of
/// it is ever touched.
const BUFFER: usize = 64 << 10;

/// Something the kernel would not do to the network.
#[derive(Debug, Error)]
pub enum NetworkError {
    /// There is no network namespace at that path.
    #[error("cannot open network namespace {0}: there is none")]
    NoNamespace(PathBuf),
    /// A namespace cannot be opened or entered.
    #[error("cannot {verb} network namespace {path}: {cause}")]
    Namespace {
        /// What was tried.
        verb: &'static str,
        /// The namespace.
        path: PathBuf,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// The kernel refused a request.
    #[error("cannot {verb} {what}: {cause}")]
    Refused {
        /// What was tried.
        verb: &'static str,
        /// On what.
        what: String,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
    /// A setting of the kernel's cannot be read or written.
    #[error("cannot set {key} to {value}: {cause}")]
    Sysctl {
        /// Below /proc/sys.
        key: String,
        /// What it should be.
        value: &'static str,
        /// The kernel's answer.
        #[source]
        cause: io::Error,
    },
}

impl NetworkError {
    /// Whether the kernel says that there is no such thing.
    pub fn is_absent(&self) -> bool {
        matches!(self, Self::NoNamespace(_))
            || matches!(self.errno(), Some(libc::ENODEV | libc::ENOENT | libc::ESRCH))
    }

    /// Whether the kernel says that the request makes no sense to it.
    pub fn is_invalid(&self) -> bool {
        self.errno() == Some(libc::EINVAL)
    }

    /// Whether the kernel says that there is such a thing already.
    pub fn is_present(&self) -> bool {
        self.errno() == Some(libc::EEXIST)
    }

    /// Whether the kernel, or this interface, does not have the address family.
    pub fn is_unsupported(&self) -> bool {
        self.errno() == Some(libc::EAFNOSUPPORT)
    }

    fn errno(&self) -> Option<i32> {
        match self {
            Self::NoNamespace(_) => None,
            Self::Namespace { cause, .. } | Self::Refused { cause, .. } | Self::Sysctl { cause, .. } => {
                cause.raw_os_error()
            }
        }
    }
}

/// The network of one namespace, through a socket that stays in it.
#[derive(Debug)]
pub struct Network {
    socket: Socket,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Network {
    /// The network of the namespace in which this thread is.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn here() -> Result<Self, NetworkError> {
        let open = || {
            let mut socket = Socket::new(NETLINK_ROUTE)?;
            socket.bind_auto()?;
            socket.connect(&SocketAddr::new(0, 0))?;
            // Without the first a refused request comes back whole; without the second a dump cannot be narrowed.
            socket.set_cap_ack(true)?;
            socket.set_netlink_get_strict_chk(true)?;
            Ok(socket)
        };
        let refused =
            |cause| NetworkError::Refused { verb: "open", what: "a netlink socket".to_owned(), cause };
        Ok(Self { socket: open().map_err(refused)?, sequence: 0, buffer: Vec::with_capacity(BUFFER) })
    }

    /// The network of `namespace`, seen from `home`.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn of(namespace: &Namespace, home: &Namespace) -> Result<Self, NetworkError> {
        namespace.inside(home, Self::here)
    }

    /// The socket, which is in the namespace.
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }

    /// Has `message` done and waits until it is.
    pub(super) fn change(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.request(message, flags | NLM_F_ACK).map(|_| ())
    }

    /// Asks for one thing.
    pub(super) fn get(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_ACK)
    }

    /// Asks for all things of a kind.
    pub(super) fn dump(&mut self, message: RouteNetlinkMessage) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.request(message, NLM_F_DUMP)
    }

    fn request(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<Vec<RouteNetlinkMessage>> {
        self.sequence += 1;
        let mut header = NetlinkHeader::default();
        header.flags = NLM_F_REQUEST | flags;
        header.sequence_number = self.sequence;
        let mut request = NetlinkMessage::new(header, NetlinkPayload::InnerMessage(message));
        request.finalize();
        self.buffer.clear();
        self.buffer.resize(request.buffer_len(), 0);
        request.serialize(&mut self.buffer);
        self.socket.send(&self.buffer, 0)?;
        let mut answers = Vec::new();
        while !self.receive(&mut answers)? {}
        Ok(answers)
    }

    /// Takes one datagram; tells whether it held the end of the answer.
    fn receive(&mut self, answers: &mut Vec<RouteNetlinkMessage>) -> io::Result<bool> {
        // Room that was zeroed before would have each of its pages touched, in every call of the plugin.
        self.buffer.clear();
        while let Err(error) = self.socket.recv(&mut self.buffer, 0) {
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
        let mut rest = &self.buffer[..];
        while !rest.is_empty() {
            let message = NetlinkMessage::<RouteNetlinkMessage>::deserialize(rest)
                .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
            let (header, payload) = message.into_parts();
            let taken = usize::try_from(header.length).unwrap_or(rest.len()).next_multiple_of(4);
            rest = rest.get(taken..).unwrap_or_default();
            if header.sequence_number != self.sequence {
                continue;
            }
            match payload {
                NetlinkPayload::Error(ErrorMessage { code: None, .. }) => return Ok(true),
                NetlinkPayload::Error(error) => return Err(error.to_io()),
                NetlinkPayload::Done(DoneMessage { code: 0, .. }) => return Ok(true),
                NetlinkPayload::Done(done) => return Err(io::Error::from_raw_os_error(done.code.abs())),
                NetlinkPayload::InnerMessage(message) => answers.push(message),
                _ => {}
            }
        }
        Ok(false)
    }
}
