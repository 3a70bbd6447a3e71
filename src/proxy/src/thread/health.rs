//! `healthCheckNodePort`: load balancers outside ask the node for endpoints of a Service, over HTTP.
//!
//! The answers are those of kube-proxy (`pkg/proxy/healthcheck/service_health.go`).

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use http_body_util::Full;
use hyper::body::Bytes;
use hyper::service::service_fn;
use hyper::{Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::objects::ObjectName;

/// How long a client may take to send its question.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long the next try of a listener that cannot take connections is put off.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections to all ports together.
const CONNECTIONS: usize = 64;

/// A Service, and its ready endpoints on this node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Local {
    pub(super) service: ObjectName,
    pub(super) endpoints: usize,
}

type States = Arc<Mutex<BTreeMap<u16, Local>>>;

/// The listeners.
pub(super) struct HealthChecks {
    /// The node's addresses.
    addresses: Vec<IpAddr>,
    states: States,
    listeners: BTreeMap<SocketAddr, JoinHandle<()>>,
    connections: Arc<tokio::sync::Semaphore>,
}

impl Drop for HealthChecks {
    fn drop(&mut self) {
        self.listeners.values().for_each(JoinHandle::abort);
    }
}

impl HealthChecks {
    pub(super) fn new() -> Self {
        let connections = Arc::new(tokio::sync::Semaphore::new(CONNECTIONS));
        Self { addresses: Vec::new(), states: States::default(), listeners: BTreeMap::new(), connections }
    }

    /// Listens on these addresses and ports, and no others.
    pub(super) fn set(&mut self, addresses: &[IpAddr], wanted: BTreeMap<u16, Local>) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        if *states == wanted && self.addresses == addresses {
            return;
        }
        states.clone_from(&wanted);
        drop(states);
        self.addresses = addresses.to_vec();
        self.listeners.retain(|address, listener| {
            let stays = wanted.contains_key(&address.port()) && addresses.contains(&address.ip());
            if !stays {
                listener.abort();
            }
            stays
        });
        for (port, local) in &wanted {
            for ip in addresses {
                self.listen(SocketAddr::new(*ip, *port), &local.service);
            }
        }
    }

    fn listen(&mut self, address: SocketAddr, service: &ObjectName) {
        if self.listeners.get(&address).is_some_and(|listener| !listener.is_finished()) {
            return;
        }
        let opened = std::net::TcpListener::bind(address)
            .and_then(|listener| listener.set_nonblocking(true).map(|()| listener))
            .and_then(TcpListener::from_std);
        match opened {
            Ok(listener) => {
                let (states, connections) = (Arc::clone(&self.states), Arc::clone(&self.connections));
                let task = tokio::spawn(accept(listener, address.port(), states, connections));
                self.listeners.insert(address, task);
            }
            Err(error) => tracing::error!(%service, "cannot answer health checks on {address}: {error}"),
        }
    }
}

async fn accept(listener: TcpListener, port: u16, states: States, connections: Arc<tokio::sync::Semaphore>) {
    loop {
        let Ok(permit) = Arc::clone(&connections).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let states = Arc::clone(&states);
        tokio::spawn(async move {
            answer_all(stream, port, states).await;
            drop(permit);
        });
    }
}

async fn answer_all(stream: TcpStream, port: u16, states: States) {
    let answer = service_fn(move |_| {
        let local = states.lock().unwrap_or_else(PoisonError::into_inner).get(&port).cloned();
        async move { Ok::<_, Infallible>(answer(local)) }
    });
    let mut connection = hyper::server::conn::http1::Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    // A client that goes away is its own concern.
    let _ = tokio::time::timeout(PATIENCE, connection.serve_connection(TokioIo::new(stream), answer)).await;
}

fn answer(local: Option<Local>) -> Response<Full<Bytes>> {
    let Some(Local { service, endpoints }) = local else {
        return status(StatusCode::NOT_FOUND, 0, String::new());
    };
    let body = json!({
        "service": {"namespace": service.namespace, "name": service.name},
        "localEndpoints": endpoints, "serviceProxyHealthy": true,
    });
    let code = if endpoints == 0 { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK };
    status(code, endpoints, body.to_string())
}

fn status(code: StatusCode, endpoints: usize, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert("content-type", hyper::header::HeaderValue::from_static("application/json"));
    headers.insert("x-content-type-options", hyper::header::HeaderValue::from_static("nosniff"));
    headers.insert("x-load-balancing-endpoint-weight", endpoints.into());
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_without_endpoints_is_not_healthy() {
        let local = |endpoints| Some(Local { service: ObjectName::new("default", "web"), endpoints });
        assert_eq!(answer(local(2)).status(), 200);
        assert_eq!(answer(local(2)).headers()["x-load-balancing-endpoint-weight"], "2");
        assert_eq!(answer(local(0)).status(), 503);
        assert_eq!(answer(None).status(), 404);
    }
}
