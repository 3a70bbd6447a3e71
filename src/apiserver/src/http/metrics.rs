//! Counts requests.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::api::path::Place;
use crate::kind::{Kind, Subresource, Verb};
use hyper::Method;
use telemetry::page::Page;

/// The upper bounds of the histogram's buckets, in seconds: upstream's, by which its alerts and dashboards ask
/// (`k8s.io/apiserver/pkg/endpoints/metrics/metrics.go`), and three below them, where most answers here are.
const BUCKETS: [f64; 26] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 4.0, 5.0,
    6.0, 8.0, 10.0, 15.0, 20.0, 30.0, 45.0, 60.0,
];

/// The labels of a request's counters. Only names that the server knows are labels, so there are few.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Labels {
    /// As a role has it, or the method where the path is not one of objects; `apply` for server-side apply.
    pub(super) verb: &'static str,
    pub(super) group: &'static str,
    pub(super) version: &'static str,
    /// Empty if the path is not one of objects.
    pub(super) resource: &'static str,
    pub(super) subresource: &'static str,
    /// How much the request is about: a `resource`, a `namespace` or the `cluster`.
    pub(super) scope: &'static str,
    pub(super) is_dry_run: bool,
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
        Self { verb, ..Self::default() }
    }

    /// Notes the objects that a request is about.
    pub(super) fn note(&mut self, kind: &Kind, place: &Place) {
        (self.group, self.version, self.resource) = (kind.group, kind.version, kind.plural);
        self.scope = match place {
            Place::One { part, .. } => {
                self.subresource = part.map(Subresource::name).unwrap_or_default();
                "resource"
            }
            Place::All(Some(_)) => "namespace",
            Place::All(None) => "cluster",
        };
    }

    /// Notes what is done with them.
    pub(super) fn note_verb(&mut self, verb: Verb, is_apply: bool, is_dry_run: bool) {
        self.verb = if is_apply { "apply" } else { verb.name() };
        if verb == Verb::Create {
            self.scope = "resource";
        }
        self.is_dry_run = is_dry_run;
    }

    /// The verb as upstream counts it: by the method (`cleanVerb`).
    fn counted(self) -> String {
        match self.verb {
            "create" => "POST".to_owned(),
            "update" => "PUT".to_owned(),
            "deletecollection" => "DELETE".to_owned(),
            other => other.to_uppercase(),
        }
    }
}

impl std::fmt::Display for Labels {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { group, version, resource, subresource, scope, .. } = self;
        let component = if resource.is_empty() { "" } else { "apiserver" };
        let (dry_run, verb) = (if self.is_dry_run { "All" } else { "" }, self.counted());
        write!(
            f,
            "component=\"{component}\",dry_run=\"{dry_run}\",group=\"{group}\",resource=\"{resource}\",\
             scope=\"{scope}\",subresource=\"{subresource}\",verb=\"{verb}\",version=\"{version}\""
        )
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
    use crate::kinds::service::KIND as SERVICE;

    #[test]
    fn requests_are_counted() {
        let metrics = Metrics::new();
        let mut labels = Labels::of(&Method::POST);
        labels.note(&SERVICE, &Place::All(Some("default".to_owned())));
        labels.note_verb(Verb::Create, false, false);
        metrics.count(labels, 201, Duration::from_millis(3));
        metrics.count(labels, 201, Duration::from_millis(30));
        let mut page = Page::default();
        metrics.write(&mut page);
        // As kube-apiserver 1.36.2 has it.
        let labels = "component=\"apiserver\",dry_run=\"\",group=\"\",resource=\"services\",scope=\"resource\",\
                      subresource=\"\",verb=\"POST\",version=\"v1\"";
        for line in [
            format!("apiserver_request_total{{{labels},code=\"201\"}} 2\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"0.005\"}} 1\n"),
            format!("apiserver_request_duration_seconds_bucket{{{labels},le=\"+Inf\"}} 2\n"),
            format!("apiserver_request_duration_seconds_sum{{{labels}}} 0.033\n"),
        ] {
            assert!(page.text().contains(&line), "{line}{}", page.text());
        }
    }

    /// Requests that were made to kube-apiserver 1.36.2, and how it counted them.
    #[test]
    fn labels_are_those_of_kubernetes() {
        let of = |kind: &Kind, place: Place, verb, is_apply| {
            let mut labels = Labels::default();
            labels.note(kind, &place);
            labels.note_verb(verb, is_apply, true);
            (labels.counted(), labels.scope, labels.subresource)
        };
        let one = |part| Place::One { namespace: "default".to_owned(), name: "a".to_owned(), part };
        let all = |namespace: Option<&str>| Place::All(namespace.map(str::to_owned));
        for (place, verb, is_apply, expected) in [
            (one(None), Verb::Get, false, ("GET", "resource", "")),
            (one(None), Verb::Update, false, ("PUT", "resource", "")),
            (one(None), Verb::Patch, false, ("PATCH", "resource", "")),
            (one(None), Verb::Patch, true, ("APPLY", "resource", "")),
            (one(Some(Subresource::Status)), Verb::Patch, false, ("PATCH", "resource", "status")),
            (one(None), Verb::Delete, false, ("DELETE", "resource", "")),
            (all(Some("default")), Verb::List, false, ("LIST", "namespace", "")),
            (all(None), Verb::List, false, ("LIST", "cluster", "")),
            (all(None), Verb::Watch, false, ("WATCH", "cluster", "")),
            (all(Some("default")), Verb::DeleteCollection, false, ("DELETE", "namespace", "")),
            (all(Some("default")), Verb::Create, false, ("POST", "resource", "")),
        ] {
            let (counted, scope, part) = of(&SERVICE, place, verb, is_apply);
            assert_eq!((counted.as_str(), scope, part), expected);
        }
    }

    #[test]
    fn methods_that_nobody_knows_are_one() {
        assert_eq!(Labels::of(&Method::from_bytes(b"XYZZY").unwrap()).verb, "other");
        assert_eq!(Labels::of(&Method::GET).verb, "get");
    }
}
