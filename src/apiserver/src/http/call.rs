//! What all requests share, and a request for objects.

use std::sync::{Arc, OnceLock};

use hyper::header::{ACCEPT, HeaderMap};

use super::access::Access;
use super::limits::Limits;
use super::metrics::Metrics;
use super::places::Places;
use crate::api::media::{self, Form};
use crate::api::openapi::{self, Hashes};
use crate::api::parameters::Parameters;
use crate::auth::User;
use crate::kind::{Kind, Source, Subresource};
use crate::registry::{Registry, Warnings};
use crate::resource::Resource;
use crate::status::ApiError;
use proxy::thread::ProxyMetrics;

/// What all connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) registry: Registry,
    /// What paths may name.
    pub(super) kinds: Vec<&'static Kind>,
    /// The hashes of the OpenAPI documents, from the first time on that somebody asks.
    pub(super) openapi: OnceLock<Hashes>,
    pub(super) access: Access,
    pub(super) limits: Limits,
    pub(super) places: Places,
    pub(super) metrics: Metrics,
    /// What the Service proxy counts, if there is one.
    pub(super) proxy: Option<Arc<ProxyMetrics>>,
    /// The server's address, for clients.
    pub(super) address: String,
    /// Becomes true when the server is to stop.
    pub(super) stopping: tokio::sync::watch::Receiver<bool>,
}

impl Shared {
    /// The hashes of the OpenAPI documents.
    pub(super) fn openapi(&self) -> &Hashes {
        self.openapi.get_or_init(|| tokio::task::block_in_place(|| openapi::hashes(&self.kinds)))
    }

    /// Waits until the server is to stop.
    pub(super) async fn stopped(&self) {
        // An error means that the sender is gone, so the server stops, too.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

/// The client, as far as the connection tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Caller {
    /// Not authenticated: a token is needed.
    Anybody,
    /// Authenticated by a certificate of the CA, or on the insecure port.
    Trusted(Arc<User>),
    /// There is no room for the connection.
    Refused,
}

/// A checked request for objects.
pub(super) struct Call<'a> {
    pub(super) shared: &'a Arc<Shared>,
    pub(super) user: Arc<User>,
    pub(super) resource: &'a dyn Resource,
    pub(super) kind: &'static Kind,
    /// Empty for cluster-scoped kinds and for all namespaces.
    pub(super) namespace: String,
    pub(super) name: Option<String>,
    /// The subresource, if one is asked for.
    pub(super) part: Option<Subresource>,
    pub(super) parameters: Parameters,
    /// The form of the answer.
    pub(super) form: Form,
    /// Receives warnings for the client, which an error has as well.
    pub(super) told: Warnings,
}

/// The form of objects that the client wants. Questions have no tables (`AllowsMediaTypeTransform` in
/// `k8s.io/apiserver/pkg/endpoints/handlers/rest.go`).
pub(super) fn form(headers: &HeaderMap, kind: &Kind, part: Option<Subresource>) -> Result<Form, ApiError> {
    let accept = header(headers, &ACCEPT);
    let has_tables = kind.source != Source::Question && !part.is_some_and(Subresource::is_request);
    let accepted = media::accept(accept, |form| match form {
        Form::Table(_) => has_tables,
        Form::Discovery(_) => false,
        Form::Plain | Form::Metadata(..) => true,
    });
    accepted.map(|(form, _)| form).ok_or_else(not_acceptable)
}

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &hyper::header::HeaderName) -> Option<&'a str> {
    headers.get(name).map(|value| value.to_str().unwrap_or("?"))
}

pub(super) fn not_acceptable() -> ApiError {
    let message =
        "only the following media types are accepted: application/json, application/yaml".to_owned();
    ApiError { code: 406, reason: "NotAcceptable", message, details: serde_json::Value::Null }
}
