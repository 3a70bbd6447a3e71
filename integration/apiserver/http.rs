//! The API server, as clients see it that mean no good, or ask for something special.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Server, Shown};

const SERVICES: &str = "/api/v1/namespaces/default/services";
const JSON: &str = "application/json";

fn service(name: &str) -> Vec<u8> {
    json!({"metadata": {"name": name}, "spec": {"ports": [{"port": 80}]}}).to_string().into_bytes()
}

#[test]
fn nobody_is_answered_without_the_token_or_a_certificate() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let code = |shown| server.raw(shown, "GET /version", "", &[]).map(|answer| answer.code);
    assert_eq!(code(Shown::Token(&token)), Some(200));
    assert_eq!(code(Shown::Certificate("admin")), Some(200));
    assert_eq!(code(Shown::Nothing), Some(401));
    let (longer, other) = (format!("{token}x"), token.to_uppercase());
    for wrong in ["", "x", &token[1..], &longer, &other] {
        assert_eq!(code(Shown::Token(wrong)), Some(401), "{wrong:?}");
    }
    // Signed by the CA, but not to be a client.
    assert_eq!(code(Shown::Certificate("server")), None);
    for path in ["/", "/api", "/healthz", "/metrics", "/openapi/v2", SERVICES, "/nowhere"] {
        let answer = server.raw(Shown::Nothing, &format!("GET {path}"), "", &[]).unwrap();
        assert_eq!((answer.code, answer.json()["reason"].as_str()), (401, Some("Unauthorized")), "{path}");
    }
}

#[test]
fn hostile_requests_get_the_right_status() {
    needs!();
    let server = Server::start(&[]);
    let long = format!("/{}", "a".repeat(10_000));
    let table: &[(&str, &str, &str, &[u8], u16)] = &[
        ("GET", "/api/../version", JSON, b"", 404),
        ("GET", "/api/%2e%2e/version", JSON, b"", 404),
        ("GET", "//api", JSON, b"", 404),
        ("GET", "/api/v1/namespaces/a%2fservices", JSON, b"", 404),
        ("GET", "/api/v1/services/%00", JSON, b"", 404),
        ("GET", &long, JSON, b"", 414),
        ("GET", "/api/v1/podtemplates", JSON, b"", 404),
        ("GET", "/api/v1/namespaces/default/nodes", JSON, b"", 404),
        ("POST", SERVICES, "text/plain", b"{}", 415),
        ("POST", SERVICES, "application/cbor", b"\xa0", 415),
        ("POST", SERVICES, JSON, b"", 400),
        ("POST", SERVICES, JSON, b"{", 400),
        ("POST", SERVICES, JSON, b"\xff", 400),
        ("POST", SERVICES, "application/vnd.kubernetes.protobuf", b"k8s", 400),
        ("POST", SERVICES, "application/vnd.kubernetes.protobuf", b"k8s\0\x12\xff\xff\xff\xff\x0f", 400),
        ("POST", "/api/v1/services", JSON, b"{}", 405),
        ("POST", "/api", JSON, b"{}", 405),
        ("PUT", SERVICES, JSON, b"{}", 405),
        ("XYZZY", SERVICES, JSON, b"", 405),
        ("DELETE", "/api/v1/pods", JSON, b"", 405),
        ("DELETE", "/api/v1/namespaces/default/services/kubernetes/status", JSON, b"", 405),
        ("GET", "/api/v1/services?fieldSelector=spec.typ!=LoadBalancer", JSON, b"", 400),
        ("DELETE", "/api/v1/namespaces/default/services?fieldSelector=spec.typ!=x", JSON, b"", 400),
        ("PATCH", "/api/v1/namespaces/default/services/kubernetes", JSON, b"{}", 415),
        ("PATCH", "/api/v1/namespaces/default/services/none", "application/merge-patch+json", b"{}", 404),
        ("GET", "/api/v1/services?limit=x", JSON, b"", 400),
        ("GET", "/api/v1/services?resourceVersion=x", JSON, b"", 400),
        ("GET", "/api/v1/services?resourceVersion=999999", JSON, b"", 504),
        ("GET", "/api/v1/services?continue=x", JSON, b"", 400),
    ];
    for (method, path, media_type, body, code) in table {
        let answer = server.ask(method, path, media_type, body);
        let shown: String = path.chars().take(80).collect();
        assert_eq!(answer.code, *code, "{method} {shown} {body:?}");
        assert_eq!(answer.json()["kind"], "Status", "{method} {shown}");
    }
    let deep = "[".repeat(1 << 20);
    assert_eq!(server.ask("POST", SERVICES, JSON, deep.as_bytes()).code, 400);
    let before = server.memory();
    let large = vec![b' '; 64 << 20];
    for _ in 0..3 {
        assert_eq!(server.ask("POST", SERVICES, JSON, &large[..4 << 20]).code, 413);
        let headers = format!("Content-Type: {JSON}\r\nTransfer-Encoding: chunked\r\n");
        let body = [format!("{:x}\r\n", large.len()).as_bytes(), &large, b"\r\n0\r\n\r\n"].concat();
        let answer = server.raw(Shown::Token(&server.token()), &format!("POST {SERVICES}"), &headers, &body);
        // A client that goes on sending may lose the answer with the connection.
        assert!(answer.is_none_or(|answer| answer.code == 413));
    }
    assert!(server.memory() < before + 40_000, "{before} -> {}", server.memory());
    assert_eq!(server.ask("POST", SERVICES, JSON, &service("after")).code, 201);
}

