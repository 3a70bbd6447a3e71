//! What CRI-O makes of its files before and after a change: asked of the program where it is there, and concluded from its
//! rules in any case, as it does not print all that a handler has.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::merge::merged;
use super::printed::Printed;
use super::reader::Crio;
use crate::engines::containerd::view::shown;
use crate::engines::engine::Mode;
use crate::engines::error::{ConfigureError, dotted};
use crate::engines::files::Files;
use crate::engines::hooks;
use crate::engines::names::{NAME, WRAPPER};
use crate::engines::setup::{Place, Setup};

/// CRI-O's handlers.
pub(super) const RUNTIMES: [&str; 3] = ["crio", "runtime", "runtimes"];

/// Whether NRI is on.
const NRI: [&str; 3] = ["crio", "nri", "enable_nri"];

/// All values by their keys.
type Values = BTreeMap<Vec<String>, Value>;

/// What CRI-O makes of some files.
#[derive(Debug)]
pub(super) struct View {
    /// As our reader concludes.
    pub(super) crio: Crio,
    /// As the program says.
    printed: Option<Printed>,
}

impl View {
    /// Looks at `files`.
    ///
    /// # Errors
    /// [`ConfigureError`] where CRI-O cannot read them: in our words, which name line and key, or in CRI-O's.
    pub(super) fn of(files: &Files, place: &Place) -> Result<Self, ConfigureError> {
        let crio = Crio::read(files, &place.config, place.drop_ins())?;
        crio.hooks_dirs()?;
        crio.handlers()?;
        crio.default_handler()?;
        crio.nri_enabled()?;
        let printed = match &place.program {
            Some(program) => {
                Printed::of(program, files, &place.config, place.drop_ins()).map_err(|said| {
                    let reason = format!("{} does not read its files: {said}", program.display());
                    ConfigureError::Refused { engine: place.engine.name(), reason }
                })?
            }
            None => None,
        };
        Ok(Self { crio, printed })
    }

