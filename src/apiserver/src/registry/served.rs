//! The kinds that are served.

use crate::kind::{Kind, Source};
use crate::resource::Resource;
use crate::status::ApiError;

/// The rules of a kind.
///
/// # Errors
/// The kind is not served.
pub(super) fn resource_of<'a>(
    resources: &'a [Box<dyn Resource>],
    kind: &Kind,
) -> Result<&'a dyn Resource, ApiError> {
    let found = resources.iter().map(AsRef::as_ref).find(|resource| resource.kind() == kind);
    found.ok_or_else(ApiError::no_such_path)
}

/// The kind that is served under the names of `kind`: Nodes and Pods come from different places on different servers.
pub(super) fn served(resources: &[Box<dyn Resource>], kind: &'static Kind) -> &'static Kind {
    resource_of(resources, kind).map_or(kind, Resource::kind)
}

/// The kind whose objects the store has under the name `plural`.
pub(super) fn stored_as(resources: &[Box<dyn Resource>], plural: &str) -> Option<&'static Kind> {
    let mut stored =
        resources.iter().map(|resource| resource.kind()).filter(|kind| kind.source == Source::Stored);
    stored.find(|kind| kind.plural == plural)
}
