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
use crate::rule::Rule;
use crate::sys;
use crate::time::{Micros, Moment};

/// A rule that begins with the first reading, goes on with the second and ends with the
/// fourth.
const RULE: &str = "memory full 50%/2s for=0 clear=4s repeat=2s";
/// Stalled microseconds in each of the windows.
const STALLED: [u64; 5] = [2_000_000, 2_000_000, 0, 0, 0];

impl Daemon {
    /// Begin, still and end of an alert of its own, written to nowhere; then what a turn
    /// of the loop does when nothing has happened.
    pub(super) fn rehearse(&mut self) {
        if let Ok(rule) = Rule::parse(RULE.split(' ')) {
            walk(rule, sys::now());
        }
        self.top.rehearse(sys::now());
        self.rebuild_poll_set();
        // no signal was seen that could stop it
        let _ = self.serve();
    }
}

/// The events that are reported on the way.
fn walk(rule: Rule, start: Moment) -> Vec<&'static str> {
    let (rule, baseline) = (
        Rc::new(rule),
        Sample {
            at: start,
            total: 0,
        },
    );
    let mut alert = Alert::new(rule, None, baseline, false);
    let (mut limit, mut ids) = (RateLimit::new(None, start), Ids::new(0));
    let (mut at, mut averages) = (start, Averages::default());
    let mut events = Vec::new();
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
            evidence: Evidence::None,
        };
        if let Some(report) = alert.take(wake, reading, &mut limit, &mut ids) {
            let mut buffer = [0; LINE_MAX];
            report.write(&mut Line::new(&mut buffer));
            std::hint::black_box(buffer);
            events.push(report.heading().event);
        }
    }
    events
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_line_of_an_episode_is_rehearsed() {
        let rule = Rule::parse(RULE.split(' ')).unwrap();
        let events = walk(rule, Moment(1_000_000));
        assert_eq!(events, ["begin", "still", "end"]);
    }
}
