//! One connection to an engine, from the registration to its end.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use super::error::NriError;
use super::messages::{RUNTIME_SERVICE, RegisterPluginRequest};
use super::mux::{self, Frames};
use super::plugin::Plugin;
use super::ttrpc::{self, Kind, Message, Messages, Request, Response};
use sys::service::signals::{Stop, Woken};

/// How long the engine may take until it knows the plugin: as long as engines wait for plugins.
const REGISTRATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How long the engine may take to read an answer. Engines wait two seconds for one.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);
/// The stream of the only call that the plugin makes; a caller's streams are odd.
const REGISTRATION: u32 = 1;

/// The name and index that the plugin registers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registration {
    /// Its name.
    pub name: String,
    /// Two digits: plugins are asked in their order.
    pub index: String,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// By the engine.
    Closed,
    /// The engine did not go on with the registration.
    TimedOut,
    /// The plugin was asked to end.
    Stopped,
}

/// A connection, with the bytes that have arrived so far.
#[derive(Debug)]
pub struct Session<'a> {
    socket: UnixStream,
    plugin: &'a mut Plugin,
    frames: Frames,
    /// Of the connection on which the engine calls, and of the one on which it answers.
    calls: Messages,
    answers: Messages,
    is_registered: bool,
}

impl<'a> Session<'a> {
    /// A connection over `socket`.
    pub fn new(socket: UnixStream, plugin: &'a mut Plugin) -> Self {
        let (calls, answers) = Default::default();
        Self { socket, plugin, frames: Frames::default(), calls, answers, is_registered: false }
    }

    /// Registers, and answers the engine until either side ends. `on_ready` is called once new containers are asked
    /// about.
    ///
    /// # Errors
    /// [`NriError`] where this connection cannot go on.
    pub fn run(
        mut self,
        registration: &Registration,
        stop: &Stop,
        on_ready: impl FnMut(&Plugin),
    ) -> Result<End, NriError> {
        match self.serve(registration, stop, on_ready) {
            // The engine may go while it is read from, or written to.
            Err(NriError::Io(cause)) if is_gone(&cause) => Ok(End::Closed),
            other => other,
        }
    }

    fn serve(
        &mut self,
        registration: &Registration,
        stop: &Stop,
        mut on_ready: impl FnMut(&Plugin),
    ) -> Result<End, NriError> {
        self.socket.set_write_timeout(Some(WRITE_TIMEOUT)).map_err(NriError::Io)?;
        self.register(registration)?;
        let mut deadline = Some(Instant::now() + REGISTRATION_TIMEOUT);
        let mut chunk = vec![0; 64 << 10];
        loop {
            match stop.wait(Some(&self.socket), deadline).map_err(NriError::Io)? {
                Woken::Stop => return Ok(End::Stopped),
                Woken::Timeout => return Ok(End::TimedOut),
                Woken::Readable => {}
            }
            match self.socket.read(&mut chunk) {
                Ok(0) => return Ok(End::Closed),
                Ok(length) => self.take(&chunk[..length])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NriError::Io(error)),
            }
            if deadline.is_some() && self.is_registered && self.plugin.is_synchronized {
                deadline = None;
                on_ready(self.plugin);
            }
        }
    }

    fn register(&mut self, registration: &Registration) -> Result<(), NriError> {
        let plugin = RegisterPluginRequest {
            plugin_name: registration.name.clone(),
            plugin_idx: registration.index.clone(),
        };
        let request = Request {
            service: RUNTIME_SERVICE.to_owned(),
            method: "RegisterPlugin".to_owned(),
            payload: prost::Message::encode_to_vec(&plugin),
            timeout_nano: 0,
        };
        self.send(mux::RUNTIME_SERVICE, &Message::new(REGISTRATION, Kind::Request, &request))
    }

    fn send(&mut self, connection: u32, message: &Message) -> Result<(), NriError> {
        let bytes = mux::encode(connection, &message.encode());
        self.socket.write_all(&bytes).map_err(NriError::Io)
    }

    /// Takes in what arrived, and answers every whole call in it.
    fn take(&mut self, bytes: &[u8]) -> Result<(), NriError> {
        self.frames.push(bytes);
        while let Some((connection, payload)) = self.frames.next_frame()? {
            match connection {
                mux::PLUGIN_SERVICE => {
                    self.calls.push(&payload);
                    while let Some(message) = self.calls.next_message()? {
                        self.answer(&message)?;
                    }
                }
                mux::RUNTIME_SERVICE => {
                    self.answers.push(&payload);
                    while let Some(message) = self.answers.next_message()? {
                        self.is_registered |= accepted(&message)?;
                    }
                }
                // A connection of a later protocol.
                _ => {}
            }
        }
        Ok(())
    }

    fn answer(&mut self, message: &Message) -> Result<(), NriError> {
        if message.kind != Kind::Request {
            return Ok(());
        }
        let result = match message.decode::<Request>("request") {
            Ok(request) => self.plugin.call(&request),
            Err(error) => Err(ttrpc::Status::new(ttrpc::INVALID_ARGUMENT, error.to_string())),
        };
        self.send(mux::PLUGIN_SERVICE, &Message::new(message.stream, Kind::Response, &Response::of(result)))
    }
}

/// Whether the other end has closed the connection.
fn is_gone(cause: &io::Error) -> bool {
    matches!(cause.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset)
}

/// Whether `message` says that the engine has taken the plugin.
fn accepted(message: &Message) -> Result<bool, NriError> {
    if message.kind != Kind::Response || message.stream != REGISTRATION {
        return Ok(false);
    }
    let response: Response = message.decode("answer to RegisterPlugin")?;
    match response.error() {
        Some(status) => Err(NriError::Refused(status.message.clone())),
        None => Ok(true),
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
