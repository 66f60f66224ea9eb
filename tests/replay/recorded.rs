//! Traces that `psistat --record` wrote, each with its truth beside it: one line
//! `RULE ONSET END SLACK HOVERS` per wanted episode, in seconds from the first reading.
//! The onset may be so much earlier or later; the end may be so much later, because
//! pressure hovers at the threshold for so long. `tests/vm/scenarios/record-*` made the
//! pressure, and say when they began and ended it.

use psilogd::config::Config;
use psilogd::evidence::{Evidence, Memory};
use psilogd::pressure::{Kind, Percent, Resource};
use psilogd::rule::Rule;
use psilogd::stat::record;
use psilogd::time::Moment;

use super::drive::{Logged, replay_with};
use super::kernel::{Rights, STOLEN, UNPRIVILEGED};
use super::trace::*;

/// The small machines had booted just to be recorded. That is another trace, so
/// their grace is over.
const UP: u64 = HOUR;

/// What somebody might ask for who can't wait, so that a record of minutes has an
/// episode in it.
const EAGER: &[u8] = b"memory full 10%/2s for=10s name=memory-eager\n\
    io full 50%/2s for=2m name=io-eager\ncpu some 90%/2s for=1m name=cpu-eager\n";

/// An episode that is wanted, in microseconds of the trace.
#[derive(Debug)]
struct Want {
    rule: String,
    onset: u64,
    end: u64,
    slack: u64,
    hovers: u64,
}

impl Want {
    fn latest_end(&self, rule: &Rule) -> u64 {
        self.end + self.hovers + rule.clear.0 + 2 * rule.window.0
    }
}

macro_rules! trace {
    ($file:literal) => {
        read(
            $file,
            include_str!(concat!("traces/", $file, ".psi")),
            include_str!(concat!("traces/", $file, ".truth")),
        )
    };
}

/// Every record once.
fn all() -> Vec<(Trace, Vec<Want>)> {
    vec![
        trace!("idle"),
        trace!("build"),
        trace!("fsync"),
        trace!("thrash"),
        trace!("deploy"),
        trace!("backup"),
    ]
}

/// A small machine that thrashes for four minutes.
pub fn thrash() -> Trace {
    trace!("thrash").0
}

fn read(name: &'static str, text: &str, truth: &str) -> (Trace, Vec<Want>) {
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
    let wants = wants.map(|line| want(line, start.0)).collect();
    (Trace { name, knots, start }, wants)
}

fn want(line: &str, start: u64) -> Want {
    let mut words = line.split(' ');
    let rule = words.next().unwrap().into();
    let mut seconds = || (words.next().unwrap().parse::<f64>().unwrap() * 1e6) as u64;
    Want {
        rule,
        onset: start + seconds(),
        end: start + seconds(),
        slack: seconds(),
        hovers: seconds(),
    }
}

/// psilogd's rights, and the latest begin behind the onset and `for=`: where events are
/// stolen, a fallback reading is made every 30 s.
const RIGHTS: [(Rights, u64); 3] = [
    (Rights::Privileged, 0),
    (UNPRIVILEGED, 0),
    (STOLEN, 30 * SECOND),
];

/// The records have pressure alone. On each host little memory is available, as it was
/// on the one that thrashed; on the others that can only add lines.
fn evidence(resource: Resource, _: Moment) -> Evidence {
    match resource {
        Resource::Memory => Evidence::Memory(Memory {
            available: Some(Percent(500)),
            swap_free: None,
            oom_kills: None,
        }),
        _ => Evidence::None,
    }
}

/// Holds the lines of each rule against the wants. An episode that is still open where
/// the record ends has the end that the stop writes, about which nothing is wanted.
fn check(rules: &Config) {
    for (trace, wants) in all() {
        for (rights, late) in RIGHTS {
            let logged = replay_with(&trace, rules, rights, &mut evidence).logged;
            for rule in &rules.rules {
                let what = format!("{}, {rights:?}, {}", trace.name, rule.name);
                let lines = logged.iter().filter(|line| line.rule == rule.name);
                let of = |event| lines.clone().filter(move |line| line.event == event);
                let wants = wants.iter().filter(|want| want.rule == rule.name);
                let wants: Vec<&Want> = wants.collect();
                assert_eq!(of("begin").count(), wants.len(), "{what}: {logged:?}");
                assert_eq!(of("end").count(), wants.len(), "{what}: {logged:?}");
                let found = of("begin").zip(of("end"));
                for ((begin, end), want) in found.zip(wants) {
                    begins_in_time(&what, rule, late, want, begin);
                    if want.latest_end(rule) < trace.end().0 {
                        ends_in_time(&what, rule, want, end);
                        figures(&what, &trace, rule, want, end);
                    }
                }
            }
        }
    }
}

fn begins_in_time(what: &str, rule: &Rule, late: u64, want: &Want, begin: &Logged) {
    let (early, latest) = (want.onset - want.slack, want.onset + want.slack);
    let latest = latest + rule.sustain.0 + 2 * rule.window.0 + late;
    assert!(
        (early..=latest).contains(&begin.at),
        "{what}: {want:?} {begin:?}"
    );
}

fn ends_in_time(what: &str, rule: &Rule, want: &Want, end: &Logged) {
    assert!(
        (want.end..=want.latest_end(rule)).contains(&end.at),
        "{what}: {want:?} {end:?}"
    );
}

/// Its onset by its duration within one window of what is wanted, and stalled time
/// within 5 % of what stalled in that time.
fn figures(what: &str, trace: &Trace, rule: &Rule, want: &Want, end: &Logged) {
    let window = rule.window.0;
    let calm = end.at - rule.clear.0;
    let onset = calm - end.duration;
    let wanted = want.onset - want.slack - window..=want.onset + want.slack + window;
    assert!(wanted.contains(&onset), "{what}: {want:?} {end:?}");
    let state = state(rule.resource, rule.kind);
    let grown = trace.stalled(state, Moment(onset), Moment(calm));
    let stalls = grown * 95 / 100..=grown * 105 / 100;
    assert!(stalls.contains(&end.stalled), "{what}: {grown} {end:?}");
}

#[test]
fn the_built_in_rules_log_thrash_and_nothing_else() {
    check(&Config::default().rules_or_built_in());
}

#[test]
fn eager_rules_log_what_they_ask_for() {
    check(&Config::parse(EAGER).unwrap());
}
