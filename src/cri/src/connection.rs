//! A connection whose calls are futures.

use std::path::{Path, PathBuf};
use std::time::Duration;

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint, Uri};
use tonic::{Code, Request, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::messages::{
    ContainerEventResponse, ContainerStatus, ContainerStatusRequest, ContainerStatusResponse, Envelope,
    GetEventsRequest, ListContainersRequest, ListContainersResponse, ListPodSandboxRequest,
    ListPodSandboxResponse, PodSandboxStatus, PodSandboxStatusRequest, PodSandboxStatusResponse,
    StatusRequest, StatusResponse, SubscribeRequest, VersionRequest, VersionResponse,
};
use crate::{CriError, RUNTIME_SERVICE};

/// Largest message, in bytes; the kubelet and crictl have the same limit.
const MESSAGE_MAX: usize = 16 << 20;
/// What is asked of containerd's events: those of its CRI's containers, sandboxes among them.
const CONTAINERD_EVENTS: [&str; 2] = [
    r#"namespace==k8s.io,topic~="^/tasks/(start|exit|delete|paused|resumed)$""#,
    r#"namespace==k8s.io,topic~="^/containers/(create|delete)$""#,
];

/// A connection to an engine. A clone is the same connection.
#[derive(Debug, Clone)]
pub struct Connection {
    path: PathBuf,
    timeout: Duration,
    channel: Channel,
}

impl Connection {
    /// Connects to the engine at the socket `path`; no call takes longer than `timeout`.
    ///
    /// # Errors
    /// [`CriError::Connect`] if no engine listens there.
    pub async fn open(path: &Path, timeout: Duration) -> Result<Self, CriError> {
        let socket = path.to_owned();
        let connector = tower::service_fn(move |_: Uri| {
            let socket = socket.clone();
            async move { UnixStream::connect(socket).await.map(TokioIo::new) }
        });
        // The address is never used, but has to be one.
        let endpoint = Endpoint::from_static("http://localhost").connect_timeout(timeout);
        let channel = endpoint.connect_with_connector(connector).await.map_err(|error| {
            CriError::Connect { path: path.to_owned(), cause: innermost(&error).to_string() }
        })?;
        Ok(Self { path: path.to_owned(), timeout, channel })
    }

    /// The socket.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Calls a method with one request and one response.
    ///
    /// # Errors
    /// [`CriError::Call`] with the engine's own words.
    pub async fn call<Q, A>(
        &self,
        service: &'static str,
        method: &'static str,
        request: Q,
    ) -> Result<A, CriError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let name = self.name(service, method)?;
        let call = async {
            let mut grpc = self.ready(method).await?;
            let answer = grpc.unary(Request::new(request), name, ProstCodec::<Q, A>::default()).await;
            answer.map_err(|status| self.failed(method, &status))
        };
        match tokio::time::timeout(self.timeout, call).await {
            Ok(answer) => Ok(answer?.into_inner()),
            Err(_) => Err(self.failed(method, &Status::cancelled("Timeout expired"))),
        }
    }

    /// The engine's name and version.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn version(&self) -> Result<VersionResponse, CriError> {
        self.call(RUNTIME_SERVICE, "Version", VersionRequest::default()).await
    }

    /// The engine's conditions, and if `verbose` its configuration.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn status(&self, verbose: bool) -> Result<StatusResponse, CriError> {
        self.call(RUNTIME_SERVICE, "Status", StatusRequest { verbose }).await
    }

    /// All pod sandboxes.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn sandboxes(&self) -> Result<ListPodSandboxResponse, CriError> {
        self.call(RUNTIME_SERVICE, "ListPodSandbox", ListPodSandboxRequest {}).await
    }

    /// All containers.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn containers(&self) -> Result<ListContainersResponse, CriError> {
        self.call(RUNTIME_SERVICE, "ListContainers", ListContainersRequest {}).await
    }

    /// A pod sandbox; `None` if it is gone.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn sandbox(&self, id: &str) -> Result<Option<PodSandboxStatus>, CriError> {
        let request = PodSandboxStatusRequest { pod_sandbox_id: id.to_owned() };
        let answer = self.call(RUNTIME_SERVICE, "PodSandboxStatus", request).await;
        Ok(present(answer)?.and_then(|answer: PodSandboxStatusResponse| answer.status))
    }

    /// A container; `None` if it is gone.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn container(&self, id: &str) -> Result<Option<ContainerStatus>, CriError> {
        let request = ContainerStatusRequest { container_id: id.to_owned() };
        let answer = self.call(RUNTIME_SERVICE, "ContainerStatus", request).await;
        Ok(present(answer)?.and_then(|answer: ContainerStatusResponse| answer.status))
    }

    /// Calls `told` for each event of a container or sandbox, until the connection or the stream ends. An engine may not
    /// answer before the first event.
    ///
    /// # Errors
    /// As [`Self::call`]; [`Code::Unimplemented`] if the engine has no events.
    pub async fn events(&self, told: impl FnMut() + Send) -> Result<(), CriError> {
        let request = GetEventsRequest {};
        self.stream::<_, ContainerEventResponse>(RUNTIME_SERVICE, "GetContainerEvents", request, told).await
    }

    /// The same for the events that containerd tells all its clients, where its CRI has none (before 1.7). They come a
    /// moment before the CRI knows of the change.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn containerd_events(&self, told: impl FnMut() + Send) -> Result<(), CriError> {
        let filters = CONTAINERD_EVENTS.map(str::to_owned).into();
        let request = SubscribeRequest { filters };
        self.stream::<_, Envelope>("containerd.services.events.v1.Events", "Subscribe", request, told).await
    }

    /// Calls a method with a stream of responses, and `told` for each.
    async fn stream<Q, A>(
        &self,
        service: &str,
        method: &'static str,
        request: Q,
        mut told: impl FnMut() + Send,
    ) -> Result<(), CriError>
    where
        Q: prost::Message + Send + Sync + 'static,
        A: prost::Message + Default + Send + Sync + 'static,
    {
        let name = self.name(service, method)?;
        let mut grpc = self.ready(method).await?;
        let stream = grpc.server_streaming(Request::new(request), name, ProstCodec::<Q, A>::default()).await;
        let mut stream: Streaming<A> = stream.map_err(|status| self.failed(method, &status))?.into_inner();
        while stream.message().await.map_err(|status| self.failed(method, &status))?.is_some() {
            told();
        }
        Ok(())
    }

    async fn ready(&self, method: &'static str) -> Result<Grpc<Channel>, CriError> {
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(MESSAGE_MAX);
        let ready = grpc.ready().await;
        ready.map_err(|error| self.failed(method, &Status::unavailable(innermost(&error).to_string())))?;
        Ok(grpc)
    }

    fn name(&self, service: &str, method: &'static str) -> Result<PathAndQuery, CriError> {
        let name = PathAndQuery::try_from(format!("/{service}/{method}"));
        name.map_err(|error| self.failed(method, &Status::internal(error.to_string())))
    }

    fn failed(&self, method: &'static str, status: &Status) -> CriError {
        let (code, message) = (status.code(), status.message().to_owned());
        CriError::Call { path: self.path.clone(), method, code, message }
    }
}

/// `None` for what the engine no longer has.
fn present<T>(answer: Result<T, CriError>) -> Result<Option<T>, CriError> {
    match answer {
        Err(CriError::Call { code: Code::NotFound, .. }) => Ok(None),
        other => other.map(Some),
    }
}

/// The error that others wrap.
fn innermost<'a>(error: &'a (dyn std::error::Error + 'static)) -> &'a (dyn std::error::Error + 'static) {
    std::iter::successors(Some(error), |error| error.source()).last().unwrap_or(error)
}
