//! The originals of an engine's files, kept on the node so that unconfigure can restore them byte for byte.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::configure::change::{FileChange, new_dirs};
use crate::configure::network::{LIST, agents_list, cidrs, is_of_agent};
use crate::configure::nri::SERVICE as NRI_SERVICE;
use crate::configure::take_out::{still_imported, take_out, without_header};
use crate::engines::containerd::handler::BASE_SPEC;
use crate::engines::engine::{Engine, Mode};
use crate::engines::error::{EngineError, json_cause};
use crate::engines::files::Files;
use crate::engines::names::NAME;
use crate::engines::setup::HEADER;
use sys::fs::files::FileError;

/// Directory of the journals, one file for each engine. For root only: an engine's configuration may hold passwords.
pub(crate) const DIR: &str = "/var/lib/podhosts/configure";

const VERSION: u32 = 1;

/// What unconfigure needs to restore the files of one engine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Journal {
    version: u32,
    /// The files that were written.
    pub files: Vec<JournalEntry>,
    /// The directories that were made, the uppermost first.
    pub dirs: Vec<PathBuf>,
    /// The options of the last call; earlier versions of podhosts did not keep them.
    #[serde(default, rename = "told", skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<LastChoices>,
}

/// The options of a call, which the next one keeps.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastChoices {
    /// `--mode`.
    pub mode: String,
    /// `--set-as-default`, also where the mode has no handler to be the default.
    pub set_as_default: bool,
    /// `--with-cni`.
    pub with_cni: bool,
    /// `--pod-cidr`.
    #[serde(default)]
    pub pod_cidrs: Vec<String>,
    /// `--pod-cidr-from node`.
    #[serde(default)]
    pub pod_cidrs_of_node: bool,
    /// `--config`.
    #[serde(default)]
    pub config: Option<PathBuf>,
    /// `--drop-in`.
    pub drop_in: Option<PathBuf>,
    /// `--hooks-dir`.
    pub hooks_dir: Option<PathBuf>,
    /// `--bin-dir`.
    #[serde(default)]
    pub bin_dir: Option<PathBuf>,
}

/// One file that configure wrote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct JournalEntry {
    pub path: PathBuf,
    /// Its text before; `None` if it did not exist.
    pub before: Option<String>,
    /// The text that configure wrote.
    pub written: String,
}

/// The path of an engine's journal.
pub(crate) fn path(engine: Engine) -> PathBuf {
    Path::new(DIR).join(engine.name().to_owned() + ".json")
}

/// The journals of the other engines. One that cannot be read is an error of its own engine's call.
pub(crate) fn others(engine: Engine) -> Vec<Journal> {
    let others = Engine::ALL.into_iter().filter(|other| *other != engine);
    others
        .filter_map(|other| {
            let path = path(other);
            Journal::parse(&path, &Files::on_disk(&path).ok()??).ok()
        })
        .collect()
}

impl Default for Journal {
    fn default() -> Self {
        Self::new(Vec::new(), Vec::new())
    }
}

impl Journal {
    pub(crate) fn new(files: Vec<JournalEntry>, dirs: Vec<PathBuf>) -> Self {
        Self { version: VERSION, files, dirs, last: None }
    }

    /// The journal at `path`; an empty one where there is none.
    ///
    /// # Errors
    /// [`EngineError`] naming `path`.
    pub(crate) fn read(path: &Path) -> Result<Self, EngineError> {
        Files::on_disk(path)?.map_or_else(|| Ok(Self::default()), |text| Self::parse(path, &text))
    }

    /// The journal once these changes are made: the texts of `without` podhosts beside those that are `planned`.
    ///
    /// # Errors
    /// [`FileError`] naming a file that cannot be read.
    pub(crate) fn after(
        &self,
        without: &Files,
        planned: &Files,
        changes: &[FileChange],
    ) -> Result<Self, FileError> {
        let mut files = Vec::new();
        for path in planned.planned().keys() {
            let written = match changes.iter().find(|change| change.path == *path) {
                Some(change) => change.new.clone(),
                None => Files::on_disk(path)?,
            };
            let before = without.read(path)?;
            if let Some(written) = written.filter(|written| before.as_ref() != Some(written)) {
                files.push(JournalEntry { path: path.clone(), before, written });
            }
        }
        let mut dirs = self.dirs.clone();
        dirs.extend(new_dirs(changes));
        dirs.sort_unstable();
        dirs.dedup();
        Ok(Self::new(files, dirs))
    }

