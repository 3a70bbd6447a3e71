//! A link with a node (the calling thread's network namespace), a second machine and a client, which is also the switch.

use std::io;
use std::net::IpAddr;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::os::fd::AsFd;
use sys::net::announce::{Event, Responder, Status};
use sys::net::rtnetlink::Mac;

use crate::harness::{Netns, in_new_netns};

/// What the machines need no time for is there at once; everything else by then.
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) struct Link {
    pub(crate) client: Netns,
    pub(crate) rival: Netns,
    /// How much later than the machine's clock the responders are told that it is.
    pub(crate) later: Duration,
}

/// The node's MAC address is below the rival's.
pub(crate) const NODE_MAC: &str = "0a:00:00:00:00:01";
pub(crate) const RIVAL_MAC: &str = "0a:00:00:00:00:02";
pub(crate) const STRANGER_MAC: &str = "0a:00:00:00:00:99";

/// Calls `body` on a node that is on a link.
pub(crate) fn on_a_link(body: impl FnOnce(&mut Link) + Send) {
    in_new_netns(|| {
        let mut link = Link { client: Netns::bare(), rival: Netns::bare(), later: Duration::ZERO };
        node(NO_ADDRESS_DETECTION);
        for netns in [&link.client, &link.rival] {
            run(netns.command("sh").args(["-c", NO_ADDRESS_DETECTION]));
        }
        for command in [
            "link add br0 type bridge",
            "link set br0 up",
            "addr add 192.0.2.2/24 dev br0",
            "addr add 2001:db8::2/64 dev br0 nodad",
        ] {
            link.client.ip(&command.split(' ').collect::<Vec<_>>());
        }
        link.plug(Some(&link.rival), "to-rival", RIVAL_MAC);
        link.plug(None, "to-node", NODE_MAC);
        link.rival.ip(&["addr", "add", "192.0.2.3/24", "dev", "eth0"]);
        link.rival.ip(&["addr", "add", "2001:db8::3/64", "dev", "eth0", "nodad"]);
        node("ip addr add 192.0.2.1/24 dev eth0; ip addr add 2001:db8::1/64 dev eth0 nodad");
        body(&mut link);
    });
}

/// A link-local address is tentative for a second otherwise, and neighbours are not asked for from it.
const NO_ADDRESS_DETECTION: &str =
    "echo 0 >/proc/sys/net/ipv6/conf/default/accept_dad; echo 0 >/proc/sys/net/ipv6/conf/all/accept_dad";

impl Link {
    /// Gives a machine its eth0, whose other end is a port of the switch.
    fn plug(&self, machine: Option<&Netns>, port: &str, mac: &str) {
        let client = self.client.pid();
        node(&format!("ip link add eth0 address {mac} type veth peer name {port} netns {client}"));
        self.client.ip(&["link", "set", port, "master", "br0", "up"]);
        match machine {
            None => node("ip link set eth0 up"),
            Some(netns) => {
                node(&format!("ip link set eth0 netns {}", netns.pid()));
                netns.ip(&["link", "set", "eth0", "up"]);
            }
        }
    }

    pub(crate) fn now(&self) -> Instant {
        Instant::now() + self.later
    }

