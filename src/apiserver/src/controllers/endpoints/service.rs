//! What endpoints need of a Service.

use serde_json::Value;

use super::pod::Pod;
use super::slice::Port;
use crate::kinds::{FamilyExt, IpFamily};
use crate::object::Object;
use crate::time;

/// The annotations that ask for hints by zone; the first one counts.
const TOPOLOGY: [&str; 2] =
    ["service.kubernetes.io/topology-aware-hints", "service.kubernetes.io/topology-mode"];

/// A Service.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) namespace: String,
    pub(super) name: String,
    pub(super) uid: String,
    /// In the order of their keys.
    pub(super) labels: Vec<(String, String)>,
    /// When it was created, in seconds since 1970.
    pub(super) created: Option<i64>,
    pub(super) is_being_deleted: bool,
    /// Empty if others write its endpoints.
    pub(super) selector: Vec<(String, String)>,
    /// It is a name for a host elsewhere, and has no endpoints.
    pub(super) is_external: bool,
    pub(super) is_headless: bool,
    pub(super) with_not_ready: bool,
    pub(super) families: Vec<IpFamily>,
    pub(super) ports: Vec<ServicePort>,
    /// The wanted hints; `None` for none.
    pub(super) hints: Option<Hints>,
}

/// Which endpoints are preferred.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hints {
    /// Those in the zone of the client.
    Zone,
    /// Those on the node of the client, then those in its zone.
    Node,
}

/// A port of a Service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ServicePort {
    pub(super) name: String,
    pub(super) protocol: String,
    pub(super) app_protocol: Option<String>,
    pub(super) target: Target,
}

/// The port of the pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Target {
    Number(i64),
    Name(String),
}

impl Service {
    /// Reads a Service.
    pub(super) fn of(object: &Object) -> Self {
        let spec = object.spec();
        let list = |key: &str| spec[key].as_array().into_iter().flatten();
        let created = object.metadata().get("creationTimestamp").and_then(Value::as_str);
        let families = list("ipFamilies").filter_map(|name| IpFamily::from_name(name.as_str()?));
        Self {
            namespace: object.namespace().to_owned(),
            name: object.name().to_owned(),
            uid: object.uid().to_owned(),
            labels: labels(object),
            created: created.and_then(time::parse),
            is_being_deleted: object.is_being_deleted(),
            selector: texts(&spec["selector"]),
            is_external: spec["type"] == "ExternalName",
            is_headless: matches!(spec["clusterIP"].as_str().unwrap_or_default(), "" | "None"),
            with_not_ready: spec["publishNotReadyAddresses"] == true,
            families: families.collect(),
            ports: list("ports").map(port).collect(),
            hints: hints(object),
        }
    }

    /// Whether its endpoints are the pods that it selects.
    pub(super) fn is_managed(&self) -> bool {
        !self.selector.is_empty() && !self.is_external
    }

    /// Whether it selects a pod.
    pub(super) fn selects(&self, pod: &Pod) -> bool {
        pod.namespace == self.namespace && self.selector.iter().all(|pair| pod.labels.contains(pair))
    }

    /// The ports of a pod that the ports of this Service lead to. A port whose name no container has is left out.
    pub(super) fn ports_of(&self, pod: &Pod) -> Vec<Port> {
        let ports = self.ports.iter().filter_map(|port| {
            Some(Port {
                name: Some(port.name.clone()),
                protocol: Some(port.protocol.clone()),
                port: Some(port.target.of(pod, &port.protocol)?),
                app_protocol: port.app_protocol.clone(),
            })
        });
        ports.collect()
    }
}

impl Target {
    fn of(&self, pod: &Pod, protocol: &str) -> Option<i64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Name(name) => {
                let mut named = pod.ports.iter();
                Some(named.find(|port| port.name == *name && port.protocol == protocol)?.number)
            }
        }
    }
}

fn port(port: &Value) -> ServicePort {
    let text = |key: &str| port[key].as_str().map(str::to_owned);
    let target = match &port["targetPort"] {
        Value::String(name) => Target::Name(name.clone()),
        number => Target::Number(number.as_i64().unwrap_or_default()),
    };
    ServicePort {
        name: text("name").unwrap_or_default(),
        protocol: text("protocol").unwrap_or_else(|| "TCP".to_owned()),
        app_protocol: text("appProtocol"),
        target,
    }
}

/// The hints for `trafficDistribution`. With the older annotation there are none: it needs nodes in two zones at least,
/// and this is one machine.
fn hints(object: &Object) -> Option<Hints> {
    let annotation = |key: &&str| object.metadata().get("annotations").and_then(|all| all.get(*key)).cloned();
    let asked = TOPOLOGY.iter().find_map(annotation);
    if asked.is_some_and(|asked| asked == "Auto" || asked == "auto") {
        return None;
    }
    match object.spec()["trafficDistribution"].as_str()? {
        "PreferClose" | "PreferSameZone" => Some(Hints::Zone),
        "PreferSameNode" => Some(Hints::Node),
        _ => None,
    }
}

/// The labels of an object, in the order of their keys.
pub(super) fn labels(object: &Object) -> Vec<(String, String)> {
    texts(object.metadata().get("labels").unwrap_or(&Value::Null))
}

/// Texts by name, in the order of the names.
pub(super) fn texts(value: &Value) -> Vec<(String, String)> {
    let all = value.as_object().into_iter().flatten();
    let mut all: Vec<_> =
        all.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    all.sort_unstable();
    all
}
