//! Telling systemd how the service is (sd_notify(3)).

use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

/// Where systemd listens, if it started this process.
#[derive(Debug)]
pub struct Notifier {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl Notifier {
    /// As the environment says: `NOTIFY_SOCKET`, `WATCHDOG_USEC`.
    pub fn from_environment() -> Self {
        #[allow(clippy::disallowed_methods, reason = "systemd passes this in the environment")]
        let variable = |name: &str| std::env::var(name).ok();
        let watchdog =
            variable("WATCHDOG_USEC").and_then(|text| text.parse().ok()).map(Duration::from_micros);
        Self { socket: variable("NOTIFY_SOCKET").and_then(|path| open(&path)), watchdog }
    }

    /// Sends a state such as `READY=1`. Nobody may listen.
    pub fn tell(&self, state: &str) {
        if let Some((socket, address)) = &self.socket {
            // systemd will see for itself.
            let _ = socket.send_to_addr(state.as_bytes(), address);
        }
    }

    /// When `WATCHDOG=1` is due, if systemd waits for it.
    pub fn watchdog(&self) -> Option<Watchdog> {
        self.socket.as_ref()?;
        let allowed = self.watchdog?;
        let (pause, patience) = (allowed / 4, allowed / 2);
        (!pause.is_zero()).then_some(Watchdog { pause, patience })
    }
}

/// How often a service checks that it works. Pause and check together take three quarters of the time that systemd
/// allows (`WatchdogSec`), at most.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Watchdog {
    /// The pause before each check: a quarter of that time.
    pub pause: Duration,
    /// How long a check may take: half of that time.
    pub patience: Duration,
}

/// A path, or a name in the abstract namespace behind an `@`.
fn open(path: &str) -> Option<(UnixDatagram, SocketAddr)> {
    let address = match path.strip_prefix('@') {
        Some(name) => SocketAddr::from_abstract_name(name),
        None => SocketAddr::from_pathname(path),
    };
    let socket = UnixDatagram::unbound().ok()?;
    // A full socket must not keep the server.
    socket.set_nonblocking(true).ok()?;
    Some((socket, address.ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_arrive() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let listener = UnixDatagram::bind(&path).unwrap();
        let watchdog = Some(Duration::from_secs(30));
        let notifier = Notifier { socket: open(path.to_str().unwrap()), watchdog };
        notifier.tell("READY=1");
        let mut bytes = [0; 100];
        let size = listener.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..size], b"READY=1");
        let (pause, patience) = (Duration::from_millis(7500), Duration::from_secs(15));
        assert_eq!(notifier.watchdog(), Some(Watchdog { pause, patience }));
    }

    #[test]
    fn an_abstract_name_is_an_address_too() {
        let name = format!("podhosts-test-{}", std::process::id());
        let listener = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        Notifier { socket: open(&format!("@{name}")), watchdog: None }.tell("READY=1");
        let mut bytes = [0; 100];
        let size = listener.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..size], b"READY=1");
    }

    #[test]
    fn nobody_need_listen() {
        let notifier = Notifier { socket: open("/nowhere"), watchdog: None };
        notifier.tell("READY=1");
        assert_eq!(notifier.watchdog(), None);
        assert_eq!(Notifier { socket: None, watchdog: Some(Duration::from_secs(1)) }.watchdog(), None);
    }
}
