//! An EndpointSlice with its endpoints and ports as structures.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use super::service::{Service, texts};
use crate::kinds::endpoint_slice::{KIND, MANAGED_LABEL};
use crate::kinds::{FamilyExt, IpFamily};
use crate::object::Object;

pub(super) use crate::kinds::endpoint_slice::SERVICE_LABEL;
/// The label of Services without a cluster IP.
pub(super) const HEADLESS_LABEL: &str = "service.kubernetes.io/headless";
/// The time of the change that led to this state of the endpoints.
pub(super) const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";
/// The value of [`MANAGED_LABEL`] on slices that follow the pods.
pub(super) const CONTROLLER: &str = "endpointslice-controller.k8s.io";
/// The longest name that gets a hyphen before the generated suffix.
const NAME_MAX: usize = 253;

/// One endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Endpoint {
    pub(super) addresses: Vec<String>,
    pub(super) conditions: Conditions,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hostname: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) target_ref: Option<Map<String, Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) node_name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) zone: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) hints: Option<Value>,
}

/// The state of an endpoint.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Conditions {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) ready: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) serving: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) terminating: Option<bool>,
}

/// One port.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Port {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) name: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) protocol: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) port: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) app_protocol: Option<String>,
}

/// What tells one endpoint from another: addresses, host name, and the namespace and name of its pod. An endpoint that
/// changes in anything else is changed in its place.
pub(super) type Identity = (Vec<String>, String, String, String);

impl Endpoint {
    pub(super) fn identity(&self) -> Identity {
        let of_target = |key: &str| {
            let target = self.target_ref.as_ref().and_then(|target| target.get(key));
            target.and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let mut addresses = self.addresses.clone();
        addresses.sort_unstable();
        (addresses, self.hostname.clone().unwrap_or_default(), of_target("namespace"), of_target("name"))
    }

    /// Whether two endpoints of one identity are equal, hints aside (`EndpointsEqualBeyondHash`).
    pub(super) fn is_like(&self, other: &Self) -> bool {
        let target = |endpoint: &Self| {
            let mut target = endpoint.target_ref.clone();
            target.as_mut().and_then(|target| target.remove("resourceVersion"));
            target
        };
        self.node_name == other.node_name
            && self.zone == other.zone
            && self.conditions == other.conditions
            && target(self) == target(other)
    }
}

/// A slice, new or from the store.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Slice {
    /// Everything but the endpoints.
    object: Object,
    pub(super) endpoints: Vec<Endpoint>,
    pub(super) ports: Vec<Port>,
}

impl Slice {
    /// Reads a slice.
    pub(super) fn of(mut object: Object) -> Self {
        let endpoints = object.0.remove("endpoints").unwrap_or_default();
        let ports = object.0.get("ports").cloned().unwrap_or_default();
        Self {
            object,
            endpoints: serde_json::from_value(endpoints).unwrap_or_default(),
            ports: serde_json::from_value(ports).unwrap_or_default(),
        }
    }

    /// A new slice with these labels and annotations, named after its Service, that goes with `owner`.
    pub(super) fn new(
        (namespace, name): (&str, &str),
        owner: Value,
        family: IpFamily,
        ports: Vec<Port>,
        labels: Map<String, Value>,
    ) -> Self {
        let prefix = if name.len() < NAME_MAX { format!("{name}-") } else { name.to_owned() };
        let mut object = json!({
            "apiVersion": KIND.api_version(), "kind": KIND.name,
            "metadata": {"generateName": prefix, "namespace": namespace, "labels": labels, "ownerReferences": [owner]},
            "addressType": family.name(),
        });
        if !ports.is_empty() {
            object["ports"] = json!(ports);
        }
        Self { object: Object::from_value(object).unwrap_or_default(), endpoints: Vec::new(), ports }
    }

    pub(super) fn into_object(mut self) -> Object {
        self.object.0.insert("endpoints".to_owned(), json!(self.endpoints));
        self.object
    }

