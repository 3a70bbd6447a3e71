//! Events about this Node: each problem once when it comes, and once when it is over.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Client;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};

use super::standing::Standing;
use crate::api::fault;
use crate::problem::Problem;

/// The pause after an Event that was not taken.
const PAUSE: Duration = Duration::from_secs(2);
/// The longest note that the API takes, in bytes.
const NOTE_MAX: usize = 1024;

/// Tells of problems that come and go. It does not end.
pub(crate) async fn tell(client: Client, node: ObjectReference, standing: Rc<Standing>) {
    let name = node.name.clone();
    let recorder = Recorder::new(client, Reporter { controller: crate::PROGRAM.to_owned(), instance: name });
    let mut told: BTreeSet<Problem> = BTreeSet::new();
    loop {
        let mut changed = std::pin::pin!(standing.changed.notified());
        changed.as_mut().enable();
        let now: BTreeSet<Problem> = standing.problems().into_iter().collect();
        let due = told.symmetric_difference(&now).next().cloned();
        let Some(problem) = due else {
            changed.await;
            continue;
        };
        let is_over = told.contains(&problem);
        if is_over {
            tracing::info!(reason = problem.reason, node = problem.node, "no longer: {}", problem.text);
        } else {
            tracing::warn!(reason = problem.reason, node = problem.node, "{}", problem.text);
        }
        if let Err(error) = recorder.publish(&event(&problem, is_over), &node).await {
            tracing::warn!("cannot create an Event: {}", fault::text(&error));
            tokio::time::sleep(PAUSE).await;
        }
        // The Node's condition has it also if the Event was not taken.
        if is_over {
            told.remove(&problem);
        } else {
            told.insert(problem);
        }
    }
}

fn event(problem: &Problem, is_over: bool) -> Event {
    let note = if is_over { format!("no longer: {}", problem.text) } else { problem.text.clone() };
    Event {
        type_: if is_over { EventType::Normal } else { EventType::Warning },
        reason: problem.reason.to_owned(),
        note: Some(note[..note.floor_char_boundary(NOTE_MAX)].to_owned()),
        action: "Program".to_owned(),
        secondary: None,
    }
}
