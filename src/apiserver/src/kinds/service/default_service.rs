//! The Service `default/kubernetes`, by which pods find the API server.

use serde_json::json;

use super::kind::KIND;
use crate::kinds::config::Config;
use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::kinds::{ip_address, service_cidr};
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;

const NAMESPACE: &str = "default";
const NAME: &str = "kubernetes";

/// Creates it if it is missing and its address, the first one of the first network, is free.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn keep(transaction: &mut dyn Transaction, config: &Config) -> Result<(), ApiError> {
    let Some(network) = config.service_cidrs.first() else { return Ok(()) };
    let Some(address) = service_cidr::first_address(network) else { return Ok(()) };
    let number = number(address);
    let is_free = transaction.used(IpFamily::of(address).account(), number, number) == 0;
    if !is_free || transaction.get(&KIND, NAMESPACE, NAME)?.is_some() {
        return Ok(());
    }
    let ip = address.to_string();
    let service = json!({
        "apiVersion": KIND.api_version(), "kind": KIND.name,
        "metadata": {
            "name": NAME, "namespace": NAMESPACE,
            "labels": {"component": "apiserver", "provider": "kubernetes"},
        },
        "spec": {
            "type": "ClusterIP", "clusterIP": ip, "clusterIPs": [ip],
            "ipFamilies": [IpFamily::of(address).name()], "ipFamilyPolicy": "SingleStack",
            "internalTrafficPolicy": "Cluster", "sessionAffinity": "None",
            "ports": [{"name": "https", "port": 443, "protocol": "TCP", "targetPort": config.secure_port}],
        },
        "status": {"loadBalancer": {}},
    });
    ip_address::give(transaction, address, NAMESPACE, NAME)?;
    transaction.put(&KIND, &mut Object::from_value(service).unwrap_or_default())
}