#[test]
fn fields_that_there_are_not_are_told() {
    needs!();
    let server = Server::start(&[]);
    let body = br#"{"metadata":{"name":"a"},"spec":{"foo":1,"ports":[{"port":80}]}}"#;
    let strict = server.ask("POST", &format!("{SERVICES}?fieldValidation=Strict"), JSON, body);
    let message = "Service in version \"v1\" cannot be handled as a Service: strict decoding error: unknown field \"spec.foo\"";
    assert_eq!((strict.code, strict.json()["message"].as_str()), (400, Some(message)));
    let warned = server.ask("POST", &format!("{SERVICES}?fieldValidation=Warn&dryRun=All"), JSON, body);
    assert!(
        warned.headers.contains("warning: 299 - \"unknown field \\\"spec.foo\\\"\""),
        "{}",
        warned.headers
    );
    assert_eq!((warned.code, warned.json()["spec"].get("foo")), (201, None));
    assert_eq!(server.get(&format!("{SERVICES}/a")).code, 404);
    let ignored = server.ask("POST", &format!("{SERVICES}?fieldValidation=Ignore"), JSON, body);
    assert!(ignored.code == 201 && !ignored.headers.contains("warning:"), "{}", ignored.headers);
    // Preconditions.
    let other = br#"{"preconditions":{"uid":"another"}}"#;
    assert_eq!(server.ask("DELETE", &format!("{SERVICES}/a"), JSON, other).code, 409);
    let gone = server.ask("DELETE", &format!("{SERVICES}/a"), JSON, b"");
    assert_eq!((gone.code, gone.json()["kind"].as_str()), (200, Some("Service")));
}

