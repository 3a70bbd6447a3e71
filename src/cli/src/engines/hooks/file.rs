//! One file of a hooks directory, in the schemas 1.0.0 and 0.1.0, as engines decode and check it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::engines::error::EngineError;
use crate::engines::go::json::{Json, is_named};
use crate::engines::go::regexp as go_regexp;
use crate::engines::hooks::rules::Rules;

/// The stages of the runtime specification.
const STAGES: [&str; 6] =
    ["createContainer", "createRuntime", "prestart", "poststart", "poststop", "startContainer"];

/// A hook of a hooks directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookFile {
    /// The program. Where it is missing, engines leave the hook out without a word.
    pub path: PathBuf,
    /// Its arguments, its name being the first.
    pub args: Vec<String>,
    /// Seconds after which it is killed.
    pub timeout: Option<i64>,
    /// For which containers.
    pub when: When,
    /// When, in the life of a container; nothing where the file does not say, which is an error.
    pub stages: Option<Vec<String>>,
}

/// For which containers a hook is; all that is given has to hold, and nothing given never does.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct When {
    /// For all, or for none.
    pub always: Option<bool>,
    /// For those with annotations that match, name and value, as regular expressions.
    pub annotations: BTreeMap<String, String>,
    /// Containers whose program matches one of these patterns.
    pub commands: Vec<String>,
    /// For those with volumes.
    pub has_bind_mounts: Option<bool>,
}

impl When {
    /// Whether there is no container that it is for.
    pub fn is_never(&self) -> bool {
        let says_something =
            !self.annotations.is_empty() || !self.commands.is_empty() || self.has_bind_mounts == Some(true);
        self.always == Some(false) || self.always.is_none() && !says_something
    }
}

impl HookFile {
    /// A hook with this text.
    ///
    /// # Errors
    /// [`EngineError::Syntax`] with the line; [`EngineError::Hook`] where it is no hook.
    pub fn parse(path: &Path, text: &str) -> Result<Self, EngineError> {
        let json: Json = serde_json::from_str(text).map_err(|error| EngineError::json(path, &error))?;
        decode(&json).map_err(|cause| EngineError::Hook { path: path.to_owned(), cause })
    }

    /// Whether it runs podhosts' hook.
    pub fn is_ours(&self) -> bool {
        self.path.file_name().is_some_and(|name| name == crate::engines::names::HOOK)
    }

    /// What an engine checks that has found the program.
    pub(crate) fn check(&self, rules: Rules) -> Result<(), String> {
        let annotations = self.when.annotations.iter().flat_map(|(name, value)| [name, value]);
        for pattern in annotations.chain(&self.when.commands) {
            go_regexp::check(pattern, rules.go)
                .map_err(|cause| format!("{pattern:?} in when is no regular expression of Go's: {cause}"))?;
        }
        let stages = self.stages.as_ref().ok_or("stages is missing")?;
        let unknown =
            |stage: &&String| !STAGES.contains(&stage.as_str()) && !rules.stages.contains(&stage.as_str());
        match stages.iter().find(unknown) {
            Some(stage) => Err(format!("stage {stage:?} is unknown")),
            None => Ok(()),
        }
    }
}

fn decode(json: &Json) -> Result<HookFile, String> {
    let mut version = String::new();
    for (name, value) in json.entries("the text")? {
        if is_named(name, "version") {
            version = value.text("version", version)?;
        }
    }
    match version.as_str() {
        "1.0.0" => current(json),
        "" | "0.1.0" => old(json),
        other => Err(format!("version is {other:?}, expected \"1.0.0\"")),
    }
}

/// Schema 1.0.0.
fn current(json: &Json) -> Result<HookFile, String> {
    let mut hook = HookFile::default();
    for (name, value) in json.entries("the text")? {
        if is_named(name, "hook") {
            for (name, value) in value.entries("hook")? {
                hook_entry(&mut hook, name, value)?;
            }
        } else if is_named(name, "when") {
            for (name, value) in value.entries("when")? {
                when_entry(&mut hook.when, name, value)?;
            }
        } else if is_named(name, "stages") {
            hook.stages = value.texts("stages")?;
        }
    }
    Ok(hook)
}

fn hook_entry(hook: &mut HookFile, name: &str, value: &Json) -> Result<(), String> {
    if is_named(name, "path") {
        let now = hook.path.to_string_lossy().into_owned();
        hook.path = value.text("hook.path", now)?.into();
    } else if is_named(name, "args") {
        hook.args = value.texts("hook.args")?.unwrap_or_default();
    } else if is_named(name, "env") {
        value.texts("hook.env")?;
    } else if is_named(name, "timeout") {
        hook.timeout = value.integer("hook.timeout")?;
    }
    Ok(())
}

