//! ServiceAccounts: users that are objects.

use serde_json::Map;

use super::{Shape, everywhere};
use crate::kind::{Kind, Subresource, Verb};
use crate::kinds::columns::{AGE, NAME};
use crate::kinds::verbs;
use crate::schema::published;

/// `serviceaccounts`.
pub(crate) static KIND: Kind = Kind {
    short_names: &["sa"],
    verbs: verbs::ALL,
    subresources: &[(Subresource::Token, &[Verb::Create])],
    columns: &[NAME, AGE],
    ..Kind::new("", "ServiceAccount", "serviceaccounts", "serviceaccount", &published::ServiceAccount)
};

pub(super) static SHAPE: Shape = Shape {
    is_returned_when_deleted: true,
    everywhere: Some(|_| everywhere::object(&KIND, DEFAULT, Map::new())),
    ..Shape::new(&KIND)
};

/// The account of pods that name none. Each namespace has one.
pub(super) const DEFAULT: &str = "default";
