//! A plugin of the Node Resource Interface (NRI) of containerd and CRI-O, which adds the hook to pods' containers.
//!
//! The engine calls the plugin over a connection that the plugin opens: ttrpc in frames of two logical connections,
//! one for each direction. It is little enough to be done here, with one thread and no waiting but for the socket.

pub mod adjust;
pub mod error;
mod framing;
pub mod limits;
pub mod messages;
pub mod mux;
pub mod plugin;
pub mod session;
pub mod ttrpc;

use std::io;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use pod::validation::go_quote;
use sys::report::bounded;
use sys::service::inherited;
use sys::service::notify::Notifier;
use sys::service::signals::{Stop, Woken};

use tracing::{info, warn};

use error::NriError;
use plugin::Plugin;
use session::{End, Registration, Session};

/// The variable with the descriptor of a plugin that the engine starts itself.
pub const SOCKET_VARIABLE: &str = "NRI_PLUGIN_SOCKET";

/// The pause between two attempts to reach an engine that is not there, or not there yet. While it is away, it makes no
/// containers; those that it makes right after its start are not passed to a plugin that connects late.
const RETRY: Duration = Duration::from_millis(100);

/// How the plugin reaches the engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket to which the plugin connects, again whenever the engine restarts.
    Socket(PathBuf),
    /// A connection that the engine opened before it started this process: the value of [`SOCKET_VARIABLE`].
    Inherited(String),
}

/// Serves the engine until the process is asked to end, or until the engine that started it goes.
///
/// # Errors
/// [`NriError`] saying what does not get better by itself.
pub fn run(endpoint: &Endpoint, registration: &Registration, config: &Path) -> Result<(), NriError> {
    let stop = Stop::catch().map_err(NriError::Signals)?;
    match endpoint {
        Endpoint::Socket(path) => run_at(path, registration, config, &stop),
        Endpoint::Inherited(value) => {
            let socket = parent_socket(value)?;
            Session::new(socket, &mut Plugin::new(config)).run(registration, &stop, ready).map(drop)
        }
    }
}

fn run_at(path: &Path, registration: &Registration, config: &Path, stop: &Stop) -> Result<(), NriError> {
    let mut was_told = false;
    loop {
        match UnixStream::connect(path) {
            Ok(socket) => {
                was_told = false;
                match Session::new(socket, &mut Plugin::new(config)).run(registration, stop, ready)? {
                    End::Stopped => return Ok(()),
                    End::Closed => info!("the engine closed the connection: waiting for it"),
                    End::TimedOut => warn!("the engine did not finish the registration in 5s: trying again"),
                }
            }
            Err(cause) if is_absent(&cause) => {
                if !was_told {
                    let message = format!("nobody is at {}: waiting for the engine", path.display());
                    info!("{}", bounded(&message));
                    was_told = true;
                }
            }
            Err(cause) => return Err(NriError::Connect { path: path.display().to_string(), cause }),
        }
        let next = Some(Instant::now() + RETRY);
        if stop.wait(None::<&UnixStream>, next).map_err(NriError::Signals)? == Woken::Stop {
            return Ok(());
        }
    }
}

/// Whether the engine is only not there now.
fn is_absent(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn parent_socket(value: &str) -> Result<UnixStream, NriError> {
    let wrong = |cause: String| NriError::Inherited { value: value.to_owned(), cause };
    let fd = value.parse().map_err(|_| wrong("expected a descriptor's number".to_owned()))?;
    let socket = inherited::inherited(fd).map_err(|cause| wrong(cause.to_string()))?;
    Ok(UnixStream::from(socket))
}

fn ready(plugin: &Plugin) {
    info!("{}", bounded(&format!("serving {}", go_quote(&plugin.engine_name))));
    Notifier::from_environment().tell("READY=1");
}

/// Whether `name` can be a plugin's.
pub fn is_name(name: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.' | b'+');
    !name.is_empty() && name.bytes().all(allowed)
}

/// Whether `index` can be a plugin's.
pub fn is_index(index: &str) -> bool {
    index.len() == 2 && index.bytes().all(|b| b.is_ascii_digit())
}
