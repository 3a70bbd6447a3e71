//! Undoes podhosts' edits in files that were edited by others since.

use std::path::Path;

use toml::{Table, Value};

use crate::engines::containerd::imports::imports_any;
use crate::engines::containerd::section::DEFAULT_HANDLER;
use crate::engines::edit::{BUILT_IN, Edit};
use crate::engines::error::EngineError;
use crate::engines::files::Files;
use crate::engines::layers::Layer;
use crate::engines::names::NAME;
use crate::engines::own_keys::OwnKeys;

/// The key that containerd needs in a file with any other key.
const VERSION: &str = "version";

/// The key of containerd's list of other files.
const IMPORTS: &str = "imports";

/// Undoes our edit (`before` to `written`) in the current `text`; `None` if nothing else is left.
///
/// A value that is still the one that was written gives way to the one before; of a list that was changed since, the
/// entries that were added go; our handler goes whatever it says; other values, and handlers, that were changed since
/// stay. So do imports where `imports_stay`.
///
/// # Errors
/// [`EngineError::Syntax`] where one of the texts is no TOML.
pub(crate) fn take_out(
    path: &Path,
    text: &str,
    before: Option<&str>,
    written: &str,
    imports_stay: bool,
) -> Result<Option<String>, EngineError> {
    let now = Layer::parse(path, text)?.table;
    let was = Layer::parse(path, before.unwrap_or_default())?.table;
    let made = Layer::parse(path, written)?.table;
    let before_edit = Edit::new(path, before.unwrap_or_default())?;
    let mut edit = Edit::new(path, text)?;
    let (mut changes, mut gone) = (Vec::new(), Vec::new());
    differences(&was, &made, &mut Vec::new(), &mut changes);
    for keys in &changes {
        let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
        let (Some(made), Some(current)) = (at(&made, &keys), at(&now, &keys)) else { continue };
        let was_there = at(&was, &keys);
        match (made, current) {
            _ if keys == [VERSION] || imports_stay && keys == [IMPORTS] => {}
            _ if is_needed(&now, &keys) => {}
            _ if made == current => match before_edit.get(&keys) {
                Some(item) => edit.put(&keys[..keys.len() - 1], keys[keys.len() - 1], item.clone())?,
                None => gone.push(keys),
            },
            (Value::Array(made), Value::Array(_)) => {
                let kept = was_there.and_then(Value::as_array);
                let added = made.iter().filter(|value| kept.is_none_or(|kept| !kept.contains(value)));
                edit.take_from_list(&keys, &added.filter_map(Value::as_str).collect::<Vec<_>>());
            }
            _ if keys.last() == Some(&NAME) => gone.push(keys),
            _ => {}
        }
    }
    // In a pass of its own, which keeps comments in their places.
    let mut edit = Edit::new(path, &edit.finish())?;
    for keys in &gone {
        remove(&mut edit, keys, &was);
    }
    let is_left = edit.top_keys().iter().any(|key| key != VERSION);
    Ok(Some(edit.finish()).filter(|_| before.is_some() || is_left))
}

/// The patterns that came into `imports` between the first two of the texts, are there in the third, and by which a file
/// is read: it would not be read without them.
pub(crate) fn still_imported(files: &Files, path: &Path, texts: [&str; 3]) -> Vec<String> {
    let imports = |text: &str| Layer::parse(path, text).ok()?.strings(&[IMPORTS]).ok()?;
    let [was, mut made, now] = texts.map(|text| imports(text).unwrap_or_default());
    made.retain(|pattern| !was.contains(pattern) && now.contains(pattern) && imports_any(files, pattern));
    made
}

/// Removes our handler, and values that name it, from a file that no journal has. `None` if nothing is left of a file
/// that begins with `header`.
///
/// # Errors
/// [`EngineError::Syntax`] where the text is no TOML.
pub(crate) fn take_out_named(
    path: &Path,
    text: &str,
    named: &OwnKeys,
    header: &str,
) -> Result<Option<String>, EngineError> {
    let OwnKeys { handlers, names, ours, list } = named;
    let now = Layer::parse(path, text)?.table;
    let mut edit = Edit::new(path, text)?;
    let nothing = Table::new();
    for keys in handlers {
        let built_in = [&keys[..keys.len() - 1], &[DEFAULT_HANDLER]].concat();
        if edit.has_comment(&built_in, BUILT_IN) && !is_needed(&now, &built_in) {
            remove(&mut edit, &built_in, &nothing);
        }
    }
    let is_made = text.strip_prefix('\u{feff}').unwrap_or(text).starts_with(header);
    for keys in handlers {
        remove(&mut edit, keys, &nothing);
    }
    for keys in names {
        if at(&now, keys).and_then(Value::as_str) == Some(NAME) {
            remove(&mut edit, keys, &nothing);
        }
    }
    if is_made {
        for keys in ours {
            remove(&mut edit, keys, &nothing);
        }
        let own: Vec<&str> = list.own.iter().map(String::as_str).collect();
        let is_known = |entry: &Value| {
            entry.as_str().is_some_and(|text| own.contains(&text) || list.inherited.iter().any(|e| e == text))
        };
        match at(&now, &list.keys) {
            Some(Value::Array(entries)) if !entries.iter().all(is_known) => {
                edit.take_from_list(&list.keys, &own);
            }
            _ => remove(&mut edit, &list.keys, &nothing),
        }
    }
    let is_left = edit.top_keys().iter().any(|key| key != VERSION);
    let text = edit.finish();
    if !is_made {
        return Ok(Some(text));
    }
    Ok(is_left.then(|| without_header(&text, header)))
}

