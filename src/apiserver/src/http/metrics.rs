//! Counts requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use hyper::Method;
use telemetry::page::Page;

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
    pub(super) started: SystemTime,
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

    pub(super) fn write(&self, page: &mut Page) {
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
            assert!(page.text().contains(&line), "{line}{}", page.text());
        }
    }

    #[test]
    fn methods_that_nobody_knows_are_one() {
        assert_eq!(Labels::of(&Method::from_bytes(b"XYZZY").unwrap()).verb, "other");
        assert_eq!(Labels::of(&Method::GET).verb, "get");
    }
}