fn when_entry(when: &mut When, name: &str, value: &Json) -> Result<(), String> {
    if is_named(name, "always") {
        when.always = value.boolean("when.always")?;
    } else if is_named(name, "hasBindMounts") {
        when.has_bind_mounts = value.boolean("when.hasBindMounts")?;
    } else if is_named(name, "commands") {
        when.commands = value.texts("when.commands")?.unwrap_or_default();
    } else if is_named(name, "annotations") {
        for (name, value) in value.entries("when.annotations")? {
            let value = value.text("a value of when.annotations", String::new())?;
            when.annotations.insert(name.clone(), value);
        }
    }
    Ok(())
}

/// Schema 0.1.0, in which each list has two names.
fn old(json: &Json) -> Result<HookFile, String> {
    let mut hook = HookFile::default();
    let mut has_hook = false;
    let mut lists: BTreeMap<&str, Option<Vec<String>>> = BTreeMap::new();
    for (name, value) in json.entries("the text")? {
        if is_named(name, "hook") {
            has_hook = *value != Json::Null;
            hook.path = value.text("hook", String::new())?.into();
        } else if is_named(name, "hasbindmounts") {
            hook.when.has_bind_mounts = value.boolean("hasbindmounts")?;
        }
        for list in ["arguments", "stages", "stage", "cmds", "cmd", "annotations", "annotation"] {
            if is_named(name, list) {
                lists.insert(list, value.texts(list)?);
            }
        }
    }
    if !has_hook {
        return Err("hook is missing".to_owned());
    }
    let mut one_of = |long: &str, short: &str| match [long, short].map(|name| lists.remove(name).flatten()) {
        [Some(_), Some(_)] => Err(format!("there are both {long} and {short}")),
        [long, short] => Ok(long.or(short)),
    };
    hook.stages = one_of("stages", "stage")?;
    hook.when.commands = one_of("cmds", "cmd")?.unwrap_or_default();
    if let Some(patterns) = one_of("annotations", "annotation")? {
        hook.when.annotations.insert(".*".to_owned(), patterns.join("|"));
    }
    hook.args = lists.remove("arguments").flatten().unwrap_or_default();
    if hook.stages.is_none() {
        return Err("stages is missing".to_owned());
    }
    Ok(hook)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<HookFile, String> {
        let hook = HookFile::parse(Path::new("/h"), text).map_err(|error| error.to_string())?;
        hook.check(Rules::podman(None)).map(|()| hook)
    }

    #[test]
    fn both_schemas() {
        let hook = read(
            r#"{"Version":"1.0.0","HOOK":{"path":"/a/podhosts-hook","args":["x"],"timeout":3},"hook":{"env":null},
            "when":{"always":true,"annotations":{"^a":null}},"stages":["createRuntime","precreate"],"more":[1e9]}"#,
        );
        let hook = hook.unwrap();
        assert!(hook.is_ours() && hook.timeout == Some(3) && hook.when.annotations["^a"].is_empty());
        let hook = read(
            r#"{"hook":"/a","stage":["prestart"],"annotation":["a","b"],"cmd":["^/x"],"arguments":["y"]}"#,
        );
        let hook = hook.unwrap();
        assert_eq!(hook.when.annotations[".*"], "a|b");
        assert_eq!((hook.path.to_str(), hook.when.is_never()), (Some("/a"), false));
        assert!(read(r#"{"version":"0.1.0","hook":"/a","stages":[]}"#).unwrap().when.is_never());
    }

    #[test]
    fn what_is_no_hook() {
        for (text, cause) in [
            ("{", "cannot read /h: line 1: EOF while parsing an object"),
            ("[]", "cannot use /h: the text is a list, expected an object"),
            ("null", "cannot use /h: hook is missing"),
            (r#"{"version":"2.0.0"}"#, "cannot use /h: version is \"2.0.0\", expected \"1.0.0\""),
            (r#"{"version":1}"#, "cannot use /h: version is a number, expected a string"),
            (
                r#"{"hook":{"path":"/a"},"stages":["prestart"]}"#,
                "cannot use /h: hook is an object, expected a string",
            ),
            (r#"{"hook":"/a","stage":[],"stages":[]}"#, "cannot use /h: there are both stages and stage"),
            (
                r#"{"version":"1.0.0","hook":{"timeout":1.5}}"#,
                "cannot use /h: hook.timeout is a number, expected a whole number",
            ),
            (r#"{"version":"1.0.0","hook":{"path":"/a"}}"#, "stages is missing"),
            (r#"{"version":"1.0.0","stages":["prestart","stop"]}"#, "stage \"stop\" is unknown"),
            (
                r#"{"version":"1.0.0","when":{"commands":["a**"]},"stages":[]}"#,
                "\"a**\" in when is no regular expression of Go's: invalid nested repetition operator: `*`",
            ),
        ] {
            assert_eq!(read(text).unwrap_err(), cause, "{text}");
        }
    }
}