    /// A responder of the rival's.
    pub(crate) fn rival_responder(&self) -> Responder {
        let namespace = std::fs::File::open(self.rival.path()).unwrap();
        let open = || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network)).unwrap();
            Responder::open("eth0").unwrap()
        };
        std::thread::scope(|scope| scope.spawn(open).join().unwrap())
    }

    /// Lets responders work until `is_done`; gives what happened to each.
    #[track_caller]
    pub(crate) fn work(
        &self,
        responders: &mut [&mut Responder],
        mut is_done: impl FnMut(&[&mut Responder], &[Vec<Event>]) -> bool,
    ) -> Vec<Vec<Event>> {
        let deadline = Instant::now() + PATIENCE;
        let mut events: Vec<Vec<Event>> = responders.iter().map(|_| Vec::new()).collect();
        loop {
            let mut next = None;
            for (responder, events) in responders.iter_mut().zip(&mut events) {
                let turn = responder.turn(self.now()).unwrap();
                events.extend(turn.events);
                next = next.into_iter().chain(turn.next).min();
            }
            if is_done(responders, &events) {
                return events;
            }
            assert!(Instant::now() < deadline, "{events:?}");
            // What is waited for may happen elsewhere.
            let pause = next.map_or(Duration::MAX, |next| next.saturating_duration_since(self.now()));
            let pause = pause.min(Duration::from_millis(50));
            let pause = Timespec { tv_sec: 0, tv_nsec: i64::from(pause.subsec_nanos()) };
            let mut fds: Vec<_> = responders.iter().map(|one| PollFd::new(&**one, PollFlags::IN)).collect();
            poll(&mut fds, Some(&pause)).unwrap();
        }
    }

    /// Claims addresses and waits until they are held.
    #[track_caller]
    pub(crate) fn hold(&self, responder: &mut Responder, addresses: &[&str]) {
        for address in addresses {
            responder.claim(ip(address), self.now()).unwrap();
        }
        self.work(&mut [responder], |all, _| has_all(all[0], Status::Held));
    }

    /// Sends a datagram to `address`, for which the client has to know its neighbour.
    pub(crate) fn greet(&self, address: &str) {
        // Nobody has the address: sending fails after a while, or not.
        let _ = self.client.command("bash").args(["-c", &format!("echo >/dev/udp/{address}/9")]).output();
    }

    /// What the client knows of its neighbour: the MAC address and the state.
    pub(crate) fn neighbour(&self, address: &str) -> (String, String) {
        let shown = run(self.client.command("ip").args(["neigh", "show", "to", address, "dev", "br0"]));
        let words: Vec<&str> = shown.split_whitespace().collect();
        let mac = words.iter().position(|word| *word == "lladdr").map_or("", |at| words[at + 1]);
        (mac.to_owned(), (*words.last().unwrap_or(&"")).to_owned())
    }

    /// Lets the client forget its neighbours.
    pub(crate) fn forget(&self) {
        self.client.ip(&["neigh", "flush", "dev", "br0"]);
        self.client.ip(&["neigh", "flush", "dev", "br0", "nud", "failed"]);
    }

    /// Waits until the client has this MAC address for `address`, while responders work.
    #[track_caller]
    pub(crate) fn resolves(&self, responders: &mut [&mut Responder], address: &str, mac: &str) {
        self.work(responders, |_, _| self.neighbour(address).0 == mac);
    }

    /// The client asks and gets no answer.
    #[track_caller]
    pub(crate) fn nobody_answers(&self, responders: &mut [&mut Responder], address: &str) {
        self.greet(address);
        self.work(responders, |_, _| {
            let (mac, state) = self.neighbour(address);
            assert_eq!(mac, "", "{address}");
            state == "FAILED"
        });
    }

    /// The rival says that it has `address`, as a machine does that knows of no others.
    pub(crate) fn rival_announces(&self, address: &str) {
        run(self.rival.command("python3").args(["-c", ANNOUNCE, address, RIVAL_MAC]));
    }
}

const ANNOUNCE: &str = r#"
import socket, struct, sys
address, mac = sys.argv[1], bytes.fromhex(sys.argv[2].replace(":", ""))
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
wire.bind(("eth0", 0))
if ":" in address:
    target = socket.inet_pton(socket.AF_INET6, address)
    everybody = socket.inet_pton(socket.AF_INET6, "ff02::1")
    message = bytes([136, 0, 0, 0, 0x20, 0, 0, 0]) + target + bytes([2, 1]) + mac
    words = target + everybody + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack("!%dH" % (len(words) // 2), words))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    message = message[:2] + struct.pack("!H", ~total & 0xffff) + message[4:]
    packet = bytes([0x60, 0, 0, 0]) + struct.pack("!HBB", len(message), 58, 255) + target + everybody + message
    wire.send(bytes.fromhex("333300000001") + mac + b"\x86\xdd" + packet)
else:
    target = socket.inet_aton(address)
    wire.send(b"\xff" * 6 + mac + bytes.fromhex("08060001080006040001") + mac + target + bytes(6) + target)
"#;

pub(crate) fn ip(address: &str) -> IpAddr {
    address.parse().unwrap()
}

pub(crate) fn mac(mac: &str) -> Mac {
    mac.parse().unwrap()
}

/// Whether it has addresses and all are so.
pub(crate) fn has_all(responder: &Responder, status: Status) -> bool {
    responder.addresses().count() > 0 && responder.addresses().all(|(_, now)| now == status)
}

/// Runs a script on the node.
#[track_caller]
pub(crate) fn node(script: &str) {
    run(Command::new("sh").args(["-ec", script]));
}

#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Waits until `fd` is readable.
#[track_caller]
pub(crate) fn wait_for(fd: impl AsFd) {
    let deadline = Instant::now() + PATIENCE;
    while !is_readable(&fd).unwrap() {
        assert!(Instant::now() < deadline, "nothing is told");
        sleep(Duration::from_millis(10));
    }
}

pub(crate) fn is_readable(fd: impl AsFd) -> io::Result<bool> {
    let at_once = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&at_once))? > 0)
}
