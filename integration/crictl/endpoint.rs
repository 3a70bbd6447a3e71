//! Where the engine is: from the command line, the environment or crictl.yaml, in this order.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use cri::Client;
use serde::Deserialize;

use crate::args::Crictl;
use crate::error::Error;

const DEFAULT_CONFIG: &str = "/etc/crictl.yaml";
/// crictl's own, which it asks people not to rely on.
const DEFAULT_ENDPOINTS: [&str; 2] = ["unix:///run/containerd/containerd.sock", "unix:///run/crio/crio.sock"];
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// For calls that may take as long as they take.
pub(crate) const UNLIMITED: Duration = Duration::from_secs(24 * 60 * 60);

/// crictl.yaml.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields, rename_all = "kebab-case")]
struct Config {
    runtime_endpoint: String,
    #[serde(rename = "image-endpoint")]
    _image_endpoint: String,
    /// In seconds.
    timeout: u64,
    #[serde(rename = "debug")]
    _debug: bool,
    #[serde(rename = "pull-image-on-create")]
    _pull_image_on_create: bool,
    disable_pull_on_run: bool,
    #[serde(rename = "max-retries")]
    _max_retries: i64,
}

/// The engine, and how to talk to it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    sockets: Vec<PathBuf>,
    pub(crate) timeout: Duration,
    pub(crate) disable_pull_on_run: bool,
}

impl Endpoint {
    /// Connects; no call takes longer than `timeout`.
    pub(crate) fn connect(&self, timeout: Duration) -> Result<Client, Error> {
        let mut last = Error::new("no endpoint");
        for socket in &self.sockets {
            match Client::connect(socket, timeout) {
                Ok(client) => return Ok(client),
                Err(error) => last = error.into(),
            }
        }
        Err(last)
    }
}

/// Finds the engine.
pub(crate) fn find(crictl: &Crictl) -> Result<Endpoint, Error> {
    let given = crictl.config.clone().or_else(|| env::var_os("CRI_CONFIG_FILE").map(PathBuf::from));
    let config = read(given.as_deref().unwrap_or(Path::new(DEFAULT_CONFIG)), given.is_some())?;
    let endpoint = crictl.runtime_endpoint.clone();
    let endpoint = endpoint.or_else(|| env::var("CONTAINER_RUNTIME_ENDPOINT").ok());
    let endpoint = endpoint.unwrap_or(config.runtime_endpoint);
    let endpoints = if endpoint.is_empty() { DEFAULT_ENDPOINTS.to_vec() } else { vec![endpoint.as_str()] };
    let from_config = Some(config.timeout).filter(|&seconds| seconds > 0).map(Duration::from_secs);
    let timeout = crictl.timeout.filter(|timeout| !timeout.is_zero()).or(from_config);
    Ok(Endpoint {
        sockets: endpoints.into_iter().map(socket).collect(),
        timeout: timeout.unwrap_or(DEFAULT_TIMEOUT),
        disable_pull_on_run: config.disable_pull_on_run,
    })
}

fn socket(endpoint: &str) -> PathBuf {
    PathBuf::from(endpoint.strip_prefix("unix://").unwrap_or(endpoint))
}

/// What is wrong with a file that was not asked for is nobody's concern.
fn read(path: &Path, is_given: bool) -> Result<Config, Error> {
    let failed = |error: &dyn std::fmt::Display| Error::new(format!("get server config: {error}"));
    let read = fs::read_to_string(path).map_err(|error| failed(&error));
    let parsed = read.and_then(|text| match text.trim() {
        "" => Ok(Config::default()),
        _ => serde_saphyr::from_str(&text).map_err(|error| failed(&error)),
    });
    if is_given { parsed } else { Ok(parsed.unwrap_or_default()) }
}
