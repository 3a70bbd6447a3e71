//! Validation of ServiceCIDRs.

use serde_json::{Value, json};

use super::super::faults::{invalid, required};
use super::super::meta;
use crate::kinds::family::{FamilyExt, IpFamily};
use crate::object::Object;
use crate::status::Cause;
use pod::validation::cidr::{parse_sloppy_cidr, strict_error};

const PATH: &str = "spec.cidrs";
const IMMUTABLE: &str = "field is immutable";

/// The texts of `spec.cidrs`.
pub(super) fn cidrs(object: &Object) -> Vec<String> {
    let list = object.spec().get("cidrs").and_then(Value::as_array).into_iter().flatten();
    list.map(|cidr| cidr.as_str().map_or_else(|| cidr.to_string(), str::to_owned)).collect()
}

/// The faults of a ServiceCIDR.
pub(super) fn faults(object: &Object) -> Vec<Cause> {
    let mut faults = meta::faults(object, meta::subdomain);
    faults.extend(cidr_faults(&cidrs(object)));
    faults
}

fn cidr_faults(cidrs: &[String]) -> Vec<Cause> {
    let mut faults = Vec::new();
    match cidrs {
        [] => faults.push(required(PATH, "at least one CIDR required")),
        [_, _, _, ..] => faults.push(invalid(PATH, &json!({"CIDRs": cidrs}), "may only hold up to 2 values")),
        given => {
            faults.extend(given.iter().enumerate().filter_map(|(index, cidr)| {
                Some(invalid(format!("{PATH}[{index}]"), &cidr.as_str().into(), strict_error(cidr)?))
            }));
            if let [one, two] = given
                && are_of_one_family(one, two)
            {
                let why = "may specify no more than one IP for each IP family, i.e 192.168.0.0/24 and 2001:db8::/64";
                faults.push(invalid(PATH, &json!(cidrs), why));
            }
        }
    }
    faults
}

fn are_of_one_family(one: &str, two: &str) -> bool {
    let family = |cidr: &str| parse_sloppy_cidr(cidr).map(|network| IpFamily::of_network(&network));
    family(one).is_some_and(|family_of_one| family(two) == Some(family_of_one))
}

/// The faults of a change: it may only add a network of the other family.
pub(super) fn change_faults(object: &Object, old: &Object) -> Vec<Cause> {
    let (new, old) = (cidrs(object), cidrs(old));
    let changed = || {
        let pairs = old.iter().zip(&new).enumerate().filter(|(_, (old, new))| old != new);
        pairs
            .map(|(index, (_, new))| invalid(format!("{PATH}[{index}]"), &new.as_str().into(), IMMUTABLE))
            .collect()
    };
    match (old.len(), new.len()) {
        (before, after) if before == after => changed(),
        (1, 2) => {
            let mut faults: Vec<Cause> = changed();
            faults.extend(cidr_faults(&new));
            faults
        }
        _ => vec![invalid(PATH, &json!(new), IMMUTABLE)],
    }
}