    /// Whether the program sees what is planned, where our reader does: what CRI-O is told beside its files goes before
    /// them.
    ///
    /// # Errors
    /// [`ConfigureError::Refused`] with the key.
    pub(super) fn is_loaded(
        &self,
        before: &Self,
        setup: &Setup,
        expected: &[String],
    ) -> Result<(), ConfigureError> {
        let (Some(printed), Some(was)) = (&self.printed, &before.printed) else { return Ok(()) };
        let refused = |key: &str, found: Option<String>| {
            let found = found.unwrap_or_else(|| "not set".to_owned());
            Err(setup.refused(format!(
                "crio config says that {key} would be {found}, whatever the files say: a variable CONTAINER_* may go before \
                 them"
            )))
        };
        let (dirs, dirs_before) = (hooks_dirs(&printed.crio)?, hooks_dirs(&was.crio)?);
        if dirs != if setup.mode == Mode::HooksDir { expected.to_vec() } else { dirs_before } {
            return refused("crio.runtime.hooks_dir", Some(format!("{dirs:?}")));
        }
        let default = printed.crio.default_handler()?;
        let handlers = printed.crio.handlers()?;
        let ours = handlers.into_iter().find(|handler| handler.name == NAME);
        let path = ours.and_then(|handler| handler.runtime_path);
        match setup.mode {
            Mode::Wrapper if path != Some(setup.program(WRAPPER).display().to_string()) => {
                refused("crio.runtime.runtimes.podhosts.runtime_path", path.map(|path| format!("{path:?}")))
            }
            Mode::Wrapper if setup.set_as_default && default.as_deref() != Some(NAME) => {
                refused("crio.runtime.default_runtime", default.map(|name| format!("{name:?}")))
            }
            Mode::Nri if printed.crio.nri_enabled()? == Some(false) => {
                refused("crio.nri.enable_nri", Some("false".to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// The handler that CRI-O has built in, which no file names, with what it has: it prints it where a file has another
    /// one. Nothing where there is no program to ask.
    pub(super) fn built_in(&self) -> Option<(String, Table)> {
        let printed = self.printed.as_ref()?.crio.layers.first()?;
        let handlers = printed.table(&RUNTIMES).ok().flatten()?;
        let (name, table) = handlers.iter().find(|(name, _)| self.crio.handler_table(name).is_none())?;
        let is_set = |(_, value): &(&String, &Value)| value.as_bool() != Some(false);
        let table = table.as_table()?.iter().filter(is_set);
        Some((name.clone(), table.map(|(key, value)| (key.clone(), value.clone())).collect()))
    }

    /// Refuses a change after which something that is not podhosts' would be another one.
    ///
    /// # Errors
    /// [`ConfigureError::Refused`] naming the key and a file that sets it.
    pub(super) fn keeps_others(&self, after: &Self, place: &Place) -> Result<(), ConfigureError> {
        let Some((key, [now, then])) = self.difference(after) else { return Ok(()) };
        let keys: Vec<&str> = key.iter().map(String::as_str).collect();
        let sets = after.crio.layers.iter().rev().find(|layer| matches!(layer.get(&keys), Ok(Some(_))));
        let by = sets.map(|layer| format!(", for {} goes before others", layer.path.display()));
        let (key, by) = (dotted(&keys), by.unwrap_or_default());
        let reason = format!("{key} would be {then} instead of {now}{by}");
        Err(ConfigureError::Refused { engine: place.engine.name(), reason })
    }

    /// The first value that is not podhosts' and is another one afterwards: its key, what it is, and what it would be.
    fn difference(&self, after: &Self) -> Option<(Vec<String>, [String; 2])> {
        let [was, is] = [self, after].map(|view| values(&merged(&view.crio.layers)));
        if let Some(changed) = changed(&was, &is) {
            return Some(changed);
        }
        let printed =
            |view: &Self| view.printed.as_ref().map(|printed| values(&merged(&printed.crio.layers)));
        let [mut was, mut is] = [printed(self)?, printed(after)?];
        // Whether it prints this depends on its default; of what the files say it was compared.
        [&mut was, &mut is].into_iter().for_each(|values| values.retain(|key, _| key != NRI.as_slice()));
        // Those that it has built in it prints only where others stand beside them.
        let has_handlers = |values: &Values| values.keys().any(|key| is_handler(key));
        if !has_handlers(&was) || !has_handlers(&is) {
            was.retain(|key, _| !is_handler(key));
            is.retain(|key, _| !is_handler(key));
        }
        changed(&was, &is)
    }
}

/// The hooks directories that CRI-O reads.
///
/// # Errors
/// [`ConfigureError`] naming file and key.
pub(super) fn hooks_dirs(crio: &Crio) -> Result<Vec<String>, ConfigureError> {
    Ok(crio.hooks_dirs()?.unwrap_or_else(|| vec![hooks::DISTRIBUTION.to_owned()]))
}

fn is_handler(key: &[String]) -> bool {
    key.len() > RUNTIMES.len() && key.iter().zip(RUNTIMES).all(|(key, name)| key == name)
}

/// All values of a table. An empty one says something where it is a handler.
fn values(table: &Table) -> Values {
    fn add(table: &Table, above: &mut Vec<String>, values: &mut Values) {
        for (key, value) in table {
            above.push(key.clone());
            match value {
                Value::Table(inner) if !inner.is_empty() => add(inner, above, values),
                Value::Table(_) if !is_handler(above) => {}
                value => drop(values.insert(above.clone(), value.clone())),
            }
            above.pop();
        }
    }
    let mut all = Values::new();
    add(table, &mut Vec::new(), &mut all);
    all
}

fn changed(was: &Values, is: &Values) -> Option<(Vec<String>, [String; 2])> {
    let differs = |key: &&Vec<String>| {
        let values = [was.get(*key), is.get(*key)];
        values[0] != values[1] && !is_ours(key, values)
    };
    let key = was.keys().chain(is.keys()).find(differs)?;
    let of = |values: &Values| values.get(key).map_or("not set".to_owned(), shown);
    Some((key.clone(), [of(was), of(is)]))
}

/// Whether a value is for podhosts to change: its handler, what names it, and what `configure` sets in other places. Hooks
/// directories are compared by the hooks in them.
fn is_ours(key: &[String], values: [Option<&Value>; 2]) -> bool {
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let has = |wanted: &Value| values.contains(&Some(wanted));
    match key[..] {
        ["crio", "runtime", "runtimes", NAME, ..] | ["crio", "runtime", "hooks_dir"] => true,
        ["crio", "runtime", "default_runtime"] => has(&NAME.into()),
        _ if key == NRI => has(&true.into()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::engines::engine::Engine;

    #[test]
    fn a_change_keeps_what_is_somebody_elses() {
        let place = Place::new(Engine::Crio, Some("/nowhere/crio.conf".into()), None, None);
        let view = |text: &str| {
            let mut files = Files::new();
            files.put(Path::new("/nowhere/crio.conf"), text.to_owned());
            View::of(&files, &place).unwrap()
        };
        let x = "[crio.runtime.runtimes.x]\nruntime_path = '/x'\n";
        let ours = "[crio.nri]\nenable_nri = true\n[crio.runtime]\nhooks_dir = ['/h']\ndefault_runtime = 'podhosts'\n\
            [crio.runtime.runtimes.podhosts]\nruntime_path = '/p'\n";
        for (before, after, wanted) in [
            (String::new(), ours.to_owned(), ""),
            (x.to_owned(), format!("{ours}{x}"), ""),
            (
                x.to_owned(),
                String::new(),
                "crio.runtime.runtimes.x.runtime_path would be not set instead of \"/x\"",
            ),
            (
                x.to_owned(),
                x.replace("/x", "/y"),
                "crio.runtime.runtimes.x.runtime_path would be \"/y\" instead of \"/x\", for /nowhere/crio.conf goes before others",
            ),
            (
                "[crio.runtime]\ndefault_runtime = 'x'".to_owned(),
                "[crio.runtime]\ndefault_runtime = 'y'".to_owned(),
                "crio.runtime.default_runtime would be \"y\" instead of \"x\", for /nowhere/crio.conf goes before others",
            ),
            (
                "[crio.nri]\nenable_nri = false".to_owned(),
                String::new(),
                "crio.nri.enable_nri would be not set instead of false",
            ),
        ] {
            let said = view(&before).keeps_others(&view(&after), &place).err();
            let said = said.map_or(String::new(), |error| error.to_string());
            let wanted =
                if wanted.is_empty() { String::new() } else { format!("cannot configure crio: {wanted}") };
            assert_eq!(said, wanted);
        }
    }
}
