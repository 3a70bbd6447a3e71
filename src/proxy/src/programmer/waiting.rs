//! The changes that the kernel refused, until it takes them.

use std::collections::BTreeMap;
use std::mem;
use std::sync::Arc;
use std::time::Instant;

use sys::net::services::Element;

use super::pause::Pause;
use crate::change::{Part, difference};
use crate::objects::ObjectName;

type Owner = Option<Arc<ObjectName>>;

/// What is not in the kernel yet of each Service whose change was refused.
#[derive(Debug, Default)]
pub(super) struct Waiting(BTreeMap<Owner, (Part, Pause)>);

impl Waiting {
    /// Puts a refused part aside. Returns true if the error has not been told yet.
    pub(super) fn refuse(&mut self, part: Part, now: Instant, error: &str) -> bool {
        let (waiting, pause) = self.0.entry(part.service.clone()).or_default();
        *waiting = part;
        pause.fail(now, error)
    }

    /// Takes out the parts whose pause is over. Until they are forgotten or refused again, their pauses stay.
    pub(super) fn due(&mut self, now: Instant) -> Vec<Part> {
        let due = self.0.values_mut().filter(|(part, pause)| !part.is_empty() && pause.is_due(now));
        due.map(|(part, _)| mem::take(part)).collect()
    }

    /// A part that is in the kernel now. Returns true if it waited.
    pub(super) fn forget(&mut self, service: &Owner) -> bool {
        self.0.remove(service).is_some()
    }

    /// Adds the change of a Service that waits to what it waits for; gives back that of another Service.
    pub(super) fn extend(&mut self, part: Part) -> Option<Part> {
        let Some((waiting, pause)) = self.0.get_mut(&part.service) else {
            return Some(part);
        };
        let service = part.service.clone();
        *waiting = followed_by(mem::take(waiting), part);
        pause.end();
        if waiting.is_empty() {
            self.0.remove(&service);
        }
        None
    }

    /// Takes `parts`, which are all that is missing in the kernel, for what waits. Gives back those that are due.
    pub(super) fn renew(&mut self, parts: Vec<Part>, now: Instant) -> Vec<Part> {
        let mut before = mem::take(&mut self.0);
        let mut due = Vec::new();
        for part in parts {
            let Some((_, pause)) = before.remove(&part.service) else {
                due.push(part);
                continue;
            };
            let service = part.service.clone();
            let waiting = if pause.is_due(now) {
                due.push(part);
                Part::default()
            } else {
                part
            };
            self.0.insert(service, (waiting, pause));
        }
        due
    }

    /// When the next part is due.
    pub(super) fn next(&self) -> Option<Instant> {
        let waiting = self.0.values().filter(|(part, _)| !part.is_empty());
        waiting.filter_map(|(_, pause)| pause.until).min()
    }
}

/// One change for two, the second made after the first.
fn followed_by(mut first: Part, mut second: Part) -> Part {
    for elements in [&mut first.removed, &mut first.added, &mut second.removed, &mut second.added] {
        elements.sort_unstable();
    }
    // What is removed and added again, or the reverse, is as it was.
    let without = |elements: &[Element], cancelled: &[Element]| difference(elements, cancelled).0;
    let mut removed = without(&first.removed, &second.added);
    removed.extend(without(&second.removed, &first.added));
    let mut added = without(&first.added, &second.removed);
    added.extend(without(&second.added, &first.removed));
    Part { service: second.service, removed, added }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn elements(numbers: &[u8]) -> Vec<Element> {
        numbers.iter().map(|number| Element::Hairpin([10, 0, 0, *number].into())).collect()
    }

    fn part(service: &str, removed: &[u8], added: &[u8]) -> Part {
        let service = Some(Arc::new(ObjectName::new("default", service)));
        Part { service, removed: elements(removed), added: elements(added) }
    }

    #[test]
    fn two_changes_become_one() {
        type Lists<'a> = (&'a [u8], &'a [u8]);
        let table: [(Lists<'_>, Lists<'_>, Lists<'_>); 5] = [
            ((&[], &[1]), (&[], &[2]), (&[], &[1, 2])),
            ((&[], &[1, 2]), (&[1], &[3]), (&[], &[2, 3])),
            ((&[1], &[]), (&[], &[1]), (&[], &[])),
            ((&[1], &[2]), (&[2], &[1]), (&[], &[])),
            ((&[1, 5], &[2]), (&[2, 4], &[3]), (&[1, 5, 4], &[3])),
        ];
        for (first, second, both) in table {
            let found = followed_by(part("a", first.0, first.1), part("a", second.0, second.1));
            assert_eq!(found, part("a", both.0, both.1));
        }
    }

    #[test]
    fn a_part_waits_until_its_pause_is_over() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        assert!(waiting.refuse(part("a", &[], &[1]), now, "no"));
        assert_eq!(waiting.due(now), []);
        let later = waiting.next().unwrap();
        assert_eq!(waiting.due(later), [part("a", &[], &[1])]);
        assert!(!waiting.refuse(part("a", &[], &[1]), later, "no"));
        assert!(waiting.next().unwrap() > later + Duration::from_millis(600));
        // A change of the Service is tried at once, together with what waits.
        assert_eq!(waiting.extend(part("b", &[], &[2])), Some(part("b", &[], &[2])));
        assert_eq!(waiting.extend(part("a", &[1], &[3])), None);
        assert_eq!(waiting.due(later), [part("a", &[], &[3])]);
        assert!(waiting.forget(&part("a", &[], &[]).service));
        assert_eq!(waiting.next(), None);
    }

    #[test]
    fn a_part_that_is_taken_back_waits_no_more() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        waiting.refuse(part("a", &[], &[1]), now, "no");
        waiting.extend(part("a", &[1], &[]));
        assert!(waiting.0.is_empty());
    }

    #[test]
    fn what_is_missing_in_the_kernel_replaces_what_waits() {
        let now = Instant::now();
        let mut waiting = Waiting::default();
        for (service, element) in [("a", 1), ("b", 2), ("c", 3)] {
            waiting.refuse(part(service, &[], &[element]), now, "no");
        }
        let later = now + Duration::from_millis(500);
        waiting.refuse(part("c", &[], &[3]), later, "no");
        let missing = vec![part("b", &[], &[5]), part("c", &[], &[6]), part("d", &[], &[7])];
        assert_eq!(waiting.renew(missing, later), [part("b", &[], &[5]), part("d", &[], &[7])]);
        assert_eq!(waiting.due(later), []);
        assert_eq!(waiting.due(later + Duration::from_secs(1)), [part("c", &[], &[6])]);
        assert_eq!(waiting.0.len(), 2);
    }
}
