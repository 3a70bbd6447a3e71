//! Notifications of changes, to see when somebody else changes a table, and which tables and chains come and go.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use netlink_sys::{Socket, SocketAddr, protocols::NETLINK_NETFILTER};
use rustix::net::sockopt::set_socket_recv_buffer_size_force;

use super::message::{Reply, find, replies, text};
use super::operations::{
    DELETE_CHAIN, DELETE_TABLE, DESTROY_CHAIN, DESTROY_TABLE, NEW_CHAIN, NEW_GENERATION, NEW_TABLE,
};
use super::socket::SUBSYSTEM;

/// `NFNLGRP_NFTABLES` of linux/netfilter/nfnetlink.h.
const GROUP: u32 = 7;
/// Room for some ten thousand notifications. Without the right to have it the kernel's default remains.
const ROOM: usize = 4 << 20;
const DATAGRAM_MAX: usize = 64 * 1024;
/// `NFPROTO_INET`.
const FAMILY: u8 = 1;
/// Offset of the sender in `nlmsghdr`.
const SENDER: u32 = 12;
/// The first attribute of every object is the name of its table; `NFTA_CHAIN_NAME`.
const TABLE_NAME: u16 = 1;
const CHAIN_NAME: u16 = 3;

/// A socket that gets the notifications of one network namespace.
#[derive(Debug)]
struct Subscription {
    socket: Socket,
    buffer: Vec<u8>,
}

impl Subscription {
    fn open() -> io::Result<Self> {
        let mut socket = Socket::new(NETLINK_NETFILTER)?;
        socket.bind(&SocketAddr::new(0, 0))?;
        Ok(Self { socket, buffer: Vec::with_capacity(DATAGRAM_MAX) })
    }

    fn begin(&mut self) -> io::Result<()> {
        self.socket.add_membership(GROUP)
    }

    /// Reads what has arrived, without waiting. `take` gets each notification, and `None` where some were lost.
    fn read(&mut self, mut take: impl FnMut(Option<&Reply<'_>>)) -> io::Result<()> {
        loop {
            self.buffer.clear();
            match self.socket.recv(&mut self.buffer, libc::MSG_DONTWAIT) {
                Ok(_) => replies(&self.buffer).for_each(|notice| take(Some(&notice))),
                Err(cause) if cause.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(cause) if cause.kind() == io::ErrorKind::Interrupted => {}
                Err(cause) if cause.raw_os_error() == Some(libc::ENOBUFS) => take(None),
                Err(cause) => return Err(cause),
            }
        }
    }
}

/// A subscription to changes of one table of the family inet.
#[derive(Debug)]
pub(in crate::net) struct TableNotices {
    subscription: Subscription,
    table: &'static str,
    /// The socket whose notifications the kernel leaves out.
    left_out: Option<u32>,
}

impl TableNotices {
    /// Subscribes to the changes in the calling thread's network namespace. While anybody is subscribed, the kernel makes a
    /// notification for each element, with which a large transaction takes several times as long: subscribe after it.
    pub(in crate::net) fn of(table: &'static str) -> io::Result<Self> {
        let mut subscription = Subscription::open()?;
        let _ = set_socket_recv_buffer_size_force(&subscription.socket, ROOM);
        subscription.begin()?;
        Ok(Self { subscription, table, left_out: None })
    }

    /// Reads what has arrived, without waiting. Returns true if another socket than `own` changed the table, or
    /// notifications were lost. From the first call on the kernel keeps those of `own` to itself, so that a large change
    /// does not fill the buffer: call it once before.
    pub(in crate::net) fn has_foreign_change(&mut self, own: u32) -> io::Result<bool> {
        if self.left_out != Some(own) {
            leave_out(&self.subscription.socket, own)?;
            self.left_out = Some(own);
        }
        let (table, mut is_foreign) = (self.table, false);
        self.subscription
            .read(|notice| is_foreign |= notice.is_none_or(|notice| is_change(notice, table, own)))?;
        Ok(is_foreign)
    }
}

impl AsFd for TableNotices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.subscription.socket.as_fd()
    }
}

/// A subscription to tables and chains that come and go, whoever makes them.
#[derive(Debug)]
pub(in crate::net) struct LayoutNotices(Subscription);

impl LayoutNotices {
    /// Subscribes in the calling thread's network namespace.
    pub(in crate::net) fn open() -> io::Result<Self> {
        let mut subscription = Subscription::open()?;
        subscription.begin()?;
        Ok(Self(subscription))
    }

