//! Taking out of a configuration what podhosts put into it, where something else was changed since.

use std::path::Path;

use toml::{Table, Value};

use super::edit::Edit;
use super::layers::Layer;
use super::{EngineError, NAME};

/// What containerd has to find in a file that has anything else.
const VERSION: &str = "version";

/// What `text` is without what made `written` of `before`; `None` where nothing of the file is left that was not made
/// by that.
///
/// A value that is still the one that was written gives way to the one before; of a list that was changed since, the
/// entries that were added go; a handler goes whatever it says; other values that were changed since stay.
///
/// # Errors
/// [`EngineError::Syntax`] where one of the texts is no TOML.
pub(super) fn take_out(
    path: &Path,
    text: &str,
    before: Option<&str>,
    written: &str,
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
        let (Some(made), Some(now)) = (at(&made, &keys), at(&now, &keys)) else { continue };
        let was_there = at(&was, &keys);
        match (made, now) {
            _ if keys == [VERSION] => {}
            _ if made == now => match before_edit.get(&keys) {
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

/// What `text` is without what is podhosts' by its name: the handler, and values that name it. For files of which
/// nothing is remembered. `None` where nothing is left of a file that begins with `header`.
///
/// # Errors
/// [`EngineError::Syntax`] where the text is no TOML.
pub(super) fn take_out_named(
    path: &Path,
    text: &str,
    handlers: &[Vec<&str>],
    names: &[Vec<&str>],
    ours: &[Vec<&str>],
    header: &str,
) -> Result<Option<String>, EngineError> {
    let now = Layer::parse(path, text)?.table;
    let mut edit = Edit::new(path, text)?;
    let nothing = Table::new();
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
    }
    let is_left = edit.top_keys().iter().any(|key| key != VERSION);
    Ok(Some(edit.finish()).filter(|_| !is_made || is_left))
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

/// The keys whose values differ. A handler of ours is one value.
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
            (None, Value::Table(made)) if key != NAME => differences(&nothing, made, above, changes),
            _ => changes.push(above.clone()),
        }
        above.pop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEFORE: &str = "version = 2 # v\nimports = [\"/a\"]\n[p]\nd = \"runc\" # why\n";
    const WRITTEN: &str = "version = 2 # v\nimports = [\"/a\", \"/b\"]\n[p]\nd = \"podhosts\" # why\n\n\
        [p.r.podhosts]\nt = 1\n\n[p.r.podhosts.options]\nB = 2\n\n[n]\ndisable = false\n";

    fn without(text: &str, before: Option<&str>) -> Option<String> {
        take_out(Path::new("/c"), text, before, WRITTEN).unwrap()
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

    #[test]
    fn what_is_ours_is_known_by_its_name() {
        let named = |text: &str| {
            let handlers = [vec!["p", "r", NAME]];
            let names = [vec!["p", "d"], vec!["p", "other"]];
            take_out_named(Path::new("/c"), text, &handlers, &names, &[vec!["n", "disable"]], "# Made")
                .unwrap()
        };
        assert_eq!(
            named(WRITTEN).unwrap(),
            "version = 2 # v\nimports = [\"/a\", \"/b\"]\n\n[n]\ndisable = false\n"
        );
        let made = "# Made\nversion = 2\n[p.r.podhosts]\nt = 1\n[n]\ndisable = false\n";
        assert_eq!(named(made), None);
        assert_eq!(named(&format!("{made}e = 1\n")).unwrap(), "# Made\nversion = 2\n[n]\ne = 1\n");
        assert_eq!(named("[p]\nd = \"runc\"\n").unwrap(), "[p]\nd = \"runc\"\n");
    }
}
