//! From the command line to the end.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;

use clap::Parser;
use kube::runtime::watcher;
use kube::{Api, Client};
use thiserror::Error;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;
use tokio::task::{LocalSet, spawn_local};

use crate::api::client::{ClientError, client};
use crate::api::node::{Cluster, NodeObject};
use crate::api::watch::{News, follow};
use crate::network::{self, NetworkFault};
use crate::options::{Options, ProxyMode};
use crate::pods;
use crate::report::conditions::{self, Present};
use crate::report::standing::{Part, Standing};
use crate::report::{events, health};
use crate::services::{self, Services, ServicesError};
use sys::process::{limits, memory};
use sys::report::ExitCode;
use sys::service::notify::Notifier;
use telemetry::log::{self, LogError};
use telemetry::page::Page;

/// Why the agent does not run.
#[derive(Debug, Error)]
enum NodeError {
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Client(#[from] ClientError),
    #[error("cannot listen on --health-bind-address {address}: {cause}")]
    Health { address: SocketAddr, cause: std::io::Error },
    #[error(transparent)]
    Services(#[from] ServicesError),
    #[error("cannot start: {0}")]
    Start(#[source] std::io::Error),
    #[error(transparent)]
    Network(#[from] NetworkFault),
    #[error(
        "cannot clean up: the engine needs {conflist} to stop the pods {pods}: stop the kubelet and delete them first"
    )]
    Connected { conflist: String, pods: String },
    #[error("cannot remove everything: {0}")]
    CleanUp(String),
}

/// Runs the agent until a signal ends it.
pub fn main() -> ExitCode {
    let options = match Options::try_parse() {
        Ok(options) => options,
        Err(error) => {
            // Help and version are no errors. A closed stdout is the reader's concern.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
        }
    };
    match run(options) {
        Ok(()) => ExitCode::Success,
        Err(error) => {
            sys::report::complain(crate::PROGRAM, &error.to_string());
            if matches!(error, NodeError::Log(_)) { ExitCode::Usage } else { ExitCode::Failure }
        }
    }
}

fn run(options: Options) -> Result<(), NodeError> {
    log::begin(options.log)?;
    if options.cleanup {
        return clean_up(&options);
    }
    memory::keep_little();
    limits::allow_many_files();
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(NodeError::Start)?;
    LocalSet::new().block_on(&runtime, serve(options))
}

/// Removes what the agent has made on this node.
fn clean_up(options: &Options) -> Result<(), NodeError> {
    if let Some(conflist) = options.conflist() {
        let pods = pods::connected();
        if !pods.is_empty() {
            let conflist = conflist.display().to_string();
            return Err(NodeError::Connected { conflist, pods: pods.join(", ") });
        }
    }
    let mut left = network::clean_up(options)?;
    left.extend(pods::clean_up().err());
    if options.proxy == ProxyMode::Nftables {
        left.extend(services::remove().err().map(|error| error.to_string()));
    }
    if left.is_empty() { Ok(()) } else { Err(NodeError::CleanUp(left.join("; "))) }
}

/// What the parts of the agent share.
pub(crate) struct Agent {
    pub(crate) options: Options,
    pub(crate) client: Client,
    /// The API server's address, if it is known.
    pub(crate) server: Option<SocketAddr>,
    pub(crate) standing: Rc<Standing>,
    pub(crate) cluster: RefCell<Cluster>,
    /// Whether `cluster` has all Nodes.
    pub(crate) is_listed: Cell<bool>,
    /// Wakes those who follow `cluster`.
    pub(crate) renoded: Notify,
    /// The conditions that this Node has.
    pub(crate) present: Rc<Present>,
}

async fn serve(options: Options) -> Result<(), NodeError> {
    // First, so that a signal during the start stops it cleanly.
    let terminate = signal(SignalKind::terminate()).map_err(NodeError::Start)?;
    let interrupt = signal(SignalKind::interrupt()).map_err(NodeError::Start)?;
    let notifier = Notifier::from_environment();
    let (client, server) = client(options.kubeconfig.as_deref()).await?;
    let address = options.health_bind_address;
    let listener = health::listen(address).await.map_err(|cause| NodeError::Health { address, cause })?;
    let own = options.own_name();
    let services = match options.proxy {
        ProxyMode::Nftables => Some(Services::start().await?),
        ProxyMode::None => {
            services::leave()?;
            None
        }
    };
    let mut parts = vec![Part::Nodes, Part::Network, Part::Pods];
    parts.extend(services.as_ref().map(|_| Part::Services));
    let standing = Rc::new(Standing::of(&parts));
    let agent = Rc::new(Agent {
        client,
        server,
        standing: Rc::clone(&standing),
        cluster: RefCell::new(Cluster { own: own.clone(), ..Cluster::default() }),
        is_listed: Cell::new(false),
        renoded: Notify::new(),
        present: Rc::default(),
        options,
    });
    tracing::info!(node = own, healthAddress = %address, "starting");
    let (metrics, proxy) = (Rc::clone(&standing), services.as_ref().map(Services::metrics));
    let write = move |page: &mut Page| {
        write_metrics(&metrics, page);
        proxy.iter().for_each(|proxy| proxy.write(page));
    };
    spawn_local(health::serve(listener, standing, Rc::new(write)));
    let following = spawn_local(follow_nodes(Rc::clone(&agent)));
    let networking = spawn_local(network::keep(Rc::clone(&agent)));
    let telling = spawn_local(tell(Rc::clone(&agent)));
    let serving = services.map(|services| spawn_local(services.run(Rc::clone(&agent))));
    let records = spawn_local(pods::keep(agent));
    notifier.tell("READY=1");
    until_a_signal(
        terminate,
        interrupt,
        [following, networking, telling, records].into_iter().chain(serving),
    )
    .await;
    tracing::info!("stopping: what is in the kernel stays");
    notifier.tell("STOPPING=1");
    Ok(())
}

/// Waits for a signal, or until a part has ended, which none does.
async fn until_a_signal(
    mut terminate: Signal,
    mut interrupt: Signal,
    parts: impl IntoIterator<Item = tokio::task::JoinHandle<()>>,
) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        _ = futures::future::select_all(parts) => tracing::error!("a part of the agent has ended"),
    }
}

