//! The records of this node's pods, and their files as the hook reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use thiserror::Error;

use super::object::NodePod;
use crate::api::watch::Key;
use crate::problem::Problem;
use records::cluster_pod::{self, CLUSTER_POD_MAX, ContentError};
use sys::fs::files::{self, FileError};
use sys::fs::state_dir;

/// A file that is not as it should be.
#[derive(Debug, Error)]
pub(crate) enum FilesError {
    #[error(transparent)]
    File(#[from] FileError),
    #[error(transparent)]
    Content(#[from] ContentError),
}

/// How a Pod comes to a uid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Claim {
    /// The API server gave it.
    Own,
    /// The Pod says that it stands for the static pod of that uid. Whoever may create Pods may say so.
    Mirror,
}

/// What the API server tells of this node's pods, and how far the files have it.
#[derive(Debug)]
pub(crate) struct PodFiles {
    dir: PathBuf,
    pods: BTreeMap<Key, NodePod>,
    /// The Pods of each uid, the one whose own it is first.
    holders: BTreeMap<String, BTreeSet<(Claim, Key)>>,
    /// Uids whose files may not be as they should be.
    unsettled: BTreeSet<String>,
    /// Whether the API server has told of all pods, so that other files are those of pods that are gone.
    is_listed: bool,
    /// Whether the directory may have such files.
    is_unswept: bool,
}

impl PodFiles {
    /// Files in the directory `dir`, of which nothing is known yet.
    pub(crate) fn new(dir: PathBuf) -> Self {
        Self {
            dir,
            pods: BTreeMap::new(),
            holders: BTreeMap::new(),
            unsettled: BTreeSet::new(),
            is_listed: false,
            is_unswept: false,
        }
    }

    /// Takes the Pod with this name, `None` if it is gone or can have no record.
    pub(crate) fn take(&mut self, key: Key, pod: Option<NodePod>) {
        if self.pods.get(&key) == pod.as_ref() {
            return;
        }
        let old = match &pod {
            Some(pod) => self.pods.insert(key.clone(), pod.clone()),
            None => self.pods.remove(&key),
        };
        for (claim, uid) in old.iter().flat_map(claims) {
            if let Some(holders) = self.holders.get_mut(&uid) {
                holders.remove(&(claim, key.clone()));
                if holders.is_empty() {
                    self.holders.remove(&uid);
                }
            }
            self.unsettled.insert(uid);
        }
        for (claim, uid) in pod.iter().flat_map(claims) {
            self.holders.entry(uid.clone()).or_default().insert((claim, key.clone()));
            self.unsettled.insert(uid);
        }
    }

    /// All pods were told. The files are compared with them, whatever is known of the files.
    pub(crate) fn listed(&mut self) {
        (self.is_listed, self.is_unswept) = (true, true);
        self.unsettled.extend(self.holders.keys().cloned());
    }

    /// Whether all pods were told.
    pub(crate) fn is_listed(&self) -> bool {
        self.is_listed
    }

    /// All pods that were told.
    pub(crate) fn pods(&self) -> impl Iterator<Item = (&Key, &NodePod)> {
        self.pods.iter()
    }

    /// Removes all files, and the directory if it has no others.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn remove_all(mut self) -> Result<(), FilesError> {
        self.pods.clear();
        self.holders.clear();
        self.listed();
        self.settle()?;
        state_dir::remove_empty(&self.dir)?;
        Ok(())
    }

    /// Makes the files those of the pods. What fails is tried again by the next call; the rest is done.
    ///
    /// # Errors
    /// The first fault.
    pub(crate) fn settle(&mut self) -> Result<(), FilesError> {
        let mut first = Ok(());
        if self.is_unswept {
            match self.sweep() {
                Ok(()) => self.is_unswept = false,
                Err(error) => first = Err(error),
            }
        }
        let mut left = BTreeSet::new();
        for uid in std::mem::take(&mut self.unsettled) {
            match self.put(&uid) {
                Ok(true) => {}
                Ok(false) => drop(left.insert(uid)),
                Err(error) => {
                    first = first.and(Err(error));
                    left.insert(uid);
                }
            }
        }
        self.unsettled = left;
        first
    }

    /// Finds the files of pods that are gone, and removes what killed writers left.
    fn sweep(&mut self) -> Result<(), FilesError> {
        for name in state_dir::names(&self.dir)? {
            if name.starts_with(state_dir::TEMPORARY) {
                state_dir::remove(&self.dir.join(&name))?;
            }
            self.unsettled.extend(cluster_pod::uid_of(&name).map(str::to_owned));
        }
        Ok(())
    }

    /// Writes or removes the file of a uid. Tells whether it is as it should be, which is not known of a pod that was not told
    /// before all were.
    fn put(&self, uid: &str) -> Result<bool, FilesError> {
        // A uid that names no file, which no API server gives.
        let Some(path) = cluster_pod::path(&self.dir, uid) else { return Ok(true) };
        if let Some(pod) = self.holder(uid) {
            let mut record = pod.record.clone();
            uid.clone_into(&mut record.uid);
            let json = record.to_json()?;
            if !files::read_of_root(&path, CLUSTER_POD_MAX).is_ok_and(|present| present == json) {
                state_dir::replace(&path, &json)?;
            }
            return Ok(true);
        }
        if self.is_listed && !state_dir::is_foreign(&path) {
            state_dir::remove(&path)?;
        }
        Ok(self.is_listed)
    }

    /// The Pod whose record a uid has. Of several that claim a static pod's it has none: the hook does without, and believes no
    /// record of another name, but a wrong one would keep it from the right one.
    fn holder(&self, uid: &str) -> Option<&NodePod> {
        let holders = self.holders.get(uid)?;
        let (claim, key) = holders.first()?;
        (*claim == Claim::Own || holders.len() == 1).then(|| self.pods.get(key)).flatten()
    }

    /// What an administrator has to know.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let disputed = self.holders.iter().filter(|(_, holders)| holders.len() > 1);
        let problems = disputed.map(|(uid, holders)| {
            let names: Vec<String> = holders.iter().map(|(_, (namespace, name))| format!("{namespace}/{name}")).collect();
            let text = format!(
                "the Pods {} claim the same uid {uid}: containers of the pods that claim it as a static pod's have the \
                 kubelet's hosts file alone",
                names.join(", ")
            );
            Problem { reason: "PodUIDDisputed", node: None, text }
        });
        problems.collect()
    }
}

fn claims(pod: &NodePod) -> impl Iterator<Item = (Claim, String)> {
    let mirror = pod.mirrors.clone().map(|uid| (Claim::Mirror, uid));
    std::iter::once((Claim::Own, pod.record.uid.clone())).chain(mirror)
}

#[cfg(test)]
#[allow(clippy::disallowed_methods)]
mod tests;
