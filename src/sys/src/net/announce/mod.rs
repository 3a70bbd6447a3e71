//! Answers for addresses on a link that no interface has: those of load balancers. Another machine that asks with ARP
//! or IPv6's neighbour discovery who has such an address gets this node's MAC address, and sends its packets here.
//!
//! An address is probed first. If another machine has it, it is not answered for. `docs/design/proxy.md` has the rules.

mod claim;
mod event;
mod filter;
mod groups;
mod packet;
mod socket;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use netlink_packet_route::RouteNetlinkMessage;
use rustix::event::epoll;

use super::rtnetlink::addresses::address_in;
use super::rtnetlink::news::{News as NetworkNews, OF_ADDRESSES, OF_LINKS, Told};
use super::rtnetlink::{Link, Mac, NetworkError, RouteSocket};
use claim::{Claim, News, Send, Step};
use groups::Groups;
use socket::{PacketSocket, Protocol};

pub use claim::Status;
pub use event::{AnnounceError, Event};

/// How many frames are read in one turn, so that a flood of them does not keep the caller from its other work.
const FRAMES_MAX: usize = 512;

/// What a turn has brought.
#[derive(Debug)]
pub struct Turn {
    /// What has happened, in its order.
    pub events: Vec<Event>,
    /// When the next turn is due, if nothing arrives before.
    pub next: Option<Instant>,
}

/// Answers for addresses on one interface of the network namespace in which it was opened.
///
/// Its descriptor is readable when there is something to do. After that, after [`Self::claim`] and at the time that the
/// last turn has named, the caller calls [`Self::turn`].
#[derive(Debug)]
pub struct Responder {
    index: u32,
    name: String,
    mac: Mac,
    is_up: bool,
    route: RouteSocket,
    news: NetworkNews,
    arp: PacketSocket,
    discovery: PacketSocket,
    groups: Groups,
    epoll: OwnedFd,
    claims: BTreeMap<IpAddr, Claim>,
    filters_are_old: bool,
    /// Events since the last turn.
    pending: Vec<Event>,
    buffer: Vec<u8>,
}

impl Responder {
    /// Opens the interface, which may be down. Needs CAP_NET_RAW.
    ///
    /// # Errors
    /// The interface does not exist or is no Ethernet, or the kernel's answer.
    pub fn open(interface: &str) -> Result<Self, AnnounceError> {
        let refused =
            |step| move |cause| AnnounceError::Refused { step, interface: interface.to_owned(), cause };
        // Before the first look, so that no change is missed.
        let news = NetworkNews::subscribe(&[OF_LINKS, OF_ADDRESSES[0], OF_ADDRESSES[1]])?;
        let mut route = RouteSocket::here()?;
        let link = route.link(interface)?;
        let link = link.ok_or_else(|| AnnounceError::NoInterface(interface.to_owned()))?;
        let mac = unicast(&link).ok_or_else(|| AnnounceError::NotEthernet(interface.to_owned()))?;
        let open = |protocol| PacketSocket::open(link.index, protocol).map_err(refused("receive frames"));
        let (arp, discovery) = (open(Protocol::Arp)?, open(Protocol::Ipv6)?);
        let epoll = together(&[news.as_fd(), arp.as_fd(), discovery.as_fd()]);
        Ok(Self {
            index: link.index,
            name: interface.to_owned(),
            mac,
            is_up: link.is_running,
            route,
            news,
            arp,
            discovery,
            groups: Groups::of(link.index),
            epoll: epoll.map_err(refused("wait for frames"))?,
            claims: BTreeMap::new(),
            filters_are_old: false,
            pending: Vec::new(),
            buffer: vec![0; filter::FRAME_MAX as usize],
        })
    }

    /// Probes an address in the next turn, and answers for it as soon as no other machine has it.
    ///
    /// # Errors
    /// The address is not unicast, or the interface does not receive what is asked about it. It is not claimed then.
    pub fn claim(&mut self, address: IpAddr, now: Instant) -> Result<(), AnnounceError> {
        if self.claims.contains_key(&address) {
            return Ok(());
        }
        if !is_unicast(address) {
            return Err(AnnounceError::NotUnicast(address));
        }
        let own = self.own_addresses()?;
        if let IpAddr::V6(v6) = address {
            let refused = |cause| AnnounceError::Refused {
                step: "join a multicast group of IPv6",
                interface: self.name.clone(),
                cause,
            };
            self.groups.join(packet::group(v6)).map_err(refused)?;
        }
        let mut claim = Claim::new(now);
        if claim.set_own(own.contains(&address), now) {
            self.pending.push(Event::Own { address });
        }
        self.claims.insert(address, claim);
        self.filters_are_old = true;
        Ok(())
    }

