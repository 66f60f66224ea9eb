//! The way from an event to its line, walked once before memory is locked. Only what
//! has been touched is locked, so that what is not used costs nothing; without this,
//! the first begin under memory pressure would wait for the disk that its own code is
//! read from.

use std::rc::Rc;

use super::Daemon;
use crate::alert::{Alert, Ids, RateLimit, Reading, Wake};
use crate::episode::Sample;
use crate::evidence::Evidence;
use crate::line::{LINE_MAX, Line};
use crate::pressure::Averages;
use crate::report::Report;
use crate::rule::Rule;
use crate::sys;
use crate::time::{Micros, Moment};

/// Rules that begin with the first reading, go on with the second and end with the
/// fourth, each with evidence from other files.
const RULES: [&str; 3] = [
    "memory full 50%/2s for=0 clear=4s repeat=2s",
    "io full 50%/2s for=0 clear=4s repeat=2s",
    "cpu some 50%/2s for=0 clear=4s repeat=2s",
];
/// Stalled microseconds in each of the windows.
const STALLED: [u64; 5] = [2_000_000, 2_000_000, 0, 0, 0];
/// Bytes of stack that are touched. From where poll(2) is called, an event uses 7,480 at
/// most, and the kernel puts the stack at a random place within a page.
const STACK: usize = 16 * 1024;

/// What is walked with, made before: to walk takes no memory, as with an event.
pub(super) struct Rehearsal {
    alerts: Vec<Alert>,
    start: Moment,
}

impl Rehearsal {
    /// One alert per rule.
    pub(super) fn new() -> Rehearsal {
        let start = sys::now();
        let baseline = Sample {
            at: start,
            total: 0,
        };
        let rules = RULES.map(|rule| Rule::parse(rule.split(' ')));
        let rules = rules.into_iter().flatten().map(Rc::new);
        Rehearsal {
            alerts: rules
                .map(|rule| Alert::new(rule, None, baseline, false))
                .collect(),
            start,
        }
    }
}

impl Daemon {
    /// Begin, still and end of alerts of its own, with the evidence of now, written to
    /// nowhere; then what a turn of the loop does when nothing has happened.
    pub(super) fn rehearse(&mut self, mut rehearsal: Rehearsal) {
        touch_stack();
        for alert in &mut rehearsal.alerts {
            let evidence = self.gather(alert.rule());
            walk(alert, evidence, rehearsal.start);
        }
        // a kilobyte: what frees it would have to be kept in its place
        std::mem::forget(rehearsal);
        write_nowhere(&Report::Alive(self.counts()));
        self.top.rehearse(sys::now());
        self.rebuild_poll_set();
        // no signal was seen that could stop it
        let _ = self.serve();
    }

    /// Reads evidence for a cgroup, and then for the whole system, which is returned.
    fn gather(&mut self, rule: &Rule) -> Evidence {
        self.sources.turn();
        let _ = self.sources.read(rule, Some(b"/"), sys::now());
        let read = self.sources.read(rule, None, sys::now());
        read.unwrap_or_default()
    }
}

/// Touches the stack as deep as an event may need it.
#[inline(never)]
fn touch_stack() {
    std::hint::black_box([0u8; STACK]);
}

fn write_nowhere(report: &Report<'_>) {
    let mut buffer = [0; LINE_MAX];
    report.write(&mut Line::new(&mut buffer));
    std::hint::black_box(buffer);
}

/// The events that are reported on the way.
fn walk(alert: &mut Alert, evidence: Evidence, start: Moment) -> [&'static str; 3] {
    let (mut limit, mut ids) = (RateLimit::new(None, start), Ids::new(0));
    let (mut at, mut averages) = (start, Averages::default());
    let (mut events, mut count) = ([""; 3], 0);
    for stalled in STALLED {
        at = at + Micros::secs(2);
        averages.total += stalled;
        let wake = match alert.is_quiet() {
            true => Wake::Crossed,
            false => Wake::Expired,
        };
        let reading = Reading {
            at,
            averages,
            evidence,
        };
        if let Some(report) = alert.take(wake, reading, &mut limit, &mut ids) {
            write_nowhere(&report);
            if let Some(event) = events.get_mut(count) {
                *event = report.heading().event;
            }
            count += 1;
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_an_episode_is_rehearsed() {
        let mut rehearsal = Rehearsal::new();
        assert_eq!(rehearsal.alerts.len(), RULES.len());
        for alert in &mut rehearsal.alerts {
            let events = walk(alert, Evidence::None, rehearsal.start);
            assert_eq!(events, ["begin", "still", "end"]);
        }
    }
}
