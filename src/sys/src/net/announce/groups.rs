//! Multicast groups that an interface receives. The kernel reports them to switches, which a packet socket's membership
//! would not.

use std::collections::BTreeMap;
use std::io;
use std::net::Ipv6Addr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::sockopt::{set_ipv6_add_membership, set_ipv6_drop_membership};
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};

/// Memberships of one interface.
#[derive(Debug)]
pub(super) struct Groups {
    index: u32,
    /// A socket has room for some hundred groups.
    sockets: Vec<OwnedFd>,
    /// For each group its socket, and how many addresses need it.
    joined: BTreeMap<Ipv6Addr, (usize, usize)>,
}

impl Groups {
    /// The groups of the interface with that index in this thread's namespace. Whoever joins hundreds does so in the
    /// same namespace. A kernel without IPv6 refuses to join.
    pub(super) fn of(index: u32) -> Self {
        Self { index, sockets: socket().into_iter().collect(), joined: BTreeMap::new() }
    }

    pub(super) fn join(&mut self, group: Ipv6Addr) -> io::Result<()> {
        if let Some((_, count)) = self.joined.get_mut(&group) {
            *count += 1;
            return Ok(());
        }
        let last = self.sockets.last().map(|last| set_ipv6_add_membership(last, &group, self.index));
        match last {
            Some(Ok(())) => {}
            Some(Err(cause)) if !matches!(cause, Errno::NOBUFS | Errno::NOMEM) => return Err(cause.into()),
            Some(Err(_)) | None => {
                let socket = socket()?;
                set_ipv6_add_membership(&socket, &group, self.index)?;
                self.sockets.push(socket);
            }
        }
        let at = self.sockets.len() - 1;
        self.joined.insert(group, (at, 1));
        Ok(())
    }

    pub(super) fn leave(&mut self, group: Ipv6Addr) {
        let Some((at, count)) = self.joined.get_mut(&group) else { return };
        *count -= 1;
        if *count == 0 {
            // It is gone with its interface.
            let _ = set_ipv6_drop_membership(&self.sockets[*at], &group, self.index);
            self.joined.remove(&group);
        }
    }
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::INET6, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?)
}
