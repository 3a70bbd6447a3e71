//! What the API server logs.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::harness::needs;
use crate::harness::serve::{Server, Shown};

const SERVICES: &str = "/api/v1/namespaces/default/services";

fn ask(server: &Server, path: &str) -> u16 {
    let headers = "User-Agent: kubectl/v1.36\r\n";
    server.raw(Shown::Token(&server.token()), &format!("GET {path}"), headers, &[]).unwrap().code
}

/// The log's lines up to the one with this message, which may still be on its way.
fn lines(dir: &Path, last: &str) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let log = fs::read_to_string(dir.join("server.log")).unwrap();
        let whole = log.rsplit_once('\n').map_or("", |(whole, _)| whole);
        let lines: Vec<Value> = whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if let Some(end) = lines.iter().position(|line| line["msg"] == last) {
            return lines[..=end].to_vec();
        }
        assert!(Instant::now() < deadline, "{last} is not in\n{log}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn each_request_is_a_line_for_debugging() {
    needs!();
    let server = Server::start(&["--log-level=debug"]);
    assert_eq!(ask(&server, &format!("{SERVICES}/kubernetes?x=y")), 200);
    let mut line = lines(&server.dir, "a request was answered").pop().unwrap();
    assert!(
        line["ts"].take().is_string()
            && line["durationSeconds"].take().as_f64().is_some_and(|time| time > 0.0)
    );
    let expected = json!({
        "ts": null, "level": "debug", "msg": "a request was answered", "verb": "get", "resource": "services",
        "path": format!("{SERVICES}/kubernetes"), "userAgent": "kubectl/v1.36", "status": 200, "durationSeconds": null,
    });
    assert_eq!(line, expected);
}

#[test]
fn requests_are_not_logged_unless_that_is_asked_for() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_in(dir.path(), &[]);
    assert_eq!((ask(&server, SERVICES), ask(&server, "/nowhere")), (200, 404));
    assert!(server.stop().success());
    let messages: Vec<Value> = lines(dir.path(), "stopped").iter().map(|line| line["msg"].clone()).collect();
    assert_eq!(messages, ["serving", "stopping", "stopped"]);
}
