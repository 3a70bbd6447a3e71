//! Clients that take their time, by a clock that does not wait for anybody.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};
use tokio::time::{Instant, timeout};

use super::call::{Caller, Shared};
use super::limits::{ADMISSION_TIME, ANSWERS_MAX, BODY_TIME, IDLE_TIME, Limits, UNREAD_TIME};
use super::places::{Peer, Places};
use super::{access, connection, metrics};
use crate::auth::{Gate, User};
use crate::kinds::{self, Config, service};
use crate::object::Object;
use crate::registry::{Registry, WriteOptions};

/// What a server's connections share.
fn shared(dir: &tempfile::TempDir) -> Arc<Shared> {
    let registry = Registry::open(&dir.path().join("db"), kinds::all(Config::default())).unwrap();
    // This server is never told to stop.
    let (stop, stopping) = tokio::sync::watch::channel(false);
    std::mem::forget(stop);
    Arc::new(Shared {
        kinds: kinds::known(registry.resources()),
        registry,
        access: access::Access::new("token".to_owned(), Gate::default()),
        limits: Limits::new(),
        places: Places::default(),
        metrics: metrics::Metrics::new(),
        proxy: None,
        openapi: std::sync::OnceLock::new(),
        address: String::new(),
        stopping,
    })
}

/// A connection to a server that trusts whoever is at its other end.
fn connect(dir: &tempfile::TempDir) -> DuplexStream {
    connect_to(&shared(dir))
}

fn connect_to(shared: &Arc<Shared>) -> DuplexStream {
    connect_as(shared, Caller::Trusted(Arc::new(User::admin())))
}

fn connect_as(shared: &Arc<Shared>, caller: Caller) -> DuplexStream {
    let (client, server) = duplex(64 << 10);
    let shared = Arc::clone(shared);
    let place = Arc::new(shared.places.enter(Peer::User(0)));
    tokio::spawn(connection::serve(server, shared, caller, place));
    client
}

/// A frame of HTTP/2.
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

/// Nothing takes that long.
const EVER: Duration = Duration::from_secs(3600);
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const PING: u8 = 6;
const ACK: u8 = 1;

/// An HTTP/2 client that asks for `path`, if there is one, opens windows of that size, and only answers pings from then
/// on. Returns the kinds of frames that it got, and how long it took until the server hung up.
async fn http2(mut client: DuplexStream, path: Option<&str>, window: u32) -> (Vec<u8>, Duration) {
    let begun = Instant::now();
    client.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
    // SETTINGS_INITIAL_WINDOW_SIZE.
    let settings = [&[0, 4][..], &window.to_be_bytes()].concat();
    client.write_all(&frame(SETTINGS, 0, 0, &settings)).await.unwrap();
    if let Some(path) = path {
        // GET, https, a path and an authority, in the tables of HPACK.
        let length = u8::try_from(path.len()).unwrap();
        let headers = [&[0x82, 0x87, 0x04, length], path.as_bytes(), &[0x01, 1, b'x']].concat();
        client.write_all(&frame(HEADERS, 5, 1, &headers)).await.unwrap();
    }
    let mut kinds = Vec::new();
    let mut head = [0; 9];
    while let Ok(Ok(_)) = timeout(EVER, client.read_exact(&mut head)).await {
        assert!(begun.elapsed() < EVER, "the server does not hang up");
        let [_, high, low, kind, flags, ..] = head;
        let mut payload = vec![0; usize::from(high) << 8 | usize::from(low)];
        client.read_exact(&mut payload).await.unwrap();
        kinds.push(kind);
        let answer = match kind {
            SETTINGS if flags & ACK == 0 => frame(SETTINGS, ACK, 0, &[]),
            PING if flags & ACK == 0 => frame(PING, ACK, 0, &payload),
            _ => continue,
        };
        if client.write_all(&answer).await.is_err() {
            break;
        }
    }
    (kinds, begun.elapsed())
}

/// Sends `start`, and then a byte in each second. Returns what the server said before it hung up, and how long that
/// took.
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
        assert!(
            time <= ADMISSION_TIME + connection::END_TIME + Duration::from_secs(2),
            "{start:?}: {time:?}"
        );
    }
}

