//! Allocates the cluster IPs of a Service, with an IPAddress for each.

use std::net::IpAddr;

use serde_json::json;

use super::allocator::{AllocationError, Ranges};
use super::kind::KIND;
use super::spec::Spec;
use crate::kinds::family::IpFamily;
use crate::kinds::faults::invalid;
use crate::kinds::ip_address;
use crate::resource::Transaction;
use crate::status::ApiError;
use pod::validation::ip::parse_sloppy;

/// The Service that owns the addresses.
pub(super) struct Owner<'a> {
    pub(super) namespace: &'a str,
    pub(super) name: &'a str,
}

/// Allocates the addresses of a new Service, or of a former ExternalName.
///
/// # Errors
/// `Invalid` if an address that is asked for is not free, `InternalError` if none is left.
pub(super) fn allocate(
    transaction: &mut dyn Transaction,
    spec: &mut Spec,
    owner: &Owner<'_>,
) -> Result<(), ApiError> {
    if !spec.needs_cluster_ip() || spec.is_headless() {
        return Ok(());
    }
    let families: Vec<IpFamily> = spec.families().collect();
    let missing = families.len().saturating_sub(spec.cluster_ips.len());
    spec.cluster_ips.extend(std::iter::repeat_n(String::new(), missing));
    let slots = families.into_iter().enumerate().collect();
    fill(transaction, spec, slots, owner)
}

/// Allocates and releases addresses for a changed Service.
///
/// # Errors
/// As [`allocate`].
pub(super) fn change(
    transaction: &mut dyn Transaction,
    spec: &mut Spec,
    old: &Spec,
    owner: &Owner<'_>,
) -> Result<(), ApiError> {
    if !old.needs_cluster_ip() {
        return allocate(transaction, spec, owner);
    }
    if old.is_headless() {
        return Ok(());
    }
    let families: Vec<IpFamily> = spec.families().collect();
    match (old.ip_families.len(), &families[..]) {
        _ if !spec.needs_cluster_ip() => release(transaction, old, 0, owner),
        (1, [_, second]) => {
            if spec.cluster_ips.len() < 2 {
                spec.cluster_ips.push(String::new());
            }
            fill(transaction, spec, vec![(1, *second)], owner)
        }
        (2, [_]) => release(transaction, old, 1, owner),
        _ => Ok(()),
    }
}

/// Releases the addresses from index `first` on.
///
/// # Errors
/// The store cannot be written.
pub(super) fn release(
    transaction: &mut dyn Transaction,
    old: &Spec,
    first: usize,
    owner: &Owner<'_>,
) -> Result<(), ApiError> {
    for address in old.addresses().skip(first) {
        ip_address::take(transaction, address, owner.namespace, owner.name)?;
    }
    Ok(())
}

/// Fills these places of `clusterIPs`, those that ask for a certain address first.
fn fill(
    transaction: &mut dyn Transaction,
    spec: &mut Spec,
    mut places: Vec<(usize, IpFamily)>,
    owner: &Owner<'_>,
) -> Result<(), ApiError> {
    let ranges = Ranges::of(transaction)?;
    places.sort_by_key(|(index, _)| spec.cluster_ips.get(*index).is_none_or(String::is_empty));
    for (index, family) in places {
        let Some(asked) = spec.cluster_ips.get(index).cloned() else { continue };
        let address = match parse_sloppy(&asked) {
            Some(address) => {
                let checked = ranges.check(transaction, address);
                checked.map_err(|error| refusal(spec, owner, &asked, &error))?;
                address
            }
            None => {
                let next = ranges.next(transaction, family);
                let address = next.map_err(|error| exhaustion(owner, &error))?;
                spec.cluster_ips[index] = address.to_string();
                address
            }
        };
        give(transaction, address, owner)?;
    }
    if let Some(first) = spec.cluster_ips.first() {
        spec.cluster_ip.clone_from(first);
    }
    Ok(())
}

fn give(transaction: &mut dyn Transaction, address: IpAddr, owner: &Owner<'_>) -> Result<(), ApiError> {
    if transaction.is_dry_run() {
        return Ok(());
    }
    ip_address::give(transaction, address, owner.namespace, owner.name)
}

fn refusal(spec: &Spec, owner: &Owner<'_>, asked: &str, error: &AllocationError) -> ApiError {
    let why = format!("failed to allocate IP {asked}: {error}");
    let fault = invalid("spec.clusterIPs", &json!(spec.cluster_ips), why);
    ApiError::invalid(&KIND, owner.name, &[fault])
}

fn exhaustion(owner: &Owner<'_>, error: &AllocationError) -> ApiError {
    ApiError::internal(format!("failed to allocate a serviceIP for Service {:?}: {error}", owner.name))
}
