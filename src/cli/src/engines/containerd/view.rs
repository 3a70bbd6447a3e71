//! What containerd makes of its files before and after a change: asked of the program where it is there, concluded from
//! its rules where it is not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use toml::{Table, Value};
use toml_edit::Array;

use crate::engines::containerd::imports::layers;
use crate::engines::containerd::merge::{MOVED, Release};
use crate::engines::containerd::reader::Containerd;
use crate::engines::containerd::section::{CRI_V2, CRI_V3, DEFAULT_HANDLER, NRI, file_version};
use crate::engines::edit::Edit;
use crate::engines::error::{ConfigureError, EngineError, dotted};
use crate::engines::files::Files;
use crate::engines::layers::Layer;
use crate::engines::names::NAME;
use crate::engines::setup::Place;
use crate::engines::version::Version;
use sys::fs::files::FileError;
use sys::process::programs::{self, TextAtPath};

/// How long containerd may take to print its configuration.
const PATIENCE: Duration = Duration::from_secs(30);

/// The version of the whole, beside the keys that are compared.
const WHOLE: &str = "version of all files";

/// What containerd makes of some files: the program's own word, or a conclusion for each release that may read them.
#[derive(Debug)]
pub(crate) struct View {
    releases: Vec<Loaded>,
}

/// The configuration as one release loads it.
#[derive(Debug)]
struct Loaded {
    config: Containerd,
    values: BTreeMap<Vec<String>, String>,
}

impl View {
    /// Looks at `files`. Where they are those of the disk, the program follows the imports itself.
    ///
    /// # Errors
    /// [`ConfigureError::Refused`] where containerd cannot read them, in its words.
    pub(crate) fn of(files: &Files, place: &Place, version: Option<Version>) -> Result<Self, ConfigureError> {
        let layers = layers(files, &place.config)?;
        let concluded = |release: Release| {
            let config = Containerd::new(layers.clone(), &place.config, release)?;
            let values = values_of(&concluded_table(&config));
            Ok(Loaded { config, values })
        };
        let releases: Vec<Loaded> = Release::possible(version, &layers)?
            .into_iter()
            .map(concluded)
            .collect::<Result<_, EngineError>>()?;
        let Some(dump) = dump(files, place, &layers)? else { return Ok(Self { releases }) };
        let values = values_of(&dump);
        let dumped = |loaded: Loaded| Loaded { config: loaded.config.as_dumped(dump), values };
        Ok(Self { releases: releases.into_iter().next().map(dumped).into_iter().collect() })
    }

    /// What each release makes of the files.
    pub(crate) fn configs(&self) -> impl Iterator<Item = &Containerd> {
        self.releases.iter().map(|loaded| &loaded.config)
    }

    /// Refuses a change after which something that is not podhosts' would be another one.
    ///
    /// # Errors
    /// [`ConfigureError::Refused`] naming the key and a file that sets it.
    pub(crate) fn keeps_others(&self, after: &Self, place: &Place) -> Result<(), ConfigureError> {
        for loaded in &self.releases {
            let Some(then) = after.releases.iter().find(|then| then.config.release == loaded.config.release)
            else {
                continue;
            };
            let keys = loaded.values.keys().chain(then.values.keys());
            let is_changed = |key: &&Vec<String>| {
                let (now, then) = (loaded.values.get(*key), then.values.get(*key));
                now != then && !is_ours(key, [now, then])
            };
            if let Some(key) = keys.into_iter().find(is_changed) {
                let shown =
                    |values: &BTreeMap<_, String>| values.get(key).cloned().unwrap_or("not set".to_owned());
                let keys: Vec<&str> = key.iter().map(String::as_str).collect();
                let reason = format!(
                    "{} would be {} instead of {}, for {}",
                    dotted(&keys),
                    shown(&then.values),
                    shown(&loaded.values),
                    mixture(&then.config.layers, &keys)
                );
                return Err(ConfigureError::Refused { engine: place.engine.name(), reason });
            }
        }
        Ok(())
    }
}

/// Why containerd puts files together in another way than one would think: their versions, or the file that sets a key.
fn mixture(layers: &[Layer], keys: &[&str]) -> String {
    let version = |layer: &Layer| file_version(layer).unwrap_or_default();
    let shown = |layer: &Layer| format!("{} has version {}", layer.path.display(), version(layer));
    let main = layers.first();
    let other = layers.iter().skip(1).rev().find(|layer| Some(version(layer)) != main.map(version));
    match (main, other) {
        (Some(main), Some(other)) => format!("{} and {}", shown(main), shown(other)),
        (main, None) => {
            let sets = layers.iter().rev().find(|layer| matches!(layer.get(keys), Ok(Some(_)))).or(main);
            sets.map_or("there is no file".to_owned(), |layer| {
                format!("{} goes before others", layer.path.display())
            })
        }
        (None, Some(other)) => shown(other),
    }
}

