//! What kube-proxy has in a network namespace. Where it leads connections to Services, no other program must.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::Duration;

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::LinkAttribute;

use super::firewalls;
use super::netfilter::notices::LayoutNotices;
use super::rtnetlink::RouteSocket;
use super::rtnetlink::news::{News, OF_LINKS, Told};
use crate::fs::files::{self, LastLink};
use crate::process::{exec, programs};

/// Its tables in its mode nftables, its chain in its mode iptables, and its interface in its mode ipvs.
const TABLES: [&str; 2] = ["ip kube-proxy", "ip6 kube-proxy"];
const TABLE: &str = "kube-proxy";
const CHAIN: &str = "KUBE-SERVICES";
const INTERFACE: &str = "kube-ipvs0";
/// iptables of the old kind, which nf_tables does not show: the kernel's list of its tables, and its program.
const LEGACY: [(&str, &str); 2] =
    [("/proc/net/ip_tables_names", "iptables-legacy"), ("/proc/net/ip6_tables_names", "ip6tables-legacy")];
/// Largest list of tables that is read, in bytes.
const NAMES_MAX: usize = 1 << 16;
/// How long iptables may take, and how many seconds of that it may wait for its lock.
const PATIENCE: Duration = Duration::from_secs(10);
const LOCK_SECONDS: &str = "5";

/// Names what kube-proxy has in this thread's network namespace, such as `the table ip kube-proxy`. A chain of
/// iptables-legacy is found only where that program is.
///
/// # Errors
/// The kernel's answer.
pub fn traces() -> io::Result<Vec<String>> {
    let tables = firewalls::tables()?.into_iter().filter(|table| TABLES.contains(&table.as_str()));
    let mut found: Vec<String> = tables.map(|table| format!("the table {table}")).collect();
    let link = RouteSocket::here().and_then(|mut route| route.link(INTERFACE));
    found.extend(link.is_ok_and(|link| link.is_some()).then(|| format!("the interface {INTERFACE}")));
    let chain = firewalls::chains()?.into_iter().find(|chain| chain.name == CHAIN);
    found.extend(chain.map(|chain| format!("the chain {CHAIN} of the table {}", chain.table)));
    let legacy = LEGACY.into_iter().filter(|(names, program)| has_chain(Path::new(names), program));
    found.extend(legacy.map(|(_, program)| format!("the chain {CHAIN} of {program}")));
    Ok(found)
}

/// Hears when kube-proxy makes or removes something of what [`traces`] names, in the network namespace of the thread that
/// opened it. Of iptables-legacy the kernel tells nothing.
#[derive(Debug)]
pub struct Notices {
    packet_filter: LayoutNotices,
    links: News,
}

impl Notices {
    /// Begins to listen. What is there already has to be looked for afterwards.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn open() -> io::Result<Self> {
        let links = News::subscribe(&[OF_LINKS]).map_err(io::Error::other)?;
        Ok(Self { packet_filter: LayoutNotices::open()?, links })
    }

    /// The sockets, which can be read when there is something to hear.
    pub fn sockets(&self) -> [BorrowedFd<'_>; 2] {
        [self.packet_filter.as_fd(), self.links.as_fd()]
    }

    /// Reads what has arrived, without waiting; tells whether a look is due.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn read(&mut self) -> io::Result<bool> {
        let mut is_due = self.packet_filter.read(|table, chain| match chain {
            None => table == TABLE,
            Some(chain) => chain == CHAIN,
        })?;
        let links = self.links.read(|told| {
            is_due |= match told {
                Told::Lost => true,
                Told::Change(message, _) => is_interface(&message),
            };
        });
        links.map_err(io::Error::other)?;
        Ok(is_due)
    }
}

fn is_interface(message: &RouteNetlinkMessage) -> bool {
    let (RouteNetlinkMessage::NewLink(link) | RouteNetlinkMessage::DelLink(link)) = message else {
        return false;
    };
    link.attributes.iter().any(|one| matches!(one, LinkAttribute::IfName(name) if name == INTERFACE))
}

/// Whether `program` lists the chain in its table nat. To ask makes the kernel load the table, so only one in use is asked for.
fn has_chain(names: &Path, program: &str) -> bool {
    let used = files::read(names, NAMES_MAX, LastLink::Follow).unwrap_or_default();
    if !String::from_utf8_lossy(&used).lines().any(|name| name == "nat") {
        return false;
    }
    let Some(program) = exec::find_program(&[program.to_owned()]) else { return false };
    // Others have the lock while they change something.
    let run = programs::run(&program, &["-w", LOCK_SECONDS, "-t", "nat", "-S", CHAIN], &[], b"", PATIENCE);
    run.is_ok_and(|run| run.status.success() && !run.stdout.is_empty())
}
