//! The API server as a service of systemd's.

use std::os::unix::net::UnixDatagram;
use std::time::Duration;

use crate::harness::needs;
use crate::harness::serve::Server;

#[test]
fn systemd_is_told_that_the_server_is_ready_works_and_stops() {
    needs!();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let told = || {
        let mut bytes = [0; 100];
        let size = socket.recv(&mut bytes).unwrap();
        String::from_utf8(bytes[..size].to_vec()).unwrap()
    };
    let server = Server::start_with(
        dir.path(),
        &[("NOTIFY_SOCKET", path.to_str().unwrap()), ("WATCHDOG_USEC", "50000")],
    );
    assert_eq!(told(), "READY=1");
    for _ in 0..3 {
        assert_eq!(told(), "WATCHDOG=1");
    }
    assert!(server.stop().success());
    let last = std::iter::repeat_with(told).find(|told| told != "WATCHDOG=1");
    assert_eq!(last.unwrap(), "STOPPING=1");
}