/// Follows the Nodes.
fn follow_nodes(agent: Rc<Agent>) -> impl Future<Output = ()> {
    let api: Api<NodeObject> = Api::all(agent.client.clone());
    follow(api, watcher::Config::default(), move |news| take_node(&agent, news))
}

fn take_node(agent: &Agent, news: News<NodeObject>) {
    let mut cluster = agent.cluster.borrow_mut();
    match news {
        News::Is((_, name), object) => {
            if name == cluster.own {
                *agent.present.conditions.borrow_mut() = Some(object.conditions(&conditions::TYPES));
                agent.present.changed.notify_waiters();
            }
            let node = object.into_node();
            if cluster.nodes.get(&name) == Some(&node) {
                return;
            }
            cluster.nodes.insert(name, node);
        }
        News::Gone((_, name)) => {
            if name == cluster.own {
                *agent.present.conditions.borrow_mut() = None;
            }
            cluster.nodes.remove(&name);
        }
        News::Listed => {
            agent.standing.connected();
            agent.standing.works(Part::Nodes, Vec::new());
            agent.is_listed.set(true);
        }
        News::Lost(error) => {
            agent.standing.lost("nodes", &error);
            return;
        }
    }
    agent.renoded.notify_waiters();
}

/// Tells the cluster how things stand, once this Node is known.
async fn tell(agent: Rc<Agent>) {
    let own = agent.cluster.borrow().own.clone();
    let api = Api::all(agent.client.clone());
    let conditions =
        conditions::keep(api, own.clone(), Rc::clone(&agent.standing), Rc::clone(&agent.present));
    tokio::join!(conditions, events::tell(&agent, own));
}

fn write_metrics(standing: &Standing, page: &mut Page) {
    standing.write(page);
    if let Some(memory) = limits::resident_memory() {
        page.single("process_resident_memory_bytes", "gauge", "Memory that the agent has, in bytes.", memory);
    }
}
