//! The API server and those that mean it harm: each gets the right status, costs bounded memory, and everybody else is
//! served afterwards.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use podhosts_apiserver::pki::to_pem;
use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Server, Shown};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";
/// More than the server ever has with so few objects, in KiB; a debug build is included.
const MEMORY_MAX: u64 = 100_000;

/// Whatever happened, the server takes a Service and has not grown.
fn still_serves(server: &Server) {
    let body = json!({"metadata": {"generateName": "after-"}, "spec": {"ports": [{"port": 80}]}}).to_string();
    assert_eq!(server.ask("POST", SERVICES, JSON, body.as_bytes()).code, 201);
    assert!(server.memory() < MEMORY_MAX, "{} KiB", server.memory());
}

/// Writes bytes with TLS and reads until the server hangs up, or says nothing for a while.
fn raw(server: &Server, bytes: &[u8]) -> String {
    let mut stream = server.connect(Shown::Nothing);
    stream.sock.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    // The server may hang up before it has everything.
    let _ = stream.write_all(bytes).and_then(|()| stream.flush());
    let mut received = Vec::new();
    let _ = stream.read_to_end(&mut received);
    String::from_utf8_lossy(&received).into_owned()
}

/// The status codes of all answers in a stream.
fn codes(stream: &str) -> Vec<&str> {
    let starts = stream.match_indices("HTTP/1.").map(|(at, _)| at);
    starts.filter_map(|at| stream[at..].split(' ').nth(1)).collect()
}

#[test]
fn requests_that_are_no_good_http() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let authorized = format!("Host: x\r\nAuthorization: Bearer {token}\r\n");
    let get = format!("GET /version HTTP/1.1\r\n{authorized}\r\n");
    let last = format!("GET /version HTTP/1.1\r\n{authorized}Connection: close\r\n\r\n");
    let long = "a".repeat(1 << 20);
    let many: String = (0..200).map(|n| format!("X-{n}: {n}\r\n")).collect();
    let post = format!("POST {SERVICES} HTTP/1.1\r\n{authorized}Content-Type: {JSON}\r\n");
    for (what, request, expected) in [
        ("HTTP/1.0", format!("GET /version HTTP/1.0\r\n{authorized}\r\n"), &["200"][..]),
        ("two at once", format!("{get}{last}"), &["200", "200"]),
        ("one and garbage", format!("{get}\0\x01garbage\r\n\r\n"), &["200", "400"]),
        ("garbage", "\x16\x03\x01 garbage\r\n\r\n".to_owned(), &["400"]),
        ("no version", "GET /version\r\n\r\n".to_owned(), &["400"]),
        ("another version", format!("GET /version HTTP/7.3\r\n{authorized}\r\n"), &["400"]),
        ("many headers", format!("GET /version HTTP/1.1\r\n{authorized}{many}\r\n"), &["431"]),
        ("a large header", format!("GET /version HTTP/1.1\r\nX: {long}\r\n\r\n"), &["431"]),
        ("a long path", format!("GET /{long} HTTP/1.1\r\n{authorized}\r\n"), &["431"]),
        ("two lengths", format!("{post}Content-Length: 2\r\nContent-Length: 3\r\n\r\n{{}}"), &["400"]),
        ("a negative length", format!("{post}Content-Length: -1\r\n\r\n"), &["400"]),
        ("a huge length", format!("{post}Content-Length: 99999999999999999999\r\n\r\n"), &["400"]),
        ("no such chunk", format!("{post}Transfer-Encoding: chunked\r\n\r\nzz\r\n"), &["400"]),
        (
            "a packed body",
            format!("{post}Content-Encoding: gzip\r\nContent-Length: 1\r\nConnection: close\r\n\r\nx"),
            &["415"],
        ),
    ] {
        let answers = raw(&server, request.as_bytes());
        let found = codes(&answers);
        let shown: String = answers.chars().take(300).collect();
        // A server that closes a connection with unread bytes in it may take its answer back.
        let is_taken_back = found.is_empty() && request.len() > 1 << 20;
        assert!(found == expected || is_taken_back, "{what}: {found:?}, expected {expected:?}: {shown}");
    }
    // Both length and chunks: what stands behind the chunks must not become a request of its own that is let in.
    let smuggled = format!(
        "{post}Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET /version HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    );
    assert!(!codes(&raw(&server, smuggled.as_bytes())).contains(&"200"));
    still_serves(&server);
}

