//! `/metrics`, in Prometheus' text format, with upstream's names for what upstream has.

use std::collections::BTreeMap;
use std::time::UNIX_EPOCH;

use hyper::header::HeaderValue;

use super::answer::{self, Answer};
use super::call::Shared;
use crate::kinds::service_cidr;
use crate::registry::ListQuery;
use crate::resource::{Allocation, Scope};
use crate::status::ApiError;
use crate::store::Stored;
use sys::process::limits;
use telemetry::page::{MEDIA_TYPE, Page};

/// Builds the page.
pub(super) fn page(shared: &Shared) -> Result<Answer, ApiError> {
    let mut page = Page::default();
    shared.metrics.write(&mut page);
    if let Some(proxy) = &shared.proxy {
        proxy.write(&mut page);
    }
    let (requests, watches) = shared.limits.under_way();
    page.single("apiserver_current_inflight_requests", "gauge", "Requests that are worked on.", requests);
    page.single("apiserver_longrunning_requests", "gauge", "Watches.", watches);
    tokio::task::block_in_place(|| allocators(shared, &mut page))?;
    let started = shared.metrics.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
    page.single(
        "process_start_time_seconds",
        "gauge",
        "When the server was started, in seconds since 1970.",
        started,
    );
    if let Some(memory) = limits::resident_memory() {
        page.single(
            "process_resident_memory_bytes",
            "gauge",
            "Memory that the server has, in bytes.",
            memory,
        );
    }
    Ok(answer::whole(200, HeaderValue::from_static(MEDIA_TYPE), page.into_text()))
}

/// How full each block of each ServiceCIDR is.
fn allocators(shared: &Shared, page: &mut Page) -> Result<(), ApiError> {
    let (registry, kind) = (&shared.registry, &service_cidr::KIND);
    let mut blocks = Vec::new();
    if registry.resource(kind).is_ok() {
        let stored = registry.list(kind, &ListQuery::default())?.items;
        let objects = stored.iter().map(Stored::object).collect::<Result<Vec<_>, _>>()?;
        blocks = service_cidr::usage(&objects, |account, first, last| registry.used(account, first, last));
    }
    let (used, free) = (
        "kube_apiserver_clusterip_allocator_allocated_ips",
        "kube_apiserver_clusterip_allocator_available_ips",
    );
    page.head(used, "gauge", "Addresses of a block that are in use.");
    for block in &blocks {
        page.line(used, &format!("cidr=\"{}\"", block.network), block.used);
    }
    page.head(free, "gauge", "Addresses of a block that are free.");
    for block in &blocks {
        page.line(free, &format!("cidr=\"{}\"", block.network), block.free);
    }
    attempts(&shared.registry.allocations(), page);
    Ok(())
}

/// How often an address was asked for in each block.
fn attempts(counts: &BTreeMap<Allocation, u64>, page: &mut Page) {
    for (succeeded, name, help) in [
        (true, "kube_apiserver_clusterip_allocator_allocation_total", "Addresses that a block gave."),
        (
            false,
            "kube_apiserver_clusterip_allocator_allocation_errors_total",
            "Times that a block gave none.",
        ),
    ] {
        page.head(name, "counter", help);
        for (allocation, count) in counts.iter().filter(|(allocation, _)| allocation.succeeded == succeeded) {
            let scope = match allocation.scope {
                Scope::Dynamic => "dynamic",
                Scope::Static => "static",
            };
            page.line(name, &format!("cidr=\"{}\",scope=\"{scope}\"", allocation.network), count);
        }
    }
}
