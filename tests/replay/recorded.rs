//! Traces that `psistat --record` wrote, each with its truth beside it: a line
//! `RULE ONSET END` a wanted episode, in seconds from the first reading.

use psilogd::config::Config;
use psilogd::pressure::{Kind, Resource};
use psilogd::stat::record;
use psilogd::time::Moment;

use super::drive::replay;
use super::kernel::Rights;
use super::trace::*;
use super::verdict::{alarms, judge};

fn trace(name: &'static str, text: &str, truth: &str) -> Trace {
    let mut knots = Vec::new();
    for point in record::parse(text).unwrap() {
        let mut totals = [0; STATES];
        for resource in [Resource::Cpu, Resource::Memory, Resource::Io] {
            for kind in [Kind::Some, Kind::Full] {
                totals[state(resource, kind)] = point.total(resource, kind).unwrap_or(0);
            }
        }
        knots.push(Knot {
            at: point.at.0,
            totals,
        });
    }
    let start = knots[0].at;
    assert!(
        truth.lines().all(|line| line.starts_with('#')),
        "no episode is wanted yet"
    );
    let wants = Vec::new();
    Trace {
        name,
        knots,
        wants,
        start: Moment(start),
    }
}

#[test]
fn what_was_recorded_is_told_as_wanted() {
    for (name, text, truth) in [
        (
            "idle",
            include_str!("traces/idle.psi"),
            include_str!("traces/idle.truth"),
        ),
        (
            "build",
            include_str!("traces/build.psi"),
            include_str!("traces/build.truth"),
        ),
    ] {
        let trace = trace(name, text, truth);
        let config = Config::default().rules_or_built_in();
        for rights in [Rights::Privileged, Rights::Unprivileged { reader: None }] {
            let run = replay(&trace, &config, rights);
            let verdict = judge(&trace, &config.rules, alarms(&run));
            let seconds = trace.hours() * 3600.0;
            assert!(seconds > 30.0, "{name}: {seconds} s");
            assert_eq!(
                (verdict.wrong, verdict.lines),
                (0, 0),
                "{name}: {verdict:?}"
            );
        }
    }
}

/// The record is not just read, it is replayed: a rule that the build breaks fires.
#[test]
fn a_build_breaks_a_strict_rule() {
    let text = include_str!("traces/build.psi");
    let trace = trace("build", text, "");
    let config = Config::parse(b"cpu some 10%/2s for=10s name=cpu\n").unwrap();
    let run = replay(&trace, &config, Rights::Privileged);
    assert_eq!(alarms(&run).0.len(), 1);
}