#[test]
fn clients_that_leave_in_the_middle() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let whole = format!(
        "POST {SERVICES} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\nContent-Length: 5000\r\n\r\n{}",
        "x".repeat(4000)
    );
    for length in [0, 1, 20, 100, whole.len() - 4000, whole.len() - 1] {
        for _ in 0..20 {
            let mut stream = server.connect(Shown::Nothing);
            let _ = stream.write_all(&whole.as_bytes()[..length]);
        }
    }
    // Not even TLS.
    for bytes in [&b""[..], b"GET / HTTP/1.1\r\n\r\n", &[0x16, 3, 1, 0xff, 0xff]] {
        for _ in 0..20 {
            TcpStream::connect(server.address).unwrap().write_all(bytes).unwrap();
        }
    }
    still_serves(&server);
}

#[test]
fn tokens_and_certificates_of_others() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let with = |headers: &str, query: &str| {
        server.raw(Shown::Nothing, &format!("GET /version{query}"), headers, &[]).map(|answer| answer.code)
    };
    assert_eq!(with(&format!("Authorization: Bearer {token}\r\n"), ""), Some(200));
    for (headers, query) in [
        (format!("Authorization: Basic {token}\r\n"), String::new()),
        (format!("Authorization: Bearer {token}\r\nAuthorization: Bearer {token}\r\n"), String::new()),
        (format!("Authorization: Bearer {token}, Bearer {token}\r\n"), String::new()),
        (format!("Authorization: {token}\r\n"), String::new()),
        (
            format!("X-Remote-User: admin\r\nImpersonate-User: admin\r\nCookie: token={token}\r\n"),
            String::new(),
        ),
        (String::new(), format!("?access_token={token}&token={token}")),
        (format!("Authorization: Bearer {}\r\n", "a".repeat(30_000)), String::new()),
    ] {
        assert_eq!(with(&headers, &query), Some(401), "{headers:.80} {query:.20}");
    }
    // Somebody else's CA, with the name of ours; and our certificate with somebody else's key.
    let pki = server.dir.join("data/pki");
    let stranger = rcgen::generate_simple_self_signed(["admin".to_owned()]).unwrap();
    fs::write(pki.join("stranger.crt"), to_pem(&[stranger.cert.der().clone()])).unwrap();
    let key = STANDARD.encode(stranger.signing_key.serialize_der());
    fs::write(
        pki.join("stranger.key"),
        format!("-----BEGIN PRIVATE KEY-----\n{key}\n-----END PRIVATE KEY-----\n"),
    )
    .unwrap();
    let code = |name| server.raw(Shown::Certificate(name), "GET /version", "", &[]).map(|answer| answer.code);
    assert_eq!(code("stranger"), None);
    assert_eq!(code("admin"), Some(200));
    still_serves(&server);
}

#[test]
fn paths_that_lead_astray() {
    needs!();
    let server = Server::start(&[]);
    for (path, code) in [
        ("/api/v1/namespaces/default/../../version", 404),
        ("/api/v1/namespaces/default/services/..%2f..%2fversion", 404),
        ("/api/v1/namespaces/%2e%2e/services", 404),
        ("/api/v1/namespaces/%252e%252e/services", 404),
        ("/api//v1/services", 404),
        ("/api/v1/services/", 200),
        ("/api/v1/services//", 404),
        ("/%61pi/v1/services", 200),
        ("/api/v1/namespaces/default/services/a%00b", 404),
        ("/api/v1/namespaces/default/services/%c0%af", 404),
        ("/api/v1/namespaces/default/services/%zz", 404),
        ("/api/v1/namespaces/default/services/a;b", 404),
        ("/api/v1/namespaces/default/services/a/b/c/d", 404),
        ("/api/v1/watch/watch/services", 404),
        ("/api/v1/namespaces/default/services/web/proxy", 404),
        ("http://elsewhere/version", 200),
        ("/metrics/../version", 404),
        ("/version#x", 200),
        ("/version?x=%zz&&&=;;", 200),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.code, code, "{path}: {}", String::from_utf8_lossy(&answer.body));
    }
    for method in ["OPTIONS", "TRACE", "LINK", "a", "post"] {
        assert_eq!(server.ask(method, SERVICES, JSON, b"").code, 405, "{method}");
    }
    still_serves(&server);
}

