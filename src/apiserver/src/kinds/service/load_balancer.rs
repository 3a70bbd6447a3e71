//! The external addresses of LoadBalancer Services.
//!
//! Services with a load balancer class are left to other controllers, and without pools all Services are. A Service that
//! cannot have an address stays pending until it is changed, or until an address that it can have is released.

use std::net::IpAddr;

use ipnet::IpNet;
use serde_json::{Value, json};

use super::kind::KIND;
use super::numbers::waiting;
use super::spec::{LOAD_BALANCER, Spec};
use crate::accounts::Account;
use crate::kinds::config::PoolRange;
use crate::kinds::family::{FamilyExt, IpFamily, number};
use crate::object::Object;
use crate::resource::Transaction;
use crate::status::ApiError;
use pod::validation::ip::parse_sloppy;

/// The first and last number of the addresses of a pool.
fn ends(pool: &PoolRange) -> (u128, u128) {
    let network = match pool {
        PoolRange::Range(first, last) => return (number(*first), number(*last)),
        PoolRange::Network(network) => network,
    };
    let (first, last) = (number(network.network()), number(network.broadcast()));
    let is_smallest = network.prefix_len() + 1 >= network.max_prefix_len();
    match network {
        // The smallest networks have no address to spare.
        _ if is_smallest => (first, last),
        IpNet::V4(_) => (first + 1, last - 1),
        // The first one is every router's (RFC 4291, section 2.6.1).
        IpNet::V6(_) => (first + 1, last),
    }
}

fn family(pool: &PoolRange) -> IpFamily {
    match pool {
        PoolRange::Network(network) => IpFamily::of_network(network),
        PoolRange::Range(first, _) => IpFamily::of(*first),
    }
}

fn of_family(pools: &[PoolRange], wanted: IpFamily) -> impl Iterator<Item = (u128, u128)> {
    pools.iter().filter(move |pool| family(pool) == wanted).map(ends)
}

/// Whether an address is one of the pools'.
pub(crate) fn is_in_pool(pools: &[PoolRange], address: IpAddr) -> bool {
    let asked = number(address);
    of_family(pools, IpFamily::of(address)).any(|(first, last)| (first..=last).contains(&asked))
}

fn ingress(object: &Object) -> impl Iterator<Item = &Value> {
    let list = object.0.get("status").and_then(|status| status["loadBalancer"]["ingress"].as_array());
    list.into_iter().flatten()
}

/// The addresses or names in `status.loadBalancer.ingress`.
pub(super) fn shown(object: &Object) -> impl Iterator<Item = String> {
    let names = ingress(object).filter_map(|one| one["ip"].as_str().or_else(|| one["hostname"].as_str()));
    names.map(str::to_owned)
}

/// The addresses in `status.loadBalancer.ingress`.
pub(super) fn addresses(object: &Object) -> Vec<IpAddr> {
    ingress(object).filter_map(|one| parse_sloppy(one["ip"].as_str()?)).collect()
}

/// Sets `status` of a Service, whose state before is `old`.
pub(super) fn set_status(
    transaction: &mut dyn Transaction,
    pools: &[PoolRange],
    object: &mut Object,
    spec: &Spec,
    old: Option<&Object>,
) {
    let old_status = old.and_then(|old| old.0.get("status")).cloned();
    let mut status = old_status.filter(Value::is_object).unwrap_or_else(|| json!({}));
    if !spec.is(LOAD_BALANCER) {
        status["loadBalancer"] = json!({});
    } else if is_own(pools, spec) && !transaction.is_dry_run() {
        let had = old.map(addresses).unwrap_or_default();
        let own: Vec<Value> = spec
            .families()
            .filter_map(|family| choose(transaction, pools, spec, family, &had))
            .map(|address| json!({"ip": address.to_string(), "ipMode": "VIP"}))
            .collect();
        status["loadBalancer"] = if own.is_empty() { json!({}) } else { json!({"ingress": own}) };
    } else if !status["loadBalancer"].is_object() {
        status["loadBalancer"] = json!({});
    }
    object.0.insert("status".to_owned(), status);
}

/// Whether this server allocates the Service's external addresses.
fn is_own(pools: &[PoolRange], spec: &Spec) -> bool {
    spec.is(LOAD_BALANCER) && spec.load_balancer_class.is_none() && !pools.is_empty()
}

/// Keeps the external addresses of `old` if this server allocates them.
pub(super) fn keep_own(pools: &[PoolRange], object: &mut Object, spec: &Spec, old: &Object) {
    let own = old.0.get("status").map_or(Value::Null, |status| status["loadBalancer"].clone());
    let status = object.status_mut();
    if is_own(pools, spec) || !status.get("loadBalancer").is_some_and(Value::is_object) {
        let own = if is_own(pools, spec) && own.is_object() { own } else { json!({}) };
        status.insert("loadBalancer".to_owned(), own);
    }
}

/// Chooses an address of one family: the one that is asked for, if a pool has it; else the old one; else the first free one.
fn choose(
    transaction: &mut dyn Transaction,
    pools: &[PoolRange],
    spec: &Spec,
    family: IpFamily,
    had: &[IpAddr],
) -> Option<IpAddr> {
    let asked = parse_sloppy(&spec.load_balancer_ip)
        .filter(|address| IpFamily::of(*address) == family && is_in_pool(pools, *address));
    let own =
        had.iter().copied().find(|address| IpFamily::of(*address) == family && is_in_pool(pools, *address));
    let account = family.load_balancer_account();
    match (asked, own) {
        (Some(asked), Some(own)) if asked == own => Some(own),
        (Some(asked), _) => {
            let number = number(asked);
            (transaction.used(account, number, number) == 0).then_some(asked)
        }
        (None, Some(own)) => Some(own),
        (None, None) => {
            let free =
                of_family(pools, family).find_map(|(first, last)| transaction.free(account, first, last));
            free.map(|number| family.address(number))
        }
    }
}

/// The addresses that a Service loses by a change.
pub(super) fn given_back(object: &Object, old: &Object) -> Vec<IpAddr> {
    let kept = addresses(object);
    addresses(old).into_iter().filter(|address| !kept.contains(address)).collect()
}

/// Gives `free` addresses to Services that wait for one. Looks for such Services only if there are any.
///
/// # Errors
/// The store cannot be read or written.
pub(super) fn pass_on(
    transaction: &mut dyn Transaction,
    pools: &[PoolRange],
    free: &[IpAddr],
) -> Result<(), ApiError> {
    let mut is_waited_for = |address: &IpAddr| {
        let family = IpFamily::of(*address).waiting_number();
        transaction.used(Account::Waiting, family, family) > 0
    };
    if !free.iter().any(&mut is_waited_for) {
        return Ok(());
    }
    for mut service in transaction.list(&KIND)? {
        if waiting(&service).is_empty() {
            continue;
        }
        let Ok(spec) = Spec::of(&service) else { continue };
        let before = service.clone();
        set_status(transaction, pools, &mut service, &spec, Some(&before));
        if service != before {
            transaction.put(&KIND, &mut service)?;
        }
    }
    Ok(())
}