/// A text without the line with which podhosts begins a file.
pub(crate) fn without_header(text: &str, header: &str) -> String {
    let (bom, bare) = match text.strip_prefix('\u{feff}') {
        Some(bare) => ("\u{feff}", bare),
        None => ("", text),
    };
    let rest = bare.strip_prefix(header).map(|rest| rest.split_once('\n').map_or("", |(_, rest)| rest));
    rest.map_or_else(|| text.to_owned(), |rest| format!("{bom}{rest}"))
}

/// Removes a value and the tables above it that are empty then, and were not there before.
fn remove(edit: &mut Edit, keys: &[&str], was: &Table) {
    if edit.get(keys).is_none() {
        return;
    }
    edit.remove(keys);
    for depth in (1..keys.len()).rev() {
        let above = &keys[..depth];
        if edit.is_empty_table(above) && at(was, above).is_none() {
            edit.remove(above);
        }
    }
}

fn at<'a>(table: &'a Table, keys: &[&str]) -> Option<&'a Value> {
    let (last, above) = keys.split_last()?;
    let mut table = table;
    for key in above {
        table = table.get(*key)?.as_table()?;
    }
    table.get(*last)
}

/// Whether this is containerd's built-in handler beside another one: without it, that one would replace it.
fn is_needed(now: &Table, keys: &[&str]) -> bool {
    let Some((&DEFAULT_HANDLER, above)) = keys.split_last() else { return false };
    let beside = at(now, above).filter(|_| is_handler(keys)).and_then(Value::as_table);
    beside.is_some_and(|beside| beside.keys().any(|name| name != NAME && name != DEFAULT_HANDLER))
}

fn is_handler(keys: &[impl AsRef<str>]) -> bool {
    keys.len() > 1 && keys[keys.len() - 2].as_ref() == "runtimes"
}

