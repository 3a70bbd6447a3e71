//! The connection to the API server.

use std::path::Path;
use std::time::Duration;

use kube::config::{InClusterError, KubeConfigOptions, Kubeconfig, KubeconfigError};
use kube::{Client, Config};
use thiserror::Error;

/// How long a connection may take. Watches are silent for long, so what is read has no limit here.
const CONNECT_TIME: Duration = Duration::from_secs(5);

/// Why the API server cannot be asked.
#[derive(Debug, Error)]
pub(crate) enum ClientError {
    /// `--kubeconfig` is wrong.
    #[error("cannot use --kubeconfig {path}: {cause}")]
    Kubeconfig {
        /// The flag's value.
        path: String,
        /// What is wrong with it.
        cause: Box<KubeconfigError>,
    },
    /// There is no service account.
    #[error("cannot use the pod's service account: {0} (outside a pod, give --kubeconfig)")]
    ServiceAccount(#[source] Box<InClusterError>),
    /// No connection can be made of the configuration.
    #[error("cannot connect to the API server: {0}")]
    Client(#[source] Box<kube::Error>),
}

/// A client by this file, or by the pod's service account. It does not connect yet.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<Client, ClientError> {
    let mut config = match kubeconfig {
        Some(path) => {
            let fault =
                |cause| ClientError::Kubeconfig { path: path.display().to_string(), cause: Box::new(cause) };
            let file = Kubeconfig::read_from(path).map_err(fault)?;
            Config::from_custom_kubeconfig(file, &KubeConfigOptions::default()).await.map_err(fault)?
        }
        None => Config::incluster().map_err(|cause| ClientError::ServiceAccount(Box::new(cause)))?,
    };
    config.connect_timeout = Some(CONNECT_TIME);
    Client::try_from(config).map_err(|cause| ClientError::Client(Box::new(cause)))
}
