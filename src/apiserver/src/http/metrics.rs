//! `/metrics`, in Prometheus' text format, under upstream's names where there are such.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use hyper::Method;
use hyper::header::HeaderValue;

use super::answer::{self, Answer};
use super::handle::Shared;
use crate::kinds::service_cidr;
use crate::registry::ListQuery;
use crate::resource::{Allocation, Scope};
use crate::status::ApiError;
use crate::store::Stored;
use sys::process::limits;

/// The upper bounds of the histogram's buckets, in seconds.
const BUCKETS: [f64; 8] = [0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 5.0];

/// The labels of a request's counters. Only names that the server knows are labels, so there are few.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    pub(super) verb: &'static str,
    /// Empty if the path is not one of objects.
    pub(super) resource: &'static str,
}

impl Labels {
    /// The labels of a request whose path is not read yet.
    pub(super) fn of(method: &Method) -> Self {
        let verb = match *method {
            Method::GET => "get",
            Method::HEAD => "head",
            Method::POST => "post",
            Method::PUT => "put",
            Method::PATCH => "patch",
            Method::DELETE => "delete",
            _ => "other",
        };
        Self { verb, resource: "" }
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "verb=\"{}\",resource=\"{}\"", self.verb.to_uppercase(), self.resource)
    }
}

#[derive(Debug, Default)]
struct Durations {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

/// The counters.
#[derive(Debug)]
pub(super) struct Metrics {
    started: SystemTime,
    requests: Mutex<BTreeMap<(Labels, u16), u64>>,
    durations: Mutex<BTreeMap<Labels, Durations>>,
}

impl Metrics {
    pub(super) fn new() -> Self {
        Self { started: SystemTime::now(), requests: Mutex::default(), durations: Mutex::default() }
    }

    pub(super) fn count(&self, labels: Labels, code: u16, time: Duration) {
        let mut requests = self.requests.lock().unwrap_or_else(PoisonError::into_inner);
        *requests.entry((labels, code)).or_default() += 1;
        drop(requests);
        let mut durations = self.durations.lock().unwrap_or_else(PoisonError::into_inner);
        let durations = durations.entry(labels).or_default();
        durations.count += 1;
        durations.sum += time;
        for (border, bucket) in BUCKETS.iter().zip(&mut durations.buckets) {
            *bucket += u64::from(time.as_secs_f64() <= *border);
        }
    }

    fn write(&self, page: &mut Page) {
        page.head("apiserver_request_total", "counter", "Requests by verb, resource and HTTP status.");
        for ((labels, code), count) in self.requests.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            page.line("apiserver_request_total", &format!("{labels},code=\"{code}\""), count);
        }
        let name = "apiserver_request_duration_seconds";
        page.head(name, "histogram", "How long requests took until their answer began.");
        for (labels, durations) in self.durations.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            let labels = labels.to_string();
            for (border, count) in BUCKETS.iter().zip(durations.buckets) {
                page.line(&format!("{name}_bucket"), &format!("{labels},le=\"{border}\""), count);
            }
            page.line(&format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), durations.count);
            page.line(&format!("{name}_sum"), &labels, durations.sum.as_secs_f64());
            page.line(&format!("{name}_count"), &labels, durations.count);
        }
    }
}

/// The text of the page.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        // A String takes everything.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn line(&mut self, name: &str, labels: &str, value: impl std::fmt::Display) {
        let _ = if labels.is_empty() {
            writeln!(self.0, "{name} {value}")
        } else {
            writeln!(self.0, "{name}{{{labels}}} {value}")
        };
    }

    fn single(&mut self, name: &str, kind: &str, help: &str, value: impl std::fmt::Display) {
        self.head(name, kind, help);
        self.line(name, "", value);
    }
}

/// Builds the page.
pub(super) fn page(shared: &Shared) -> Result<Answer, ApiError> {
    let mut page = Page::default();
    shared.metrics.write(&mut page);
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
    Ok(answer::whole(200, HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"), page.0))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_counted() {
        let metrics = Metrics::new();
        let labels = Labels { verb: "create", resource: "services" };
        metrics.count(labels, 201, Duration::from_millis(3));
        metrics.count(labels, 201, Duration::from_millis(30));
        let mut page = Page::default();
        metrics.write(&mut page);
        let labels = "verb=\"CREATE\",resource=\"services\"";
        for line in [
            format!("apiserver_request_total{{{labels},code=\"201\"}} 2\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2\n"),
            format!("apiserver_request_duration_seconds_sum{{{labels}}} 0.033\n"),
        ] {
            assert!(page.0.contains(&line), "{line}{}", page.0);
        }
    }

    #[test]
    fn methods_that_nobody_knows_are_one() {
        assert_eq!(Labels::of(&Method::from_bytes(b"XYZZY").unwrap()).verb, "other");
        assert_eq!(Labels::of(&Method::GET).verb, "get");
    }
}
