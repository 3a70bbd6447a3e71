//! Services: defaults, allocation of addresses and ports, and validation.
//!
//! A change goes through these modules in the order of the Kubernetes API server: `defaults`, `carry` (fields of the old
//! Service), `families`, `addresses`, `node_ports`, `validation`, `load_balancer`.

mod addresses;
mod allocator;
mod carry;
mod cells;
mod cluster_ips;
mod default_service;
mod defaults;
mod families;
pub(super) mod kind;
mod load_balancer;
mod node_ports;
pub(super) mod numbers;
mod ports;
pub(super) mod schema;
pub(super) mod spec;
mod status;
#[cfg(test)]
mod tests;
mod validation;
mod warnings;

use std::sync::Arc;

use serde_json::Value;

pub use kind::KIND;
pub(crate) use load_balancer::is_in_pool;

use self::addresses::Owner;
use self::node_ports::Ports;
use self::spec::Spec;
use super::config::Config;
use super::family::{FamilyExt, IpFamily};
use super::{meta, namespace};
use crate::kind::{Kind, Subresource};
use crate::object::Object;
use crate::resource::{Resource, Transaction};
use crate::status::ApiError;

/// The rules of Services.
pub struct Services {
    config: Arc<Config>,
    /// The families of the cluster, the primary one first.
    families: Vec<IpFamily>,
}

impl Services {
    /// Rules under this configuration.
    pub fn new(config: Arc<Config>) -> Self {
        let families = config.service_cidrs.iter().map(IpFamily::of_network).collect();
        Self { config, families }
    }
}

impl Resource for Services {
    fn kind(&self) -> &'static Kind {
        &KIND
    }

    fn create(&self, transaction: &mut dyn Transaction, object: &mut Object) -> Result<(), ApiError> {
        namespace::must_exist(transaction, &KIND, object)?;
        let (namespace, name) = (object.namespace().to_owned(), object.name().to_owned());
        let owner = Owner { namespace: &namespace, name: &name };
        let mut spec = Spec::of(object)?;
        defaults::fill(&mut spec);
        carry::sync_new(&mut spec);
        families::fill(&mut spec, None, &self.families)
            .map_err(|faults| ApiError::invalid(&KIND, &name, &faults))?;
        addresses::allocate(transaction, &mut spec, &owner)?;
        Ports::new(transaction, &self.config.node_port_range).allocate(&mut spec, &name)?;
        spec.put_into(object)?;
        meta::checked(&KIND, object, &validation::faults(object, &spec, None))?;
        carry::drop_unused(&mut spec);
        spec.put_into(object)?;
        load_balancer::set_status(transaction, &self.config.load_balancer_pools, object, &spec, None);
        Ok(())
    }

    fn update(
        &self,
        transaction: &mut dyn Transaction,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let (namespace, name) = (old.namespace().to_owned(), old.name().to_owned());
        let owner = Owner { namespace: &namespace, name: &name };
        let (mut spec, before) = (Spec::of(object)?, Spec::of(old)?);
        defaults::fill(&mut spec);
        carry::fill_allocated(&mut spec, &before);
        carry::sync_changed(&mut spec, &before);
        families::fill(&mut spec, Some(&before), &self.families)
            .map_err(|faults| ApiError::invalid(&KIND, &name, &faults))?;
        addresses::change(transaction, &mut spec, &before, &owner)?;
        Ports::new(transaction, &self.config.node_port_range).change(&mut spec, &before, &name)?;
        carry::drop_useless(&mut spec, &before);
        spec.put_into(object)?;
        let mut faults = meta::change_faults(object, old);
        faults.extend(validation::change_faults(&spec, &before));
        faults.extend(validation::faults(object, &spec, Some(&before)));
        meta::checked(&KIND, object, &faults)?;
        carry::drop_unused(&mut spec);
        spec.put_into(object)?;
        load_balancer::set_status(transaction, &self.config.load_balancer_pools, object, &spec, Some(old));
        Ok(())
    }

    /// Clients set conditions, and the load balancer's status if this server does not.
    fn update_part(
        &self,
        _: &mut dyn Transaction,
        _: Subresource,
        object: &mut Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        object.keep_only("status", old);
        let spec = Spec::of(old)?;
        status::fill(object, &spec);
        let mut faults = meta::change_faults(object, old);
        faults.extend(meta::kept_faults(object));
        faults.extend(status::faults(object, &spec, old));
        meta::checked(&KIND, object, &faults)?;
        load_balancer::keep_own(&self.config.load_balancer_pools, object, &spec, old);
        Ok(())
    }

    fn delete(&self, transaction: &mut dyn Transaction, object: &Object) -> Result<(), ApiError> {
        let owner = Owner { namespace: object.namespace(), name: object.name() };
        addresses::release(transaction, &Spec::of(object)?, 0, &owner)
    }

    fn deleted(&self, transaction: &mut dyn Transaction, gone: &[Object]) -> Result<(), ApiError> {
        let free: Vec<_> = gone.iter().flat_map(load_balancer::addresses).collect();
        load_balancer::pass_on(transaction, &self.config.load_balancer_pools, &free)
    }

    fn updated(
        &self,
        transaction: &mut dyn Transaction,
        object: &Object,
        old: &Object,
    ) -> Result<(), ApiError> {
        let free = load_balancer::given_back(object, old);
        load_balancer::pass_on(transaction, &self.config.load_balancer_pools, &free)
    }

    fn warnings(&self, object: &Object, _: Option<&Object>) -> Vec<String> {
        warnings::warnings(object)
    }

    fn part_warnings(&self, object: &Object) -> Vec<String> {
        status::warnings(object)
    }

    fn may_be_created_by_update(&self) -> bool {
        true
    }

    fn is_returned_when_deleted(&self) -> bool {
        true
    }

    fn cells(&self, object: &Object, now: i64) -> Vec<Value> {
        cells::row(object, now)
    }

    fn reconcile(&self, transaction: &mut dyn Transaction) -> Result<Option<i64>, ApiError> {
        default_service::keep(transaction, &self.config)?;
        Ok(None)
    }
}
