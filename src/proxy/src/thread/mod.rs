//! The thread that keeps the packet filter equal to Services and EndpointSlices, wherever they come from.
//!
//! A program gives it a [`Source`]. It is a thread of its own, so that a long transaction of the kernel's keeps nothing else
//! waiting.

mod announce;
mod followed;
mod health;
mod lock;
mod metrics;
mod readable;
mod run;
mod source;

use std::net::IpAddr;
use std::sync::Arc;
use std::thread::JoinHandle;

use sys::net::rtnetlink::NetworkError;
use sys::net::services::{ServicesError, Table};
use thiserror::Error;
use tokio::sync::{oneshot, watch};

use run::Run;

pub use announce::Announcing;
pub use metrics::ProxyMetrics;
pub use source::{News, NodeFacts, Source};

/// Why Services are not served. `hint` says what the user of the program can do.
#[derive(Debug, Error)]
pub enum ProxyError {
    /// The kernel does not take the table.
    #[error("cannot serve Services: {error} ({hint})")]
    Table {
        /// The kernel's answer.
        error: ServicesError,
        /// [`Settings::hint`].
        hint: &'static str,
    },
    /// Another process has the table.
    #[error(
        "cannot serve Services: another podhosts-apiserver or podhosts-node does in this network namespace ({hint})"
    )]
    Taken {
        /// [`Settings::hint`].
        hint: &'static str,
    },
    /// The node's addresses cannot be read.
    #[error("cannot serve Services: {0}")]
    Network(#[from] NetworkError),
    /// The thread cannot be made, or what it needs.
    #[error("cannot serve Services: {0}")]
    Start(#[from] std::io::Error),
    /// The packet filter cannot be watched.
    #[error("cannot serve Services: {0}")]
    Notices(#[from] ServicesError),
    /// The source has nothing to tell.
    #[error("cannot serve Services: {0}")]
    Source(String),
    /// It was stopped before the source had told everything.
    #[error("cannot serve Services: stopped before all of them were known")]
    Stopped,
}

/// How a program serves Services.
pub struct Settings {
    /// Where load balancers' addresses are answered.
    pub announcing: Announcing,
    /// Which of them are.
    pub is_announced: Box<dyn Fn(IpAddr) -> bool + Send>,
    /// What a user can do where Services cannot be served, such as `--proxy=none serves the API alone`.
    pub hint: &'static str,
}

/// The running proxy. It ends when this is dropped, and leaves the packet filter as it is: connections go on.
#[derive(Debug)]
pub struct ServiceProxy {
    metrics: Arc<ProxyMetrics>,
    programmed: Option<Answer>,
    stop: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

type Answer = oneshot::Receiver<Result<(), ProxyError>>;

/// To whom the thread tells how far it is.
struct Told {
    started: oneshot::Sender<Result<(), ProxyError>>,
    programmed: oneshot::Sender<Result<(), ProxyError>>,
}

impl ServiceProxy {
    /// Starts it. What keeps it from working is known afterwards; nothing of the packet filter is changed yet.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub async fn start(source: impl Source, settings: Settings) -> Result<Self, ProxyError> {
        let lock = lock::take()?.ok_or(ProxyError::Taken { hint: settings.hint })?;
        let metrics = Arc::new(ProxyMetrics::default());
        let (stop, stopping) = watch::channel(false);
        let (started, mut is_started) = oneshot::channel();
        let (programmed, is_programmed) = oneshot::channel();
        let counted = Arc::clone(&metrics);
        let body = move || {
            let _lock = lock;
            serve(source, settings, &counted, stopping, Told { started, programmed });
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(body)?;
        let proxy = Self { metrics, programmed: Some(is_programmed), stop, thread: Some(thread) };
        answer(&mut is_started).await?;
        Ok(proxy)
    }

    /// Waits until the packet filter has the Services that the source had at the start.
    ///
    /// # Errors
    /// [`ProxyError`]; the thread has ended.
    pub async fn programmed(&mut self) -> Result<(), ProxyError> {
        let Some(programmed) = &mut self.programmed else { return Ok(()) };
        let answer = answer(programmed).await;
        self.programmed = None;
        answer
    }

    /// What it counts.
    pub fn metrics(&self) -> Arc<ProxyMetrics> {
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

async fn answer(of: &mut Answer) -> Result<(), ProxyError> {
    of.await.unwrap_or_else(|_| Err(std::io::Error::other("its thread ended").into()))
}

/// The whole life of the thread.
fn serve(
    source: impl Source,
    settings: Settings,
    metrics: &ProxyMetrics,
    mut stopping: watch::Receiver<bool>,
    told: Told,
) {
    // Nobody waits for an answer only if the program is stopping.
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return drop(told.started.send(Err(error.into()))),
    };
    runtime.block_on(async {
        let mut run = match Run::new(source, settings, metrics) {
            Ok(run) => run,
            Err(error) => return drop(told.started.send(Err(error))),
        };
        let _ = told.started.send(Ok(()));
        let begun = run.begin(&mut stopping).await;
        let is_begun = begun.is_ok();
        let _ = told.programmed.send(begun);
        if is_begun {
            run.until(stopping).await;
        }
    });
}

/// Removes the table of the packet filter. Returns false if there was none.
///
/// # Errors
/// The kernel's answer, or a running program has the table; `hint` as in [`Settings`].
pub fn clean_up(hint: &'static str) -> Result<bool, ProxyError> {
    let _lock = lock::take()?.ok_or(ProxyError::Taken { hint })?;
    let table = |error| ProxyError::Table { error, hint };
    Table::open().map_err(table)?.remove().map_err(table)
}
