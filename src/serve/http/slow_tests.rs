//! Clients that take their time, by a clock that does not wait for anybody.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::handle::{Caller, Shared};
use super::limits::{BODY_TIME, HEADER_TIME, Limits};
use super::{access, connection, found, metrics};
use crate::serve::kinds::{self, Config};
use crate::serve::registry::Registry;

/// A connection to a server that trusts whoever is at its other end.
fn connect(dir: &tempfile::TempDir) -> DuplexStream {
    let registry = Registry::open(&dir.path().join("db"), kinds::all(Config::default())).unwrap();
    let (client, server) = duplex(1 << 20);
    // Nobody ever asks it to stop.
    let (stop, stopping) = tokio::sync::watch::channel(false);
    std::mem::forget(stop);
    let shared = Arc::new(Shared {
        registry,
        access: access::Access::new("token".to_owned()),
        limits: Limits::new(),
        metrics: metrics::Metrics::new(),
        looks: found::Looks::default(),
        address: String::new(),
        stopping,
    });
    tokio::spawn(async move {
        let graceful = GracefulShutdown::new();
        connection::serve(server, shared, graceful.watcher(), Caller::Trusted).await;
    });
    client
}

/// Sends `bytes` one by one, one in a second; what the server said before it hung up, and after how long that was.
async fn sent_slowly(mut client: DuplexStream, start: &str) -> (String, Duration) {
    let begun = Instant::now();
    client.write_all(start.as_bytes()).await.unwrap();
    let (mut reader, mut writer) = tokio::io::split(client);
    let dripping = tokio::spawn(async move {
        while writer.write_all(b"x").await.is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    let mut said = Vec::new();
    let mut buffer = [0; 4096];
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        said.extend_from_slice(&buffer[..count]);
    }
    dripping.abort();
    (String::from_utf8(said).unwrap(), begun.elapsed())
}

#[tokio::test(start_paused = true)]
async fn headers_have_to_come_in_time() {
    let dir = tempfile::tempdir().unwrap();
    for start in ["", "GET /version HTTP/1.1\r\n", "GET /version HTTP/1.1\r\nHost: x\r\nX-Long: "] {
        let (said, time) = sent_slowly(connect(&dir), start).await;
        assert!(!said.contains("200"), "{said}");
        assert!(time <= HEADER_TIME + Duration::from_secs(2), "{start:?}: {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn bodies_have_to_come_in_time() {
    let dir = tempfile::tempdir().unwrap();
    let path = "/api/v1/namespaces/default/services";
    let head =
        format!("POST {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n");
    let (said, time) = sent_slowly(connect(&dir), &format!("{head}Content-Length: 1000\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 408 ") && said.contains("the body did not arrive in time"), "{said}");
    assert!(time >= BODY_TIME && time <= BODY_TIME + Duration::from_secs(2), "{time:?}");
    // One that is refused for its size is not waited for any longer either.
    let (said, time) = sent_slowly(connect(&dir), &format!("{head}Content-Length: 99999999\r\n\r\n")).await;
    assert!(said.starts_with("HTTP/1.1 413 "), "{said}");
    assert!(time <= BODY_TIME + Duration::from_secs(2), "{time:?}");
}
