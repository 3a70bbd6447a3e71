//! Adds the hook and environment variables to a config.json. It edits the text: every other byte stays as the engine wrote
//! it.

use std::collections::HashSet;
use std::ops::Range;

use oci_spec::runtime::Hook;
use serde::{Deserialize, Deserializer};
use serde_json::json;
use serde_json::value::RawValue;
use thiserror::Error;

use container::bundle::CONFIG_MAX;
use pod::json::Object;

/// The changes that the wrapper makes to a config.json.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// The hook to add.
    pub hook: Option<Hook>,
    /// Mounts to take out, as indices in ascending order.
    pub removed_mounts: &'a [usize],
    /// Entries for the environment, `NAME=value`; one whose name the container has already is left out.
    pub env: &'a [String],
}

/// A config.json that cannot be edited.
#[derive(Debug, Error)]
pub enum InjectError {
    /// Not UTF-8.
    #[error("cannot edit config.json: it is not UTF-8")]
    NotUtf8,
    /// Not JSON, or `hooks` or `mounts` of another type than the specification's.
    #[error("cannot edit config.json: {0}")]
    Json(#[from] serde_json::Error),
    /// The hook could not read it.
    #[error("cannot edit config.json: it would have {0} bytes, expected at most {CONFIG_MAX}")]
    TooLarge(usize),
}

#[derive(Deserialize)]
struct Top<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    hooks: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    mounts: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "even_null")]
    process: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Process<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    env: Option<&'a RawValue>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hooks<'a> {
    #[serde(borrow, default, deserialize_with = "even_null")]
    create_runtime: Option<&'a RawValue>,
}

/// Keeps a `null`, which has a place in the text, too.
fn even_null<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

/// One replacement of a piece of the text.
struct Edit {
    range: Range<usize>,
    with: String,
}

/// The text of config.json with these changes; `None` where it has them already.
///
/// # Errors
/// [`InjectError`] saying where the text is not what the specification wants.
pub fn inject(config_json: &[u8], changes: &Changes<'_>) -> Result<Option<Vec<u8>>, InjectError> {
    let text = std::str::from_utf8(config_json).map_err(|_| InjectError::NotUtf8)?;
    let Object(top): Object<Top<'_>> = serde_json::from_str(text)?;
    let mut edits = Vec::new();
    if let Some(mounts) = top.mounts {
        edits.extend(removals(text, mounts, changes.removed_mounts)?);
    }
    if let Some(process) = top.process.filter(|process| process.get() != "null" && !changes.env.is_empty()) {
        edits.extend(variables(text, process, changes.env)?);
    }
    if let Some(hook) = &changes.hook {
        edits.extend(addition(text, &top, hook)?);
    }
    if edits.is_empty() {
        return Ok(None);
    }
    let edited = apply(text, edits);
    if edited.len() > CONFIG_MAX {
        return Err(InjectError::TooLarge(edited.len()));
    }
    Ok(Some(edited.into_bytes()))
}

/// The text with these edits, no two of which overlap. One pass: an edit that moved everything behind it would make
/// many edits of a long text quadratic.
fn apply(text: &str, mut edits: Vec<Edit>) -> String {
    edits.sort_by_key(|edit| edit.range.start);
    let added: usize = edits.iter().map(|edit| edit.with.len()).sum();
    let mut edited = String::with_capacity(text.len() + added);
    let mut done = 0;
    for edit in &edits {
        edited.push_str(&text[done..edit.range.start]);
        edited.push_str(&edit.with);
        done = edit.range.end;
    }
    edited.push_str(&text[done..]);
    edited
}

/// The place of `value` in `text`, of which it is a part.
fn range(text: &str, value: &RawValue) -> Range<usize> {
    let start = value.get().as_ptr().addr() - text.as_ptr().addr();
    start..start + value.get().len()
}

/// A hook that runs the program at `path` with `args`, the program's name first, for at most `timeout` seconds.
pub fn hook(path: &str, args: Vec<String>, timeout: u32) -> Hook {
    let mut hook = Hook::default();
    // No environment at all: our hook reads none, and it must not see the runtime's.
    hook.set_path(path.into())
        .set_args(Some(args))
        .set_env(Some(Vec::new()))
        .set_timeout(Some(timeout.into()));
    hook
}

/// The text of a hook's entry.
fn entry(hook: &Hook) -> Result<String, serde_json::Error> {
    // By way of a value, whose members are sorted.
    Ok(serde_json::to_value(hook)?.to_string())
}

