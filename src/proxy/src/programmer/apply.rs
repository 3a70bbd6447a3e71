//! Applies the parts of a change, so that one that is refused does not hold up the others.

use sys::net::services::{Element, ServicesError};

use crate::change::Part;

/// How many transactions that are refused are made for one change.
const REFUSALS_MAX: usize = 256;

/// What became of the parts of a change.
#[derive(Debug, Default)]
pub(super) struct Applied {
    /// Those in the kernel.
    pub(super) parts: Vec<Part>,
    /// Those that the kernel refused.
    pub(super) refused: Vec<(Part, ServicesError)>,
    /// Those that were not tried alone, for so many were refused.
    pub(super) left: Vec<Part>,
    /// Why nothing can be changed at all.
    pub(super) error: Option<ServicesError>,
    refusals: usize,
}

/// Makes the change in one transaction; if that is refused, in one for each half, and so on, until the parts that are
/// refused stand alone.
pub(super) fn apply(
    parts: Vec<Part>,
    change: &mut impl FnMut(&[Element], &[Element]) -> Result<(), ServicesError>,
) -> Applied {
    let mut applied = Applied::default();
    let mut batches = vec![parts];
    while let Some(mut parts) = batches.pop() {
        if parts.is_empty() {
            continue;
        }
        if applied.error.is_some() || applied.refusals == REFUSALS_MAX {
            applied.left.append(&mut parts);
            continue;
        }
        let removed: Vec<_> = parts.iter().flat_map(|part| &part.removed).copied().collect();
        let added: Vec<_> = parts.iter().flat_map(|part| &part.added).copied().collect();
        match change(&removed, &added) {
            Ok(()) => applied.parts.append(&mut parts),
            Err(error) if !is_refusal(&error) => {
                applied.error = Some(error);
                applied.left.append(&mut parts);
            }
            Err(error) => {
                applied.refusals += 1;
                let second = parts.split_off(parts.len() / 2);
                match (parts.is_empty(), <[Part; 1]>::try_from(second)) {
                    (true, Ok([part])) => applied.refused.push((part, error)),
                    (_, Ok([part])) => batches.extend([vec![part], parts]),
                    (_, Err(second)) => batches.extend([second, parts]),
                }
            }
        }
    }
    applied
}

/// Whether another change might be accepted.
pub(super) fn is_refusal(error: &ServicesError) -> bool {
    matches!(error, ServicesError::Refused { .. } | ServicesError::Unusable { .. })
}
