//! The thread of the Service proxy: its start and its end.

use std::sync::Arc;
use std::thread::JoinHandle;

use thiserror::Error;
use tokio::sync::{oneshot, watch};

use super::announce::Announcing;
use super::lock;
use super::metrics::ProxyMetrics;
use super::run::{Follow, Run};
use crate::kinds::Config;
use crate::registry::Registry;
use sys::net::rtnetlink::NetworkError;
use sys::net::services::{ServicesError, Table};

/// Why Services are not served.
#[derive(Debug, Error)]
pub(crate) enum ProxyError {
    #[error("cannot serve Services: {0} (--proxy=none serves the API alone)")]
    Table(#[from] ServicesError),
    #[error(
        "cannot serve Services: another podhosts-apiserver does in this network namespace (--proxy=none serves the API alone)"
    )]
    Taken,
    #[error("cannot serve Services: {0}")]
    Network(#[from] NetworkError),
    #[error("cannot serve Services: {0}")]
    Start(#[from] std::io::Error),
    #[error("cannot serve Services: cannot read the store: {0}")]
    Store(String),
}

/// The running proxy. It ends when this is dropped, and leaves the packet filter as it is: connections go on.
#[derive(Debug)]
pub(crate) struct ServiceProxy {
    metrics: Arc<ProxyMetrics>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl ServiceProxy {
    /// Starts it, and waits until the packet filter has the Services that the store has.
    ///
    /// # Errors
    /// [`ProxyError`]; nothing of the packet filter was changed.
    pub(crate) async fn start(
        registry: Registry,
        config: Config,
        announcing: Announcing,
    ) -> Result<Self, ProxyError> {
        let lock = lock::take()?.ok_or(ProxyError::Taken)?;
        let metrics = Arc::new(ProxyMetrics::default());
        let (stop, stopping) = watch::channel(false);
        let (tell, begun) = oneshot::channel();
        let counted = Arc::clone(&metrics);
        let body = move || {
            let _lock = lock;
            serve(Follow { registry, config, announcing }, &counted, stopping, tell);
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(body)?;
        let proxy = Self { metrics, stop, thread: Some(thread) };
        begun.await.unwrap_or_else(|_| Err(std::io::Error::other("its thread ended").into()))?;
        Ok(proxy)
    }

    pub(crate) fn metrics(&self) -> Arc<ProxyMetrics> {
        Arc::clone(&self.metrics)
    }
}

impl Drop for ServiceProxy {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        if let Some(thread) = self.thread.take() {
            // A panic there is in the log already.
            let _ = thread.join();
        }
    }
}

/// The whole life of the thread.
fn serve(
    follow: Follow,
    metrics: &ProxyMetrics,
    stopping: watch::Receiver<bool>,
    tell: oneshot::Sender<Result<(), ProxyError>>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            let _ = tell.send(Err(error.into()));
            return;
        }
    };
    runtime.block_on(async {
        match Run::begin(follow, metrics).await {
            Ok(run) => {
                let _ = tell.send(Ok(()));
                run.until(stopping).await;
            }
            // Nobody waits for the answer only if the server is stopping.
            Err(error) => drop(tell.send(Err(error))),
        }
    });
}

/// Removes the table of the packet filter. Returns false if there was none.
///
/// # Errors
/// The kernel's answer, or a running server has the table.
pub(crate) fn clean_up() -> Result<bool, ProxyError> {
    let _lock = lock::take()?.ok_or(ProxyError::Taken)?;
    Ok(Table::open()?.remove()?)
}
