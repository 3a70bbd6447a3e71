//! `podhosts configure` and `podhosts unconfigure`: an engine's files are read and planned, and all of them changed, or
//! none.

pub(crate) mod apply;
pub(crate) mod change;
pub(crate) mod choices;
mod found;
mod installed;
pub(crate) mod journal;
mod lock;
pub(crate) mod network;
pub(crate) mod nri;
mod plan;
pub(crate) mod restart;
mod take_out;

use std::path::PathBuf;

use crate::engines::engine::Mode;
use crate::engines::error::ConfigureError;
use crate::engines::files::Files;
use crate::engines::in_use;
use crate::engines::setup::Place;
use crate::engines::version::Version;
use change::{FileChange, SameMeaning};
use choices::{Choices, Invocation};
use journal::{Journal, LastChoices};
use restart::Restart;
use sys::fs::lock::Lock;
use sys::fs::node_files;

/// What a call changed, or would change.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) changes: Vec<FileChange>,
    pub(crate) notes: Vec<String>,
    /// `None` for a dry run.
    pub(crate) restart: Option<Restart>,
}

/// Has an engine call podhosts.
///
/// # Errors
/// [`ConfigureError`]; nothing is changed then.
pub(crate) fn configure(invocation: &Invocation, choices: &Choices) -> Result<Outcome, ConfigureError> {
    let call = Call::begin(invocation)?;
    let last = match &call.last {
        Some(last) => Some(last.clone()),
        None => found::choices(&call.place, call.version, &call.without)?,
    };
    let chosen = choices.over(invocation, &call.paths, last)?;
    let mut setup = choices.setup(&chosen, call.place.clone(), call.version)?;
    setup.others_run_wrapper = call.others_run_wrapper();
    let mut planned = call.without.clone();
    let mut notes = plan::put_in(&mut planned, &setup)?;
    if !setup.with_cni {
        notes.extend(call.journal.taken_over()?.map(network::agents_list));
    }
    plan::keeps_default(&planned, &call.place, call.version)?;
    let changes = change::changes(&planned, SameMeaning::Keep)?;
    if invocation.dry_run {
        return Ok(Outcome { changes, notes, restart: None });
    }
    keep_network_in_use(&changes)?;
    let journal = call.journal_after(chosen, &planned, &changes)?;
    if !changes.is_empty() || journal != call.journal {
        apply::apply(&changes, &call.journal_path, Some(&journal.to_json()), &call.journal.dirs)?;
    }
    Ok(call.end(invocation, changes, notes))
}

/// Takes podhosts out of an engine's configuration.
///
/// # Errors
/// [`ConfigureError`]; nothing is changed then.
pub(crate) fn unconfigure(invocation: &Invocation) -> Result<Outcome, ConfigureError> {
    let mut call = Call::begin(invocation)?;
    let mut notes = std::mem::take(&mut call.notes);
    plan::keeps_default(&call.without, &call.place, call.version)?;
    plan::keeps_others(&call.without, &call.place, call.version)?;
    let changes = change::changes(&call.without, SameMeaning::Write)?;
    if invocation.dry_run {
        return Ok(Outcome { changes, notes, restart: None });
    }
    keep_network_in_use(&changes)?;
    apply::apply(&changes, &call.journal_path, None, &call.journal.dirs)?;
    notes.extend(in_use::note());
    Ok(call.end(invocation, changes, notes))
}

/// What both commands begin with: the lock, the journal, and the files without podhosts.
struct Call {
    _lock: Option<Lock>,
    /// The call with all its paths.
    paths: Invocation,
    place: Place,
    version: Option<Version>,
    journal_path: PathBuf,
    journal: Journal,
    /// The journals of other engines.
    others: Vec<Journal>,
    last: Option<LastChoices>,
    without: Files,
    /// Notes on what had to stay in `without`.
    notes: Vec<String>,
}

impl Call {
    fn begin(invocation: &Invocation) -> Result<Self, ConfigureError> {
        let engine = invocation.engine;
        let lock = if invocation.dry_run { None } else { Some(lock::lock()?) };
        let journal_path = journal::path(engine);
        let journal = Journal::read(&journal_path)?;
        if !invocation.dry_run {
            // An engine may read all files of a directory, those of a call that was killed too.
            let dirs = journal.files.iter().filter_map(|file| file.path.parent());
            dirs.for_each(node_files::remove_leftovers);
        }
        let last = journal.last_choices();
        let paths = choices::with_paths(invocation, last.as_ref())?;
        let place = choices::place(&paths);
        let mut without = Files::new();
        let others = journal::others(engine);
        let notes = plan::take_out(&mut without, &place, &journal, &others)?;
        let version = installed::version(engine);
        Ok(Self { _lock: lock, paths, place, version, journal_path, journal, others, last, without, notes })
    }

    fn others_run_wrapper(&self) -> bool {
        let mut others = self.others.iter().filter_map(Journal::last_choices);
        others.any(|last| last.mode == Mode::Wrapper.name())
    }

    /// The journal that unconfigure will need once the changes are made.
    fn journal_after(
        &self,
        chosen: LastChoices,
        planned: &Files,
        changes: &[FileChange],
    ) -> Result<Journal, ConfigureError> {
        let mut journal = match changes.is_empty() {
            true => self.journal.clone(),
            false => self.journal.after(&self.without, planned, changes)?,
        };
        journal.dirs.extend(node_files::unfinished_dirs(&self.journal_path));
        if let Some(list) = self.journal.taken_over()?.filter(|list| !planned.planned().contains_key(*list)) {
            journal.files.retain(|file| file.path != list);
        }
        journal.share(planned, &self.others);
        journal.last = Some(chosen);
        Ok(journal)
    }

    /// Restarts the engine where that was asked for.
    fn end(&self, invocation: &Invocation, changes: Vec<FileChange>, notes: Vec<String>) -> Outcome {
        let restart = restart::restart(self.place.engine, invocation.restart, &changes);
        Outcome { changes, notes, restart: Some(restart) }
    }
}

/// Refuses to remove the network of pods that are there: they could not be deleted without it.
fn keep_network_in_use(changes: &[FileChange]) -> Result<(), ConfigureError> {
    let is_network = |change: &&FileChange| {
        change.new.is_none() && [network::LIST, network::MADE].iter().any(|name| change.path.ends_with(name))
    };
    match changes.iter().find(is_network) {
        Some(FileChange { path, .. }) if let Some(pods) = in_use::connected() => {
            Err(ConfigureError::InUse { path: path.clone(), pods })
        }
        _ => Ok(()),
    }
}
