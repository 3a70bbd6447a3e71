//! The times of the changes that endpoints follow (`k8s.io/endpointslice/util/trigger_time_tracker.go`), from which clients
//! learn how long a change took to reach them.

use super::pod::Pod;
use super::service::Service;
use crate::time;

/// The times of a Service and its pods that were seen last, in seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Times {
    service: Option<i64>,
    /// By the pods' names, in their order.
    pods: Box<[(String, i64)]>,
}

impl Times {
    /// Notes the present times. Returns the earliest of those that changed; `before` is `None` for a Service that was not
    /// seen yet. The pods are in the order of their names.
    pub(super) fn of(service: &Service, pods: &[&Pod], before: Option<&Self>) -> (Self, Option<String>) {
        let times = pods.iter().filter_map(|pod| Some((pod.name.clone(), pod.since?)));
        let now = Self { service: service.created, pods: times.collect() };
        let trigger = match before {
            None => service.created,
            Some(before) => {
                let is_news = |(name, since): &&(String, i64)| {
                    let old = before.pods.binary_search_by(|(other, _)| other.cmp(name));
                    old.ok().and_then(|place| before.pods.get(place)).is_none_or(|(_, old)| old < since)
                };
                let of_pods = now.pods.iter().filter(is_news).map(|(_, since)| *since);
                of_pods.chain(now.service.filter(|_| now.service > before.service)).min()
            }
        };
        (now, trigger.map(time::format))
    }
}
