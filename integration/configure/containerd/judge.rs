//! containerd's own word, and what of it is somebody else's.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::etc::Etc;
use crate::harness::{Run, bin};

/// A containerd that judges.
pub(super) struct Release {
    pub(super) name: &'static str,
    pub(super) version: (u32, u32),
    /// Where its programs are found first.
    path: String,
}

impl Release {
    pub(super) fn bookworm() -> Self {
        Self { name: "containerd 1.6", version: (1, 6), path: "/usr/bin:/usr/sbin:/sbin:/bin".to_owned() }
    }

    pub(super) fn sid(root: &Path) -> Self {
        let path = format!("{}:/usr/sbin:/usr/bin:/sbin:/bin", root.join("usr/bin").display());
        Self { name: "containerd 2.1", version: (2, 1), path }
    }

    /// Makes this the containerd of a node.
    pub(super) fn install(&self, node: &mut Etc) {
        node.path.clone_from(&self.path);
    }

    /// What it makes of the files of a node; else its last word.
    pub(super) fn dump(&self, node: &Etc) -> Result<toml::Table, String> {
        let script = "c=/etc/containerd/config.toml; [ -e $c ] || c=/dev/null; exec containerd --config $c config dump";
        let run: Run = node.command(Path::new("/bin/sh"), &["-c", script]).output().unwrap().into();
        if run.ok { Ok(run.stdout.parse().unwrap()) } else { Err(run.stderr) }
    }

    /// Its program.
    pub(super) fn program(&self) -> PathBuf {
        Path::new(self.path.split(':').next().unwrap()).join("containerd")
    }

    /// The PATH with its programs.
    pub(super) fn path(&self) -> &str {
        &self.path
    }
}

/// What was seen on the way there and back.
pub(super) struct Seen {
    /// Why nothing was done, or undone.
    pub(super) refusal: Option<String>,
    /// What `configure` said.
    pub(super) said: String,
    /// The file that was asked for, as `configure` wrote it.
    pub(super) written: String,
    /// What each containerd made of the files before, and after `configure`; else its last word.
    dumps: Vec<[Result<Value, String>; 2]>,
}

/// What is configured.
pub(super) struct Way<'a> {
    /// The engine, as `--runtime` has it.
    pub(super) engine: &'a str,
    /// Its main file.
    pub(super) config: &'a str,
    /// The PATH of podhosts.
    pub(super) path: &'a str,
    /// Other options.
    pub(super) args: &'a [&'a str],
}

/// Calls `configure`, and where it does not refuse `unconfigure`; each of `releases` is asked before that and in between.
/// All in one namespace, as there are many layouts.
pub(super) fn there_and_back(node: &Etc, releases: &[&Release], way: &Way<'_>, written: &str) -> Seen {
    let Way { engine, config, path, args } = way;
    let out = tempfile::tempdir().unwrap();
    let at = |name: String| out.path().join(name);
    // Where there is no file, it has its defaults.
    let dump = |name: &str| {
        let one = |(number, release): (usize, &&Release)| {
            let file = at(format!("{name}{number}"));
            format!(
                "c={config}; [ -e $c ] || c=/dev/null\n\
                 PATH={0} containerd --config $c config dump >{1} 2>{1}.err && mv {1} {1}.ok\n",
                release.path,
                file.display()
            )
        };
        releases.iter().enumerate().map(one).collect::<String>()
    };
    let podhosts = bin("podhosts").display().to_string();
    let script = format!(
        "{}\nPATH={path} {podhosts} configure --runtime {engine} --config {config} {} >{} || exit 1\n{}\n\
         cp '{written}' {} 2>/dev/null || true\n\
         PATH={path} {podhosts} unconfigure --runtime {engine} --config {config}",
        dump("before"),
        args.join(" "),
        at("said".to_owned()).display(),
        dump("after"),
        at("written".to_owned()).display(),
    );
    let run: Run = node.command(Path::new("/bin/sh"), &["-c", &script]).output().unwrap().into();
    let text = |name: &str| fs::read_to_string(at(name.to_owned())).unwrap_or_default();
    let read = |name: &str| {
        let dump = fs::read_to_string(at(format!("{name}.ok"))).map_err(|_| text(&format!("{name}.err")))?;
        Ok(serde_json::to_value(dump.parse::<toml::Table>().unwrap()).unwrap())
    };
    let dumps =
        (0..releases.len()).map(|number| ["before", "after"].map(|name| read(&format!("{name}{number}"))));
    Seen {
        refusal: (!run.ok).then_some(run.stderr),
        said: text("said"),
        written: text("written"),
        dumps: dumps.collect(),
    }
}

