//! Layouts of CRI-O's configuration as administrators have them, each with every way of `configure` and back. Where the
//! machine has a CRI-O (`CRIO` names one that is not on PATH), `crio config` judges each of them, too.

mod layouts;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use podhosts::engines::crio::printed::Printed;
use podhosts::engines::crio::reader::Crio;
use podhosts::engines::files::Files;
use toml::{Table, Value};

use crate::harness::etc::Etc;
use crate::harness::{Run, bin, crio};
use layouts::{Layout, WAYS, layouts};

const HOOKS: &str = "/usr/share/containers/oci/hooks.d";

fn podhosts(node: &Etc, layout: &Layout, args: &[&str]) -> Run {
    let program = bin("podhosts").display().to_string();
    let variable: Vec<&str> =
        Some(layout.variable).filter(|variable| !variable.is_empty()).into_iter().collect();
    let all = [&variable[..], &[program.as_str()], args].concat();
    node.command(Path::new("/usr/bin/env"), &all).output().unwrap().into()
}

/// There and back in one layout by one way.
fn check(layout: &Layout, way: usize, judge: Option<&Path>) -> Result<(), String> {
    let mut node = layout.node();
    let shown = judge.map(|program| program.display().to_string());
    judge.into_iter().for_each(|program| crio::install(&mut node, program));
    let ask = || shown.as_ref().map(|program| crio::config(&node, program, layout.variable));
    let wanted = layout.judged.filter(|_| judge.is_some()).unwrap_or(layout.refused)[way];
    let (tree, before) = (node.tree(), ask());
    let configure = [&["configure", "--runtime", "crio"], WAYS[way]].concat();
    let run = podhosts(&node, layout, &configure);
    if !run.ok {
        return match wanted {
            "" => Err(run.stderr),
            wanted if !run.stderr.contains(wanted) => Err(format!("expected {wanted}: {}", run.stderr)),
            _ if node.tree() != tree => Err("it was refused, and something is not as before".to_owned()),
            _ => Ok(()),
        };
    }
    if !wanted.is_empty() {
        return Err(format!("done, expected {wanted}"));
    }
    if let (Some(Ok(before)), Some(after)) = (before, ask()) {
        is_right(&before, &after?, way)?;
    }
    let again = podhosts(&node, layout, &configure);
    if !again.stdout.starts_with("nothing to change\n") {
        return Err(format!("once more: {again:?}"));
    }
    let back = podhosts(&node, layout, &["unconfigure", "--runtime", "crio"]);
    match () {
        () if !back.ok => Err(format!("unconfigure: {}", back.stderr)),
        () if node.tree() != tree => Err(format!("not as before: {:#?}", node.tree())),
        () => Ok(()),
    }
}

/// Whether CRI-O has ours after the change, and all else as it was.
fn is_right(before: &Table, after: &Table, way: usize) -> Result<(), String> {
    let runtime = |key: &str| after.get("crio")?.get("runtime")?.get(key);
    let handler = runtime("runtimes").and_then(|runtimes| runtimes.get("podhosts"));
    let hooks = runtime("hooks_dir").map_or(String::new(), |hooks| format!("{hooks:?}"));
    let is_there = match way {
        0 => hooks.contains("podhosts") || hooks.contains("/etc/containers/oci/hooks.d"),
        1 | 2 => {
            handler.is_some()
                && (way == 1
                    || runtime("default_runtime").is_some_and(|name| name.as_str() == Some("podhosts")))
        }
        _ => after["crio"]
            .get("nri")
            .and_then(|nri| nri.get("enable_nri"))
            .is_none_or(|value| value.as_bool() == Some(true)),
    };
    if !is_there {
        return Err(format!("ours is not there: {after:?}"));
    }
    if let (Some(ours), 1 | 2) = (handler, way) {
        let default = before["crio"].get("runtime").and_then(|runtime| runtime.get("default_runtime"));
        let name = default.and_then(Value::as_str).unwrap_or("crun");
        let beside =
            runtime("runtimes").and_then(|runtimes| runtimes.get(name)).ok_or("no default handler")?;
        let is_oci = beside["runtime_type"].as_str() != Some("vm");
        let lacks = |key: &&str| beside.get(*key).is_some() && beside.get(*key) != ours.get(*key);
        let settings = ["allowed_annotations", "monitor_env", "container_min_memory", "default_annotations"];
        if let Some(key) = settings.iter().find(|key| is_oci && lacks(key)) {
            return Err(format!("the handler has not {key} of {name}"));
        }
    }
    let (was, mut is) = (others(before, way), others(after, way));
    // Those that it has built in are printed only where there are others.
    if before["crio"].get("runtime").and_then(|runtime| runtime.get("runtimes")).is_none() {
        is.retain(|key, _| !key.starts_with(".crio.runtime.runtimes."));
    }
    let changed: Vec<_> = was.keys().chain(is.keys()).filter(|key| was.get(*key) != is.get(*key)).collect();
    if changed.is_empty() { Ok(()) } else { Err(format!("changed: {changed:?}")) }
}