/// Whether a value is for podhosts to change: its handler, what names it, and what `configure` sets in other places.
fn is_ours(key: &[String], values: [Option<&String>; 2]) -> bool {
    let key: Vec<&str> = key.iter().map(String::as_str).collect();
    let has = |value: &str| values.into_iter().flatten().any(|other| other.contains(value));
    match key[..] {
        ["version" | "imports", ..] => true,
        // Without a plugin's section it means nothing.
        [WHOLE] => values.contains(&None),
        ["plugins", CRI_V2 | CRI_V3 | "cri", "containerd", "runtimes", NAME, ..] => true,
        // Where others had taken the place of containerd's built-in handler, and it comes back.
        ["plugins", CRI_V2, "containerd", "runtimes", DEFAULT_HANDLER, "runtime_type"] => values[0].is_none(),
        ["plugins", CRI_V2 | CRI_V3 | "cri", "containerd", "default_runtime_name"] => {
            has(&format!("{NAME:?}"))
        }
        ["plugins", CRI_V2 | CRI_V3, "cni", "conf_template"] => has(NAME),
        ["plugins", name, "disable"] => name == NRI[1],
        _ => false,
    }
}

/// The table to compare without containerd's program: all plugins' settings, the CRI plugin's where they have an effect.
fn concluded_table(config: &Containerd) -> Table {
    let mut plugins = config.merged.plugins.clone();
    let has_any = !plugins.is_empty();
    for name in [CRI_V2, "cri"] {
        if let Some(Value::Table(section)) = plugins.get_mut(name) {
            section.retain(|key, _| config.release != Release::Before2_0 && MOVED.contains(&key));
        }
    }
    plugins.insert(CRI_V3.to_owned(), config.cri_table().clone().into());
    let mut table = Table::from_iter([("plugins".to_owned(), plugins.into())]);
    if has_any && config.release == Release::From2_0 {
        // Sections of version 2 mean something by this alone.
        table.insert(WHOLE.to_owned(), config.merged.version.into());
    }
    table
}

/// All values by their keys, but for those that say no more than if they were not there.
fn values_of(table: &Table) -> BTreeMap<Vec<String>, String> {
    fn add(table: &Table, above: &[String], values: &mut BTreeMap<Vec<String>, String>) {
        for (key, value) in table {
            let keys = [above, std::slice::from_ref(key)].concat();
            let is_nothing = match value {
                Value::String(text) => text.is_empty(),
                Value::Integer(number) => *number == 0,
                Value::Boolean(value) => !value,
                Value::Array(list) => list.is_empty(),
                Value::Table(table) => {
                    add(table, &keys, values);
                    true
                }
                _ => false,
            };
            if !is_nothing {
                values.insert(keys, shown(value));
            }
        }
    }
    let mut values = BTreeMap::new();
    add(table, &[], &mut values);
    values
}

/// A value for a message.
pub(in crate::engines) fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => format!("{text:?}"),
        Value::Array(list) => format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let pairs: Vec<String> =
                table.iter().map(|(key, value)| format!("{key} = {}", shown(value))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::Boolean(value) => value.to_string(),
        Value::Datetime(time) => time.to_string(),
    }
}

/// What the program prints; nothing where it is not there.
fn dump(files: &Files, place: &Place, layers: &[Layer]) -> Result<Option<Table>, ConfigureError> {
    let Some(program) = &place.program else { return Ok(None) };
    let refused = |reason| ConfigureError::Refused { engine: place.engine.name(), reason };
    let is_on_disk = !layers.is_empty() && files.are_on_disk()?;
    let texts = if is_on_disk { Vec::new() } else { texts(files, layers)? };
    let main = texts.last().map_or_else(|| place.config.clone(), TextAtPath::path);
    let args = ["--config", &main.display().to_string(), "config", "dump"];
    // One that cannot be started is not there.
    let Ok(run) = programs::run(program, &args, &[], b"", PATIENCE) else { return Ok(None) };
    let config = place.config.display();
    if !run.status.success() {
        let said = run.last_error_line();
        return Err(refused(format!("{} does not read {config}: {said}", program.display())));
    }
    let dump = String::from_utf8_lossy(&run.stdout).parse();
    dump.map(Some).map_err(|_| refused(format!("{} config dump prints no TOML", program.display())))
}

/// The files for a containerd that is to find them elsewhere, the main one, which imports all others, as the last.
fn texts(files: &Files, layers: &[Layer]) -> Result<Vec<TextAtPath>, ConfigureError> {
    let mut texts = Vec::new();
    let taken =
        |cause| FileError::Io { verb: "copy", path: PathBuf::from("containerd's configuration"), cause };
    let (main, others) = layers.split_first().map_or((None, layers), |(main, others)| (Some(main), others));
    for layer in others {
        let text = files.read(&layer.path)?.unwrap_or_default();
        let mut edit = Edit::new(&layer.path, &text)?;
        edit.remove(&["imports"]);
        texts.push(TextAtPath::new(&edit.finish()).map_err(taken)?);
    }
    let Some(main) = main else {
        texts.push(TextAtPath::new("").map_err(taken)?);
        return Ok(texts);
    };
    let mut edit = Edit::new(&main.path, &files.read(&main.path)?.unwrap_or_default())?;
    edit.remove(&["imports"]);
    if !texts.is_empty() {
        let paths = texts.iter().map(|text| text.path().display().to_string());
        edit.set(&[], "imports", Array::from_iter(paths))?;
    }
    texts.push(TextAtPath::new(&edit.finish()).map_err(taken)?);
    Ok(texts)
}
