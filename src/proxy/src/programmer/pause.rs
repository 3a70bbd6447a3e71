//! Pauses between attempts that fail.

use std::time::{Duration, Instant};

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(60);

/// The pause after an attempt that failed: each is twice as long as the one before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Pause {
    /// When the next attempt is due; none if there is nothing to repeat.
    pub(super) until: Option<Instant>,
    last: Option<Duration>,
    /// The error that was told.
    told: Option<Box<str>>,
}

impl Pause {
    pub(super) fn is_due(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| until <= now)
    }

    /// After an attempt that failed. Returns true if its error has not been told yet.
    pub(super) fn fail(&mut self, now: Instant, error: &str) -> bool {
        let pause = self.last.map_or(FIRST, |last| (last * 2).min(LONGEST));
        self.last = Some(pause);
        self.until = Some(now + pause);
        let is_new = self.told.as_deref() != Some(error);
        if is_new {
            self.told = Some(error.into());
        }
        is_new
    }

    /// The next attempt is due at once. If it fails, the pause grows all the same.
    pub(super) fn end(&mut self) {
        self.until = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_a_minute_and_an_error_is_told_once() {
        let now = Instant::now();
        let mut pause = Pause::default();
        assert!(pause.is_due(now));
        let mut pauses = Vec::new();
        for attempt in 0..10 {
            assert_eq!(pause.fail(now, "no"), attempt == 0);
            assert!(!pause.is_due(now));
            pauses.push(pause.until.unwrap().duration_since(now).as_millis());
            if attempt == 3 {
                pause.end();
                assert!(pause.is_due(now));
            }
        }
        assert_eq!(pauses, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000, 60_000]);
        assert!(pause.is_due(now + LONGEST));
        assert!(pause.fail(now, "something else"));
    }
}