/// All values but those that this way is to change.
fn others(table: &Table, way: usize) -> BTreeMap<String, String> {
    fn add(value: &Value, above: &str, values: &mut BTreeMap<String, String>) {
        match value {
            Value::Table(table) => {
                table.iter().for_each(|(key, value)| add(value, &format!("{above}.{key}"), values))
            }
            value => drop(values.insert(above.to_owned(), format!("{value:?}"))),
        }
    }
    let mut values = BTreeMap::new();
    add(&Value::Table(table.clone()), "", &mut values);
    let ours = match way {
        0 => ".crio.runtime.hooks_dir",
        2 => ".crio.runtime.default_runtime",
        _ => ".crio.nri.enable_nri",
    };
    values.retain(|key, _| key != ours && !key.starts_with(".crio.runtime.runtimes.podhosts."));
    values
}

fn check_all(judge: Option<&Path>) {
    let mut faults = Vec::new();
    for layout in layouts() {
        for (way, args) in WAYS.iter().enumerate() {
            if let Err(fault) = check(&layout, way, judge) {
                faults.push(format!("{}, {args:?}: {fault}", layout.name));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn every_layout_there_and_back_without_crio() {
    check_all(None);
}

/// The same with CRI-O's own word. Without one on this machine the layouts are judged by our reader alone, above.
#[test]
fn every_layout_there_and_back_with_crio() {
    let Some(program) = crio::program() else { return };
    check_all(Some(&program));
}

/// What is read of a configuration.
#[derive(Debug, PartialEq)]
struct Read {
    hooks_dirs: Vec<String>,
    default: String,
    nri: bool,
    socket: PathBuf,
    network: PathBuf,
    plugins: Vec<PathBuf>,
}

fn read(crio: &Crio) -> Read {
    Read {
        hooks_dirs: crio.hooks_dirs().unwrap().unwrap_or_else(|| vec![HOOKS.to_owned()]),
        default: crio.default_handler().unwrap().unwrap_or_else(|| "crun".to_owned()),
        nri: crio.nri_enabled().unwrap().unwrap_or(true),
        socket: crio.nri_socket().unwrap().unwrap_or_else(|| "/var/run/nri/nri.sock".into()),
        network: crio.cni_conf_dir().unwrap(),
        plugins: crio.cni_bin_dirs().unwrap(),
    }
}

/// Our reader has what `crio config` prints, where a CRI-O is.
#[test]
fn our_reader_agrees_with_crio() {
    let Some(program) = crio::program() else { return };
    let (main, drop_ins) = (Path::new("/etc/crio/crio.conf"), Path::new("/etc/crio/crio.conf.d"));
    let mut faults = Vec::new();
    for layout in layouts().into_iter().filter(|layout| layout.variable.is_empty() && layout.links.is_empty())
    {
        let mut files = Files::new();
        for (path, text) in layout.files.iter().filter(|(path, _)| !path.ends_with('/')) {
            files.put(&Path::new("/etc/crio").join(path), text.clone());
        }
        let ours = Crio::read(&files, main, drop_ins);
        let theirs = Printed::of(&program, &files, main, drop_ins);
        let (Ok(ours), Ok(Some(theirs))) = (&ours, &theirs) else {
            if layout.judged.is_none() && layout.refused == [""; 4] && !matches!(theirs, Ok(None)) {
                faults.push(format!("{}: {:?} {:?}", layout.name, ours.err(), theirs.err()));
            }
            continue;
        };
        if read(ours) != read(&theirs.crio) {
            faults.push(format!("{}: {:?}\n{:?}", layout.name, read(ours), read(&theirs.crio)));
        }
        let printed = theirs.crio.handlers().unwrap();
        let named = ours.handlers().unwrap();
        if let Some(handler) =
            named.iter().find(|handler| !printed.is_empty() && !theirs.has(handler).unwrap())
        {
            faults.push(format!("{}: {handler:?} is not in {printed:?}", layout.name));
        }
        let is_known = |name: &str| name == "crun" || named.iter().any(|handler| handler.name == name);
        if let Some(handler) = printed.iter().find(|handler| !is_known(&handler.name)) {
            faults.push(format!("{}: {handler:?} is not in {named:?}", layout.name));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// doctor says what CRI-O would not load, where a CRI-O is.
#[test]
fn doctor_says_what_crio_does_not_have() {
    let Some(program) = crio::program() else { return };
    let mut layout = layouts().remove(1);
    let mut node = layout.node();
    crio::install(&mut node, &program);
    node.configure(&["crio", "--mode", "wrapper"]);
    let doctor = |layout: &Layout| podhosts(&node, layout, &["doctor"]).stdout;
    let said = doctor(&layout);
    assert!(said.contains("runtime handler podhosts: ") && !said.contains("crio config"), "{said}");
    layout.variable = "CONTAINER_RUNTIMES=podhosts:/v:/r";
    let said = doctor(&layout);
    assert!(said.contains("is in its files, and `crio config` has it not"), "{said}");
    node.write("/etc/crio/crio.conf", "[crio.runtime]\npids_limit = \"many\"\n");
    let said = doctor(&layout);
    assert!(
        said.contains("CRI-O does not read its files: ") && said.contains(" /etc/crio/crio.conf: "),
        "{said}"
    );
}