    /// Answers for the address no more. Whether it was claimed.
    pub fn release(&mut self, address: IpAddr) -> bool {
        let was_claimed = self.claims.remove(&address).is_some();
        if let (true, IpAddr::V6(v6)) = (was_claimed, address) {
            self.groups.leave(packet::group(v6));
        }
        self.filters_are_old |= was_claimed;
        was_claimed
    }

    /// All claimed addresses.
    pub fn addresses(&self) -> impl Iterator<Item = (IpAddr, Status)> {
        self.claims.iter().map(|(address, claim)| (*address, claim.status()))
    }

    /// The interface's name.
    pub fn interface(&self) -> &str {
        &self.name
    }

    /// Whether the interface is up and has a carrier. While it is not, nothing is probed or answered.
    pub fn is_up(&self) -> bool {
        self.is_up
    }

    /// Reads what has arrived, answers it, and sends what is due, without waiting.
    ///
    /// # Errors
    /// The interface is gone, after which nothing works any more; or the kernel's answer.
    pub fn turn(&mut self, now: Instant) -> Result<Turn, AnnounceError> {
        let mut events = std::mem::take(&mut self.pending);
        self.hear_news(now, &mut events)?;
        if self.filters_are_old {
            self.set_filters()?;
        }
        let is_all = self.hear_frames(now, &mut events)?;
        let mut next = None;
        if self.is_up {
            for address in self.claims.keys().copied().collect::<Vec<_>>() {
                let step = self.claims.get_mut(&address).map(|claim| claim.on_time(now));
                self.act(address, step.unwrap_or_default(), &mut events);
            }
            next = self.claims.values().filter_map(Claim::due).min();
        }
        Ok(Turn { events, next: if is_all { next } else { Some(now) } })
    }

    fn hear_news(&mut self, now: Instant, events: &mut Vec<Event>) -> Result<(), AnnounceError> {
        let (mut link, mut addresses) = (false, false);
        let Self { index, claims, news, .. } = &mut *self;
        news.read(|told| match told {
            Told::Lost => (link, addresses) = (true, true),
            Told::Change(RouteNetlinkMessage::NewLink(of) | RouteNetlinkMessage::DelLink(of), _) => {
                link |= of.header.index == *index;
            }
            Told::Change(RouteNetlinkMessage::NewAddress(of) | RouteNetlinkMessage::DelAddress(of), _) => {
                addresses |= address_in(&of).is_some_and(|address| claims.contains_key(&address));
            }
            Told::Change(..) => {}
        })?;
        if link {
            self.look_at_link(now, events)?;
        }
        if addresses {
            let own = self.own_addresses()?;
            for (address, claim) in &mut self.claims {
                let is_own = own.contains(address);
                if claim.set_own(is_own, now) && is_own {
                    events.push(Event::Own { address: *address });
                }
            }
        }
        Ok(())
    }

    fn look_at_link(&mut self, now: Instant, events: &mut Vec<Event>) -> Result<(), AnnounceError> {
        let link = self.route.link_at(self.index, &self.name)?;
        let link = link.ok_or_else(|| AnnounceError::NoInterface(self.name.clone()))?;
        let mac = unicast(&link).ok_or_else(|| AnnounceError::NotEthernet(self.name.clone()))?;
        if link.is_running != self.is_up {
            self.is_up = link.is_running;
            events.push(if self.is_up { Event::Up } else { Event::Down });
            self.claims.values_mut().for_each(|claim| claim.start_again(now));
        }
        if mac != self.mac {
            self.mac = mac;
            self.claims.values_mut().for_each(|claim| claim.announce_again(now));
        }
        Ok(())
    }

    /// Reads frames; tells whether those were all.
    fn hear_frames(&mut self, now: Instant, events: &mut Vec<Event>) -> Result<bool, AnnounceError> {
        let mut is_all = true;
        let mut buffer = std::mem::take(&mut self.buffer);
        for is_arp in [true, false] {
            let mut count = 0;
            loop {
                if count == FRAMES_MAX {
                    is_all = false;
                    break;
                }
                count += 1;
                let socket = if is_arp { &self.arp } else { &self.discovery };
                match socket.receive(&mut buffer) {
                    Ok(Some(length)) => self.hear(&buffer[..length.min(buffer.len())], now, events),
                    Ok(None) => break,
                    Err(cause) => {
                        self.buffer = buffer;
                        return Err(self.refused("receive frames", cause));
                    }
                }
            }
        }
        self.buffer = buffer;
        Ok(is_all)
    }

