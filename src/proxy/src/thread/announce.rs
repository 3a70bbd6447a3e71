//! Load balancers' addresses: on which interface each is answered.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::time::Instant;

use sys::net::announce::{Event, Responder, interface_of};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::readable::Readable;

/// Where load balancers' addresses are answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcing {
    /// On the interface whose network has the address.
    OnTheirNetworks,
    /// On this interface.
    On(String),
    /// Nowhere.
    Nowhere,
}

/// What a task that answers on an interface is told.
enum Order {
    Claim(IpAddr),
    Release(IpAddr),
}

/// The addresses that are answered.
pub(super) struct Announcements {
    announcing: Announcing,
    /// The interface of each address.
    answered: BTreeMap<IpAddr, String>,
    tasks: BTreeMap<String, UnboundedSender<Order>>,
}

impl Announcements {
    pub(super) fn new(announcing: Announcing) -> Self {
        Self { announcing, answered: BTreeMap::new(), tasks: BTreeMap::new() }
    }

    /// Answers these addresses, and no others. It is called again when the node's addresses have changed.
    pub(super) fn set(&mut self, wanted: &BTreeSet<IpAddr>) {
        let mut wanted: BTreeMap<IpAddr, String> =
            wanted.iter().filter_map(|address| Some((*address, self.interface(*address)?))).collect();
        // A task whose interface is gone has ended.
        self.tasks.retain(|_, task| !task.is_closed());
        self.answered.retain(|address, interface| {
            let Some(task) = self.tasks.get(interface) else { return false };
            let stays = wanted.get(address) == Some(interface);
            // Another interface's task claims it below.
            if !stays {
                let _ = task.send(Order::Release(*address));
            }
            stays
        });
        wanted.retain(|address, _| !self.answered.contains_key(address));
        for (address, interface) in wanted {
            if self.task(&interface).is_some_and(|task| task.send(Order::Claim(address)).is_ok()) {
                self.answered.insert(address, interface);
            }
        }
    }

    fn interface(&self, address: IpAddr) -> Option<String> {
        match &self.announcing {
            Announcing::Nowhere => None,
            Announcing::On(interface) => Some(interface.clone()),
            Announcing::OnTheirNetworks => interface_of(address).unwrap_or_else(|error| {
                tracing::error!("cannot find the interface for {address}: {error}");
                None
            }),
        }
    }

    fn task(&mut self, interface: &str) -> Option<&UnboundedSender<Order>> {
        if !self.tasks.contains_key(interface) {
            let opened = Responder::open(interface).map_err(|error| error.to_string());
            let opened = opened.and_then(|responder| {
                let what = "load balancers' addresses";
                Readable::new(responder, what).map_err(|error| format!("cannot watch {what}: {error}"))
            });
            match opened {
                Ok(responder) => {
                    let (orders, received) = unbounded_channel();
                    tokio::spawn(answer(interface.to_owned(), responder, received));
                    self.tasks.insert(interface.to_owned(), orders);
                }
                Err(error) => {
                    tracing::error!("{error}");
                    return None;
                }
            }
        }
        self.tasks.get(interface)
    }
}

/// Answers on an interface, until it is gone or nobody gives orders any more.
async fn answer(interface: String, mut responder: Readable<Responder>, mut orders: UnboundedReceiver<Order>) {
    loop {
        let turn = match responder.get_mut().turn(Instant::now()) {
            Ok(turn) => turn,
            Err(error) => return tracing::error!("{error}"),
        };
        turn.events.iter().for_each(|event| tell(&interface, event));
        let due = async {
            match turn.next {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        let order = tokio::select! {
            order = orders.recv() => order,
            () = due => continue,
            () = responder.once() => continue,
        };
        let Some(order) = order else { return };
        match order {
            Order::Claim(address) => {
                if let Err(error) = responder.get_mut().claim(address, Instant::now()) {
                    tracing::error!("{error}");
                }
            }
            Order::Release(address) => drop(responder.get_mut().release(address)),
        }
    }
}

fn tell(interface: &str, event: &Event) {
    match event {
        Event::Held { address } => {
            tracing::info!(interface, %address, "answering for a load balancer's address")
        }
        Event::Own { address } => {
            tracing::warn!(interface, %address, "a load balancer's address is this node's own: the kernel answers for it");
        }
        Event::Taken { address, by } => tracing::error!(
            interface, %address, %by, "a load balancer's address is not answered for: another machine has it"
        ),
        Event::Conflict { address, by } => {
            tracing::error!(interface, %address, %by, "another machine claims a load balancer's address as well");
        }
        Event::Unsent { address, cause } => {
            tracing::error!(interface, %address, "cannot answer for a load balancer's address: {cause}");
        }
        Event::Down => tracing::warn!(interface, "the interface of load balancers' addresses is down"),
        Event::Up => tracing::info!(interface, "the interface of load balancers' addresses is up"),
    }
}
