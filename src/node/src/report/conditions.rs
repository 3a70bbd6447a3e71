//! The conditions of this Node that the agent keeps.

use std::cell::RefCell;
use std::fmt::Write;
use std::rc::Rc;
use std::time::Duration;

use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};
use tokio::sync::Notify;

use super::standing::{Part, Standing};
use crate::api::fault;
use crate::api::node::{Condition, NodeObject};
use crate::problem::Problem;

/// Kubernetes' own: `False` when the node's network is set up. Without it cloud providers' taint stays.
const UNAVAILABLE: &str = "NetworkUnavailable";
/// `True` while pods of this node cannot reach all others, or something else stands in the way.
const DEGRADED: &str = "PodNetworkDegraded";
/// The types of conditions that are ours.
pub(crate) const TYPES: [&str; 2] = [UNAVAILABLE, DEGRADED];

/// As many problems are spelt out in a message.
const SHOWN: usize = 8;
/// The pauses after patches that failed: each is twice as long as the one before.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The conditions of ours that the Node has, as the API server told last; `None` before this Node was told.
#[derive(Debug, Default)]
pub(crate) struct Present {
    pub(crate) conditions: RefCell<Option<Vec<Condition>>>,
    pub(crate) changed: Notify,
}

/// What the conditions are to say, with the parts that do not work and the problems that stand.
fn wanted(faults: &[(Part, String)], problems: &[Problem]) -> [Condition; 2] {
    let condition = |r#type: &str, status: bool, reason: &str, message: String| Condition {
        r#type: r#type.to_owned(),
        status: if status { "True" } else { "False" }.to_owned(),
        reason: reason.to_owned(),
        message,
        last_transition_time: None,
    };
    let spell = |(part, fault): &(Part, String)| format!("{}: {fault}", part.name());
    let of_network: Vec<String> =
        faults.iter().filter(|(part, _)| matches!(part, Part::Nodes | Part::Network)).map(spell).collect();
    let unavailable = if of_network.is_empty() {
        condition(UNAVAILABLE, false, "PodhostsIsUp", "routes and masquerading are set up".to_owned())
    } else {
        condition(UNAVAILABLE, true, "PodhostsIsNotUp", listed(&of_network))
    };
    let mut texts: Vec<String> = faults.iter().map(spell).collect();
    texts.extend(problems.iter().map(|problem| problem.text.clone()));
    let reason = problems.first().map_or("PodhostsIsNotUp", |first| first.reason);
    let degraded = if texts.is_empty() {
        condition(DEGRADED, false, "NoProblems", "no problem is known".to_owned())
    } else {
        condition(DEGRADED, true, reason, listed(&texts))
    };
    [unavailable, degraded]
}

fn listed(texts: &[String]) -> String {
    let mut text = texts.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join("; ");
    if let Some(more) = texts.len().checked_sub(SHOWN).filter(|more| *more > 0) {
        // Writing into a String cannot fail.
        let _ = write!(text, "; and {more} more");
    }
    text
}

