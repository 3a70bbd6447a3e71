//! Allocates the node ports of a Service.
//!
//! As with addresses, the upper part of the range serves ports that do not ask for a certain number. A number belongs to
//! one Service in all protocols; inside a Service, ports of the same number share their node port.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;
use thiserror::Error;

use super::allocator::random_free;
use super::kind::KIND;
use super::spec::{NODE_PORT, Spec};
use crate::accounts::Account;
use crate::kinds::config::PortRange;
use crate::kinds::faults::invalid;
use crate::resource::Transaction;
use crate::status::ApiError;

/// Placeholder port that a dry run reports; the next ports count up from it.
const DRY_RUN_FIRST: i32 = 32769;

/// Why a port cannot be had. The texts are Kubernetes' own.
#[derive(Debug, Error, PartialEq, Eq)]
enum PortError {
    #[error("range is full")]
    Full,
    #[error("provided port is already allocated")]
    Allocated,
    #[error("provided port is not in the valid range. The range of valid ports is {}-{}", .0.start(), .0.end())]
    NotInRange(PortRange),
}

/// The ports that one change takes.
pub(super) struct Ports<'a> {
    transaction: &'a mut dyn Transaction,
    range: &'a PortRange,
    taken: BTreeSet<i32>,
}

impl<'a> Ports<'a> {
    pub(super) fn new(transaction: &'a mut dyn Transaction, range: &'a PortRange) -> Self {
        Self { transaction, range, taken: BTreeSet::new() }
    }

    /// Allocates the ports of a new Service.
    ///
    /// # Errors
    /// `Invalid` if a port that is asked for is not free, `InternalError` if none is left.
    pub(super) fn allocate(&mut self, spec: &mut Spec, name: &str) -> Result<(), ApiError> {
        if spec.needs_node_ports() {
            self.allocate_all(spec, name)?;
        }
        if spec.needs_health_check() { self.health_check(spec) } else { Ok(()) }
    }

    fn allocate_all(&mut self, spec: &mut Spec, name: &str) -> Result<(), ApiError> {
        let are_given = are_given(spec);
        let asked: Vec<(i32, i32)> =
            spec.ports.iter().map(|port| (port.port, port.node_port)).filter(|(_, own)| *own != 0).collect();
        // Node ports by port: DNS over UDP and over TCP share one.
        let mut by_port: BTreeMap<i32, i32> = BTreeMap::new();
        for (index, port) in spec.ports.iter_mut().enumerate() {
            if port.node_port == 0 && !are_given {
                continue;
            }
            let own = match by_port.get(&port.port) {
                Some(shared) if port.node_port == 0 || port.node_port == *shared => {
                    port.node_port = *shared;
                    continue;
                }
                Some(_) => Some(port.node_port),
                None => asked.iter().find(|(asked, _)| *asked == port.port).map(|(_, own)| *own),
            };
            let own = match own {
                Some(own) => {
                    self.take(own).map(|()| own).map_err(|error| refusal(name, index, own, &error))?
                }
                None => self.next().map_err(|error| exhaustion(&error))?,
            };
            by_port.entry(port.port).or_insert(own);
            port.node_port = own;
        }
        Ok(())
    }

    /// Allocates the ports of a changed Service, which may keep its old ones.
    ///
    /// # Errors
    /// As [`Self::allocate`].
    pub(super) fn change(&mut self, spec: &mut Spec, old: &Spec, name: &str) -> Result<(), ApiError> {
        if spec.needs_node_ports() {
            let own: BTreeSet<i32> = old.ports.iter().map(|port| port.node_port).collect();
            let are_given = are_given(spec);
            for (index, port) in spec.ports.iter_mut().enumerate() {
                let asked = port.node_port;
                if asked == 0 && are_given {
                    port.node_port = self.next().map_err(|error| exhaustion(&error))?;
                } else if asked != 0 && !own.contains(&asked) && !self.taken.contains(&asked) {
                    self.take(asked).map_err(|error| refusal(name, index, asked, &error))?;
                }
            }
        }
        if spec.needs_health_check() && !old.needs_health_check() { self.health_check(spec) } else { Ok(()) }
    }

    fn health_check(&mut self, spec: &mut Spec) -> Result<(), ApiError> {
        let asked = spec.health_check_node_port;
        if asked != 0 {
            return self.take(asked).map_err(|error| {
                ApiError::internal(format!(
                    "failed to allocate requested HealthCheck NodePort {asked}: {error}"
                ))
            });
        }
        let next = self.next().map_err(|error| {
            ApiError::internal(format!("failed to allocate a HealthCheck NodePort 0: {error}"))
        });
        spec.health_check_node_port = next?;
        Ok(())
    }

    fn take(&mut self, port: i32) -> Result<(), PortError> {
        let number = u16::try_from(port).ok();
        let is_inside = number.is_some_and(|number| self.range.contains(&number));
        if !is_inside && !self.transaction.is_dry_run() {
            return Err(PortError::NotInRange(self.range.clone()));
        }
        let number = number.map(u128::from);
        let is_used =
            number.is_some_and(|number| self.transaction.used(Account::NodePort, number, number) > 0);
        if is_used || !self.taken.insert(port) {
            return Err(PortError::Allocated);
        }
        Ok(())
    }

    fn next(&mut self) -> Result<i32, PortError> {
        let next = if self.transaction.is_dry_run() {
            let last = self.taken.last().copied();
            last.map_or(DRY_RUN_FIRST, |last| last.saturating_add(1))
        } else {
            let (first, last) = (u128::from(*self.range.start()), u128::from(*self.range.end()));
            let split = first + offset(self.range);
            let upper = self.next_in(split, last);
            let next = upper.or_else(|| self.next_in(first, split.checked_sub(1)?));
            next.ok_or(PortError::Full)?
        };
        self.taken.insert(next);
        Ok(next)
    }

    /// A free port that this change has not taken yet.
    fn next_in(&mut self, first: u128, last: u128) -> Option<i32> {
        let number = |port: u128| i32::try_from(port).ok();
        let random = number(random_free(self.transaction, Account::NodePort, first, last)?)?;
        if !self.taken.contains(&random) {
            return Some(random);
        }
        let mut from = first;
        loop {
            let free = self.transaction.free(Account::NodePort, from, last)?;
            if let Some(port) = number(free).filter(|port| !self.taken.contains(port)) {
                return Some(port);
            }
            from = free.checked_add(1)?;
        }
    }
}

/// Size of the lower part: a 32nd of the range, but 16 to 128.
fn offset(range: &PortRange) -> u128 {
    const SMALLEST: usize = 16;
    if range.len() <= SMALLEST { 0 } else { (range.len() / 32).clamp(SMALLEST, 128) as u128 }
}

/// Whether ports without a node port get one.
fn are_given(spec: &Spec) -> bool {
    spec.is(NODE_PORT) || spec.allocate_load_balancer_node_ports.unwrap_or(true)
}

fn refusal(name: &str, index: usize, port: i32, error: &PortError) -> ApiError {
    let field = format!("spec.ports[{index}].nodePort");
    ApiError::invalid(&KIND, name, &[invalid(field, &json!(port), error.to_string())])
}

fn exhaustion(error: &PortError) -> ApiError {
    ApiError::internal(format!("failed to allocate a nodePort: {error}"))
}
