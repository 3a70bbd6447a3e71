//! What podman makes of its files, in its own word. It has no command that prints its configuration, but its help names
//! the defaults of its options, which are what the files say; it starts and writes nothing for that.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use toml_edit::{DocumentMut, Item};

use crate::engines::edit::as_edited;
use crate::engines::podman::{Places, Podman};
use sys::process::programs::{self, TextAtPath};

/// How long podman may take to print its help.
const PATIENCE: Duration = Duration::from_secs(30);

/// How a shell, and the dynamic linker, say that a program cannot be started.
const NOT_STARTED: i32 = 127;

/// The options, without the parts that are for podhosts to change.
const HOOKS_DIR: &str = "hooks-dir";
const RUNTIME: &str = "runtime";

/// What podman printed of its files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Printed {
    options: BTreeMap<String, String>,
}

/// What podman is asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) enum About<'a> {
    /// The files of the disk.
    Disk,
    /// These files.
    Files(&'a Podman),
}

impl Printed {
    /// Asks podman about its files on the disk; nothing where it cannot be started.
    ///
    /// # Errors
    /// podman's last words, where it does not read them.
    pub(crate) fn of_disk(program: &Path) -> Result<Option<Self>, String> {
        Self::of(program, About::Disk)
    }

    /// # Errors
    /// podman's last words, where it does not read the files.
    pub(crate) fn of(program: &Path, about: About<'_>) -> Result<Option<Self>, String> {
        let text = match about {
            About::Disk => None,
            About::Files(podman) => {
                let text = TextAtPath::new(&written(&podman.merged()));
                Some(text.map_err(|cause| format!("cannot keep the text for it: {cause}"))?)
            }
        };
        let path = text.as_ref().map(|text| text.path().display().to_string());
        let mut env = Vec::new();
        if let Some(path) = &path {
            env.extend([("CONTAINERS_CONF", path.as_str()), ("CONTAINERS_CONF_OVERRIDE", "")]);
        }
        let Ok(run) = programs::run(program, &["--help"], &env, b"", PATIENCE) else { return Ok(None) };
        if run.status.code() == Some(NOT_STARTED) {
            return Ok(None);
        }
        let printed = Self::parse(&String::from_utf8_lossy(&run.stdout));
        if !run.status.success() || !printed.options.contains_key(HOOKS_DIR) {
            return Err(said(&run.last_error_line()));
        }
        Ok(Some(printed))
    }

    fn parse(help: &str) -> Self {
        let mut options = BTreeMap::new();
        let mut last = None;
        for line in help.lines() {
            if let Some(name) = option_of(line) {
                options.insert(name.clone(), String::new());
                last = Some(name);
            }
            let default = line.rsplit_once("(default ").and_then(|(_, default)| default.strip_suffix(')'));
            if let (Some(name), Some(default)) = (&last, default) {
                options.insert(name.clone(), default.to_owned());
            }
        }
        Self { options }
    }

    fn option(&self, name: &str) -> &str {
        self.options.get(name).map_or("", String::as_str)
    }

    /// The hooks directories; none where there are none, or podman has those that it takes unasked.
    pub(crate) fn hooks_dirs(&self) -> Vec<String> {
        let list = self.option(HOOKS_DIR);
        fields(list.strip_prefix('[').and_then(|list| list.strip_suffix(']')).unwrap_or(list))
    }

    /// The default runtime; empty if there is none.
    pub(crate) fn runtime(&self) -> &str {
        self.option(RUNTIME).trim_matches('"')
    }

    /// The first option that is another one in `after`, but for the hooks directories and the runtime: its name, and both
    /// values.
    pub(crate) fn difference<'a>(&'a self, after: &'a Self) -> Option<[&'a str; 3]> {
        let names = self.options.keys().chain(after.options.keys());
        let mut others = names.filter(|name| ![HOOKS_DIR, RUNTIME].contains(&name.as_str()));
        let name = others.find(|name| self.option(name) != after.option(name))?;
        Some([name, self.option(name), after.option(name)])
    }
}

/// Whether these are the files that podman reads without being told.
pub(crate) fn is_usual(places: &Places) -> bool {
    places.main == Path::new(crate::engines::podman::CONFIG)
        && places.drop_ins == Path::new(crate::engines::podman::DROP_INS)
}

fn written(table: &toml::Table) -> String {
    let mut document = DocumentMut::new();
    for (key, value) in table {
        document.insert(key, Item::Value(as_edited(value)));
    }
    document.to_string()
}

/// A message of podman's or CRI-O's without its logger's decoration.
pub(in crate::engines) fn said(line: &str) -> String {
    let message = line.split_once(" msg=\"").and_then(|(_, rest)| rest.strip_suffix('"'));
    message.map_or(line.to_owned(), |message| message.replace("\\\"", "\""))
}

/// The name of the option that a line of help is about.
fn option_of(line: &str) -> Option<String> {
    let line = line.trim_start();
    let long = match line.split_once(", --") {
        Some((short, long)) if short.len() == 2 && short.starts_with('-') => long,
        _ => line.strip_prefix("--")?,
    };
    Some(long.split_whitespace().next()?.to_owned())
}

/// The fields of a line of comma-separated values.
fn fields(line: &str) -> Vec<String> {
    let mut fields = Vec::new();
    let mut field = String::new();
    let (mut is_quoted, mut characters) = (false, line.chars().peekable());
    while let Some(c) = characters.next() {
        match c {
            '"' if is_quoted && characters.next_if_eq(&'"').is_some() => field.push('"'),
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => fields.push(std::mem::take(&mut field)),
            _ => field.push(c),
        }
    }
    if !line.is_empty() {
        fields.push(field);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;

    const HELP: &str = "Options:\n      --conmon string         Path of the conmon binary\n  \
        -c, --connection string   Connection to use (default \"x\")\n      \
        --hooks-dir strings       Set the path (may be set multiple times) (default [/a b,\"/c,\"\"d\"])\n      \
        --runtime string          Path to the OCI-compatible binary. (default \"crun\")\n      \
        --tmpdir string           Path to the tmp directory.\n\n         (default \"/run/libpod\")\n";

    #[test]
    fn help_tells_the_defaults() {
        let printed = Printed::parse(HELP);
        assert_eq!(printed.hooks_dirs(), ["/a b", "/c,\"d"]);
        assert_eq!((printed.runtime(), printed.option("tmpdir")), ("crun", "\"/run/libpod\""));
        let other = Printed::parse(&HELP.replace("/run/libpod", "/r").replace("crun", "runc"));
        assert_eq!(printed.difference(&other), Some(["tmpdir", "\"/run/libpod\"", "\"/r\""]));
        assert_eq!(printed.difference(&Printed::parse(&HELP.replace("/a b", "/b"))), None);
        let none = Printed::parse("      --hooks-dir strings   Set it\n");
        assert_eq!((none.hooks_dirs().len(), none.runtime()), (0, ""));
    }

    #[test]
    fn what_podman_logs_is_its_message() {
        let line = r#"time="2026" level=error msg="reading \"/c\": no""#;
        assert_eq!((said(line), said("Error: x")), ("reading \"/c\": no".to_owned(), "Error: x".to_owned()));
    }
}
