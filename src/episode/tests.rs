//! One behaviour of the machine per test, in one file per state. A [`Machine`] drives
//! an episode as the daemon does: it moves a clock and a counter and calls back at
//! the deadline.

use super::*;
use crate::pressure::Percent;

mod pressed;
mod quiet;
mod rechecking;
mod verifying;

struct Machine {
    episode: Episode,
    now: Moment,
    total: u64,
    verdict: Verdict,
}

const START: Moment = Moment(1_000_000_000);

fn machine(rule: &str) -> Machine {
    armed(rule, false)
}

fn armed(rule: &str, privileged: bool) -> Machine {
    let rule = Rule::parse(rule.split_whitespace()).expect("a rule");
    let total = 5_000_000;
    Machine {
        episode: Episode::new(rule.into(), Sample { at: START, total }, privileged),
        now: START,
        total,
        verdict: Verdict::AGREED,
    }
}

impl Machine {
    /// Time passes with `percent` of it stalled; no event, no timer.
    fn pass(&mut self, time: Micros, percent: u64) {
        self.now = self.now + time;
        self.total += time.0 * percent / 100;
    }

    fn cross(&mut self) -> Option<Event> {
        self.episode.crossed(self.now, self.total, self.verdict)
    }

    /// Runs `time` with `percent` stalled, the timer firing as it is due.
    fn run(&mut self, time: Micros, percent: u64) -> Vec<Event> {
        let end = self.now + time;
        let mut events = Vec::new();
        while let Some(due) = self.episode.deadline() {
            if due > end {
                break;
            }
            self.pass(due.since(self.now), percent);
            events.extend(self.episode.expire(self.now, self.total, self.verdict));
            let next = self.episode.deadline();
            assert!(next.is_none_or(|next| next > self.now), "{next:?}");
        }
        self.pass(end.since(self.now), percent);
        events
    }

    fn secs(&mut self, seconds: u64, percent: u64) -> Vec<Event> {
        self.run(Micros::secs(seconds), percent)
    }
}

/// What a rule asks for.
pub(super) fn params(rule: &str, privileged: bool) -> Params {
    let rule = Rule::parse(rule.split_whitespace()).expect("a rule");
    Params::new(&rule, privileged)
}

/// So many milliseconds of so many.
pub(super) fn growth(stalled: u64, elapsed: u64) -> Growth {
    Growth {
        stalled: Micros::millis(stalled),
        elapsed: Micros::millis(elapsed),
    }
}

fn only(events: &[Event]) -> Event {
    assert_eq!(events.len(), 1, "{events:?}");
    events[0]
}

fn begins(events: &[Event]) -> usize {
    events
        .iter()
        .filter(|e| matches!(e, Event::Begin(_)))
        .count()
}

const RULE: &str = "memory full 10%/2s for=20s clear=60s repeat=10m";