    fn hear(&mut self, frame: &[u8], now: Instant, events: &mut Vec<Event>) {
        let Some(heard) = packet::parse(frame, self.mac).filter(|_| self.is_up) else { return };
        if let Some(address) = heard.claims {
            let step = self.claims.get_mut(&address).map(|claim| claim.on_claim(heard.by, now));
            self.act(address, step.unwrap_or_default(), events);
        }
        let Some(question) = heard.asks else { return };
        let Some(claim) = self.claims.get_mut(&question.target) else { return };
        if claim.is_held() {
            if let Some(answer) = packet::answer(self.mac, question, heard.by) {
                // Whoever gets no answer asks again.
                let _ = self.send(question.target, &answer);
            }
        } else if question.asker.is_none() {
            let step = claim.on_probe(heard.by, self.mac, now);
            self.act(question.target, step, events);
        }
    }

    fn act(&mut self, address: IpAddr, step: Step, events: &mut Vec<Event>) {
        match step.news {
            Some(News::Held) => events.push(Event::Held { address }),
            Some(News::Taken(by)) => events.push(Event::Taken { address, by }),
            Some(News::Conflict(by)) => events.push(Event::Conflict { address, by }),
            None => {}
        }
        let frame = match step.send {
            Some(Send::Probe) => packet::probe(self.mac, address),
            Some(Send::Announcement) => packet::announcement(self.mac, address),
            None => return,
        };
        if let Err(cause) = self.send(address, &frame) {
            events.push(Event::Unsent { address, cause });
        }
    }

    fn send(&self, about: IpAddr, frame: &[u8]) -> io::Result<()> {
        if about.is_ipv4() { self.arp.send(frame) } else { self.discovery.send(frame) }
    }

    fn set_filters(&mut self) -> Result<(), AnnounceError> {
        let (four, six) = filter::by_family(self.claims.keys().copied());
        let set = |socket: &PacketSocket, exact: &[_], all: &[_]| match socket.set_filter(exact) {
            // The kernel has no room for so long a filter.
            Err(cause) if cause.raw_os_error() == Some(libc::ENOMEM) => socket.set_filter(all),
            other => other,
        };
        let done = set(&self.arp, &filter::arp(&four), &filter::all_arp())
            .and_then(|()| set(&self.discovery, &filter::discovery(&six), &filter::all_discovery()));
        done.map_err(|cause| self.refused("filter frames", cause))?;
        self.filters_are_old = false;
        Ok(())
    }

    /// The addresses of this node's interfaces.
    fn own_addresses(&mut self) -> Result<BTreeSet<IpAddr>, AnnounceError> {
        Ok(self.route.all_addresses()?.iter().filter_map(address_in).collect())
    }

    fn refused(&self, step: &'static str, cause: io::Error) -> AnnounceError {
        AnnounceError::Refused { step, interface: self.name.clone(), cause }
    }
}

impl AsFd for Responder {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

/// The name of the interface in whose network `address` is: machines there ask for it. `None` if there is none, or a
/// router is on the way, or the address is this node's own.
///
/// # Errors
/// The kernel's answer.
pub fn interface_of(address: IpAddr) -> Result<Option<String>, NetworkError> {
    let mut route = RouteSocket::here()?;
    let Some(index) = route.link_towards(address)? else { return Ok(None) };
    Ok(route.link_names()?.remove(&index))
}

/// A descriptor that is readable when one of these is.
fn together(all: &[BorrowedFd<'_>]) -> io::Result<OwnedFd> {
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    for (number, one) in (0..).zip(all) {
        epoll::add(&epoll, one, epoll::EventData::new_u64(number), epoll::EventFlags::IN)?;
    }
    Ok(epoll)
}

/// The MAC address of an interface that others can send frames to. That of the loopback interface is zero.
fn unicast(link: &Link) -> Option<Mac> {
    link.mac.filter(|mac| mac.0[0] & 1 == 0 && mac.0 != [0; 6])
}

fn is_unicast(address: IpAddr) -> bool {
    let is_broadcast = matches!(address, IpAddr::V4(v4) if v4.is_broadcast());
    let is_mapped = matches!(address, IpAddr::V6(v6) if v6.to_ipv4_mapped().is_some());
    !(address.is_unspecified()
        || address.is_loopback()
        || address.is_multicast()
        || is_broadcast
        || is_mapped)
}
