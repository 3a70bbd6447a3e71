//! How the Services stand: what each of those who look at them has found, told as one part of the agent.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use crate::problem::Problem;
use crate::report::standing::{Part, Standing};

/// What was found last.
pub(super) struct Findings {
    standing: Rc<Standing>,
    /// Whether somebody leads connections to Services: the proxy, or kube-proxy's rules for which it waits.
    stands: Cell<bool>,
    networks: RefCell<Vec<Problem>>,
    rival: RefCell<Option<Problem>>,
}

impl Findings {
    pub(super) fn new(standing: Rc<Standing>) -> Self {
        Self { standing, stands: Cell::default(), networks: RefCell::default(), rival: RefCell::default() }
    }

    /// From now on the part works, but for the problems.
    pub(super) fn stands(&self) {
        self.stands.set(true);
        self.tell();
    }

    /// The part does not work until it is said that it does.
    pub(super) fn fails(&self, fault: String) {
        self.stands.set(false);
        self.standing.fails(Part::Services, fault);
    }

    /// What the ServiceCIDRs have.
    pub(super) fn networks(&self, problems: Vec<Problem>) {
        self.networks.replace(problems);
        self.tell();
    }

    /// Another program that leads connections to Services.
    pub(super) fn rival(&self, problem: Option<Problem>) {
        self.rival.replace(problem);
        self.tell();
    }

    fn tell(&self) {
        if self.stands.get() {
            let problems = self.networks.borrow().iter().chain(self.rival.borrow().iter()).cloned().collect();
            self.standing.works(Part::Services, problems);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(reason: &'static str) -> Problem {
        Problem { reason, node: None, text: "x".to_owned() }
    }

    #[test]
    fn what_one_finds_stays_when_the_other_finds_nothing() {
        let standing = Rc::new(Standing::of(&[Part::Services]));
        let findings = Findings::new(Rc::clone(&standing));
        findings.networks(vec![problem("Networks")]);
        assert!(standing.begins());
        findings.stands();
        findings.rival(None);
        assert_eq!(standing.problems(), [problem("Networks")]);
        findings.rival(Some(problem("Rival")));
        findings.networks(Vec::new());
        assert_eq!(standing.problems(), [problem("Rival")]);
        findings.fails("no".to_owned());
        findings.networks(Vec::new());
        assert_eq!(standing.faults().len(), 1);
        findings.rival(None);
        findings.stands();
        assert_eq!((standing.faults().len(), standing.problems().len()), (0, 0));
    }
}
