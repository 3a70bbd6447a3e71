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

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;

    use super::*;
    use crate::objects::ObjectName;

    fn element(number: u16) -> Element {
        let [high, low] = number.to_be_bytes();
        Element::Hairpin([10, 0, high, low].into())
    }

    fn parts(numbers: impl IntoIterator<Item = u16>) -> Vec<Part> {
        let part = |number: u16| {
            let service = Some(Arc::new(ObjectName::new("default", number.to_string())));
            Part { service, removed: vec![element(number + 1000)], added: vec![element(number)] }
        };
        numbers.into_iter().map(part).collect()
    }

    fn refused() -> ServicesError {
        let cause = io::Error::from(io::ErrorKind::InvalidInput);
        ServicesError::Refused { step: "add".into(), element: None, cause }
    }

    /// Applies `count` parts to something that refuses each transaction with one of `bad`. Returns also the number of
    /// transactions.
    fn apply_to(count: u16, bad: &[u16]) -> (Applied, usize) {
        let mut transactions = 0;
        let bad: Vec<_> = bad.iter().map(|number| element(*number)).collect();
        let mut change = |removed: &[Element], added: &[Element]| {
            transactions += 1;
            assert_eq!(removed.len(), added.len());
            if added.iter().any(|element| bad.contains(element)) { Err(refused()) } else { Ok(()) }
        };
        let applied = apply(parts(0..count), &mut change);
        (applied, transactions)
    }

    fn sorted(mut parts: Vec<Part>) -> Vec<Part> {
        parts.sort_by_key(|part| part.added.clone());
        parts
    }

    #[test]
    fn what_is_accepted_is_one_transaction() {
        assert_eq!(apply_to(0, &[]).1, 0);
        let (applied, transactions) = apply_to(100, &[]);
        assert_eq!((applied.parts, transactions), (parts(0..100), 1));
    }

    #[test]
    fn a_part_that_is_refused_does_not_hold_up_the_others() {
        for (count, bad) in
            [(1, vec![0]), (2, vec![0]), (2, vec![1]), (3, vec![0, 1, 2]), (1000, vec![0, 1, 500, 999])]
        {
            let (applied, transactions) = apply_to(count, &bad);
            let good = (0..count).filter(|number| !bad.contains(number));
            assert_eq!(sorted(applied.parts), parts(good));
            assert_eq!(
                sorted(applied.refused.into_iter().map(|(part, _)| part).collect()),
                parts(bad.clone())
            );
            assert!(applied.left.is_empty() && applied.error.is_none());
            assert!(transactions <= 1 + bad.len() * 20, "{transactions} for {}", bad.len());
        }
    }

    #[test]
    fn a_kernel_that_refuses_everything_is_not_asked_for_ever() {
        let (applied, transactions) = apply_to(10_000, &(0..10_000).collect::<Vec<_>>());
        assert_eq!(transactions, REFUSALS_MAX);
        assert!(applied.refused.len() > REFUSALS_MAX / 3);
        assert_eq!(applied.refused.len() + applied.left.len(), 10_000);
    }

    #[test]
    fn without_the_packet_filter_nothing_is_tried_again() {
        let mut transactions = 0;
        let applied = apply(parts(0..10), &mut |_, _| {
            transactions += 1;
            Err(ServicesError::NoNfTables)
        });
        assert_eq!((applied.left, transactions), (parts(0..10), 1));
        assert!(applied.error.is_some());
    }
}