#[test]
fn queries_that_ask_for_too_much() {
    needs!();
    let server = Server::start(&[]);
    let selectors = "labelSelector=a".to_owned() + &",a!=b".repeat(10_000);
    let fields = "fieldSelector=".to_owned() + &"metadata.name!=b,".repeat(3_000);
    let token = format!("continue=1.{}.default/a", u64::MAX);
    let long_token = format!("continue={}", "9".repeat(50_000));
    for (query, code) in [
        (selectors.as_str(), 200),
        (&fields, 200),
        ("labelSelector=a%3D%3D%3D", 400),
        ("labelSelector=a%20in%20(", 400),
        ("labelSelector=a%00", 400),
        ("limit=18446744073709551615", 400),
        ("limit=18446744073709551616", 400),
        ("limit=-1", 200),
        (&format!("limit=1&{token}"), 200),
        (&long_token, 400),
        ("continue=%00", 400),
        ("resourceVersion=18446744073709551615", 504),
        ("resourceVersion=18446744073709551616", 400),
        ("resourceVersion=-1", 400),
        ("watch=maybe&timeoutSeconds=-1", 200),
        ("watch=true&timeoutSeconds=99999999999999999999", 400),
        ("watch=true&resourceVersion=1", 200),
        // Options of changes, which mean nothing here.
        ("dryRun=Some", 200),
        ("fieldValidation=Maybe", 200),
    ] {
        let query = if query.starts_with("watch=true&r") {
            format!("{query}&timeoutSeconds=1")
        } else {
            query.to_owned()
        };
        let answer = server.get(&format!("/api/v1/services?{query}"));
        assert_eq!(answer.code, code, "{query:.100}: {:.200}", String::from_utf8_lossy(&answer.body));
    }
    still_serves(&server);
}

#[test]
fn bodies_cut_off_at_each_byte() {
    needs!();
    let server = Server::start(&[]);
    // The first byte of a seed is the number of the kind.
    let whole = &include_bytes!("../../fuzz/seeds/protobuf/service")[1..];
    let path = format!("{SERVICES}?dryRun=All");
    let post = |body: &[u8]| server.ask("POST", &path, "application/vnd.kubernetes.protobuf", body);
    let answer = post(whole);
    // Its addresses are not in the range; everything in it was understood.
    assert_eq!(answer.code, 201, "{}", String::from_utf8_lossy(&answer.body));
    for length in 0..whole.len() {
        let code = post(&whole[..length]).code;
        // An object of which nothing arrived has no name; what is behind the object may be missing.
        let expected: &[u16] = if length + 10 > whole.len() { &[400, 201] } else { &[400, 422] };
        assert!(expected.contains(&code), "{length} of {}: {code}", whole.len());
    }
    for at in 4..whole.len() {
        let mut other = whole.to_vec();
        other[at] ^= 0xff;
        let code = post(&other).code;
        assert!([201, 400, 409, 422].contains(&code), "byte {at}: {code}");
    }
    still_serves(&server);
}

