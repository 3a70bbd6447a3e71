//! Connections: from the socket to requests.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use hyper_util::server::graceful::Watcher;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::handle::{Caller, Shared, handle};
use super::limits::{HANDSHAKE_TIME, HEADER_TIME, Room, UNREAD_TIME};
use crate::serve::log;
use crate::sys::process;

/// Largest headers, in bytes.
const HEADERS_MAX: usize = 64 << 10;
/// Requests at a time on one connection, with HTTP/2.
const STREAMS_MAX: u32 = 100;
/// How often a client that is silent is asked whether it is there, with HTTP/2.
const PING_TIME: Duration = Duration::from_secs(30);
/// How long to wait where the kernel has no connection to give, for want of file numbers mostly.
const PAUSE: Duration = Duration::from_millis(100);

/// Takes connections until the server stops.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    watcher: impl Fn() -> Watcher,
) {
    loop {
        let (room, is_served) = shared.limits.connection().await;
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopped() => return,
        };
        let socket = match accepted {
            Ok((socket, _)) => socket,
            Err(cause) => {
                log::error("cannot accept a connection", &[("cause", &cause)]);
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        // Small answers are whole answers; a connection that is gone already is noticed when it is read.
        let _ = socket.set_nodelay(true);
        let _ = process::give_up_unread_after(&socket, UNREAD_TIME);
        let (tls, shared, watcher) = (tls.clone(), Arc::clone(&shared), watcher());
        tokio::spawn(connection(socket, tls, shared, watcher, is_served, room));
    }
}

async fn connection(
    socket: TcpStream,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    watcher: Watcher,
    is_served: bool,
    _room: Option<Room>,
) {
    let caller = |trusted| match (is_served, trusted) {
        (false, _) => Caller::Refused,
        (true, true) => Caller::Trusted,
        (true, false) => Caller::Anybody,
    };
    let Some(tls) = tls else {
        return serve(socket, shared, watcher, caller(true)).await;
    };
    // Whoever cannot do it goes without an answer, as there is nothing to answer in.
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIME, tls.accept(socket)).await else { return };
    let is_known = stream.get_ref().1.peer_certificates().is_some_and(|chain| !chain.is_empty());
    serve(stream, shared, watcher, caller(is_known)).await;
}

pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    shared: Arc<Shared>,
    watcher: Watcher,
    caller: Caller,
) {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADERS_MAX)
        .keep_alive(caller != Caller::Refused);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADERS_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_TIME)
        .keep_alive_timeout(PING_TIME);
    let service = service_fn(move |request| {
        let shared = Arc::clone(&shared);
        async move { Ok::<_, Infallible>(handle(shared, caller, request).await) }
    });
    let connection = builder.serve_connection(TokioIo::new(stream), service);
    // Clients may go as they like.
    let _ = watcher.watch(connection).await;
}
