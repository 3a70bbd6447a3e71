//! What can go wrong between the plugin and the engine.

use std::io;

use thiserror::Error;

use super::limits::{FRAME_MAX, MESSAGE_MAX};
use pod::validation::go_quote;
use sys::fs::files::FileError;

/// Bytes that are not NRI's protocol. The connection cannot go on after them.
#[derive(Debug, Error)]
pub enum ProtocolError {
    /// A frame of the multiplexed connection that is larger than any message.
    #[error("cannot read from the engine: a frame of {0} bytes, expected at most {max}", max = FRAME_MAX)]
    Frame(usize),
    /// A message that is larger than ttrpc allows.
    #[error("cannot read from the engine: a message of {0} bytes, expected at most {max}", max = MESSAGE_MAX)]
    Message(usize),
    /// Neither a request nor a response.
    #[error("cannot read from the engine: a message of type {0}, expected 1 (request) or 2 (response)")]
    Kind(u8),
    /// Not the protocol buffer that it should be.
    #[error("cannot read the engine's {what}: {cause}")]
    Decode {
        /// Of which type it should be.
        what: &'static str,
        /// What is wrong.
        #[source]
        cause: prost::DecodeError,
    },
}

/// Why the plugin ends.
#[derive(Debug, Error)]
pub enum NriError {
    /// The socket is there, but cannot be used.
    #[error("cannot connect to {path}: {cause}")]
    Connect {
        /// The socket.
        path: String,
        /// Why not.
        #[source]
        cause: io::Error,
    },
    /// The descriptor that the engine passed in the environment.
    #[error("cannot use NRI_PLUGIN_SOCKET={value}: {cause}", value = go_quote(.value))]
    Inherited {
        /// The variable's value.
        value: String,
        /// Why not.
        cause: String,
    },
    /// The connection broke.
    #[error("cannot talk to the engine: {0}")]
    Io(#[source] io::Error),
    /// The engine does not speak NRI.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// The engine does not want this plugin.
    #[error("cannot register with the engine: {0}")]
    Refused(String),
    /// Signals cannot be waited for.
    #[error("cannot wait for signals: {0}")]
    Signals(#[source] io::Error),
    /// The node's configuration.
    #[error(transparent)]
    File(#[from] FileError),
}
