//! One address: from the first probe to the announcements, and what other machines say of it. Time is passed in.
//!
//! As RFC 5227 has it, with shorter pauses, since the link of a node is there before its addresses are claimed.

use std::time::{Duration, Instant};

use crate::net::rtnetlink::Mac;

/// How many probes are sent, and the pause after each.
const PROBES: u8 = 3;
const PROBE_PAUSE: Duration = Duration::from_millis(300);
/// How many announcements are sent, and the pause between them.
const ANNOUNCEMENTS: u8 = 3;
const ANNOUNCE_PAUSE: Duration = Duration::from_secs(2);
/// Whoever claims the address twice within this time will not give it up.
const DEFENCE: Duration = Duration::from_secs(10);
/// When an address that another machine has is probed again.
const RETRY: Duration = Duration::from_secs(60);

/// An address that this machine wants to answer for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Claim {
    state: State,
    /// Which machine the caller has been told has the address.
    told: Option<Mac>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// It is asked whether another machine has it.
    Probing { sent: u8, due: Instant },
    /// It is answered for.
    Held { announced: u8, due: Option<Instant>, disputed: Option<Instant> },
    /// Another machine has it.
    Taken { by: Mac, retry: Instant },
    /// The node itself has it, so the kernel answers.
    Own,
}

/// How an address is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// It is asked whether another machine has it.
    Probing,
    /// It is answered for.
    Held,
    /// This machine has it; it is probed again after a minute.
    Taken(Mac),
    /// The node itself has it, so the kernel answers.
    Own,
}

/// A frame to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Send {
    Probe,
    Announcement,
}

/// News for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum News {
    Held,
    Taken(Mac),
    Conflict(Mac),
}

/// What is to be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Step {
    pub(super) send: Option<Send>,
    pub(super) news: Option<News>,
}

impl Claim {
    pub(super) fn new(now: Instant) -> Self {
        Self { state: State::Probing { sent: 0, due: now }, told: None }
    }

    pub(super) fn status(&self) -> Status {
        match self.state {
            State::Probing { .. } => Status::Probing,
            State::Held { .. } => Status::Held,
            State::Taken { by, .. } => Status::Taken(by),
            State::Own => Status::Own,
        }
    }

    /// Whether questions are answered.
    pub(super) fn is_held(&self) -> bool {
        matches!(self.state, State::Held { .. })
    }

    /// When there is something to do next.
    pub(super) fn due(&self) -> Option<Instant> {
        match self.state {
            State::Probing { due, .. } | State::Taken { retry: due, .. } => Some(due),
            State::Held { due, .. } => due,
            State::Own => None,
        }
    }

    /// Does what is due.
    pub(super) fn on_time(&mut self, now: Instant) -> Step {
        if self.due().is_none_or(|due| due > now) {
            return Step::default();
        }
        let (state, send, news) = match self.state {
            State::Probing { sent: PROBES.., .. } => {
                self.told = None;
                let due = Some(now + ANNOUNCE_PAUSE);
                let held = State::Held { announced: 1, due, disputed: None };
                (held, Send::Announcement, Some(News::Held))
            }
            State::Probing { sent, .. } => {
                (State::Probing { sent: sent + 1, due: now + PROBE_PAUSE }, Send::Probe, None)
            }
            State::Taken { .. } => (State::Probing { sent: 1, due: now + PROBE_PAUSE }, Send::Probe, None),
            State::Held { announced, disputed, .. } => {
                let announced = announced.saturating_add(1);
                let due = (announced < ANNOUNCEMENTS).then(|| now + ANNOUNCE_PAUSE);
                (State::Held { announced, due, disputed }, Send::Announcement, None)
            }
            State::Own => return Step::default(),
        };
        self.state = state;
        Step { send: Some(send), news }
    }

    /// Another machine says that it has the address.
    pub(super) fn on_claim(&mut self, by: Mac, now: Instant) -> Step {
        match &mut self.state {
            State::Probing { .. } => self.lose(by, now),
            State::Held { disputed: Some(before), .. } if now.duration_since(*before) < DEFENCE => {
                self.lose(by, now)
            }
            State::Held { disputed, .. } => {
                *disputed = Some(now);
                Step { send: Some(Send::Announcement), news: Some(News::Conflict(by)) }
            }
            State::Taken { .. } | State::Own => Step::default(),
        }
    }

    /// Another machine asks for the address, to take it itself. If both ask at the same time, the lower MAC address
    /// goes on, and asks anew, since the other machine may not know this rule.
    pub(super) fn on_probe(&mut self, by: Mac, own: Mac, now: Instant) -> Step {
        match &mut self.state {
            State::Probing { .. } if by < own => self.lose(by, now),
            State::Probing { sent, .. } => {
                *sent = (*sent).min(1);
                Step::default()
            }
            _ => Step::default(),
        }
    }

    fn lose(&mut self, by: Mac, now: Instant) -> Step {
        self.state = State::Taken { by, retry: now + RETRY };
        let is_news = self.told.replace(by) != Some(by);
        Step { send: None, news: is_news.then_some(News::Taken(by)) }
    }

    /// The link was down: another machine may have taken the address meanwhile.
    pub(super) fn start_again(&mut self, now: Instant) {
        if self.state != State::Own {
            self.state = State::Probing { sent: 0, due: now };
        }
    }

    /// The machine has another MAC address, and tells everybody.
    pub(super) fn announce_again(&mut self, now: Instant) {
        if let State::Held { announced, due, .. } = &mut self.state {
            (*announced, *due) = (0, Some(now));
        }
    }

