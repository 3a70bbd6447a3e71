//! The pods of this node: a record of each for the hook, so that no container of a pod can change what another one gets for
//! its hosts file.

mod files;
mod object;
mod stranded;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use kube::Api;
use kube::runtime::watcher;
use tokio::sync::Notify;

use crate::api::watch::{News, follow};
use crate::problem::Problem;
use crate::report::standing::Part;
use crate::run::Agent;
use files::PodFiles;
use object::PodObject;
use records::cluster_pod::CLUSTER_POD_DIR;
use records::record::{self, RECORD_DIR};
use sys::fs::state_dir;

/// The pause before files are tried again that could not be written.
const RETRY: Duration = Duration::from_secs(1);

/// Follows this node's pods and keeps their records. It does not end.
pub(crate) async fn keep(agent: Rc<Agent>) {
    let files = RefCell::new(PodFiles::new(Path::new(CLUSTER_POD_DIR).to_owned()));
    let changed = Notify::new();
    let api: Api<PodObject> = Api::all(agent.client.clone());
    let config = watcher::Config::default().fields(&format!("spec.nodeName={}", agent.options.own_name()));
    let domain = &agent.options.cluster_domain;
    let mut told = BTreeSet::new();
    let following = follow(api, config, |news| {
        match news {
            News::Is(key, object) => {
                let pod = object.into_pod(domain);
                let (namespace, name) = &key;
                match &pod {
                    Ok(_) => drop(told.remove(&key)),
                    Err(error) if told.insert(key.clone()) => {
                        tracing::warn!("cannot write the record of pod {namespace}/{name}: {error}");
                    }
                    Err(_) => {}
                }
                files.borrow_mut().take(key, pod.ok());
            }
            News::Gone(key) => {
                told.remove(&key);
                files.borrow_mut().take(key, None);
            }
            News::Listed => {
                agent.standing.connected();
                files.borrow_mut().listed();
            }
            News::Lost(error) => return agent.standing.lost("pods", &error),
        }
        changed.notify_one();
    });
    tokio::join!(following, write(&agent, &files, &changed));
}

/// Writes the files whenever something has changed, and until that succeeds.
async fn write(agent: &Agent, files: &RefCell<PodFiles>, changed: &Notify) {
    changed.notified().await;
    let mut last = None;
    loop {
        // Before the Node is looked at: what changes from then on is not missed.
        let mut renoded = std::pin::pin!(agent.renoded.notified());
        renoded.as_mut().enable();
        let settled = files.borrow_mut().settle();
        match settled {
            Ok(()) => {
                last = None;
                if files.borrow().is_listed() {
                    agent.standing.works(Part::Pods, problems(agent, &files.borrow()));
                }
                tokio::select! {
                    () = changed.notified() => {}
                    () = renoded => {}
                }
            }
            Err(error) => {
                let error = error.to_string();
                if last.as_ref() != Some(&error) {
                    tracing::error!("{error} (it is tried again each second)");
                }
                agent.standing.fails(Part::Pods, error.clone());
                last = Some(error);
                tokio::select! {
                    () = changed.notified() => {}
                    () = tokio::time::sleep(RETRY) => {}
                }
            }
        }
    }
}

/// What an administrator has to know of this node's pods.
fn problems(agent: &Agent, files: &PodFiles) -> Vec<Problem> {
    let mut problems = files.problems();
    let cluster = agent.cluster.borrow();
    // Pods of another program's network may have any addresses.
    if let Some(node) = cluster.nodes.get(&cluster.own).filter(|_| agent.options.conflist().is_some()) {
        problems.extend(stranded::problems(files.pods(), &node.pod_cidrs));
    }
    problems
}

/// The sandboxes of pods that podhosts-cni has connected.
pub(crate) fn connected() -> Vec<String> {
    let names = state_dir::names(Path::new(RECORD_DIR)).unwrap_or_default();
    names.iter().filter_map(|name| record::id_of(name)).map(str::to_owned).collect()
}

/// Removes what this program has written.
///
/// # Errors
/// Names the file.
pub(crate) fn clean_up() -> Result<(), String> {
    PodFiles::new(Path::new(CLUSTER_POD_DIR).to_owned()).remove_all().map_err(|error| error.to_string())
}
