//! ServiceAccounts: users that are objects.

use serde_json::{Map, Value};

use super::{Shape, everywhere};
use crate::kind::{Kind, Subresource, Verb};
use crate::kinds::columns::{AGE, NAME, column};
use crate::kinds::{age, verbs};
use crate::object::Object;
use crate::schema::published;

/// `serviceaccounts`.
pub(crate) static KIND: Kind = Kind {
    short_names: &["sa"],
    verbs: verbs::ALL,
    subresources: &[(Subresource::Token, &[Verb::Create])],
    columns: &[NAME, column("Secrets", "How many secrets it has."), AGE],
    ..Kind::new("", "ServiceAccount", "serviceaccounts", "serviceaccount", &published::ServiceAccount)
};

pub(super) static SHAPE: Shape = Shape {
    cells,
    everywhere: Some(|_| everywhere::object(&KIND, DEFAULT, Map::new())),
    ..Shape::new(&KIND)
};

/// The account of pods that name none. Each namespace has one.
pub(super) const DEFAULT: &str = "default";

fn cells(object: &Object, now: i64) -> Vec<Value> {
    let secrets = object.0.get("secrets").and_then(Value::as_array).map_or(0, Vec::len);
    vec![object.name().into(), secrets.into(), age::cell(object, now)]
}