/// Those of `wanted` that differ from what is there, as the patch has them.
fn changes(present: &[Condition], wanted: &[Condition], now: &str) -> Vec<Value> {
    let changed = wanted.iter().filter_map(|wanted| {
        let before = present.iter().find(|present| present.r#type == wanted.r#type);
        let is_same = before.is_some_and(|before| {
            (&before.status, &before.reason, &before.message)
                == (&wanted.status, &wanted.reason, &wanted.message)
        });
        let since = before.filter(|before| before.status == wanted.status);
        let since = since.and_then(|before| before.last_transition_time.clone());
        (!is_same).then(|| {
            json!({
                "type": wanted.r#type, "status": wanted.status, "reason": wanted.reason, "message": wanted.message,
                "lastHeartbeatTime": now, "lastTransitionTime": since.as_deref().unwrap_or(now),
            })
        })
    });
    changed.collect()
}

/// Keeps the conditions as things stand. It does not end.
pub(crate) async fn keep(api: Api<NodeObject>, name: String, standing: Rc<Standing>, present: Rc<Present>) {
    let mut pause = PAUSES.0;
    loop {
        let (stands, told) = (standing.changed.notified(), present.changed.notified());
        let (mut stands, mut told) = (std::pin::pin!(stands), std::pin::pin!(told));
        // From here on nothing is missed.
        stands.as_mut().enable();
        told.as_mut().enable();
        let changes = due(&standing, &present);
        if !changes.is_empty() {
            let patch = json!({"status": {"conditions": changes}});
            match api.patch_status(&name, &PatchParams::default(), &Patch::Strategic(patch)).await {
                // The watch tells it; until then there is nothing new to say.
                Ok(node) => {
                    *present.conditions.borrow_mut() = Some(node.conditions(&TYPES));
                    pause = PAUSES.0;
                }
                Err(error) => {
                    tracing::warn!("cannot patch the conditions of the Node {name}: {}", fault::text(&error));
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(PAUSES.1);
                    continue;
                }
            }
        }
        tokio::select! {
            () = stands => {}
            () = told => {}
        }
    }
}

fn due(standing: &Standing, present: &Present) -> Vec<Value> {
    let present = present.conditions.borrow();
    let Some(present) = present.as_ref() else { return Vec::new() };
    // The conditions of before a restart stay until more is known: a Node that is said to have no network gets no pods.
    if standing.begins() && TYPES.iter().all(|ours| present.iter().any(|has| has.r#type == *ours)) {
        return Vec::new();
    }
    let now = humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string();
    changes(present, &wanted(&standing.faults(), &standing.problems()), &now)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(text: &str) -> Problem {
        Problem { reason: "NodeNotOnLink", node: None, text: text.to_owned() }
    }

    #[test]
    fn only_what_differs_is_patched_and_the_time_is_that_of_the_status() {
        let wanted = wanted(&[], &[problem("a"), problem("b")]);
        let mut present = wanted.to_vec();
        for condition in &mut present {
            condition.last_transition_time = Some("then".to_owned());
        }
        assert_eq!(changes(&present, &wanted, "now"), Vec::<Value>::new());
        present[0].status = "True".to_owned();
        present[1].message = "other".to_owned();
        let found = changes(&present, &wanted, "now");
        let times: Vec<&Value> = found.iter().map(|change| &change["lastTransitionTime"]).collect();
        assert_eq!(times, ["now", "then"]);
        assert_eq!((&found[0]["type"], &found[0]["status"]), (&json!(UNAVAILABLE), &json!("False")));
        assert_eq!((&found[1]["reason"], &found[1]["message"]), (&json!("NodeNotOnLink"), &json!("a; b")));
        assert_eq!(changes(&[], &wanted, "now").len(), 2);
    }

    #[test]
    fn many_problems_are_counted() {
        let problems: Vec<Problem> = (0..SHOWN + 3).map(|number| problem(&number.to_string())).collect();
        assert!(wanted(&[], &problems)[1].message.ends_with("7; and 3 more"));
    }

    #[test]
    fn the_network_is_unavailable_only_for_want_of_the_network() {
        let said = |part| {
            wanted(&[(part, "no".to_owned())], &[])
                .map(|condition| format!("{} {}", condition.status, condition.message))
        };
        assert_eq!(said(Part::Network), ["True network: no", "True network: no"]);
        assert_eq!(said(Part::Pods), ["False routes and masquerading are set up", "True pods: no"]);
    }

    #[test]
    fn a_restart_changes_no_condition_before_more_is_known() {
        let (standing, present) = (Standing::of(&[Part::Network]), Present::default());
        assert_eq!(due(&standing, &present), Vec::<Value>::new());
        *present.conditions.borrow_mut() = Some(Vec::new());
        assert_eq!(due(&standing, &present).len(), 2);
        *present.conditions.borrow_mut() = Some(wanted(&[], &[]).to_vec());
        assert_eq!(due(&standing, &present), Vec::<Value>::new());
        standing.fails(Part::Network, "no".to_owned());
        assert_eq!(due(&standing, &present).len(), 2);
    }
}
