//! kube-proxy beside the Service proxy. The agent does not start where it finds it; where it comes later, both go on, and it
//! is told.

use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use futures::future::select;
use sys::net::kube_proxy::{self, Notices};
use tokio::time::sleep;

use super::{HINT, ServicesError};
use crate::problem::Problem;
use crate::readiness::Readiness;
use crate::report::standing::Part;
use crate::run::Agent;

/// Another program leads connections to Services.
const FOREIGN_PROXY: &str = "ForeignServiceProxy";
/// How long further news are awaited: kube-proxy makes one table after the other. Changes of the agent's own table and the
/// pods' interfaces are heard, too, and wake the agent no more often.
const GATHER: Duration = Duration::from_secs(1);
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
    async fn hear(&mut self) {
        while self.readiness.wait().await {
            sleep(GATHER).await;
            if self.read() {
                return;
            }
        }
        pending().await
    }
}

/// Tells of kube-proxy for as long as it is there. It does not end.
pub(super) async fn watch(agent: &Agent) {
    let mut ear = match Ear::open() {
        Ok(ear) => Some(ear),
        Err(error) => {
            tracing::error!("cannot hear of kube-proxy: {error}");
            None
        }
    };
    let mut is_blind = false;
    loop {
        // What comes from here on is heard.
        ear.as_mut().map(Ear::read);
        match look().await {
            Ok(found) => {
                is_blind = false;
                agent.standing.works(Part::Services, problem(&found).into_iter().collect());
            }
            // What was told stands until more is known.
            Err(error) => {
                if !is_blind {
                    tracing::error!("{}", ServicesError::Look(error));
                }
                is_blind = true;
            }
        }
        let heard = async {
            match &mut ear {
                Some(ear) => ear.hear().await,
                None => pending().await,
            }
        };
        select(pin!(heard), pin!(sleep(LOOK))).await;
    }
}

/// Looks in a thread of its own: iptables may be long about it.
async fn look() -> io::Result<Vec<String>> {
    tokio::task::spawn_blocking(kube_proxy::traces).await.unwrap_or_else(|error| Err(io::Error::other(error)))
}

fn problem(found: &[String]) -> Option<Problem> {
    let text = || {
        format!(
            "kube-proxy has made {}: two programs lead connections to Services on this node, and podhosts-node does not start \
             again beside it (stop kube-proxy and call kube-proxy --cleanup; {HINT})",
            found.join(" and ")
        )
    };
    (!found.is_empty()).then(|| Problem { reason: FOREIGN_PROXY, node: None, text: text() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_was_found_is_one_problem() {
        assert_eq!(problem(&[]), None);
        let found = ["the table ip kube-proxy", "the table ip6 kube-proxy"].map(str::to_owned);
        let problem = problem(&found).unwrap();
        assert_eq!(problem.reason, "ForeignServiceProxy");
        let begin = "kube-proxy has made the table ip kube-proxy and the table ip6 kube-proxy: ";
        assert!(problem.text.starts_with(begin), "{}", problem.text);
        // A note of an Event has no room for more.
        assert!(problem.text.len() < 1024);
    }
}
