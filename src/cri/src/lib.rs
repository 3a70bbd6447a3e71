//! A client of the Container Runtime Interface, one call at a time.

pub mod messages;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use thiserror::Error;
use tokio::net::UnixStream;
use tokio::runtime::{Builder, Runtime};
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request};
use tonic_prost::ProstCodec;

use messages::{StatusRequest, StatusResponse, VersionRequest, VersionResponse};

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

/// A connection to an engine.
#[derive(Debug)]
pub struct Client {
    path: PathBuf,
    runtime: Runtime,
    channel: Channel,
}

impl Client {
    /// Connects to the engine at the socket `path`; no call takes longer than `timeout`.
    ///
    /// # Errors
    /// [`CriError::Connect`] if no engine listens there.
    pub fn connect(path: &Path, timeout: Duration) -> Result<Self, CriError> {
        let runtime = Builder::new_current_thread().enable_all().build().map_err(CriError::Prepare)?;
        let socket = path.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is never used, but has to be one.
        let endpoint = Endpoint::from_static("http://localhost").timeout(timeout).connect_timeout(timeout);
        let channel = runtime.block_on(endpoint.connect_with_connector(connector)).map_err(|error| {
            CriError::Connect { path: path.to_owned(), cause: innermost(&error).to_string() }
        })?;
        Ok(Self { path: path.to_owned(), runtime, channel })
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
        let failed =
            |code: Code, message: String| CriError::Call { path: self.path.clone(), method, code, message };
        let name = format!("/{service}/{method}");
        let name = PathAndQuery::try_from(name).map_err(|error| failed(Code::Internal, error.to_string()))?;
        let mut grpc = Grpc::new(self.channel.clone());
        let answer = self.runtime.block_on(async {
            grpc.ready().await.map_err(|error| failed(Code::Unavailable, innermost(&error).to_string()))?;
            let codec = ProstCodec::<Q, A>::default();
            let answer = grpc.unary(Request::new(request), name, codec).await;
            answer.map_err(|status| failed(status.code(), status.message().to_owned()))
        });
        Ok(answer?.into_inner())
    }

    /// The engine's name and version.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn version(&self) -> Result<VersionResponse, CriError> {
        self.call(RUNTIME_SERVICE, "Version", VersionRequest::default())
    }

    /// The engine's conditions and its configuration.
    ///
    /// # Errors
    /// As [`Client::call`].
    pub fn status(&self) -> Result<StatusResponse, CriError> {
        self.call(RUNTIME_SERVICE, "Status", StatusRequest { verbose: true })
    }
}

/// The error that others wrap.
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error)
}