    /// Reads what [`Journal::to_json`] wrote.
    ///
    /// # Errors
    /// [`EngineError::Journal`] naming `path`, and what to do.
    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self, EngineError> {
        let failed = |cause| EngineError::Journal { path: path.to_owned(), cause };
        let journal: Self = serde_json::from_str(text)
            .map_err(|error| failed(format!("line {}: {}", error.line(), json_cause(&error))))?;
        if journal.version != VERSION {
            return Err(failed(format!("it has version {}, expected {VERSION}", journal.version)));
        }
        Ok(journal)
    }

    /// The options of the last call, concluded from the files it wrote if they were not kept.
    pub(crate) fn last_choices(&self) -> Option<LastChoices> {
        if self.last.is_some() || self.files.is_empty() {
            return self.last.clone();
        }
        let file = |name: &str| self.files.iter().find(|file| file.path.ends_with(name));
        let has = |name: &str| file(name).is_some();
        let mode = match () {
            () if has(NRI_SERVICE) => Mode::Nri,
            () if has(BASE_SPEC) => Mode::BaseSpec,
            () if has("podhosts.json") || has("podhosts-annotated.json") => Mode::HooksDir,
            () => Mode::Wrapper,
        };
        let name = format!("= {NAME:?}");
        let names =
            |line: &str| line.trim_start().starts_with("default_runtime") && line.trim_end().ends_with(&name);
        let podmans =
            |line: &str| line.trim_start().starts_with("runtime =") && line.trim_end().ends_with(&name);
        let mut lines = self.files.iter().flat_map(|file| file.written.lines());
        Some(LastChoices {
            mode: mode.name().to_owned(),
            set_as_default: lines.any(|line| names(line) || podmans(line)),
            with_cni: has(LIST),
            pod_cidrs: file(LIST).map(|list| cidrs(&list.written)).unwrap_or_default(),
            ..LastChoices::default()
        })
    }

