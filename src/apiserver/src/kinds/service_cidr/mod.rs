//! ServiceCIDRs: the blocks that the addresses of Services are taken from.

mod conditions;
mod deletion;
mod kind;
mod mismatch;
mod networks;
pub(super) mod schema;
#[cfg(test)]
mod tests;
mod usage;
mod validation;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ipnet::IpNet;
use serde_json::{Value, json};

pub(crate) use conditions::is_ready;
pub use kind::KIND;
pub(crate) use networks::{first_address, networks, usable};
pub use usage::{Usage, usage};

use super::age;
use super::config::Config;
use super::meta;
use crate::accounts::{Account, SERVICE_CIDR_NUMBER};
use crate::kind::{Kind, Subresource};
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::ApiError;
use crate::time;

/// The name of the ServiceCIDR that the command line describes.
pub(crate) const DEFAULT_NAME: &str = "kubernetes";
const FINALIZER: &str = "networking.k8s.io/service-cidr-finalizer";
/// Seconds for which a deleted ServiceCIDR stays.
const GRACE: i64 = 10;

/// The rules of ServiceCIDRs.
pub struct ServiceCidrs {
    config: Arc<Config>,
    /// Whether a mismatch of the default ServiceCIDR was told.
    has_told: AtomicBool,
}

impl ServiceCidrs {
    /// Rules under this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        Self { config, has_told: AtomicBool::new(false) }
    }
}

impl Resource for ServiceCidrs {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        object.0.remove("status");
        meta::checked(&KIND, object, &validation::faults(object))?;
        settle(object, transaction.now());
        Ok(())
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        match old.0.get("status") {
            Some(status) => object.0.insert("status".to_owned(), status.clone()),
            None => object.0.remove("status"),
        };
        let mut faults = meta::change_faults(object, old);
        faults.extend(meta::kept_faults(object));
        faults.extend(validation::change_faults(object, old));
        meta::checked(&KIND, object, &faults)?;
        if !object.is_being_deleted() {
            settle(object, transaction.now());
        }
        Ok(())
    }

    /// Clients may set other conditions; only the server sets `Ready` (`serviceCIDRStatusStrategy` in
    /// `pkg/registry/networking/servicecidr/strategy.go`).
    fn update_part(
        &self,
        _: &mut dyn Transaction,
        _: Subresource,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let status = object.0.remove("status");
        object.0.clone_from(&old.0);
        match status {
            Some(status) => object.0.insert("status".to_owned(), status),
            None => object.0.remove("status"),
        };
        conditions::keep_ready(object, old);
        Ok(())
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        let cidrs = validation::cidrs(object).join(",");
        vec![object.name().into(), cidrs.into(), age::cell(object, now)]
    }

    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        let is_any_deleted =
            transaction.used(Account::Terminating, SERVICE_CIDR_NUMBER, SERVICE_CIDR_NUMBER) > 0;
        let objects = if is_any_deleted { transaction.list(&KIND)? } else { Vec::new() };
        let mut wake: Option<i64> = None;
        for object in objects.iter().filter(|object| object.is_being_deleted()) {
            // Upstream also counts ServiceCIDRs being deleted, and can lose an address's last one.
            let others: Vec<IpNet> =
                objects.iter().filter(|other| is_ready(other)).flat_map(networks).collect();
            wake = [wake, bury(transaction, object, &others)?].into_iter().flatten().min();
        }
        if transaction.may_have_changed(&KIND) {
            self.keep_default(transaction)?;
        }
        Ok(wake)
    }
}

impl ServiceCidrs {
    /// Creates the default ServiceCIDR if it is missing, and adds its second network if the command line has a new one.
    fn keep_default(&self, transaction: &mut dyn Transaction) -> Result<(), ApiError> {
        let wanted: Vec<String> = self.config.service_cidrs.iter().map(ToString::to_string).collect();
        let mut object = match transaction.get(&KIND, "", DEFAULT_NAME)? {
            Some(object) => {
                let is_first = matches!((&validation::cidrs(&object)[..], &wanted[..]),
                    ([own], [first, _]) if own == first);
                if object.is_being_deleted() {
                    return Ok(());
                }
                if !is_first {
                    return self.tell(transaction, &object, &wanted);
                }
                object
            }
            None if wanted.is_empty() => return Ok(()),
            None => Object::from_value(json!({
                "apiVersion": KIND.api_version(), "kind": KIND.name, "metadata": {"name": DEFAULT_NAME},
            }))
            .unwrap_or_default(),
        };
        object.spec_mut().insert("cidrs".to_owned(), json!(wanted));
        settle(&mut object, transaction.now());
        transaction.put(&KIND, &mut object)
    }
}

impl ServiceCidrs {
    /// Tells once that the default ServiceCIDR differs from the command line or cannot be used (`syncStatus` in
    /// `pkg/controlplane/controller/defaultservicecidr`).
    fn tell(
        &self,
        transaction: &mut dyn Transaction,
        object: &Object,
        wanted: &[String],
    ) -> Result<(), ApiError> {
        if self.has_told.load(Ordering::Relaxed) {
            return Ok(());
        }
        let Some(mismatch) = mismatch::of(object, wanted) else { return Ok(()) };
        mismatch.record(transaction, object)?;
        tracing::error!(cause = %mismatch.message, "{}", mismatch.summary);
        self.has_told.store(true, Ordering::Relaxed);
        Ok(())
    }
}

/// Adds the finalizer, and sets the condition `Ready`.
fn settle(object: &mut Object, now: i64) {
    if !object.finalizers().contains(&FINALIZER) {
        let mut finalizers: Vec<&str> = object.finalizers();
        finalizers.push(FINALIZER);
        let finalizers = json!(finalizers);
        object.metadata_mut().insert("finalizers".to_owned(), finalizers);
    }
    conditions::set_ready(object, now);
}

/// Removes the finalizer of a ServiceCIDR that is being deleted, or notes why it has to stay. Returns when to look again.
fn bury(
    transaction: &mut dyn Transaction,
    object: &Object,
    others: &[IpNet],
) -> Result<Option<i64>, ApiError> {
    if !object.finalizers().contains(&FINALIZER) {
        return Ok(None);
    }
    let now = transaction.now();
    if !deletion::may_go(transaction, object, others)? {
        let mut object = object.clone();
        if conditions::set_terminating(&mut object, now) {
            transaction.put(&KIND, &mut object)?;
        }
        return Ok(None);
    }
    let since = object.metadata().get("deletionTimestamp").and_then(Value::as_str).and_then(time::parse);
    let end = since.unwrap_or(now) + GRACE;
    if now < end {
        return Ok(Some(end));
    }
    if object.finalizers() == [FINALIZER] {
        transaction.remove(&KIND, "", object.name())?;
        return Ok(None);
    }
    // Other finalizers keep the object.
    let mut object = object.clone();
    let rest: Vec<&str> = object.finalizers().into_iter().filter(|name| *name != FINALIZER).collect();
    let rest = json!(rest);
    object.metadata_mut().insert("finalizers".to_owned(), rest);
    transaction.put(&KIND, &mut object)?;
    Ok(None)
}
