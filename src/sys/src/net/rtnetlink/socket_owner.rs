//! Finds the user of the other end of a local connection, by sock_diag.

use std::io;
use std::net::{IpAddr, SocketAddr};

use netlink_sys::{Socket, protocols::NETLINK_SOCK_DIAG};

/// `SOCK_DIAG_BY_FAMILY` of linux/sock_diag.h.
const BY_FAMILY: u16 = 20;
/// `NLM_F_REQUEST` of linux/netlink.h.
const REQUEST: u16 = 1;
/// The header of a netlink message, in bytes.
const HEADER: usize = 16;
/// `struct inet_diag_req_v2`, in bytes.
const QUESTION: usize = 56;
/// Offsets of the user and the inode in `struct inet_diag_msg`.
const USER: usize = 64;
const INODE: usize = 68;

/// A socket for questions about the sockets of this network namespace.
#[derive(Debug)]
pub struct SocketOwners(Socket);

impl SocketOwners {
    /// Opens the socket.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_SOCK_DIAG)?;
        socket.bind_auto()?;
        Ok(Self(socket))
    }

    /// The user who opened the socket at `peer` of a TCP connection to `local`. `None` if the socket is in another
    /// namespace or machine, or closed: for a closed socket the kernel says user 0.
    pub fn of(&self, peer: SocketAddr, local: SocketAddr) -> Option<u32> {
        self.0.send(&question(peer, local)?, 0).ok()?;
        let mut answer = [0; 512];
        // The kernel answers before `send` returns.
        let length = self.0.recv(&mut &mut answer[..], libc::MSG_DONTWAIT).ok()?;
        user(answer.get(..length)?)
    }
}

fn question(peer: SocketAddr, local: SocketAddr) -> Option<Vec<u8>> {
    let (source, destination) = (peer.ip().to_canonical(), local.ip().to_canonical());
    let family = match (source, destination) {
        (IpAddr::V4(_), IpAddr::V4(_)) => libc::AF_INET,
        (IpAddr::V6(_), IpAddr::V6(_)) => libc::AF_INET6,
        _ => return None,
    };
    let mut message = Vec::with_capacity(HEADER + QUESTION);
    message.extend(u32::try_from(HEADER + QUESTION).ok()?.to_ne_bytes());
    message.extend(BY_FAMILY.to_ne_bytes());
    message.extend(REQUEST.to_ne_bytes());
    // Sequence number and port, which are not needed for one question at a time.
    message.extend([0; 8]);
    message.extend([u8::try_from(family).ok()?, u8::try_from(libc::IPPROTO_TCP).ok()?, 0, 0]);
    // In every state.
    message.extend(u32::MAX.to_ne_bytes());
    message.extend(peer.port().to_be_bytes());
    message.extend(local.port().to_be_bytes());
    for address in [source, destination] {
        match address {
            IpAddr::V4(v4) => message.extend(v4.octets().into_iter().chain([0; 12])),
            IpAddr::V6(v6) => message.extend(v6.octets()),
        }
    }
    // On any interface, with any cookie.
    message.extend([0; 4]);
    message.extend([0xff; 8]);
    Some(message)
}

fn user(answer: &[u8]) -> Option<u32> {
    let number = |at: usize| Some(u32::from_ne_bytes(answer.get(at..at + 4)?.try_into().ok()?));
    let kind = u16::from_ne_bytes(answer.get(4..6)?.try_into().ok()?);
    let is_open = kind == BY_FAMILY && number(HEADER + INODE)? != 0;
    if is_open { number(HEADER + USER) } else { None }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn an_open_socket_has_a_user_and_a_closed_one_has_none() {
        let owners = SocketOwners::open().unwrap();
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(address).unwrap();
            let local = listener.local_addr().unwrap();
            let client = TcpStream::connect(local).unwrap();
            let peer = client.local_addr().unwrap();
            assert_eq!(owners.of(peer, local), Some(rustix::process::getuid().as_raw()));
            drop(client);
            assert_eq!(owners.of(peer, local), None);
        }
    }

    #[test]
    fn only_a_whole_answer_has_a_user() {
        let mut answer = vec![0; HEADER + INODE + 4];
        answer[4..6].copy_from_slice(&BY_FAMILY.to_ne_bytes());
        answer[HEADER + USER] = 7;
        assert_eq!(user(&answer), None);
        answer[HEADER + INODE] = 1;
        let number = u32::from_ne_bytes([7, 0, 0, 0]);
        assert_eq!(user(&answer), Some(number));
        for length in 0..answer.len() {
            assert_eq!(user(&answer[..length]), None);
        }
        answer[4] ^= 1;
        assert_eq!(user(&answer), None);
    }
}
