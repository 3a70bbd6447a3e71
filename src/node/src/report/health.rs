//! `/healthz`, `/readyz` and `/metrics`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::header::{CONTENT_TYPE, HeaderValue};
use hyper::server::conn::http1::Builder;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;

use super::standing::Standing;
use telemetry::page::{MEDIA_TYPE, Page};

/// How long a client may take to ask, and to take the answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// The pause after the kernel failed to give a connection.
const PAUSE: Duration = Duration::from_millis(100);
/// Connections at a time.
const CONNECTIONS: usize = 16;

/// Writes the metrics of all parts.
pub(crate) type WriteMetrics = Rc<dyn Fn(&mut Page)>;

/// Listens on `address`.
///
/// # Errors
/// The address is in use, or none of this machine's.
pub(crate) async fn listen(address: SocketAddr) -> std::io::Result<TcpListener> {
    TcpListener::bind(address).await
}

/// Answers. It does not end.
///
/// That `/healthz` answers at all says that the agent's thread is not stuck.
pub(crate) async fn serve(listener: TcpListener, standing: Rc<Standing>, metrics: WriteMetrics) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(PAUSE).await;
            continue;
        };
        let (standing, metrics) = (Rc::clone(&standing), Rc::clone(&metrics));
        tokio::task::spawn_local(async move {
            answer_all(stream, standing, metrics).await;
            drop(place);
        });
    }
}

async fn answer_all(stream: TcpStream, standing: Rc<Standing>, metrics: WriteMetrics) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(request.method(), request.uri().path(), &standing, &metrics);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut connection = Builder::new();
    connection.timer(TokioTimer::new()).header_read_timeout(PATIENCE).keep_alive(false);
    // A client that goes away is its own concern.
    let _ = tokio::time::timeout(PATIENCE, connection.serve_connection(TokioIo::new(stream), service)).await;
}

fn answer(method: &Method, path: &str, standing: &Standing, metrics: &WriteMetrics) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if method != Method::GET && method != Method::HEAD {
        return whole(StatusCode::METHOD_NOT_ALLOWED, TEXT, "only GET is answered\n".to_owned());
    }
    match path {
        "/healthz" | "/livez" => whole(StatusCode::OK, TEXT, "ok".to_owned()),
        "/readyz" => {
            let faults = standing.faults();
            let lines = faults.iter().map(|(part, fault)| format!("[-]{}: {fault}\n", part.name()));
            match lines.collect::<String>() {
                lines if lines.is_empty() => whole(StatusCode::OK, TEXT, "ok".to_owned()),
                lines => whole(StatusCode::SERVICE_UNAVAILABLE, TEXT, lines),
            }
        }
        "/metrics" => {
            let mut page = Page::default();
            metrics(&mut page);
            whole(StatusCode::OK, MEDIA_TYPE, page.into_text())
        }
        _ => whole(StatusCode::NOT_FOUND, TEXT, "there are /healthz, /readyz and /metrics\n".to_owned()),
    }
}

fn whole(code: StatusCode, kind: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::standing::Part;

    #[test]
    fn paths_are_answered() {
        let standing = Standing::of(&[Part::Network]);
        let metrics: WriteMetrics = Rc::new(|page| page.single("one", "gauge", "One.", 1));
        let code = |method: Method, path: &str| answer(&method, path, &standing, &metrics).status().as_u16();
        let get = |path: &str| code(Method::GET, path);
        assert_eq!([get("/healthz"), get("/readyz"), get("/metrics"), get("/")], [200, 503, 200, 404]);
        assert_eq!(code(Method::POST, "/healthz"), 405);
        standing.works(Part::Network, Vec::new());
        assert_eq!(get("/readyz"), 200);
    }
}
