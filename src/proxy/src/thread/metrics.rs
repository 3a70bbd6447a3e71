//! What the proxy counts, under kube-proxy's names.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use telemetry::page::Page;

/// The upper bounds of the histograms' buckets, in seconds: kube-proxy's begin at a millisecond.
const BUCKETS: [f64; 12] =
    [0.0001, 0.00025, 0.0005, 0.001, 0.002, 0.004, 0.016, 0.064, 0.256, 1.024, 4.096, 16.384];

/// A histogram of durations.
#[derive(Debug, Default)]
struct Histogram {
    buckets: [u64; BUCKETS.len()],
    count: u64,
    sum: Duration,
}

impl Histogram {
    fn add(&mut self, time: Duration) {
        for (bound, bucket) in BUCKETS.iter().zip(&mut self.buckets) {
            *bucket += u64::from(time.as_secs_f64() <= *bound);
        }
        self.count += 1;
        self.sum += time;
    }

    fn write(&self, page: &mut Page, name: &str, help: &str) {
        page.head(name, "histogram", help);
        for (bound, count) in BUCKETS.iter().zip(self.buckets) {
            page.line(&format!("{name}_bucket"), &format!("le=\"{bound}\""), count);
        }
        page.line(&format!("{name}_bucket"), "le=\"+Inf\"", self.count);
        page.line(&format!("{name}_sum"), "", self.sum.as_secs_f64());
        page.line(&format!("{name}_count"), "", self.count);
    }
}

/// The counters.
#[derive(Debug, Default)]
pub struct ProxyMetrics {
    syncs: Mutex<Histogram>,
    programming: Mutex<Histogram>,
    service_changes: AtomicU64,
    slice_changes: AtomicU64,
    failures: AtomicU64,
    repairs: AtomicU64,
    denied: AtomicU64,
    last: AtomicU64,
    version: AtomicU64,
}

impl ProxyMetrics {
    /// Counts a change of the packet filter that took `time`.
    pub(super) fn synced(&self, time: Duration) {
        self.syncs.lock().unwrap_or_else(PoisonError::into_inner).add(time);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last.store(now.as_secs(), Ordering::Relaxed);
    }

    /// Counts a change of endpoints that is in the packet filter `time` after it happened.
    pub(super) fn programmed(&self, time: Duration) {
        self.programming.lock().unwrap_or_else(PoisonError::into_inner).add(time);
    }

    /// The packet filter has everything up to this resource version.
    pub(super) fn reached(&self, version: u64) {
        self.version.store(version, Ordering::Relaxed);
    }

    /// Counts a Service that changed.
    pub(super) fn service_changed(&self) {
        self.service_changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an EndpointSlice that changed.
    pub(super) fn slice_changed(&self) {
        self.slice_changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a change that the kernel refused.
    pub(super) fn failed(&self) {
        self.failures.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a time that somebody else had changed the table.
    pub(super) fn repaired(&self) {
        self.repairs.fetch_add(1, Ordering::Relaxed);
    }

    /// So many places are asked for that no Service gets.
    pub(super) fn denied(&self, count: usize) {
        self.denied.store(count as u64, Ordering::Relaxed);
    }

    /// Writes the counters.
    pub fn write(&self, page: &mut Page) {
        let histogram = |page: &mut Page, histogram: &Mutex<Histogram>, name: &str, help: &str| {
            histogram.lock().unwrap_or_else(PoisonError::into_inner).write(page, name, help);
        };
        histogram(
            page,
            &self.syncs,
            "kubeproxy_sync_proxy_rules_duration_seconds",
            "How long a change of the packet filter took.",
        );
        histogram(
            page,
            &self.programming,
            "kubeproxy_network_programming_duration_seconds",
            "How long after a change of endpoints it was in the packet filter.",
        );
        let counters = [
            (
                "kubeproxy_sync_proxy_rules_service_changes_total",
                "Services that changed.",
                &self.service_changes,
            ),
            (
                "kubeproxy_sync_proxy_rules_endpoint_changes_total",
                "EndpointSlices that changed.",
                &self.slice_changes,
            ),
            (
                "kubeproxy_sync_proxy_rules_nftables_sync_failures_total",
                "Changes that the kernel refused.",
                &self.failures,
            ),
            (
                "podhosts_proxy_repairs_total",
                "Times that somebody else had changed the packet filter's table.",
                &self.repairs,
            ),
        ];
        for (name, help, counter) in counters {
            page.single(name, "counter", help, counter.load(Ordering::Relaxed));
        }
        page.single(
            "kubeproxy_sync_proxy_rules_last_timestamp_seconds",
            "gauge",
            "When the packet filter was last changed, in seconds since 1970.",
            self.last.load(Ordering::Relaxed),
        );
        page.single(
            "podhosts_proxy_denied",
            "gauge",
            "Addresses and ports of machines that Services ask for and do not get.",
            self.denied.load(Ordering::Relaxed),
        );
        page.single(
            "podhosts_proxy_resource_version",
            "gauge",
            "The newest resource version that is in the packet filter.",
            self.version.load(Ordering::Relaxed),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_in_each_bucket_above_it() {
        let metrics = ProxyMetrics::default();
        metrics.synced(Duration::from_micros(200));
        let mut page = Page::default();
        metrics.write(&mut page);
        let name = "kubeproxy_sync_proxy_rules_duration_seconds";
        for line in [
            format!("{name}_bucket{{le=\"0.0001\"}} 0\n"),
            format!("{name}_bucket{{le=\"0.00025\"}} 1\n"),
            format!("{name}_bucket{{le=\"+Inf\"}} 1\n"),
            format!("{name}_sum 0.0002\n"),
        ] {
            assert!(page.text().contains(&line), "{line}{}", page.text());
        }
    }
}
