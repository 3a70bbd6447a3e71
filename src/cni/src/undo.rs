//! Undoing what a call has made when a later step of it fails.

use crate::protocol::error::CniError;

/// Undoes one step.
type Step<'a, T> = Box<dyn FnOnce(&mut T) -> Result<(), CniError> + 'a>;

/// What a call has made so far. Dropping it undoes that, the latest step first, unless all was done ([`Self::defuse`]).
///
/// A step that cannot be undone does not keep the earlier ones from being undone, except for the foundation, on which
/// all others stand: an address stays taken as long as anything may still use it.
pub(crate) struct UndoGuard<'a, T> {
    /// What the steps work with.
    tools: &'a mut T,
    foundation: Option<Step<'a, T>>,
    steps: Vec<Step<'a, T>>,
}

impl<'a, T> UndoGuard<'a, T> {
    /// A guard of something that stays until everything made later is undone.
    pub(crate) fn new(
        tools: &'a mut T,
        undo_foundation: impl FnOnce(&mut T) -> Result<(), CniError> + 'a,
    ) -> Self {
        Self { tools, foundation: Some(Box::new(undo_foundation)), steps: Vec::new() }
    }

    /// Adds a step that was made, or may have been.
    pub(crate) fn push(&mut self, undo: impl FnOnce(&mut T) -> Result<(), CniError> + 'a) {
        self.steps.push(Box::new(undo));
    }

    /// Keeps everything.
    pub(crate) fn defuse(mut self) {
        self.foundation = None;
        self.steps.clear();
    }

    /// Undoes everything now. Gives `error`, which is why, with what could not be undone.
    pub(crate) fn fail(mut self, error: CniError) -> CniError {
        match CniError::joined(&self.undo()) {
            Some(also) => CniError { msg: format!("{error}; then {also}"), ..error },
            None => error,
        }
    }

    fn undo(&mut self) -> Vec<CniError> {
        let mut failures = Vec::new();
        while let Some(step) = self.steps.pop() {
            failures.extend(step(self.tools).err());
        }
        if let Some(foundation) = self.foundation.take().filter(|_| failures.is_empty()) {
            failures.extend(foundation(self.tools).err());
        }
        failures
    }
}

impl<T> Drop for UndoGuard<'_, T> {
    fn drop(&mut self) {
        // A call that wants to tell of failures calls `fail`.
        self.undo();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::error::Code;

    type Log = Vec<&'static str>;

    fn noted(name: &'static str) -> impl FnOnce(&mut Log) -> Result<(), CniError> {
        move |log| {
            log.push(name);
            Ok(())
        }
    }

    fn refused(name: &'static str) -> impl FnOnce(&mut Log) -> Result<(), CniError> {
        move |log| {
            log.push(name);
            Err(CniError::new(Code::Network, format!("cannot remove {name}")))
        }
    }

    #[test]
    fn a_dropped_guard_undoes_the_latest_step_first() {
        let mut log = Log::new();
        let mut guard = UndoGuard::new(&mut log, noted("lease"));
        guard.push(noted("rules"));
        guard.push(noted("link"));
        drop(guard);
        assert_eq!(log, ["link", "rules", "lease"]);
    }

    #[test]
    fn a_defused_guard_undoes_nothing() {
        let mut log = Log::new();
        let mut guard = UndoGuard::new(&mut log, noted("lease"));
        guard.push(noted("rules"));
        guard.defuse();
        assert!(log.is_empty(), "{log:?}");
    }

    #[test]
    fn a_failed_call_undoes_each_step_once_and_tells_its_own_error() {
        let mut log = Log::new();
        let mut guard = UndoGuard::new(&mut log, noted("lease"));
        guard.push(noted("rules"));
        let error = guard.fail(CniError::new(Code::Port, "cannot map port 80"));
        assert_eq!((error.code, error.msg.as_str()), (Code::Port, "cannot map port 80"));
        assert_eq!(log, ["rules", "lease"]);
    }

    #[test]
    fn a_step_that_stays_keeps_the_foundation_and_nothing_else() {
        let mut log = Log::new();
        let mut guard = UndoGuard::new(&mut log, noted("lease"));
        guard.push(noted("rules"));
        guard.push(refused("link"));
        let error = guard.fail(CniError::new(Code::Io, "cannot write the record"));
        assert_eq!(
            (error.code, error.msg.as_str()),
            (Code::Io, "cannot write the record; then cannot remove link")
        );
        assert_eq!(log, ["link", "rules"]);
    }
}