    pub(super) fn name(&self) -> &str {
        self.object.name()
    }

    pub(super) fn version(&self) -> String {
        self.object.resource_version().to_string()
    }

    pub(super) fn is_being_deleted(&self) -> bool {
        self.object.is_being_deleted()
    }

    /// The family; `None` for domain names.
    pub(super) fn family(&self) -> Option<IpFamily> {
        IpFamily::from_name(self.object.0.get("addressType")?.as_str()?)
    }

    /// The ports in an order that does not depend on how they were written.
    pub(super) fn port_key(&self) -> Vec<Port> {
        port_key(&self.ports)
    }

    pub(super) fn labels(&self) -> Vec<(String, String)> {
        texts(self.object.metadata().get("labels").unwrap_or(&Value::Null))
    }

    pub(super) fn set_labels(&mut self, labels: Map<String, Value>) {
        self.object.metadata_mut().insert("labels".to_owned(), labels.into());
    }

    pub(super) fn annotations(&self) -> Vec<(String, String)> {
        texts(self.object.metadata().get("annotations").unwrap_or(&Value::Null))
    }

    pub(super) fn set_annotations(&mut self, annotations: Map<String, Value>) {
        if annotations.is_empty() {
            self.object.metadata_mut().remove("annotations");
        } else {
            self.object.metadata_mut().insert("annotations".to_owned(), annotations.into());
        }
    }

    pub(super) fn owners(&self) -> impl Iterator<Item = &Value> {
        self.object.owners()
    }

    /// Whether the Service with this uid owns it.
    pub(super) fn is_owned_by(&self, service: &Service) -> bool {
        self.owners().any(|owner| {
            owner["uid"] == service.uid.as_str() && owner["kind"] == "Service" && owner["apiVersion"] == "v1"
        })
    }

    /// Takes the name and version of `old`, so that it replaces it.
    pub(super) fn instead_of(&mut self, old: &Self) {
        let metadata = self.object.metadata_mut();
        metadata.remove("generateName");
        metadata.insert("name".to_owned(), old.name().into());
        metadata.insert("resourceVersion".to_owned(), old.version().into());
    }

    /// Notes when the change happened that leads to this state.
    pub(super) fn set_trigger(&mut self, time: Option<&str>) {
        let annotations = self.annotations().into_iter().filter(|(key, _)| key != TRIGGER);
        let time = time.map(|time| (TRIGGER.to_owned(), time.to_owned()));
        let annotations = annotations.chain(time).map(|(key, value)| (key, value.into())).collect();
        self.set_annotations(annotations);
    }
}

/// Ports in an order that does not depend on how they were written.
pub(super) fn port_key(ports: &[Port]) -> Vec<Port> {
    let mut ports = ports.to_vec();
    ports.sort_unstable();
    ports
}

/// The labels of a slice of a Service: those of the Service, and the controller's (`setEndpointSliceLabels`).
pub(super) fn labels_for(service: &Service) -> Map<String, Value> {
    let of_service = service.labels.iter().filter(|(key, _)| !is_reserved(key));
    let mut labels: Map<String, Value> =
        of_service.map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    if service.is_headless {
        labels.insert(HEADLESS_LABEL.to_owned(), "".into());
    }
    labels.insert(SERVICE_LABEL.to_owned(), service.name.as_str().into());
    labels.insert(MANAGED_LABEL.to_owned(), CONTROLLER.into());
    labels
}

/// Whether a label is one that the controller sets itself.
pub(super) fn is_reserved(key: &str) -> bool {
    [SERVICE_LABEL, MANAGED_LABEL, HEADLESS_LABEL].contains(&key)
}

/// The reference to an object that owns a slice.
pub(super) fn owner(kind: &str, name: &str, uid: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": kind, "name": name, "uid": uid, "controller": true, "blockOwnerDeletion": true,
    })
}
