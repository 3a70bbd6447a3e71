//! `--proxy nftables`: Services are led to their endpoints by the library `proxy`, which follows the API server.

mod changes;
mod findings;
mod networks;
mod nodes;
mod objects;
mod rival;

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kube::api::ListParams;
use kube::runtime::watcher::Config;
use kube::{Api, Resource};
use proxy::ObjectName;
use proxy::read::{SERVICES, SLICES};
use proxy::thread::{Announcing, News as Told, ProxyError, ProxyMetrics, ServiceProxy, Settings, clean_up};
use sys::process::memory;
use thiserror::Error;

use crate::api::watch::{Key, News, follow};
use crate::run::Agent;
use changes::{Changes, ChangesSource, Kind};
use findings::Findings;
use networks::ServiceNetworks;
use objects::{KeptCidr, KeptService, KeptSlice};

/// What a user can do where Services cannot be served.
const HINT: &str = "--proxy=none leaves Services to another program";
/// How often an API server that has no ServiceCIDRs is asked again: it may be of another version then.
const RECHECK: Duration = Duration::from_secs(600);

/// Why Services are not served.
#[derive(Debug, Error)]
pub(crate) enum ServicesError {
    #[error(transparent)]
    Proxy(#[from] ProxyError),
    #[error("cannot look for kube-proxy's rules: {0}")]
    Look(#[source] std::io::Error),
}

/// The proxy, and what feeds it.
pub(crate) struct Services {
    proxy: ServiceProxy,
    changes: Changes,
}

impl Services {
    /// Starts the proxy. It changes nothing before it knows all objects, and while kube-proxy's rules are there.
    ///
    /// # Errors
    /// [`ServicesError`].
    pub(crate) async fn start() -> Result<Self, ServicesError> {
        let (changes, source) = changes::changes();
        Ok(Self { proxy: serve(source).await?, changes })
    }

    /// What the proxy counts.
    pub(crate) fn metrics(&self) -> Arc<ProxyMetrics> {
        self.proxy.metrics()
    }

    /// Feeds the proxy. It ends only if the proxy does.
    pub(crate) async fn run(self, agent: Rc<Agent>) {
        let Self { mut proxy, changes } = self;
        let networks = ServiceNetworks::default();
        let findings = Findings::new(Rc::clone(&agent.standing));
        let programming = async {
            // First, for it may take long: what is found then holds when the table is made.
            changes.complete().await;
            let mut rival = rival::Watch::begin();
            rival.until_free(&findings).await;
            changes.permit();
            match proxy.programmed().await {
                Ok(()) => {
                    findings.stands();
                    // The first lists and the first transaction need more than what comes later.
                    memory::give_back();
                }
                Err(error) => return tracing::error!("{error}"),
            }
            rival.tell(&findings).await;
        };
        let feeding = async {
            tokio::join!(
                nodes::follow_cluster(&agent, &changes, &networks, &findings),
                follow_services(&agent, &changes),
                follow_slices(&agent, &changes),
                follow_cidrs(&agent, &changes, &networks, &findings),
            );
        };
        tokio::select! {
            () = programming => {}
            () = feeding => {}
        }
    }
}

async fn serve(source: ChangesSource) -> Result<ServiceProxy, ProxyError> {
    // Load balancers of a cluster are others' concern.
    let (announcing, is_announced) = (Announcing::Nowhere, Box::new(|_| false));
    ServiceProxy::start(source, Settings { announcing, is_announced, hint: HINT }).await
}

/// Removes the table of the packet filter.
///
/// # Errors
/// The kernel's answer, or a running program has the table.
pub(crate) fn remove() -> Result<(), ServicesError> {
    Ok(clean_up(HINT).map(drop)?)
}

/// Removes the table that an agent before this one left: with it connections would go on to the endpoints of then. One that
/// a running program has stays.
///
/// # Errors
/// The kernel's answer.
pub(crate) fn leave() -> Result<(), ServicesError> {
    match clean_up(HINT) {
        Ok(true) => {
            tracing::info!("removed the packet filter's table: another program leads connections to Services")
        }
        Ok(false) | Err(ProxyError::Taken { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    Ok(())
}

async fn follow_services(agent: &Agent, changes: &Changes) {
    let api: Api<KeptService> = Api::all(agent.client.clone());
    let tell = |news| {
        tell(agent, changes, Kind::Services, news, |name, object: Option<KeptService>| {
            Told::Service(name, object.and_then(|object| object.service))
        });
    };
    follow(api, Config::default().labels(SERVICES), tell).await;
}

async fn follow_slices(agent: &Agent, changes: &Changes) {
    let api: Api<KeptSlice> = Api::all(agent.client.clone());
    let tell = |news| {
        tell(agent, changes, Kind::Slices, news, |name, object: Option<KeptSlice>| {
            Told::Slice(name, object.map(|object| object.read))
        });
    };
    follow(api, Config::default().labels(SLICES), tell).await;
}

async fn follow_cidrs(agent: &Agent, changes: &Changes, networks: &ServiceNetworks, findings: &Findings) {
    let api: Api<KeptCidr> = Api::all(agent.client.clone());
    // Kubernetes has them since 1.33.
    while is_absent(&api).await {
        changes.listed(Kind::ServiceNetworks);
        tokio::time::sleep(RECHECK).await;
    }
    let name = |(namespace, name): Key| ObjectName { namespace, name };
    let tell = |news: News<KeptCidr>| {
        match news {
            News::Is(key, object) => networks.take(name(key), Some(object.networks)),
            News::Gone(key) => networks.take(name(key), None),
            News::Listed => {
                agent.standing.connected();
                return changes.listed(Kind::ServiceNetworks);
            }
            News::Lost(error) => return agent.standing.lost(Kind::ServiceNetworks.resource(), &error),
        }
        networks.tell(&agent.cluster.borrow(), changes, findings);
    };
    follow(api, Config::default(), tell).await;
}

/// Whether the API server does not know the kind. If it does not answer, the watch finds out why.
async fn is_absent(api: &Api<KeptCidr>) -> bool {
    let answer = api.list(&ListParams::default().limit(1)).await;
    matches!(answer, Err(kube::Error::Api(status)) if status.code == 404)
}

/// Passes on what a watch tells; `read` makes of an object what the proxy is told.
fn tell<K: Resource>(
    agent: &Agent,
    changes: &Changes,
    kind: Kind,
    news: News<K>,
    read: impl Fn(ObjectName, Option<K>) -> Told,
) {
    let name = |(namespace, name): Key| ObjectName { namespace, name };
    match news {
        News::Is(key, object) => {
            let version = object.meta().resource_version.clone();
            changes.tell(read(name(key), Some(object)), version.as_deref());
        }
        News::Gone(key) => changes.tell(read(name(key), None), None),
        News::Listed => {
            agent.standing.connected();
            changes.listed(kind);
        }
        News::Lost(error) => agent.standing.lost(kind.resource(), &error),
    }
}
