//! A client of the Container Runtime Interface: [`Connection`] for programs that have an event loop, [`Client`] for those
//! that make one call at a time.

mod connection;
pub mod messages;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use tokio::runtime::{Builder, Runtime};
pub use tonic::Code;

pub use connection::Connection;
use messages::{StatusResponse, VersionResponse};

/// The service that every engine has; image calls go to `runtime.v1.ImageService`.
pub const RUNTIME_SERVICE: &str = "runtime.v1.RuntimeService";

/// Why a call failed.
#[derive(Debug, Error)]
pub enum CriError {
    /// No engine listens at the socket, or it may not be reached.
    #[error("cannot connect to {path}: {cause}")]
    Connect {
        /// The socket.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// The engine's own error.
    #[error("cannot call {method} at {path}: {message}")]
    Call {
        /// The socket.
        path: PathBuf,
        /// The method, without its service.
        method: &'static str,
        /// gRPC's status.
        code: Code,
        /// What the engine says.
        message: String,
    },
    /// No event loop.
    #[error("cannot prepare a call: {0}")]
    Prepare(#[source] io::Error),
}

/// A connection to an engine, with an event loop of its own.
#[derive(Debug)]
pub struct Client {
    runtime: Runtime,
    connection: Connection,
}

impl Client {
    /// Connects to the engine at the socket `path`; no call takes longer than `timeout`.
    ///
    /// # Errors
    /// [`CriError::Connect`] if no engine listens there.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, CriError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(CriError::Prepare)?;
        let connection = runtime.block_on(Connection::open(path, timeout))?;
        Ok(Self { runtime, connection })
    }

    /// Calls a method with one request and one response.
    ///
    /// # Errors
    /// [`CriError::Call`] with the engine's own words.
    pub fn call<Q, A>(&self, service: &'static str, method: &'static str, request: Q) -> Result<A, CriError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        self.runtime.block_on(self.connection.call(service, method, request))
    }

    /// The engine's name and version.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn version(&self) -> Result<VersionResponse, CriError> {
        self.runtime.block_on(self.connection.version())
    }

    /// The engine's conditions and its configuration.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn status(&self) -> Result<StatusResponse, CriError> {
        self.runtime.block_on(self.connection.status(true))
    }
}
