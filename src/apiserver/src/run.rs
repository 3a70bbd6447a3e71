//! `serve` from start to stop, and the ways to `backup` and `restore`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use clap::Parser;
use thiserror::Error;
use tokio::signal::unix::{SignalKind, signal};

use super::auth::token::{Key, KeyError};
use super::auth::{Gate, Mode, bootstrap};
use super::controllers::endpoints;
use super::http::{HttpError, Server};
use super::kinds::{self, Config, NodeSource, service};
use super::kubeconfig;
use super::machine::Machine;
use super::options::{Cli, Command, OptionError, ProxyMode, STORE, ServeArgs};
use super::pki::{self, Name, Pki, PkiError};
use super::registry::{DeleteOptions, Registry};
use super::service_proxy;
use super::store::StoreError;
use super::store::backup::{self, BackupError};
use proxy::thread::{ProxyError, ServiceProxy};
use sys::fs::files::FileError;
use sys::process::limits;
use sys::process::memory;
use sys::report::ExitCode;
use sys::service::notify::Notifier;
use telemetry::log::{self, LogError};

/// Why the server does not run.
#[derive(Debug, Error)]
pub(crate) enum ServeError {
    #[error(transparent)]
    Option(#[from] OptionError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Backup(#[from] BackupError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Pki(#[from] PkiError),
    #[error(transparent)]
    Http(#[from] HttpError),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error("cannot create the roles of the server: {0}")]
    Roles(String),
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Proxy(#[from] ProxyError),
}

/// Runs the command line `args` and reports an error on stderr.
pub fn main(args: &[String]) -> ExitCode {
    let line = [crate::PROGRAM.to_owned()];
    let cli = match Cli::try_parse_from(line.iter().chain(args)) {
        Ok(cli) => cli,
        Err(error) => {
            // The caller may have closed the stream.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::Usage } else { ExitCode::Success };
        }
    };
    let done = match cli.into_command() {
        Command::Serve(args) if args.cleanup => service_proxy::clean_up().map_err(Into::into),
        Command::Serve(args) => serve(&args),
        Command::Backup(args) => backup::backup(&args.data_dir.join(STORE), &args.file).map_err(Into::into),
        Command::Restore(args) => backup::restore(&args.data_dir.join(STORE), &args.file).map_err(Into::into),
    };
    match done {
        Ok(()) => ExitCode::Success,
        Err(error) => {
            sys::report::complain(crate::PROGRAM, &error.to_string());
            if matches!(error, ServeError::Option(_) | ServeError::Log(_)) {
                ExitCode::Usage
            } else {
                ExitCode::Failure
            }
        }
    }
}

/// Threads that answer requests; one more writes.
const THREADS: usize = 2;

fn serve(args: &ServeArgs) -> Result<(), ServeError> {
    let config = args.config()?;
    log::begin(args.log)?;
    memory::keep_little();
    limits::allow_many_files();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("serve")
        .enable_all()
        .build()
        .map_err(ServeError::Start)?;
    let done = runtime.block_on(run(args, config));
    // Tasks that still run had their time to end.
    runtime.shutdown_timeout(Duration::from_secs(1));
    done
}

async fn run(args: &ServeArgs, mut config: Config) -> Result<(), ServeError> {
    // First, so that a signal during the start stops it cleanly.
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Start)?;
    let notifier = Notifier::from_environment();
    if config.node_name.is_empty() {
        config.node_name = sys::node_name().to_ascii_lowercase();
    }
    if config.node_ips.is_empty() {
        config.node_ips = sys::container::netns::towards_default_routes();
    }
    let pki = certificates(args, &config)?;
    let trusted_pem = pki.trusted_pem.clone();
    let server = Server::bind(args.secure_address(), args.insecure_address(), pki).await?;
    config.secure_port = server.address().port();
    config.trusted_pem.clone_from(&trusted_pem);
    let own = endpoints::Address::of(args.bind_address, &config.node_ips, config.secure_port);
    let registry = Registry::open(&args.data_dir.join(STORE), kinds::all(config.clone()))?;
    let mut machine = Machine::new(registry.clone(), config.clone());
    let is_node = config.nodes == NodeSource::Machine;
    if is_node {
        machine.look().await;
    }
    let proxy = match args.proxy() {
        ProxyMode::Nftables => Some(service_proxy::start(&registry, &config, args.announcing()).await?),
        ProxyMode::None => None,
    };
    let gate = gate(args, &registry).await?;
    let token = kubeconfig::token(&args.data_dir.join("token"))?;
    kubeconfig::write(&args.kubeconfig_out, &url(server.address()), &trusted_pem, &token)?;
    tell_started(args, &server, &registry);

    let (stop, stopping) = tokio::sync::watch::channel(false);
    notifier.tell("READY=1");
    let watchdog = watchdog(&notifier, &registry);
    let machine = is_node.then(|| tokio::spawn(machine.run()));
    let mut endpoints = tokio::spawn(endpoints::run(registry.clone(), own));
    let serving =
        server.run(registry.clone(), (token, gate), proxy.as_ref().map(ServiceProxy::metrics), stopping);
    let mut serving = std::pin::pin!(serving);
    tokio::select! {
        () = &mut serving => {}
        () = watchdog => {}
        _ = &mut endpoints => tracing::error!("the controller of endpoints has ended"),
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("stopping");
    notifier.tell("STOPPING=1");
    stop.send_replace(true);
    serving.await;
    if let Some(machine) = machine {
        machine.abort();
    }
    endpoints.abort();
    tracing::info!(resourceVersion = %registry.resource_version(), "stopped");
    Ok(())
}

/// Who may do what.
async fn gate(args: &ServeArgs, registry: &Registry) -> Result<Gate, ServeError> {
    let (mode, is_cluster) = (args.authorization_mode, args.nodes == NodeSource::Stored);
    if mode == Mode::Rbac {
        bootstrap::reconcile(registry).await.map_err(|error| ServeError::Roles(error.message))?;
    }
    let key = is_cluster.then(|| Key::at(&args.data_dir.join("service-account.key"))).transpose()?;
    Ok(Gate::new(mode, key))
}

fn tell_started(args: &ServeArgs, server: &Server, registry: &Registry) {
    let address = server.address();
    let kubeconfig = args.kubeconfig_out.display();
    match server.insecure_address() {
        None => tracing::info!(%address, %kubeconfig, "serving"),
        Some(insecure) => tracing::info!(
            %address, insecureAddress = %insecure, %kubeconfig, "serving, also without TLS and authentication"
        ),
    }
    if let Some(version) = registry.ahead() {
        let why = "the store is older than what clients may know: versions go on above, and whoever watches lists again";
        tracing::info!(resourceVersion = %version, "{why}");
    }
}

/// Tells systemd that the server works as long as the writer and these threads answer.
async fn watchdog(notifier: &Notifier, registry: &Registry) {
    let Some(watchdog) = notifier.watchdog() else { return std::future::pending().await };
    // Asks at fixed times, however long an answer takes.
    let mut questions = tokio::time::interval(watchdog.pause);
    loop {
        questions.tick().await;
        // This takes the way of every change, and changes nothing: no object has an empty name.
        let options = DeleteOptions { dry_run: true, ..DeleteOptions::default() };
        let probe = registry.delete(&service::KIND, "", "", options);
        if tokio::time::timeout(watchdog.patience, probe).await.is_ok() {
            notifier.tell("WATCHDOG=1");
        } else {
            tracing::error!("the store does not answer");
        }
    }
}

fn certificates(args: &ServeArgs, config: &Config) -> Result<Pki, ServeError> {
    let mut pki = pki::own(&args.data_dir.join("pki"), &names(args.bind_address, config))?;
    if let (Some(certificate), Some(key)) = (&args.tls_cert_file, &args.tls_private_key_file) {
        pki.server = pki::load(certificate, key)?;
        pki.trusted_pem = pki::to_pem(&pki.server.chain);
    }
    Ok(pki)
}

/// All names and addresses that clients may reach the server by.
fn names(bind_address: IpAddr, config: &Config) -> Vec<Name> {
    let hosts = [
        "localhost",
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        &config.node_name,
    ];
    let first_of = |cidr: &ipnet::IpNet| match cidr.network() {
        IpAddr::V4(address) => IpAddr::from(Ipv4Addr::from_bits(address.to_bits().saturating_add(1))),
        IpAddr::V6(address) => IpAddr::from(Ipv6Addr::from_bits(address.to_bits().saturating_add(1))),
    };
    let mut addresses =
        vec![IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST), bind_address];
    addresses.extend(config.service_cidrs.iter().map(first_of));
    addresses.extend(&config.node_ips);
    addresses.retain(|address| !address.is_unspecified());
    let hosts = hosts.iter().filter(|name| !name.is_empty()).map(|name| Name::Host((*name).to_owned()));
    let mut names: Vec<Name> = hosts.collect();
    for name in addresses.into_iter().map(Name::Address) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// The URL for kubectl.
fn url(mut address: SocketAddr) -> String {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(ip) if ip.is_unspecified() => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    format!("https://{address}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_server_has_every_name_once() {
        let config = Config {
            service_cidrs: vec!["10.96.0.0/28".parse().unwrap(), "2001:db8::/112".parse().unwrap()],
            node_name: "node".to_owned(),
            node_ips: vec!["192.0.2.1".parse().unwrap()],
            ..Config::default()
        };
        let names: Vec<String> =
            names("127.0.0.1".parse().unwrap(), &config).iter().map(ToString::to_string).collect();
        assert_eq!(names[5..], ["node", "127.0.0.1", "::1", "10.96.0.1", "2001:db8::1", "192.0.2.1"]);
    }

    #[test]
    fn kubectl_is_told_an_address_that_it_can_reach() {
        for (address, expected) in [
            ("0.0.0.0:1", "https://127.0.0.1:1"),
            ("[::]:1", "https://[::1]:1"),
            ("192.0.2.1:1", "https://192.0.2.1:1"),
        ] {
            assert_eq!(url(address.parse().unwrap()), expected);
        }
    }
}