/// The keys whose values differ. A handler of ours, or one that was not there, is one value.
fn differences(was: &Table, made: &Table, above: &mut Vec<String>, changes: &mut Vec<Vec<String>>) {
    let nothing = Table::new();
    for (key, made) in made {
        let was = was.get(key);
        if was == Some(made) {
            continue;
        }
        above.push(key.clone());
        match (was, made) {
            (Some(Value::Table(was)), Value::Table(made)) if key != NAME => {
                differences(was, made, above, changes)
            }
            (None, Value::Table(made)) if key != NAME && !is_handler(above) => {
                differences(&nothing, made, above, changes);
            }
            _ => changes.push(above.clone()),
        }
        above.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engines::own_keys::OwnList;

    const BEFORE: &str = "version = 2 # v\nimports = [\"/a\"]\n[p]\nd = \"runc\" # why\n";
    const WRITTEN: &str = "version = 2 # v\nimports = [\"/a\", \"/b\"]\n[p]\nd = \"podhosts\" # why\n\n\
        [p.r.podhosts]\nt = 1\n\n[p.r.podhosts.options]\nB = 2\n\n[n]\ndisable = false\n";

    fn without(text: &str, before: Option<&str>) -> Option<String> {
        take_out(Path::new("/c"), text, before, WRITTEN, false).unwrap()
    }

    #[test]
    fn what_was_written_gives_way_to_what_was_there() {
        assert_eq!(without(WRITTEN, Some(BEFORE)).unwrap(), BEFORE);
        let more = format!("# mine\n{WRITTEN}\n[x]\ny = 1\n");
        assert_eq!(without(&more, Some(BEFORE)).unwrap(), format!("# mine\n{BEFORE}\n[x]\ny = 1\n"));
        let commented = WRITTEN.replace("\n[p.r.podhosts]", "\n# mine, too\n[p.r.podhosts]\n# and this");
        assert_eq!(without(&commented, Some(BEFORE)).unwrap(), format!("{BEFORE}# mine, too\n# and this\n"));
    }

    #[test]
    fn what_was_changed_since_stays_but_for_the_handler() {
        let changed = WRITTEN
            .replace("\"/b\"]", "\"/b\", \"/c\"]")
            .replace("\"podhosts\" # why", "\"crun\"")
            .replace("t = 1", "t = 3")
            .replace("disable = false", "disable = true");
        let wanted =
            "version = 2 # v\nimports = [\"/a\", \"/c\"]\n[p]\nd = \"crun\"\n\n[n]\ndisable = true\n";
        assert_eq!(without(&changed, Some(BEFORE)).unwrap(), wanted);
    }

    #[test]
    fn a_file_that_was_not_there_goes_when_nothing_else_is_in_it() {
        assert_eq!(without(WRITTEN, None), None);
        assert_eq!(without(&format!("# mine\n{WRITTEN}"), None), None);
        let left = without(&format!("{WRITTEN}e = 1\n"), None).unwrap();
        assert_eq!(left, "version = 2 # v\n\n[n]\ne = 1\n");
    }

    /// What is ours of a handler at `handler`, of values that name it, of others, and of the list `l`.
    fn ours(handler: &[&'static str], names: &[&[&'static str]], ours: &[&[&'static str]]) -> OwnKeys {
        let keys = |all: &[&[&'static str]]| all.iter().map(|keys| keys.to_vec()).collect();
        let list =
            OwnList { keys: vec!["h", "l"], own: vec!["/own".into()], inherited: vec!["/default".into()] };
        OwnKeys { handlers: vec![handler.to_vec()], names: keys(names), ours: keys(ours), list }
    }

    #[test]
    fn the_built_in_handler_stays_where_it_is_needed() {
        let before = "version = 2\n";
        let made =
            format!("{before}\n[p.runtimes.runc]\n{BUILT_IN}\nt = 1\n\n[p.runtimes.podhosts]\nt = 2\n");
        let path = Path::new("/c");
        let both = |text: &str| {
            let remembered = take_out(path, text, Some(before), &made, false).unwrap().unwrap();
            let ours = ours(&["p", "runtimes", NAME], &[], &[]);
            let named = take_out_named(path, text, &ours, "# Made").unwrap().unwrap();
            (remembered, named)
        };
        assert_eq!(both(&made), (before.to_owned(), before.to_owned()));
        let more = format!("{made}\n[p.runtimes.mine]\nt = 3\n");
        let kept = format!("{before}\n[p.runtimes.runc]\n{BUILT_IN}\nt = 1\n\n[p.runtimes.mine]\nt = 3\n");
        assert_eq!(both(&more), (kept.clone(), kept));
        // Changed since, it is somebody's own as a whole.
        let changed = made.replace("t = 1\n", "t = 1\nu = 1\n");
        let kept = format!("{before}\n[p.runtimes.runc]\n{BUILT_IN}\nt = 1\nu = 1\n");
        assert_eq!(both(&changed).0, kept);
    }

    #[test]
    fn what_is_ours_is_known_by_its_name() {
        let named = |text: &str| {
            let ours = ours(&["p", "r", NAME], &[&["p", "d"], &["p", "other"]], &[&["n", "disable"]]);
            take_out_named(Path::new("/c"), text, &ours, "# Made").unwrap()
        };
        assert_eq!(
            named(WRITTEN).unwrap(),
            "version = 2 # v\nimports = [\"/a\", \"/b\"]\n\n[n]\ndisable = false\n"
        );
        let made = "# Made\nversion = 2\n[p.r.podhosts]\nt = 1\n[n]\ndisable = false\n";
        assert_eq!(named(made), None);
        assert_eq!(named(&format!("{made}e = 1\n")).unwrap(), "version = 2\n[n]\ne = 1\n");
        assert_eq!(named("[p]\nd = \"runc\"\n").unwrap(), "[p]\nd = \"runc\"\n");
        // Of a list, all that is not somebody else's.
        let listed = |entries: &str| named(&format!("# Made\n[h]\nl = [{entries}]\n"));
        assert_eq!(listed("\"/default\", \"/own\""), None);
        for mine in ["\"/default\", \"/mine\"", "{append=true}"] {
            let left = listed(&format!("{mine}, \"/own\"")).unwrap();
            assert_eq!(left, format!("[h]\nl = [{mine}]\n"));
        }
        let others = "[h]\nl = [\"/own\"]\n";
        assert_eq!(named(others).unwrap(), others);
    }
}