    /// Reads what has arrived, without waiting. Returns true if a table or chain has come or gone for which `is_meant` is
    /// true, which gets the table's name and the chain's, or if notifications were lost.
    pub(in crate::net) fn read(&mut self, is_meant: impl Fn(&str, Option<&str>) -> bool) -> io::Result<bool> {
        let mut found = false;
        self.0.read(|notice| {
            found |= notice.is_none_or(|notice| {
                layout(notice).is_some_and(|(table, chain)| is_meant(&table, chain.as_deref()))
            });
        })?;
        Ok(found)
    }
}

impl AsFd for LayoutNotices {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.socket.as_fd()
    }
}

/// The table, or the table and the chain, that has come or gone.
fn layout(notice: &Reply<'_>) -> Option<(String, Option<String>)> {
    let [subsystem, operation] = notice.kind.to_be_bytes();
    if u16::from(subsystem) != SUBSYSTEM {
        return None;
    }
    let table = text(find(notice.attributes(), TABLE_NAME)?);
    match u16::from(operation) {
        NEW_TABLE | DELETE_TABLE | DESTROY_TABLE => Some((table, None)),
        NEW_CHAIN | DELETE_CHAIN | DESTROY_CHAIN => {
            Some((table, Some(text(find(notice.attributes(), CHAIN_NAME)?))))
        }
        _ => None,
    }
}

/// Whether it tells of a change of the table by another socket.
fn is_change(notice: &Reply<'_>, table: &str, own: u32) -> bool {
    let is_table = |name: &[u8]| name.strip_suffix(b"\0").unwrap_or(name) == table.as_bytes();
    let [subsystem, operation] = notice.kind.to_be_bytes();
    u16::from(subsystem) == SUBSYSTEM
        && u16::from(operation) != NEW_GENERATION
        && notice.sender != own
        && notice.payload.first() == Some(&FAMILY)
        && find(notice.attributes(), TABLE_NAME).is_some_and(is_table)
}

/// Has the kernel drop notifications whose first message, and so all of them, are of a sender.
#[allow(unsafe_code)]
fn leave_out(socket: &Socket, sender: u32) -> io::Result<()> {
    let instruction = |code: u32, jt, jf, k| libc::sock_filter { code: code as u16, jt, jf, k };
    let mut program = [
        instruction(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, 0, SENDER),
        // What is loaded is taken for network byte order.
        instruction(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, 0, 1, sender.to_be()),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, 0),
        instruction(libc::BPF_RET | libc::BPF_K, 0, 0, u32::MAX),
    ];
    let filter = libc::sock_fprog { len: 4, filter: program.as_mut_ptr() };
    // SAFETY: the option takes a sock_fprog, whose `filter` points to `len` instructions; the kernel copies them.
    let done = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const filter).cast(),
            size_of::<libc::sock_fprog>() as libc::socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::netfilter::message::{About, Attributes, message};
    use crate::net::netfilter::operations::NEW_RULE;

    #[test]
    fn only_what_others_change_in_the_table_counts() {
        let told = |kind: u16, sender: u32, family, table: &str| {
            let about = About { family, resource: 0 };
            let mut sent =
                message((SUBSYSTEM << 8) | kind, 0, 1, about, &Attributes::new().text(1, table)).unwrap();
            sent[12..16].copy_from_slice(&sender.to_ne_bytes());
            replies(&sent).any(|notice| is_change(&notice, "podhosts-services", 7))
        };
        assert!(told(NEW_RULE, 8, FAMILY, "podhosts-services"));
        assert!(!told(NEW_RULE, 7, FAMILY, "podhosts-services"));
        assert!(!told(NEW_RULE, 8, 2, "podhosts-services"));
        assert!(!told(NEW_RULE, 8, FAMILY, "podhosts"));
        assert!(!told(NEW_GENERATION, 8, FAMILY, "podhosts-services"));
    }

    #[test]
    fn tables_and_chains_are_named_and_nothing_else() {
        let told = |kind: u16, attributes: &Attributes| {
            let about = About { family: 2, resource: 0 };
            let sent = message((SUBSYSTEM << 8) | kind, 0, 1, about, attributes).unwrap();
            replies(&sent).next().and_then(|notice| layout(&notice))
        };
        let table = || Attributes::new().text(TABLE_NAME, "nat");
        let chain = || table().text(CHAIN_NAME, "KUBE-SERVICES");
        for operation in [NEW_TABLE, DELETE_TABLE, DESTROY_TABLE] {
            assert_eq!(told(operation, &table()), Some(("nat".to_owned(), None)));
        }
        for operation in [NEW_CHAIN, DELETE_CHAIN, DESTROY_CHAIN] {
            assert_eq!(told(operation, &chain()), Some(("nat".to_owned(), Some("KUBE-SERVICES".to_owned()))));
        }
        assert_eq!(told(NEW_RULE, &chain()), None);
        assert_eq!(told(NEW_GENERATION, &Attributes::new()), None);
    }
}
