//! `--proxy nftables`: Services are led to their endpoints by the library `proxy`, which follows the registry.

mod feed;
mod source;

use proxy::thread::{Announcing, ProxyError, ServiceProxy, Settings};

use crate::kinds::{Config, service};
use crate::registry::Registry;
use source::RegistrySource;

/// What a user can do where Services cannot be served.
const HINT: &str = "--proxy=none serves the API alone";

/// Starts the proxy, and waits until the packet filter has the Services that the store has.
///
/// # Errors
/// [`ProxyError`]; nothing of the packet filter was changed.
pub(crate) async fn start(
    registry: &Registry,
    config: &Config,
    announcing: Announcing,
) -> Result<ServiceProxy, ProxyError> {
    let pools = config.load_balancer_pools.clone();
    let is_announced = Box::new(move |address| service::is_in_pool(&pools, address));
    let source = RegistrySource::new(registry, config);
    let mut proxy = ServiceProxy::start(source, Settings { announcing, is_announced, hint: HINT }).await?;
    proxy.programmed().await?;
    Ok(proxy)
}

/// Removes the table of the packet filter.
///
/// # Errors
/// The kernel's answer, or a running server has the table.
pub(crate) fn clean_up() -> Result<(), ProxyError> {
    proxy::thread::clean_up(HINT).map(drop)
}
