//! Keeps the network for as long as the agent runs.

use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use futures::future::{Either, select};
use tokio::time::sleep;

use super::{Applied, Network, NetworkFault, NetworkOptions, VxlanOptions};
use crate::options::{Options, Overlay};
use crate::report::standing::Part;
use crate::run::Agent;

/// The VXLAN network identifier: 112, as the protocol of routes. flannel's is 1.
const VXLAN_ID: u32 = 112;
/// The UDP port that Linux used before VXLAN had a port of its own, and that other networks of Kubernetes use.
const VXLAN_PORT: u16 = 8472;
/// How long further changes are awaited before they are applied together.
const GATHER: Duration = Duration::from_millis(10);
/// The pauses after attempts that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// How often everything is looked at although nothing is told: nobody tells of the plugin's configuration.
const LOOK: Duration = Duration::from_secs(60);

impl NetworkOptions {
    /// Those of the command line.
    pub(crate) fn of(options: &Options) -> Self {
        Self {
            non_masquerade: options.non_masquerade_cidr.clone(),
            overlay: (options.overlay == Overlay::Vxlan)
                .then_some(VxlanOptions { id: VXLAN_ID, port: VXLAN_PORT }),
            conflist: options.conflist(),
            server: None,
        }
    }
}

/// Removes what the network has made on this node; gives what could not be removed.
///
/// # Errors
/// The kernel does not let the network be looked at.
pub(crate) fn clean_up(options: &Options) -> Result<Vec<String>, NetworkFault> {
    Ok(Network::open(NetworkOptions::of(options))?.clean_up())
}

/// Keeps the network as the cluster's Nodes want it, once all of them are known.
pub(crate) async fn keep(agent: Rc<Agent>) {
    let mut pause = FIRST_PAUSE;
    loop {
        let server = agent.server.map(|server| server.ip());
        match Network::open(NetworkOptions { server, ..NetworkOptions::of(&agent.options) }) {
            Ok(network) => return follow(&agent, network).await,
            Err(error) => agent.standing.fails(Part::Network, error.to_string()),
        }
        sleep(pause).await;
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn follow(agent: &Agent, mut network: Network) {
    let mut pause = FIRST_PAUSE;
    loop {
        let mut renoded = pin!(agent.renoded.notified());
        renoded.as_mut().enable();
        if !agent.is_listed.get() {
            renoded.await;
            continue;
        }
        let applied = network.apply(&agent.cluster.borrow());
        let retry = applied.retry;
        tell(agent, applied);
        if !retry {
            pause = FIRST_PAUSE;
        }
        let is_changed = {
            let by_others = pin!(network.changed());
            let changed = select(renoded, by_others);
            let again = pin!(sleep(if retry { pause } else { LOOK }));
            matches!(select(changed, again).await, Either::Left(_))
        };
        if is_changed {
            // A list of Nodes, or a program that changes many routes, tells of one after the other.
            sleep(GATHER).await;
        } else if retry {
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }
}

fn tell(agent: &Agent, applied: Applied) {
    let Applied { problems, fault, routes, tunnelled, changed, retry: _ } = applied;
    if changed > 0 {
        tracing::info!(changed, routes, tunnelled, "changed the network");
    }
    agent.standing.works(Part::Network, problems);
    if let Some(fault) = fault {
        agent.standing.fails(Part::Network, fault);
    }
}
