//! Traces that `psistat --record` wrote, each with its truth beside it: a line
//! `RULE ONSET END SLACK` a wanted episode, in seconds from the first reading; by
//! so much earlier or later the onset may be told. `tests/vm/scenarios/record-*`
//! made the pressure, and say when they began and ended it.

use psilogd::pressure::{Kind, Resource};
use psilogd::stat::record;
use psilogd::time::{Micros, Moment};

use super::trace::*;

/// The small machines had booted just to be recorded. That is another trace, so
/// their grace is over.
const UP: u64 = HOUR;

macro_rules! trace {
    ($title:literal, $file:literal) => {
        read(
            $title,
            include_str!(concat!("traces/", $file, ".psi")),
            include_str!(concat!("traces/", $file, ".truth")),
        )
    };
}

/// Every record once.
pub fn all() -> Vec<Trace> {
    vec![
        trace!("recorded: nothing to do", "idle"),
        trace!("recorded: a release build", "build"),
        trace!("recorded: an fsync storm", "fsync"),
        trace!("recorded: a small machine thrashes", "thrash"),
        trace!("recorded: 200 units are deployed", "deploy"),
        trace!("recorded: a backup for 20 minutes", "backup"),
    ]
}

fn read(name: &'static str, text: &str, truth: &str) -> Trace {
    let mut knots = Vec::new();
    for point in record::parse(text).unwrap() {
        let mut totals = [0; STATES];
        for resource in [Resource::Cpu, Resource::Memory, Resource::Io] {
            for kind in [Kind::Some, Kind::Full] {
                totals[state(resource, kind)] = point.total(resource, kind).unwrap_or(0);
            }
        }
        knots.push(Knot {
            at: point.at.0 + UP,
            totals,
        });
    }
    let start = Moment(knots[0].at);
    let wants = truth.lines().filter(|line| !line.starts_with('#'));
    Trace {
        name,
        wants: wants.map(|line| want(line, start.0)).collect(),
        knots,
        start,
    }
}

fn want(line: &str, start: u64) -> Want {
    let mut words = line.split(' ');
    let rule = words.next().unwrap().into();
    let mut seconds = || (words.next().unwrap().parse::<f64>().unwrap() * 1e6) as u64;
    let (onset, end, slack) = (seconds(), seconds(), Micros(seconds()));
    Want {
        rule,
        onset: Moment(start + onset),
        end: Moment(start + end),
        slack: (slack, slack),
    }
}