/// The events that a watch tells until its time is over.
fn events(server: &Server, query: &str) -> Vec<Value> {
    let answer = server.get(&format!("/api/v1/services?watch=true&timeoutSeconds=1&{query}"));
    assert_eq!(answer.code, 200, "{query}");
    let text = String::from_utf8(answer.body).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn watches_begin_where_they_are_told_to() {
    needs!();
    let server = Server::start(&[]);
    let version = server.get(SERVICES).json()["metadata"]["resourceVersion"].as_str().unwrap().to_owned();
    for name in ["a", "b"] {
        assert_eq!(server.ask("POST", SERVICES, JSON, &service(name)).code, 201);
    }
    assert_eq!(server.ask("DELETE", &format!("{SERVICES}/a"), JSON, b"").code, 200);
    let told = |query: &str| -> Vec<String> {
        let tell = |event: &Value| {
            format!(
                "{} {}",
                event["type"].as_str().unwrap(),
                event["object"]["metadata"]["name"].as_str().unwrap_or("-")
            )
        };
        events(&server, query).iter().map(tell).collect()
    };
    assert_eq!(told(&format!("resourceVersion={version}")), ["ADDED a", "ADDED b", "DELETED a"]);
    assert_eq!(told(&format!("resourceVersion={version}&fieldSelector=metadata.name%3Db")), ["ADDED b"]);
    assert_eq!(told("resourceVersion=0"), ["ADDED b", "ADDED kubernetes"]);
    let initial = "sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true";
    let events = events(&server, initial);
    let end = &events[2];
    assert_eq!(end["type"], "BOOKMARK");
    assert_eq!(end["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"], "true");
    assert_eq!(server.get("/api/v1/services?watch=true&sendInitialEvents=true").code, 422);
}

#[test]
fn there_are_no_more_watches_than_there_is_room_for() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let head = format!(
        "GET /api/v1/services?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let before = server.memory();
    let (mut open, mut refused) = (Vec::new(), 0);
    for _ in 0..1000 {
        let mut stream = server.connect(Shown::Nothing);
        stream.write_all(head.as_bytes()).unwrap();
        let mut start = [0; 12];
        stream.read_exact(&mut start).unwrap();
        match &start {
            b"HTTP/1.1 200" => open.push(stream),
            b"HTTP/1.1 429" => refused += 1,
            other => panic!("{}", String::from_utf8_lossy(other)),
        }
    }
    assert_eq!((open.len(), refused), (512, 488));
    assert!(server.memory() < before + 80_000, "{before} -> {}", server.memory());
    // Everybody else is still served, and those that leave make room.
    assert_eq!(server.ask("POST", SERVICES, JSON, &service("a")).code, 201);
    drop(open);
    let deadline = Instant::now() + Duration::from_secs(30);
    while server.get("/api/v1/services?watch=true&timeoutSeconds=1").code == 429 {
        assert!(Instant::now() < deadline, "no room after all watches have gone");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn metrics_tell_what_was_done() {
    needs!();
    let server = Server::start(&["--service-cluster-ip-range=10.96.0.0/28"]);
    assert_eq!(server.ask("POST", SERVICES, JSON, &service("a")).code, 201);
    let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
    for line in [
        "apiserver_request_total{component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"services\",\
         scope=\"resource\",subresource=\"\",verb=\"POST\",version=\"v1\",code=\"201\"} 1",
        "kube_apiserver_clusterip_allocator_allocated_ips{cidr=\"10.96.0.0/28\"} 2",
        "kube_apiserver_clusterip_allocator_available_ips{cidr=\"10.96.0.0/28\"} 12",
    ] {
        assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
    }
}

/// The kind says which addresses Services may have, and the accounts which they have.
#[test]
fn addresses_that_no_service_can_have_are_not_counted_as_free() {
    needs!();
    let server = Server::start(&["--service-cluster-ip-range=10.96.0.0/28"]);
    let path = "/apis/networking.k8s.io/v1/servicecidrs";
    for (name, cidr) in
        [("good", "2001:db8:1::/112"), ("wide", "2001:db8:2::/63"), ("special", "169.254.7.0/24")]
    {
        let body = format!(r#"{{"metadata": {{"name": "{name}"}}, "spec": {{"cidrs": ["{cidr}"]}}}}"#);
        assert_eq!(server.ask("POST", path, JSON, body.as_bytes()).code, 201, "{cidr}");
    }
    let free = || {
        let metrics = String::from_utf8(server.get("/metrics").body).unwrap();
        let name = "kube_apiserver_clusterip_allocator_available_ips{cidr=";
        metrics.lines().filter_map(|line| line.strip_prefix(name).map(str::to_owned)).collect::<Vec<_>>()
    };
    // The last two are of no use to Services.
    let expected =
        ["10.96.0.0/28\"} 13", "169.254.7.0/24\"} 0", "2001:db8:1::/112\"} 65535", "2001:db8:2::/63\"} 0"];
    assert_eq!(free(), expected.map(|line| format!("\"{line}")));
}

#[test]
fn a_server_that_stops_ends_its_watches() {
    needs!();
    let server = Server::start(&[]);
    let token = server.token();
    let mut stream = server.connect(Shown::Nothing);
    let head = format!(
        "GET /api/v1/services?watch=true HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut first = [0; 1];
    stream.read_exact(&mut first).unwrap();
    let start = Instant::now();
    assert!(server.stop().success());
    assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"0\r\n\r\n"), "{}", String::from_utf8_lossy(&rest));
}
