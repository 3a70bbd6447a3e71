//! Leases (`pkg/apis/coordination/validation/validation.go`).

use serde_json::Value;

use super::Shape;
use crate::kind::Kind;
use crate::kinds::columns::{AGE, NAME, column};
use crate::kinds::faults::{forbidden, invalid};
use crate::kinds::{age, verbs};
use crate::object::Object;
use crate::schema::published;
use crate::status::Cause;

static KIND: Kind = Kind {
    verbs: verbs::ALL,
    columns: &[NAME, column("Holder", "Who holds it."), AGE],
    ..Kind::new("coordination.k8s.io", "Lease", "leases", "lease", &published::Lease)
};

pub(super) static SHAPE: Shape = Shape {
    has_any_finalizer: true,
    may_be_created_by_update: true,
    // Two holders that know no version would both have it.
    needs_version: true,
    faults,
    cells,
    ..Shape::new(&KIND)
};

fn faults(object: &Object, _: Option<&Object>) -> Vec<Cause> {
    let spec = object.spec();
    let number = |key: &str| spec[key].as_i64();
    let mut faults = Vec::new();
    if number("leaseDurationSeconds").is_some_and(|seconds| seconds <= 0) {
        let given = &spec["leaseDurationSeconds"];
        faults.push(invalid("spec.leaseDurationSeconds", given, "must be greater than 0"));
    }
    if number("leaseTransitions").is_some_and(|count| count < 0) {
        let given = &spec["leaseTransitions"];
        faults.push(invalid("spec.leaseTransitions", given, "must be greater than or equal to 0"));
    }
    if spec["preferredHolder"].as_str().is_some_and(|holder| !holder.is_empty()) && spec["strategy"].is_null()
    {
        faults.push(forbidden("spec.preferredHolder", "may only be specified when `strategy` is defined"));
    }
    faults
}

fn cells(object: &Object, now: i64) -> Vec<Value> {
    let holder = object.spec()["holderIdentity"].as_str().unwrap_or_default();
    vec![object.name().into(), holder.into(), age::cell(object, now)]
}
