//! What can be done while the kernel removes an interface.

use std::io;
use std::thread::{Builder, ScopedJoinHandle, scope};

use netlink_packet_core::{NLM_F_ACK, NetlinkPayload};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use netlink_sys::Socket;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::error::NetworkError;
use super::links::{name_in, named};
use super::netlink::{RouteSocket, receive};

/// `RTNLGRP_LINK` of linux/rtnetlink.h: news of interfaces.
const NEWS_OF_LINKS: u32 = 1;
/// How often to look whether the request could be sent at all: to one that could not there is no answer.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// What the kernel has told of a removal.
#[derive(Debug, Default)]
struct Told {
    /// The interface is gone for everybody: it is in no list, and nothing that came in by it is on its way any more.
    is_gone: bool,
    answer: Option<io::Result<()>>,
}

impl Told {
    fn read(&mut self, request: (&str, u32), sequence: u32, payload: NetlinkPayload<RouteNetlinkMessage>) {
        match payload {
            NetlinkPayload::InnerMessage(RouteNetlinkMessage::DelLink(link)) => {
                // A bridge tells that it has lost a port.
                let is_link = link.header.interface_family == AddressFamily::Unspec;
                self.is_gone |= is_link && name_in(&link) == Some(request.0);
            }
            NetlinkPayload::Error(error) if sequence == request.1 => {
                self.answer = Some(if error.code.is_some() { Err(error.to_io()) } else { Ok(()) });
            }
            _ => {}
        }
    }
}

impl RouteSocket {
    /// Removes the interface called `name`; tells whether there was one. `meanwhile` is called as soon as it is gone for
    /// everybody, if it was there: the kernel keeps whoever removes one waiting for much longer, until no processor can be
    /// looking at it any more. So a thread does that.
    ///
    /// # Errors
    /// The kernel's answer.
    pub fn delete_link_and(&mut self, name: &str, meanwhile: impl FnOnce()) -> Result<bool, NetworkError> {
        self.buffer.clear();
        self.write(RouteNetlinkMessage::DelLink(named(name)), NLM_F_ACK);
        let request = self.buffer.clone();
        let (socket, buffer, of) = (&self.socket, &mut self.buffer, (name, self.sequence));
        let mut told = Told::default();
        if socket.add_membership(NEWS_OF_LINKS).is_ok() {
            scope(|scope| {
                // Where no thread is to be had, nothing is sent and nothing told.
                if let Ok(sender) = Builder::new().spawn_scoped(scope, || socket.send(&request, 0)) {
                    wait(socket, buffer, &sender, &mut told, of);
                }
                let _ = socket.drop_membership(NEWS_OF_LINKS);
                if told.is_gone {
                    meanwhile();
                }
            });
        }
        // Whoever has sent a request has its answer, unless there was no room for it among the news.
        while told.answer.is_none()
            && receive(socket, buffer, libc::MSG_DONTWAIT, |header, payload| {
                told.read(of, header.sequence_number, payload);
                Ok(())
            })
            .is_ok()
        {}
        match told.answer {
            Some(Ok(())) => Ok(true),
            None => Ok(self.delete_link(name)? || told.is_gone),
            Some(Err(cause)) if cause.raw_os_error() == Some(libc::ENODEV) => Ok(false),
            Some(Err(cause)) => Err(NetworkError::Refused { verb: "remove", what: name.to_owned(), cause }),
        }
    }
}

/// Waits until the interface is gone, or is known not to go.
fn wait<T>(
    socket: &Socket,
    buffer: &mut Vec<u8>,
    sender: &ScopedJoinHandle<'_, T>,
    told: &mut Told,
    of: (&str, u32),
) {
    while !told.is_gone && told.answer.is_none() {
        match poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&LOOK)) {
            Ok(0) if sender.is_finished() => return,
            Ok(0) | Err(rustix::io::Errno::INTR) => continue,
            Ok(_) => {}
            Err(_) => return,
        }
        let read = receive(socket, buffer, libc::MSG_DONTWAIT, |header, payload| {
            told.read(of, header.sequence_number, payload);
            Ok(())
        });
        if read.is_err() {
            return;
        }
    }
}