impl Seen {
    /// Whether a containerd can read the files at all.
    pub(super) fn could_read(&self, judge: usize) -> bool {
        self.dumps[judge][0].is_ok()
    }

    /// Whether a containerd saw that others' settings stayed and that ours are there; else what it saw.
    pub(super) fn is_right(&self, judge: usize, args: &[&str]) -> Result<(), String> {
        let [before, after] = &self.dumps[judge];
        let (before, after) = (before.as_ref()?, after.as_ref()?);
        let is_default = args.contains(&"--set-as-default");
        let (was, is) = (foreign(before, is_default), foreign(after, is_default));
        let changed: Vec<_> =
            was.keys().chain(is.keys()).filter(|key| was.get(*key) != is.get(*key)).collect();
        if changed.is_empty() {
            has_ours(before, after, is_default)
        } else {
            Err(format!("changed: {changed:?}"))
        }
    }
}

/// The CRI plugin's section.
fn cri(dump: &Value) -> &Value {
    let names = ["io.containerd.cri.v1.runtime", "io.containerd.grpc.v1.cri"];
    names.iter().find_map(|name| dump["plugins"].get(*name)).unwrap()
}

/// All settings but for our handler, and our name as the default where it `is_default`.
fn foreign(dump: &Value, is_default: bool) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    flatten(dump, "", &mut values);
    values.retain(|key, _| {
        let is_ours =
            key.contains(".runtimes.podhosts.") || is_default && key.ends_with(".default_runtime_name");
        !is_ours && !key.starts_with(".imports") && key != ".version"
    });
    values
}

/// All values with their keys, but for those that are nothing.
fn flatten(value: &Value, above: &str, values: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(table) => {
            table.iter().for_each(|(key, value)| flatten(value, &format!("{above}.{key}"), values));
        }
        value if [r#""""#, "0", "false", "[]", "null"].contains(&value.to_string().as_str()) => {}
        value => drop(values.insert(above.to_owned(), value.to_string())),
    }
}

/// Whether our handler is loaded with all that the default handler of `before` has, and is the default where it
/// `is_default`; else what it lacks.
fn has_ours(before: &Value, after: &Value, is_default: bool) -> Result<(), String> {
    let containerd = &cri(after)["containerd"];
    let ours = containerd["runtimes"].get("podhosts").ok_or("there is no handler")?;
    let default = containerd["default_runtime_name"].as_str().unwrap();
    if containerd["runtimes"].get(default).is_none() || is_default != (default == "podhosts") {
        return Err(format!("the default is {default}"));
    }
    let program = ours["options"]["BinaryName"].as_str().unwrap_or_default();
    let annotations = ours["pod_annotations"].to_string() + &ours["container_annotations"].to_string();
    if !program.ends_with("/podhosts-runtime") || annotations.matches("\"podhosts.io/*\"").count() != 2 {
        return Err(format!("the handler is {ours}"));
    }
    let before = &cri(before)["containerd"];
    let default = before["default_runtime_name"].as_str().unwrap();
    let beside = [default, "runc"].map(|name| &before["runtimes"][name]);
    let runs_runc =
        |beside: &&&Value| beside["runtime_type"].as_str().is_some_and(|shim| !shim.contains("kata"));
    let mut lacks = BTreeMap::new();
    beside.iter().find(runs_runc).into_iter().for_each(|beside| flatten(beside, "", &mut lacks));
    for own in
        [".runtime_type", ".pod_annotations", ".container_annotations", ".options.BinaryName", ".sandboxer"]
    {
        lacks.remove(own);
    }
    let mut has = BTreeMap::new();
    flatten(ours, "", &mut has);
    lacks.retain(|key, value| has.get(key) != Some(value));
    if lacks.is_empty() { Ok(()) } else { Err(format!("the handler lacks {lacks:?}")) }
}
