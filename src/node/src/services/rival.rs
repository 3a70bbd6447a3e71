//! kube-proxy beside the Service proxy. Where its rules are there first, the proxy waits until they are gone; where they come
//! later, both go on. `docs/design/cluster.md` says why.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::future::select;
use sys::net::kube_proxy::{self, Notices};
use sys::net::services::Table;
use tokio::time::sleep;

use super::findings::Findings;
use super::{HINT, ServicesError};
use crate::problem::Problem;
use crate::readiness::Readiness;

/// Another program leads connections to Services.
const FOREIGN_PROXY: &str = "ForeignServiceProxy";
/// How long further news are awaited: kube-proxy makes one table after the other. Changes of the agent's own table and the
/// pods' interfaces are heard, too, and wake the agent no more often.
const GATHER: Duration = Duration::from_secs(1);
/// The same while the agent waits for the rules to go: Services lead nowhere from then until the agent has noticed.
const GATHER_WAITING: Duration = Duration::from_millis(50);
/// How often it is looked for although nothing is told: nobody tells of iptables-legacy.
const LOOK: Duration = Duration::from_secs(30);

/// The kernel's news, in the event loop.
struct Ear {
    notices: Notices,
    readiness: Readiness,
}

impl Ear {
    fn open() -> io::Result<Self> {
        let notices = Notices::open()?;
        let readiness = Readiness::of(notices.sockets())?;
        Ok(Self { notices, readiness })
    }

    /// Reads all news that are there; tells whether a look is due.
    fn read(&mut self) -> bool {
        self.notices.read().unwrap_or_else(|error| {
            tracing::error!("cannot hear of kube-proxy: {error}");
            true
        })
    }

    /// Waits until a look is due.
    async fn hear(&mut self, gather: Duration) {
        while self.readiness.wait().await {
            sleep(gather).await;
            if self.read() {
                return;
            }
        }
        pending().await
    }
}

/// What a look has found.
struct Seen {
    /// What kube-proxy has made.
    traces: Vec<String>,
    /// Whether the proxy's own table is there.
    has_table: bool,
}

/// Looks for kube-proxy.
pub(super) struct Watch {
    ear: Option<Ear>,
    is_blind: bool,
}

impl Watch {
    /// Begins to listen.
    pub(super) fn begin() -> Self {
        let ear = Ear::open();
        if let Err(error) = &ear {
            tracing::error!("cannot hear of kube-proxy: {error}");
        }
        Self { ear: ear.ok(), is_blind: false }
    }

    /// Waits until the proxy may make its table: there are no rules of kube-proxy, or the table is there, too, and clients
    /// depend on it.
    pub(super) async fn until_free(&mut self, findings: &Findings) {
        loop {
            match self.look().await {
                Ok(seen) if seen.has_table || seen.traces.is_empty() => return,
                Ok(seen) => {
                    findings.rival(waiting(&seen.traces));
                    findings.stands();
                }
                Err(error) => findings.fails(error.to_string()),
            }
            self.wait(GATHER_WAITING).await;
        }
    }

    /// Tells of kube-proxy for as long as it is there. It does not end.
    pub(super) async fn tell(&mut self, findings: &Findings) {
        loop {
            // After an error, what was told stands until more is known.
            if let Ok(seen) = self.look().await {
                findings.rival(beside(&seen.traces));
            }
            self.wait(GATHER).await;
        }
    }

    async fn look(&mut self) -> Result<Seen, ServicesError> {
        // What comes from here on is heard.
        self.ear.as_mut().map(Ear::read);
        // iptables may be long about it.
        let seen = tokio::task::spawn_blocking(look).await;
        let seen = seen.unwrap_or_else(|error| Err(io::Error::other(error))).map_err(ServicesError::Look);
        if let Err(error) = &seen
            && !self.is_blind
        {
            tracing::error!("{error}");
        }
        self.is_blind = seen.is_err();
        seen
    }

    async fn wait(&mut self, gather: Duration) {
        let heard = async {
            match &mut self.ear {
                Some(ear) => ear.hear(gather).await,
                None => pending().await,
            }
        };
        select(pin!(heard), pin!(sleep(LOOK))).await;
    }
}

fn look() -> io::Result<Seen> {
    let has_table = Table::open().and_then(|mut table| table.is_there()).map_err(io::Error::other)?;
    Ok(Seen { traces: kube_proxy::traces()?, has_table })
}

/// Both programs lead connections to Services.
fn beside(traces: &[String]) -> Option<Problem> {
    problem(traces, "two programs lead connections to Services on this node")
}

/// Only kube-proxy's rules do.
fn waiting(traces: &[String]) -> Option<Problem> {
    problem(traces, "podhosts-node leads no connections to Services on this node until that is gone")
}

fn problem(traces: &[String], consequence: &str) -> Option<Problem> {
    let text = || {
        format!(
            "kube-proxy has made {}: {consequence} (stop kube-proxy and call kube-proxy --cleanup; {HINT})",
            traces.join(" and ")
        )
    };
    (!traces.is_empty()).then(|| Problem { reason: FOREIGN_PROXY, node: None, text: text() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_found_is_one_problem() {
        assert_eq!((beside(&[]), waiting(&[])), (None, None));
        let found = ["the table ip kube-proxy", "the table ip6 kube-proxy"].map(str::to_owned);
        for problem in [beside(&found), waiting(&found)].map(Option::unwrap) {
            assert_eq!(problem.reason, "ForeignServiceProxy");
            let begin = "kube-proxy has made the table ip kube-proxy and the table ip6 kube-proxy: ";
            assert!(problem.text.starts_with(begin), "{}", problem.text);
            // A note of an Event has no room for more.
            assert!(problem.text.len() < 1024);
        }
    }
}
