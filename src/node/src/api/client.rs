//! The connection to the API server.

use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use hyper::Uri;
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

/// A client by this file, or by the pod's service account, and the address that it will ask, if the configuration has that
/// and no name. It does not connect yet.
///
/// # Errors
/// [`ClientError`].
pub(crate) async fn client(kubeconfig: Option<&Path>) -> Result<(Client, Option<SocketAddr>), ClientError> {
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
    let server = address(&config.cluster_url);
    let client = Client::try_from(config).map_err(|cause| ClientError::Client(Box::new(cause)))?;
    Ok((client, server))
}

fn address(url: &Uri) -> Option<SocketAddr> {
    let host = url.host()?.trim_matches(['[', ']']).parse().ok()?;
    let default = if url.scheme_str() == Some("http") { 80 } else { 443 };
    Some(SocketAddr::new(host, url.port_u16().unwrap_or(default)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_servers_address_is_that_of_the_url() {
        for (url, expected) in [
            ("https://192.0.2.1:6443/x", Some("192.0.2.1:6443")),
            ("https://[2001:db8::1]", Some("[2001:db8::1]:443")),
            ("http://10.0.0.1/", Some("10.0.0.1:80")),
            ("https://api.example:6443", None),
        ] {
            let found = address(&url.parse().unwrap()).map(|it| it.to_string());
            assert_eq!(found.as_deref(), expected, "{url}");
        }
    }
}
