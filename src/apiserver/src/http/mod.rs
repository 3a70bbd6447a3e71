//! The HTTP server: authentication, routing, and limits.

mod access;
mod activity;
mod answer;
mod body;
mod call;
mod change;
mod connection;
mod deletion;
mod handle;
mod health;
mod limits;
mod metrics;
mod metrics_page;
mod pages;
mod places;
mod pod_requests;
mod read;
mod request_log;
#[cfg(test)]
mod slow_tests;
mod stream;
mod tagged;
mod tls;
mod token_request;
mod watch;

use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::ServerConfig;
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::auth::Gate;
use super::kinds;
use super::pki::Pki;
use super::registry::Registry;
use proxy::thread::ProxyMetrics;
use sys::process::memory;

/// How long requests may still take after the server is told to stop.
const DRAIN_TIME: Duration = Duration::from_secs(10);

/// Why the server cannot listen.
#[derive(Debug, Error)]
pub(crate) enum HttpError {
    #[error("cannot listen on {address}: {cause}")]
    Listen { address: SocketAddr, cause: std::io::Error },
    #[error("cannot use the certificate: {0}")]
    Tls(#[from] rustls::Error),
}

/// A server with its sockets.
#[derive(Debug)]
pub(crate) struct Server {
    secure: TcpListener,
    insecure: Option<TcpListener>,
    tls: Arc<ServerConfig>,
    secure_address: SocketAddr,
    insecure_address: Option<SocketAddr>,
}

impl Server {
    /// Opens the sockets; `insecure` is without TLS and authentication.
    pub(crate) async fn bind(
        secure: SocketAddr,
        insecure: Option<SocketAddr>,
        pki: Pki,
    ) -> Result<Self, HttpError> {
        let tls = Arc::new(tls::configuration(pki.server, pki.client_ca)?);
        let (secure, secure_address) = listen(secure)?;
        let (insecure, insecure_address) = match insecure {
            Some(address) => listen(address).map(|(listener, address)| (Some(listener), Some(address)))?,
            None => (None, None),
        };
        Ok(Self { secure, insecure, tls, secure_address, insecure_address })
    }

    /// The address with TLS, with the port that the kernel chose for port 0.
    pub(crate) fn address(&self) -> SocketAddr {
        self.secure_address
    }

    /// The address without TLS.
    pub(crate) fn insecure_address(&self) -> Option<SocketAddr> {
        self.insecure_address
    }

    /// Serves until `stopping` becomes true, then ends watches and waits for other requests.
    pub(crate) async fn run(
        self,
        registry: Registry,
        (token, gate): (String, Gate),
        proxy: Option<Arc<ProxyMetrics>>,
        stopping: tokio::sync::watch::Receiver<bool>,
    ) {
        let kinds = kinds::known(registry.resources());
        let shared = Arc::new(call::Shared {
            registry,
            kinds,
            openapi: OnceLock::new(),
            access: access::Access::new(token, gate),
            limits: limits::Limits::new(),
            places: places::Places::default(),
            metrics: metrics::Metrics::new(),
            proxy,
            address: self.secure_address.to_string(),
            stopping,
        });
        let tidying = tokio::spawn(tidy());
        // Every connection holds a sender until it ends.
        let (alive, mut ended) = mpsc::channel(1);
        let tls = Some(TlsAcceptor::from(self.tls));
        let secure = connection::accept(self.secure, tls, Arc::clone(&shared), alive.clone());
        match self.insecure {
            None => secure.await,
            Some(listener) => {
                let insecure = connection::accept(listener, None, Arc::clone(&shared), alive.clone());
                tokio::join!(secure, insecure);
            }
        }
        tidying.abort();
        // Connections that take longer are cut off.
        drop(alive);
        let _ = tokio::time::timeout(DRAIN_TIME, ended.recv()).await;
    }
}

/// How often freed memory of lists and watches is returned to the kernel.
const TIDY_TIME: Duration = Duration::from_secs(30);

async fn tidy() {
    loop {
        tokio::time::sleep(TIDY_TIME).await;
        memory::give_back();
    }
}

/// Connections that wait to be accepted. A client above that tries again only after a second.
const BACKLOG: u32 = 4096;

fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), HttpError> {
    let failed = |cause| HttpError::Listen { address, cause };
    let open = || {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Connections of a server that was just stopped would otherwise keep the port.
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        Ok((listener, address))
    };
    open().map_err(failed)
}
