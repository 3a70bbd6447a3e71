//! What endpoints need of a Pod.

use serde_json::Value;

use super::service::labels;
use crate::kinds::IpFamily;
use crate::object::Object;
use crate::time;
use ::pod::validation::ip::parse_sloppy;

/// A Pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pod {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// In the order of their keys.
    pub(super) labels: Vec<(String, String)>,
    pub(super) ips: Vec<std::net::IpAddr>,
    pub(super) node: String,
    pub(super) hostname: String,
    pub(super) subdomain: String,
    pub(super) ports: Vec<ContainerPort>,
    pub(super) is_ready: bool,
    /// Its deletion has begun.
    pub(super) is_terminating: bool,
    /// Its containers have ended for good.
    pub(super) is_over: bool,
    /// Since when it is ready or not, in seconds since 1970.
    pub(super) since: Option<i64>,
}

/// A port that a container has by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ContainerPort {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) number: i64,
}

impl Pod {
    /// Reads a Pod.
    pub(super) fn of(object: &Object) -> Self {
        let (spec, status) = (object.spec(), object.0.get("status").unwrap_or(&Value::Null));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let ips = status["podIPs"].as_array().into_iter().flatten();
        let condition = readiness(status);
        Self {
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            uid: object.uid().to_owned(),
            labels: labels(object),
            ips: ips.filter_map(|ip| parse_sloppy(ip["ip"].as_str()?)).collect(),
            node: text(&spec["nodeName"]),
            hostname: text(&spec["hostname"]),
            subdomain: text(&spec["subdomain"]),
            ports: container_ports(spec),
            is_ready: condition.is_some_and(|condition| condition["status"] == "True"),
            is_terminating: object.is_being_deleted(),
            is_over: matches!(status["phase"].as_str(), Some("Failed" | "Succeeded")),
            since: condition.and_then(|condition| time::parse(condition["lastTransitionTime"].as_str()?)),
        }
    }

    /// The first address of a family.
    pub(super) fn address(&self, family: IpFamily) -> Option<String> {
        let mut of_family = self.addresses(family);
        if of_family.is_empty() { None } else { Some(of_family.swap_remove(0)) }
    }

    /// All addresses of a family.
    pub(super) fn addresses(&self, family: IpFamily) -> Vec<String> {
        let of_family = self.ips.iter().map(std::net::IpAddr::to_canonical);
        of_family.filter(|ip| IpFamily::of(*ip) == family).map(|ip| ip.to_string()).collect()
    }

    /// Whether it is an endpoint of the Services that select it (`ShouldPodBeInEndpoints`).
    pub(super) fn is_endpoint(&self, with_terminating: bool) -> bool {
        !self.is_over && !self.ips.is_empty() && (with_terminating || !self.is_terminating)
    }
}

/// The condition that says whether a Pod is ready.
fn readiness(status: &Value) -> Option<&Value> {
    status["conditions"].as_array()?.iter().find(|condition| condition["type"] == "Ready")
}

/// The named ports, those of sidecars last (`FindPort`).
fn container_ports(spec: &Value) -> Vec<ContainerPort> {
    let list = |key: &str| spec[key].as_array().into_iter().flatten();
    let sidecars = list("initContainers").filter(|container| container["restartPolicy"] == "Always");
    let ports =
        list("containers").chain(sidecars).filter_map(|container| container["ports"].as_array()).flatten();
    let port = |port: &Value| {
        Some(ContainerPort {
            name: port["name"].as_str()?.to_owned(),
            protocol: port["protocol"].as_str().unwrap_or("TCP").to_owned(),
            number: port["containerPort"].as_i64()?,
        })
    };
    ports.filter_map(port).collect()
}