    /// The node itself has the address or has lost it. Whether that is new.
    pub(super) fn set_own(&mut self, is_own: bool, now: Instant) -> bool {
        let was_own = self.state == State::Own;
        match (was_own, is_own) {
            (false, true) => self.state = State::Own,
            (true, false) => self.state = State::Probing { sent: 0, due: now },
            _ => {}
        }
        was_own != is_own
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW: Mac = Mac([2, 0, 0, 0, 0, 1]);
    const OWN: Mac = Mac([2, 0, 0, 0, 0, 2]);
    const HIGH: Mac = Mac([2, 0, 0, 0, 0, 3]);

    /// The claim at the time when nothing more is due within `RETRY`, and what was done until then.
    fn settle(claim: &mut Claim, start: Instant) -> (Vec<Step>, Instant) {
        let (mut steps, mut now) = (Vec::new(), start);
        while let Some(due) = claim.due().filter(|due| *due < start + RETRY) {
            now = now.max(due);
            steps.push(claim.on_time(now));
        }
        (steps, now)
    }

    fn held(start: Instant) -> (Claim, Instant) {
        let mut claim = Claim::new(start);
        let (_, now) = settle(&mut claim, start);
        assert_eq!(claim.status(), Status::Held);
        (claim, now)
    }

    #[test]
    fn an_address_is_probed_then_held_and_announced() {
        let start = Instant::now();
        let mut claim = Claim::new(start);
        let (steps, _) = settle(&mut claim, start);
        let sent: Vec<_> = steps.iter().map(|step| step.send.unwrap()).collect();
        let (probe, announcement) = (Send::Probe, Send::Announcement);
        assert_eq!(sent, [probe, probe, probe, announcement, announcement, announcement]);
        let news: Vec<_> = steps.iter().filter_map(|step| step.news).collect();
        assert_eq!((news, claim.due()), (vec![News::Held], None));
    }

    #[test]
    fn nothing_is_done_before_its_time() {
        let start = Instant::now();
        let mut claim = Claim::new(start);
        assert_eq!(claim.on_time(start).send, Some(Send::Probe));
        assert_eq!(claim.on_time(start), Step::default());
        assert!(!claim.is_held());
    }

    #[test]
    fn an_answer_to_any_probe_means_that_the_address_is_taken() {
        for probes in 1..=PROBES {
            let mut now = Instant::now();
            let mut claim = Claim::new(now);
            for _ in 0..probes {
                now = claim.due().unwrap();
                claim.on_time(now);
            }
            assert_eq!(claim.on_claim(HIGH, now), Step { send: None, news: Some(News::Taken(HIGH)) });
            assert_eq!(claim.status(), Status::Taken(HIGH));
            // It is asked again, and the same answer is no news.
            now = claim.due().unwrap();
            assert_eq!(claim.on_time(now).send, Some(Send::Probe));
            assert_eq!(claim.on_claim(HIGH, now), Step::default());
            // The other machine is gone.
            let now = claim.due().unwrap();
            assert!(settle(&mut claim, now).0.iter().any(|step| step.news == Some(News::Held)));
        }
    }

    #[test]
    fn of_two_that_probe_at_the_same_time_the_lower_goes_on() {
        let now = Instant::now();
        let mut claim = Claim::new(now);
        claim.on_time(now);
        assert_eq!(claim.on_probe(LOW, OWN, now).news, Some(News::Taken(LOW)));
        let mut claim = Claim::new(now);
        let mut now = now;
        for _ in 0..PROBES {
            now = claim.due().unwrap();
            claim.on_time(now);
        }
        let due = claim.due();
        assert_eq!(claim.on_probe(HIGH, OWN, now), Step::default());
        // Its probes begin anew, but not sooner than they would have.
        assert_eq!(claim.due(), due);
        assert_eq!(claim.on_time(due.unwrap()).send, Some(Send::Probe));
    }

    #[test]
    fn a_held_address_is_defended_once_and_then_given_up() {
        let (mut claim, now) = held(Instant::now());
        let defence = Step { send: Some(Send::Announcement), news: Some(News::Conflict(HIGH)) };
        assert_eq!(claim.on_claim(HIGH, now), defence);
        assert!(claim.is_held());
        // Much later it is another dispute.
        let now = now + DEFENCE;
        assert_eq!(claim.on_claim(HIGH, now), defence);
        assert_eq!(claim.on_claim(HIGH, now).news, Some(News::Taken(HIGH)));
        assert!(!claim.is_held());
        // Somebody who only asks disputes nothing.
        let (mut claim, now) = held(Instant::now());
        assert_eq!(claim.on_probe(LOW, OWN, now), Step::default());
        assert!(claim.is_held());
    }

    #[test]
    fn the_nodes_own_address_is_the_kernels() {
        let (mut claim, now) = held(Instant::now());
        assert!(claim.set_own(true, now) && !claim.set_own(true, now));
        assert_eq!((claim.is_held(), claim.due()), (false, None));
        claim.start_again(now);
        assert_eq!(claim.on_claim(HIGH, now), Step::default());
        assert_eq!(claim.status(), Status::Own);
        assert!(claim.set_own(false, now));
        assert_eq!(claim.status(), Status::Probing);
    }

    #[test]
    fn after_the_link_was_down_the_address_is_probed_again() {
        let (mut claim, now) = held(Instant::now());
        claim.announce_again(now);
        assert_eq!(claim.on_time(now).send, Some(Send::Announcement));
        claim.start_again(now);
        assert_eq!(claim.on_time(now).send, Some(Send::Probe));
        assert!(!claim.is_held());
    }
}
