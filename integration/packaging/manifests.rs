//! The delivered manifests, as kubectl reads them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;

use crate::harness::{Run, newer_engines, repository};

/// The folder that `kubectl apply -f` installs.
pub(super) const FOLDER: &str = "kubernetes";

/// A file or folder of the manifests.
pub(super) fn path(name: &str) -> PathBuf {
    repository().join("vendor-configs").join(name)
}

/// Each object of a YAML text.
fn objects(text: &str) -> Vec<Value> {
    let documents = text.split("\n---\n").filter(|document| document.contains("kind:"));
    documents.map(|document| serde_saphyr::from_str(document).unwrap()).collect()
}

/// The objects of `kubectl apply -f` of the folder: of each file there with a name that kubectl takes.
pub(super) fn in_folder() -> Vec<Value> {
    let files = fs::read_dir(path(FOLDER)).unwrap().map(|entry| entry.unwrap().path());
    let is_read = |path: &PathBuf| {
        path.extension()
            .is_some_and(|extension| ["yaml", "yml", "json"].iter().any(|name| extension == *name))
    };
    files.filter(is_read).flat_map(|path| objects(&fs::read_to_string(path).unwrap())).collect()
}

/// The objects that kustomize makes of a folder, where there is a kubectl of today.
pub(super) fn built(folder: &str) -> Option<Vec<Value>> {
    let mut kubectl = Command::new(newer_engines()?.join("usr/bin/kubectl"));
    let text = Run::from(kubectl.arg("kustomize").arg(path(folder)).output().unwrap()).success();
    Some(objects(&text))
}

/// The only object of a kind.
#[track_caller]
pub(super) fn only<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let found: Vec<&Value> = objects.iter().filter(|object| object["kind"] == kind).collect();
    assert_eq!(found.len(), 1, "{kind}");
    found[0]
}

/// The pod of the DaemonSet.
#[track_caller]
pub(super) fn pod(objects: &[Value]) -> &Value {
    &only(objects, "DaemonSet")["spec"]["template"]["spec"]
}

/// All containers of a pod, those that start it first.
pub(super) fn containers(pod: &Value) -> Vec<&Value> {
    let list =
        |key: &str| pod[key].as_array().map(|list| list.iter().collect::<Vec<_>>()).unwrap_or_default();
    [list("initContainers"), list("containers")].concat()
}

/// The container of this name.
#[track_caller]
pub(super) fn container<'a>(pod: &'a Value, name: &str) -> &'a Value {
    containers(pod).into_iter().find(|container| container["name"] == name).unwrap()
}

/// The strings of a list.
pub(super) fn strings(list: &Value) -> Vec<&str> {
    list.as_array().map(|list| list.iter().map(|word| word.as_str().unwrap()).collect()).unwrap_or_default()
}
