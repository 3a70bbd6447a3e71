//! The log entry and the Event about a default ServiceCIDR that differs from the command line
//! (`pkg/controlplane/controller/defaultservicecidr/default_servicecidr_controller.go`).

use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::{Value, json};

use super::kind::KIND;
use super::{conditions, validation};
use crate::kinds::event;
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;
use crate::time;

/// The name of Kubernetes' own controller, as the source of the Event.
const COMPONENT: &str = "kubernetes-service-cidr-controller";
/// The namespace of Events about objects without a namespace.
const NAMESPACE: &str = "default";

/// A difference to tell.
pub(super) struct Mismatch {
    /// The message of the log entry.
    pub(super) summary: &'static str,
    /// The message of the Event.
    pub(super) message: String,
    reason: String,
}

/// The difference between the default ServiceCIDR and the networks `wanted` of the command line.
pub(super) fn of(object: &Object, wanted: &[String]) -> Option<Mismatch> {
    let own = validation::cidrs(object);
    if own != wanted {
        let in_go = |cidrs: &[String]| format!("[{}]", cidrs.join(" "));
        let (own, wanted) = (in_go(&own), in_go(wanted));
        return Some(Mismatch {
            summary: "the default ServiceCIDR is kept as it is, other than --service-cluster-ip-range",
            message: format!(
                "The default ServiceCIDR {own} does not match the controller flag configurations {wanted}"
            ),
            reason: "KubernetesDefaultServiceCIDRInconsistent".to_owned(),
        });
    }
    let ready = conditions::ready(object).filter(|ready| ready["status"] == "False")?;
    let text = |key: &str| ready[key].as_str().unwrap_or_default().to_owned();
    Some(Mismatch {
        summary: "the default ServiceCIDR cannot be used",
        message: format!("Configuration matches, but {}", text("message")),
        reason: text("reason"),
    })
}

impl Mismatch {
    /// Creates an Event, or counts up the one of an earlier start: Events do not expire here.
    pub(super) fn record(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let mut hasher = DefaultHasher::new();
        (object.uid(), &self.message).hash(&mut hasher);
        let name = format!("{}.{:x}", object.name(), hasher.finish());
        let now = time::format(transaction.now());
        let mut event = match transaction.get(&event::KIND, NAMESPACE, &name)? {
            Some(event) => event,
            None => Object::from_value(json!({
                "apiVersion": event::KIND.api_version(), "kind": event::KIND.name,
                "metadata": {"name": name, "namespace": NAMESPACE},
                "involvedObject": {
                    "apiVersion": KIND.api_version(), "kind": KIND.name, "name": object.name(), "uid": object.uid(),
                    "resourceVersion": object.resource_version().to_string(),
                },
                "reason": self.reason, "message": self.message, "type": "Warning",
                "source": {"component": COMPONENT}, "reportingComponent": COMPONENT, "firstTimestamp": now,
            }))
            .unwrap_or_default(),
        };
        let count = event.0.get("count").and_then(Value::as_i64).unwrap_or_default();
        event.0.insert("count".to_owned(), count.saturating_add(1).into());
        event.0.insert("lastTimestamp".to_owned(), now.into());
        transaction.put(&event::KIND, &mut event)
    }
}