#[test]
fn bodies_that_grow() {
    needs!();
    let server = Server::start(&[]);
    let body = json!({"metadata": {"name": "web"}, "spec": {"ports": [{"port": 80}]}}).to_string();
    assert_eq!(server.ask("POST", SERVICES, JSON, body.as_bytes()).code, 201);
    let copies: Vec<Value> =
        (0..60).map(|n| json!({"op": "copy", "from": "/spec", "path": format!("/spec/{n}")})).collect();
    let many = vec![json!({"op": "test", "path": "/kind", "value": "Service"}); 10_001];
    let deep = |length: usize, open: &str, close: &str| open.repeat(length) + &close.repeat(length);
    let level = (0..100).fold(json!({}), |inner, _| json!({"d": inner}));
    let add =
        |steps: usize| json!({"op": "add", "path": format!("/x{}", "/d".repeat(steps)), "value": level});
    let deeper: Vec<Value> = (0..100).map(|n| add(n * 100)).collect();
    let mut bomb = "a: &a0 [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..12 {
        let last = format!("*a{}", level - 1);
        bomb += &format!("a{level}: &a{level} [{}]\n", [last.as_str(); 10].join(","));
    }
    let fields: serde_json::Map<String, Value> = (0..50_000).map(|n| (format!("f{n}"), n.into())).collect();
    let ports: Vec<Value> = (0..60_000).map(|n| json!({"port": 1 + n, "name": format!("p{n}")})).collect();
    let some = &ports[..10_000];
    let named = |spec: Value| json!({"metadata": {"name": "a"}, "spec": spec}).to_string();
    let empty = |count: usize| named(json!({"ports": vec![json!({}); count]}));
    let finalizers =
        |count: usize| json!({"metadata": {"name": "f", "finalizers": vec!["a"; count]}}).to_string();
    let addresses = named(json!({"clusterIPs": vec!["fd00::1"; 90_000]}));
    for (method, media_type, body, codes) in [
        ("PATCH", "application/json-patch+json", json!(copies).to_string(), &[422][..]),
        ("PATCH", "application/json-patch+json", json!(many).to_string(), &[413]),
        ("PATCH", "application/json-patch+json", json!(deeper).to_string(), &[422]),
        ("PATCH", "application/json-patch+json", "{}".to_owned(), &[400]),
        ("PATCH", "application/merge-patch+json", deep(100_000, "{\"a\":", ""), &[400]),
        ("PATCH", "application/merge-patch+json", deep(120, "{\"a\":", "}").replace(":}", ":1}"), &[200]),
        ("PATCH", "application/strategic-merge-patch+json", "[1]".to_owned(), &[400]),
        ("PATCH", "application/apply-patch+yaml", bomb.clone(), &[400, 422]),
        ("PATCH", "application/json-patch+cbor", "x".to_owned(), &[415]),
        ("POST", "application/yaml", bomb, &[400]),
        ("POST", "application/yaml", deep(200_000, "[", "]"), &[400]),
        ("POST", JSON, deep(200_000, "{\"a\":", "}"), &[400]),
        ("POST", JSON, json!({"metadata": {"name": "fields"}, "spec": fields}).to_string(), &[422]),
        ("POST", JSON, named(json!({"ports": ports})), &[400]),
        ("POST", JSON, named(json!({"ports": some})), &[201]),
        ("POST", JSON, empty(1_000_000), &[400]),
        ("POST", JSON, empty(90_000), &[422]),
        ("POST", JSON, finalizers(700_000), &[400]),
        ("POST", JSON, finalizers(90_000), &[422]),
        ("POST", JSON, addresses, &[422]),
        (
            "POST",
            JSON,
            json!({"metadata": {"name": "a".repeat(2 << 20)}, "spec": {"ports": [{"port": 1}]}}).to_string(),
            &[413],
        ),
        ("PUT", JSON, "null".to_owned(), &[400]),
        ("PUT", JSON, "1e999".to_owned(), &[400]),
    ] {
        let path =
            if method == "POST" { SERVICES.to_owned() } else { format!("{SERVICES}/web?fieldManager=x") };
        let answer = server.ask(method, &path, media_type, body.as_bytes());
        let shown = String::from_utf8_lossy(&answer.body);
        assert!(
            codes.contains(&answer.code),
            "{method} {media_type} {body:.80}: {} {shown:.300}",
            answer.code
        );
        assert!(answer.headers.len() < 32 << 10, "{} bytes of headers", answer.headers.len());
    }
    still_serves(&server);
}