fn addition(text: &str, top: &Top<'_>, hook: &Hook) -> Result<Option<Edit>, InjectError> {
    let new = entry(hook)?;
    let list = format!("[{new}]");
    let object = format!("{{\"createRuntime\":{list}}}");
    let Some(hooks) = top.hooks else {
        return Ok(Some(insert_member(text, 0..text.len(), "hooks", &object)));
    };
    if hooks.get() == "null" {
        return Ok(Some(Edit { range: range(text, hooks), with: object }));
    }
    let Object(parsed): Object<Hooks<'_>> = serde_json::from_str(hooks.get())?;
    let Some(create_runtime) = parsed.create_runtime else {
        return Ok(Some(insert_member(text, range(text, hooks), "createRuntime", &list)));
    };
    let place = range(text, create_runtime);
    if create_runtime.get() == "null" {
        return Ok(Some(Edit { range: place, with: list }));
    }
    let present: Vec<&RawValue> = serde_json::from_str(create_runtime.get())?;
    for raw in &present {
        let Object(there): Object<Hook> = serde_json::from_str(raw.get())?;
        if there.path() == hook.path() {
            // An entry from a hooks directory lacks the options that only the wrapper knows.
            let args = there.args().as_deref().unwrap_or_default();
            let merged = with_missing_options(args, hook.args().as_deref().unwrap_or_default());
            if merged == args {
                return Ok(None);
            }
            let with = entry(hook.clone().set_args(Some(merged)))?;
            return Ok(Some(Edit { range: range(text, raw), with }));
        }
    }
    // Last: other hooks may still change what is mounted.
    let comma = if present.is_empty() { "" } else { "," };
    Ok(Some(insert_last(text, place, &format!("{comma}{new}"))))
}

/// Adds to the environment of `process` the entries whose names it lacks.
fn variables(text: &str, process: &RawValue, entries: &[String]) -> Result<Option<Edit>, InjectError> {
    fn name(entry: &str) -> &str {
        entry.split_once('=').map_or(entry, |(name, _)| name)
    }
    let Object(Process { env }) = serde_json::from_str(process.get())?;
    let present: Option<Vec<String>> = env.map_or(Ok(None), |env| serde_json::from_str(env.get()))?;
    let present = present.unwrap_or_default();
    // A container may have hundreds of thousands of entries: each is looked at once, however many variables are added.
    let mut names: HashSet<&str> = entries.iter().map(|entry| name(entry)).collect();
    for entry in &present {
        names.remove(name(entry));
    }
    let missing = entries.iter().filter(|entry| names.contains(name(entry)));
    let missing: Vec<String> = missing.map(|entry| json!(entry).to_string()).collect();
    if missing.is_empty() {
        return Ok(None);
    }
    let missing = missing.join(",");
    Ok(Some(match env {
        None => insert_member(text, range(text, process), "env", &format!("[{missing}]")),
        Some(env) if env.get() == "null" => Edit { range: range(text, env), with: format!("[{missing}]") },
        Some(env) => {
            let comma = if present.is_empty() { "" } else { "," };
            insert_last(text, range(text, env), &format!("{comma}{missing}"))
        }
    }))
}

/// The arguments `present`, and those options of `ours` that are not among them: each a flag and its value.
fn with_missing_options(present: &[String], ours: &[String]) -> Vec<String> {
    let options = ours.get(1..).unwrap_or_default().chunks(2);
    let missing = options.filter(|option| !present.contains(&option[0]));
    present.iter().chain(missing.flatten()).cloned().collect()
}

/// Adds a member to the object in `place`.
fn insert_member(text: &str, place: Range<usize>, key: &str, value: &str) -> Edit {
    let inside = text[place.clone()].trim().trim_start_matches('{').trim_end_matches('}');
    let comma = if inside.trim().is_empty() { "" } else { "," };
    insert_last(text, place, &format!("{comma}\"{key}\":{value}"))
}

/// Inserts `addition` behind the last value in the array or object in `place`.
fn insert_last(text: &str, place: Range<usize>, addition: &str) -> Edit {
    let without_bracket = text[place.clone()].trim_end().len() - 1;
    let at = place.start + text[place.start..place.start + without_bracket].trim_end().len();
    Edit { range: at..at, with: addition.to_owned() }
}

/// Takes elements out of the array `mounts`, each with one comma.
fn removals(text: &str, mounts: &RawValue, removed: &[usize]) -> Result<Vec<Edit>, InjectError> {
    if removed.is_empty() {
        return Ok(Vec::new());
    }
    let elements: Vec<&RawValue> = serde_json::from_str(mounts.get())?;
    let places: Vec<Range<usize>> = elements.iter().map(|element| range(text, element)).collect();
    let is_kept = |index: &usize| removed.binary_search(index).is_err();
    let last_kept = (0..places.len()).rfind(is_kept);
    let mut edits = Vec::new();
    for &index in removed {
        // Up to the next element, so that what stands before it stays.
        if let (Some(place), Some(next)) = (places.get(index), places.get(index + 1))
            && last_kept > Some(index)
        {
            edits.push(Edit { range: place.start..next.start, with: String::new() });
        }
    }
    // Those behind the last one that stays go together with the comma before them.
    let first_of_tail = last_kept.map_or(0, |index| index + 1);
    if let (Some(first), Some(last)) = (places.get(first_of_tail), places.last()) {
        let start = last_kept.map_or(first.start, |index| places[index].end);
        edits.push(Edit { range: start..last.end, with: String::new() });
    }
    Ok(edits)
}

#[cfg(test)]
mod tests;
