//! Clients that take their time, by a clock that does not wait for anybody.

use std::sync::Arc;
use std::time::Duration;

use hyper_util::server::graceful::GracefulShutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::Instant;

use super::handle::{Caller, Shared};
use super::limits::{ANSWERS_MAX, BODY_TIME, HEADER_TIME, Limits};
use super::{access, connection, found, metrics};
use crate::serve::kinds::{self, Config};
use crate::serve::object::Object;
use crate::serve::registry::{Registry, WriteOptions};

/// What a server's connections share.
fn shared(dir: &tempfile::TempDir) -> Arc<Shared> {
    let registry = Registry::open(&dir.path().join("db"), kinds::all(Config::default())).unwrap();
    // Nobody ever asks it to stop.
    let (stop, stopping) = tokio::sync::watch::channel(false);
    std::mem::forget(stop);
    Arc::new(Shared {
        registry,
        access: access::Access::new("token".to_owned()),
        limits: Limits::new(),
        metrics: metrics::Metrics::new(),
        looks: found::Looks::default(),
        address: String::new(),
        stopping,
    })
}

/// A connection to a server that trusts whoever is at its other end.
fn connect(dir: &tempfile::TempDir) -> DuplexStream {
    connect_to(&shared(dir))
}

fn connect_to(shared: &Arc<Shared>) -> DuplexStream {
    let (client, server) = duplex(64 << 10);
    let shared = Arc::clone(shared);
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

/// Asks for all Services and reads no more than the answer's headers; the rest is in the stream, in parts.
async fn ask(client: &mut DuplexStream) -> String {
    client.write_all(b"GET /api/v1/services HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    String::from_utf8(head).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 1)]
async fn answers_that_nobody_reads_take_room() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    for index in 0..80 {
        let service = serde_json::json!({
            "metadata": {"name": format!("s{index}"), "annotations": {"long": "x".repeat(200 << 10)}},
            "spec": {"clusterIP": "None"},
        });
        let service = Object::from_value(service).unwrap();
        shared.registry.create("services", "default", service, WriteOptions::default()).await.unwrap();
    }
    let mut reader = connect_to(&shared);
    let head = ask(&mut reader).await;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
    let length: usize = length.parse().unwrap();
    let mut others = Vec::new();
    let refused = loop {
        let mut other = connect_to(&shared);
        let head = ask(&mut other).await;
        if !head.starts_with("HTTP/1.1 200") {
            break head;
        }
        others.push(other);
        assert!(others.len() < ANSWERS_MAX / length, "one more than there is room for");
    };
    assert!(refused.starts_with("HTTP/1.1 429 ") && refused.contains("retry-after: 1"), "{refused}");
    assert_eq!(others.len() + 1, ANSWERS_MAX / length);
    // Whoever reads makes room again.
    reader.read_exact(&mut vec![0; length]).await.unwrap();
    assert!(ask(&mut connect_to(&shared)).await.starts_with("HTTP/1.1 200"));
}
