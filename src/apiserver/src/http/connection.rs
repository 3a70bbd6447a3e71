//! Connections: from the socket to requests.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

use super::activity::Activity;
use super::call::{Caller, Shared};
use super::handle::handle;
use super::limits::{HANDSHAKE_TIME, HEADER_TIME, UNREAD_TIME};
use super::places::{Peer, Place};
use crate::auth::User;
use sys::net::rtnetlink::SocketOwners;
use sys::process::limits;

/// Largest headers, in bytes.
const HEADERS_MAX: usize = 64 << 10;
/// Requests at a time on one connection, with HTTP/2.
const STREAMS_MAX: u32 = 100;
/// How often a silent client is sent a ping, with HTTP/2.
const PING_TIME: Duration = Duration::from_secs(30);
/// Pause after the kernel failed to give a connection, mostly because no file descriptors are left.
const PAUSE: Duration = Duration::from_millis(100);

/// How long a connection may take to end.
pub(super) const END_TIME: Duration = Duration::from_secs(10);

/// Held by every connection until it ends.
pub(super) type Alive = mpsc::Sender<Infallible>;

/// Takes connections until the server stops.
pub(super) async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    alive: Alive,
) {
    let owners = SocketOwners::open().inspect_err(|cause| {
        tracing::error!(%cause, "cannot tell users of this machine apart");
    });
    let owners = owners.ok();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = shared.stopped() => return,
        };
        let (socket, address) = match accepted {
            Ok(accepted) => accepted,
            Err(cause) => {
                tracing::error!(%cause, "cannot accept a connection");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let place = Arc::new(shared.places.enter(peer(&socket, address, owners.as_ref())));
        // Answers are written whole. A connection that is already gone is noticed when it is read.
        let _ = socket.set_nodelay(true);
        let _ = limits::give_up_unread_after(&socket, UNREAD_TIME);
        let (tls, shared, alive) = (tls.clone(), Arc::clone(&shared), alive.clone());
        tokio::spawn(async move {
            tokio::select! {
                () = connection(socket, tls, shared, Arc::clone(&place)) => {}
                () = place.yields() => {}
            }
            drop(alive);
        });
    }
}

/// The client: its user if it is on this machine, where all clients have one address.
fn peer(socket: &TcpStream, address: SocketAddr, owners: Option<&SocketOwners>) -> Peer {
    let user = || {
        let local = socket.local_addr().ok()?;
        let is_near = address.ip().to_canonical().is_loopback() || address.ip() == local.ip();
        if is_near { owners?.of(address, local) } else { None }
    };
    user().map_or_else(|| Peer::at(address.ip()), Peer::User)
}

async fn connection(mut socket: TcpStream, tls: Option<TlsAcceptor>, shared: Arc<Shared>, place: Arc<Place>) {
    let caller = |user: Option<Arc<User>>| match (place.is_served(), user) {
        (false, _) => Caller::Refused,
        (true, Some(user)) => Caller::Trusted(user),
        (true, None) => Caller::Anybody,
    };
    let Some(tls) = tls else {
        let admin = shared.access.admin();
        return serve(socket, shared, caller(Some(admin)), Arc::clone(&place)).await;
    };
    let end = tokio::time::Instant::now() + HANDSHAKE_TIME;
    if tokio::time::timeout_at(end, answered_plainly(&mut socket)).await.unwrap_or(true) {
        return;
    }
    // Without a handshake there is no way to send an answer.
    let Ok(Ok(stream)) = tokio::time::timeout_at(end, tls.accept(socket)).await else { return };
    let shown = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let user = shown.and_then(|certificate| shared.access.user_of(certificate));
    serve(stream, shared, caller(user), Arc::clone(&place)).await;
}

/// Whether the client speaks HTTP without TLS. It is told so, in the words of Go's `net/http` (`server.go`), by which people
/// find a wrong URL.
async fn answered_plainly(socket: &mut TcpStream) -> bool {
    let mut start = [0];
    // A TLS record begins with 22, a request with a letter.
    match socket.peek(&mut start).await {
        Ok(1) if start[0].is_ascii_uppercase() => {}
        Ok(_) => return false,
        Err(_) => return true,
    }
    let text = "HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n";
    // What is not read would reset the connection, and with it the answer.
    let _ = socket.read(&mut [0; 4096]).await;
    let _ = socket.write_all(text.as_bytes()).await;
    let _ = socket.shutdown().await;
    true
}

pub(super) async fn serve(
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
    shared: Arc<Shared>,
    caller: Caller,
    place: Arc<Place>,
) {
    let is_refused = caller == Caller::Refused;
    let builder = builder(is_refused);
    let activity = Activity::new(place);
    let service = service_fn(|request| {
        let (shared, caller, under_way) = (Arc::clone(&shared), caller.clone(), activity.begin());
        async move { Ok::<_, Infallible>(handle(shared, caller, under_way, request).await) }
    });
    let mut connection = pin!(builder.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // The client has disconnected.
        _ = &mut connection => return,
        () = shared.stopped() => {}
        () = activity.idle() => {}
        () = activity.ended(), if is_refused => {}
    }
    connection.as_mut().graceful_shutdown();
    let _ = tokio::time::timeout(END_TIME, connection).await;
}

fn builder(is_refused: bool) -> Builder<TokioExecutor> {
    let mut builder = Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIME)
        .max_buf_size(HEADERS_MAX)
        .keep_alive(!is_refused);
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(u32::try_from(HEADERS_MAX).unwrap_or(u32::MAX))
        .keep_alive_interval(PING_TIME)
        .keep_alive_timeout(PING_TIME);
    builder
}