    pub(crate) fn to_json(&self) -> String {
        // Strings and numbers always have a JSON form.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// The entry of a file.
    pub(crate) fn of(&self, path: &Path) -> Option<&JournalEntry> {
        self.files.iter().find(|file| file.path == path)
    }

    /// Adds the entries of planned files that other engines' journals have, too, so that the engine that is unconfigured
    /// last can restore the original.
    pub(crate) fn share(&mut self, planned: &Files, others: &[Self]) {
        for (path, text) in planned.planned() {
            for other in others {
                let (Some(theirs), Some(written)) = (other.of(path), text) else { continue };
                self.files.retain(|file| file.path != *path);
                let (before, written) = (theirs.before.clone(), written.clone());
                self.files.push(JournalEntry { path: path.clone(), before, written });
            }
        }
        // The same for directories that another engine's call made, and that hold files of this one.
        let is_used = |dir: &&PathBuf| {
            Path::new(DIR).starts_with(dir) || self.files.iter().any(|file| file.path.starts_with(dir))
        };
        let used: Vec<PathBuf> =
            others.iter().flat_map(|other| &other.dirs).filter(is_used).cloned().collect();
        self.dirs.extend(used);
        self.files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        self.dirs.sort_unstable();
        self.dirs.dedup();
    }

    /// The list of plugins that configure wrote and podhosts-node has taken over since.
    ///
    /// # Errors
    /// [`FileError`] naming a list that cannot be read.
    pub(crate) fn taken_over(&self) -> Result<Option<&Path>, FileError> {
        for JournalEntry { path, written, .. } in &self.files {
            if path.ends_with(LIST) && Files::on_disk(path)?.is_some_and(|now| is_of_agent(&now, written)) {
                return Ok(Some(path));
            }
        }
        Ok(None)
    }

    /// Plans to restore every file, except those that others still need: another engine, or podhosts-node; returns notes.
    /// In a file that was edited since, only configure's own edit is undone.
    ///
    /// # Errors
    /// [`EngineError`] naming a file that can no longer be read.
    pub(crate) fn undo(
        &self,
        files: &mut Files,
        is_shared: &dyn Fn(&Path) -> bool,
    ) -> Result<Vec<String>, EngineError> {
        let taken_over = self.taken_over()?;
        let mut notes: Vec<String> = taken_over.into_iter().map(agents_list).collect();
        let is_ours = |file: &&JournalEntry| !is_shared(&file.path) && taken_over != Some(&file.path);
        let mut remembered: Vec<_> = self.files.iter().filter(is_ours).collect();
        // New files first: an import that then leads to no file can go, too.
        remembered.sort_by_key(|file| file.before.is_some());
        for JournalEntry { path, before, written } in remembered {
            let Some(now) = files.read(path)? else { continue };
            let before = before.as_deref();
            let imports = still_imported(files, path, [before.unwrap_or_default(), written, &now]);
            notes.extend(imports.iter().map(|pattern| {
                format!("{} still imports {pattern}: other files are read by that", path.display())
            }));
            let wanted = if (now != *written || !imports.is_empty()) && is_toml(path, written) {
                let left = take_out(path, &now, before, written, !imports.is_empty())?;
                let was_made = before.is_none_or(|before| !before.contains(HEADER));
                left.map(|text| if was_made { without_header(&text, HEADER) } else { text })
            } else {
                // Other files are podhosts' as a whole, also where they were edited.
                before.map(str::to_owned)
            };
            match wanted {
                Some(text) => files.put(path, text),
                None => files.remove(path),
            }
        }
        Ok(notes)
    }
}

/// Whether a file is TOML: those of systemd end like some that are.
fn is_toml(path: &Path, text: &str) -> bool {
    crate::engines::layers::Layer::parse(path, text).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn undone(now: Option<&str>, before: Option<&str>, written: &str) -> Option<String> {
        let path = Path::new("/nowhere/c");
        let mut files = Files::new();
        if let Some(now) = now {
            files.put(path, now.to_owned());
        }
        let before = before.map(str::to_owned);
        let file = JournalEntry { path: path.to_owned(), before, written: written.to_owned() };
        Journal { files: vec![file], ..Journal::default() }.undo(&mut files, &|_| false).unwrap();
        files.read(path).unwrap()
    }

    #[test]
    fn files_become_what_they_were() {
        assert_eq!(undone(Some("a=1\nb=2"), Some("a=1"), "a=1\nb=2").unwrap(), "a=1");
        assert_eq!(undone(Some("b=2"), None, "b=2"), None);
        assert_eq!(undone(None, Some("a=1"), "b=2"), None);
        assert_eq!(undone(Some("a=1\nb=2\nc=3"), Some("a=1"), "a=1\nb=2").unwrap(), "a=1\nc=3");
        assert_eq!(undone(Some("{\"x\":2}"), None, "{\"x\":1}"), None);
        assert_eq!(undone(Some("[Unit]\nA=b c\n"), Some("[Unit]\n"), "[Unit]\nA=b\n").unwrap(), "[Unit]\n");
    }

    #[test]
    fn only_this_version_is_understood() {
        let path = Path::new("/m");
        let journal = Journal { dirs: vec!["/d".into()], ..Journal::default() };
        assert_eq!(Journal::parse(path, &journal.to_json()).unwrap(), journal);
        let later = journal.to_json().replace("\"version\":1", "\"version\":2");
        let error = Journal::parse(path, &later).unwrap_err().to_string();
        let told = "; remove it, and unconfigure takes out what has podhosts' name";
        let own = "cannot use /m, podhosts' own record of what it changed: ";
        assert_eq!(error, format!("{own}it has version 2, expected 1{told}"));
        let error = Journal::parse(path, "\n{").unwrap_err().to_string();
        assert_eq!(error, format!("{own}line 2: EOF while parsing an object{told}"));
    }
}
