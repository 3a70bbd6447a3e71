//! How the parts of the agent stand.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;

use tokio::sync::Notify;

use crate::problem::Problem;
use telemetry::page::Page;

/// A part of the agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Part {
    /// Follows the Nodes.
    Nodes,
    /// Routes, masquerading and the plugin's configuration.
    Network,
    /// The files of this node's pods.
    Pods,
    /// The Service proxy.
    Services,
}

impl Part {
    /// The name in health checks and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Nodes => "nodes",
            Self::Network => "network",
            Self::Pods => "pods",
            Self::Services => "services",
        }
    }
}

/// Whether a part does its work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
enum Work {
    /// It has not come to it yet.
    #[default]
    Begins,
    Done,
    /// What keeps it from working. What it did before may go on.
    Fails(String),
}

/// How a part stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct State {
    work: Work,
    problems: Vec<Problem>,
    /// How often it failed.
    failures: u64,
}

/// How all parts stand. Only the agent's own thread has it.
#[derive(Debug, Default)]
pub(crate) struct Standing {
    parts: RefCell<BTreeMap<Part, State>>,
    /// Whether the API server answered last.
    is_connected: Cell<bool>,
    lost: Cell<u64>,
    /// Wakes those who tell of changes.
    pub(crate) changed: Notify,
}

impl Standing {
    /// Of these parts, none of which works yet.
    pub(crate) fn of(parts: &[Part]) -> Self {
        let parts = parts.iter().map(|part| (*part, State::default())).collect();
        Self { parts: RefCell::new(parts), ..Self::default() }
    }

    /// The part works, apart from these problems.
    pub(crate) fn works(&self, part: Part, problems: Vec<Problem>) {
        self.change(part, |state| (state.work, state.problems) = (Work::Done, problems));
    }

    /// The part does not work.
    pub(crate) fn fails(&self, part: Part, fault: String) {
        self.change(part, |state| {
            state.failures += 1;
            state.work = Work::Fails(fault);
        });
    }

    fn change(&self, part: Part, change: impl FnOnce(&mut State)) {
        let mut parts = self.parts.borrow_mut();
        let state = parts.entry(part).or_default();
        let before = state.clone();
        change(state);
        if *state != before {
            self.changed.notify_waiters();
        }
    }

    /// The API server answers.
    pub(crate) fn connected(&self) {
        if !self.is_connected.replace(true) {
            tracing::info!("the API server answers");
        }
    }

    /// The API server does not answer, or refuses.
    pub(crate) fn lost(&self, resource: &str, error: &str) {
        self.lost.set(self.lost.get() + 1);
        if self.is_connected.replace(false) || self.lost.get() == 1 {
            tracing::error!("cannot watch {resource}: {error} (everything stays as it is meanwhile)");
        } else {
            tracing::debug!("cannot watch {resource}: {error}");
        }
    }

    /// What keeps the agent from being ready: each part that does not work, with its fault.
    pub(crate) fn faults(&self) -> Vec<(Part, String)> {
        let fault = |state: &State| match &state.work {
            Work::Begins => Some("it has not begun to work yet".to_owned()),
            Work::Fails(fault) => Some(fault.clone()),
            Work::Done => None,
        };
        self.parts.borrow().iter().filter_map(|(part, state)| Some((*part, fault(state)?))).collect()
    }

    /// Whether a part has neither worked nor failed yet. After a restart this says nothing about the network, which stays
    /// as it was.
    pub(crate) fn begins(&self) -> bool {
        self.parts.borrow().values().any(|state| state.work == Work::Begins)
    }

    /// All problems, sorted.
    pub(crate) fn problems(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> =
            self.parts.borrow().values().flat_map(|state| &state.problems).cloned().collect();
        problems.sort();
        problems
    }

    /// Writes the metrics.
    pub(crate) fn write(&self, page: &mut Page) {
        page.single(
            "podhosts_node_api_server_up",
            "gauge",
            "Whether the API server answered last.",
            u8::from(self.is_connected.get()),
        );
        page.single("podhosts_node_watch_failures_total", "counter", "Watches that failed.", self.lost.get());
        page.head("podhosts_node_part_up", "gauge", "Whether a part of the agent works.");
        for (part, state) in self.parts.borrow().iter() {
            let labels = format!("part=\"{}\"", part.name());
            page.line("podhosts_node_part_up", &labels, u8::from(state.work == Work::Done));
        }
        page.head("podhosts_node_part_failures_total", "counter", "How often a part of the agent failed.");
        for (part, state) in self.parts.borrow().iter() {
            let labels = format!("part=\"{}\"", part.name());
            page.line("podhosts_node_part_failures_total", &labels, state.failures);
        }
        let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
        for problem in self.problems() {
            *reasons.entry(problem.reason).or_default() += 1;
        }
        page.head("podhosts_node_problems", "gauge", "Problems that stand, by the reasons of their Events.");
        for (reason, count) in reasons {
            page.line("podhosts_node_problems", &format!("reason=\"{reason}\""), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_and_problems_are_told() {
        let standing = Standing::of(&[Part::Nodes, Part::Network]);
        assert_eq!((standing.faults().len(), standing.begins()), (2, true));
        let problem = Problem { reason: "NodeNotOnLink", node: Some("n2".to_owned()), text: "x".to_owned() };
        standing.works(Part::Nodes, Vec::new());
        standing.works(Part::Network, vec![problem.clone()]);
        assert_eq!((standing.faults(), standing.problems()), (Vec::new(), vec![problem]));
        assert!(!standing.begins());
        standing.fails(Part::Network, "no".to_owned());
        assert_eq!(standing.faults(), [(Part::Network, "no".to_owned())]);
        let mut page = Page::default();
        standing.write(&mut page);
        for line in [
            "podhosts_node_part_up{part=\"nodes\"} 1\n",
            "podhosts_node_part_up{part=\"network\"} 0\n",
            "podhosts_node_part_failures_total{part=\"network\"} 1\n",
            "podhosts_node_problems{reason=\"NodeNotOnLink\"} 1\n",
        ] {
            assert!(page.text().contains(line), "{line}{}", page.text());
        }
    }
}