/// Little more than it takes at least.
fn is_soon_after(time: Duration, least: Duration) -> bool {
    (least..=least + Duration::from_secs(12)).contains(&time)
}

#[tokio::test(start_paused = true)]
async fn connections_without_requests_end() {
    let dir = tempfile::tempdir().unwrap();
    let begun = Instant::now();
    let mut silent = connect(&dir);
    assert_eq!(timeout(EVER, silent.read(&mut [0; 9])).await.unwrap().unwrap(), 0);
    assert!(is_soon_after(begun.elapsed(), ADMISSION_TIME), "{:?}", begun.elapsed());
    let (_, time) = http2(connect(&dir), None, 65_535).await;
    assert!(is_soon_after(time, ADMISSION_TIME), "{time:?}");
    // A caller without a token.
    let (kinds, time) = http2(connect_as(&shared(&dir), Caller::Anybody), Some("/version"), 65_535).await;
    assert!(kinds.contains(&DATA) && is_soon_after(time, ADMISSION_TIME), "{kinds:?} {time:?}");
    let (kinds, time) = http2(connect(&dir), Some("/version"), 65_535).await;
    assert!(kinds.contains(&DATA) && is_soon_after(time, IDLE_TIME), "{kinds:?} {time:?}");
    // A watch is under way until it ends.
    let watch = "/api/v1/namespaces?watch=1&timeoutSeconds=1000&resourceVersion=1";
    let (kinds, time) = http2(connect(&tempfile::tempdir().unwrap()), Some(watch), 65_535).await;
    assert!(kinds.contains(&DATA) && is_soon_after(time, IDLE_TIME + Duration::from_secs(1000)), "{time:?}");
}

#[tokio::test(start_paused = true)]
async fn a_refused_connection_is_answered_once() {
    let dir = tempfile::tempdir().unwrap();
    let (kinds, time) = http2(connect_as(&shared(&dir), Caller::Refused), Some("/version"), 65_535).await;
    assert!(kinds.contains(&DATA) && time < Duration::from_secs(12), "{kinds:?} {time:?}");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_asked_for_keeps_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    for path in ["/openapi/v2", "/api/v1/namespaces?watch=1&timeoutSeconds=9999&resourceVersion=1"] {
        let ending = tokio::spawn(http2(connect_to(&shared), Some(path), 0));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(shared.limits.answer(ANSWERS_MAX).is_err(), "{path}");
        tokio::time::sleep(2 * UNREAD_TIME).await;
        assert!(shared.limits.answer(ANSWERS_MAX).is_ok(), "{path}");
        let (kinds, time) = ending.await.unwrap();
        assert!(
            !kinds.contains(&DATA) && time < 2 * UNREAD_TIME + 2 * IDLE_TIME,
            "{path}: {kinds:?} {time:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn who_was_admitted_is_known_by_the_place() {
    let dir = tempfile::tempdir().unwrap();
    let shared = shared(&dir);
    for (caller, path, is_admitted) in [
        (Caller::Trusted(Arc::new(User::admin())), Some("/version"), true),
        (Caller::Trusted(Arc::new(User::admin())), None, false),
        (Caller::Anybody, Some("/version"), false),
        (Caller::Refused, Some("/version"), false),
    ] {
        let (client, server) = duplex(64 << 10);
        let place = Arc::new(shared.places.enter(Peer::User(0)));
        tokio::spawn(connection::serve(server, Arc::clone(&shared), caller.clone(), Arc::clone(&place)));
        http2(client, path, 65_535).await;
        assert_eq!(place.is_admitted(), is_admitted, "{caller:?} {path:?}");
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
    // The server does not wait for a body that it refused for its size.
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
        shared.registry.create(&service::KIND, "default", service, WriteOptions::default()).await.unwrap();
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
    // Reading makes room again.
    reader.read_exact(&mut vec![0; length]).await.unwrap();
    assert!(ask(&mut connect_to(&shared)).await.starts_with("HTTP/1.1 200"));
}
