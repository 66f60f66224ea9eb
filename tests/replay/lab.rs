//! The model of the kernel held against real kernels: `tests/vm/scenarios/model`
//! ran loads of known length under triggers, and `lab/KERNEL.log` is what it
//! printed behind "trace: ". The same load goes through the model here, at forty
//! phases of the kernel's grid, and what the real kernel did has to lie among what
//! these do.

use psilogd::rule::Rule;
use std::collections::BTreeMap;

use super::kernel::{Kernel, Rights};
use super::trace::*;

const PHASES: u64 = 40;
/// The real machine is an emulated one on a busy host: it notices later.
const SLOW: f64 = 0.3;

#[derive(Default)]
struct Case {
    triggers: Vec<Rule>,
    start: u64,
    /// From when to when there were more busy loops than CPUs.
    loads: Vec<(u64, u64)>,
    /// Of the first trigger.
    events: Vec<u64>,
    end: u64,
    /// `total=` of cpu some at the end.
    total: u64,
}

fn cases(log: &str) -> BTreeMap<String, Case> {
    let mut cases: BTreeMap<String, Case> = BTreeMap::new();
    // a console says other things as well
    let console = log.contains("trace: ");
    for line in log.lines() {
        let line = line.trim_end();
        let Some(line) = line.strip_prefix("trace: ").or((!console).then_some(line)) else {
            continue;
        };
        let words: Vec<_> = line.split(' ').collect();
        let case = cases.entry(words[0].into()).or_default();
        let number = |index: usize| words[index].parse().unwrap();
        match words[1] {
            "trigger" => {
                let text = format!("{} {} {}us/{}us", words[2], words[3], words[4], words[5]);
                case.triggers.push(Rule::parse(text.split(' ')).unwrap());
            }
            "start" => case.start = number(2),
            "on" => case.loads.push((number(2), u64::MAX)),
            "off" => {
                if let Some(load) = case.loads.last_mut() {
                    load.1 = load.1.min(number(2));
                }
            }
            "event" if words[2] == "0" => case.events.push(number(3)),
            "event" => {}
            "end" => (case.end, case.total) = (number(2), number(3)),
            other => panic!("{other}"),
        }
    }
    cases
}

impl Case {
    fn delivered(&self, events: &[u64]) -> Delivered {
        let seconds = |at: u64| (at as f64 - self.loads[0].0 as f64) / 1e6;
        Delivered {
            count: events.len(),
            first: events.first().map(|&at| seconds(at)),
            last: events.last().map(|&at| seconds(at)),
        }
    }

    /// Bursts add up to a threshold one sooner or later.
    fn burst(&self) -> f64 {
        let periods = self.loads.windows(2).map(|pair| pair[1].0 - pair[0].0);
        let period = periods.min().filter(|&period| period < 2 * SECOND);
        period.unwrap_or(0) as f64 / 1e6
    }

    /// The load as a trace: all of the time is stalled while it is there.
    fn trace(&self, phase: u64) -> Trace {
        let shift = phase * 51_000;
        let stalled: u64 = self.loads.iter().map(|(from, to)| to - from).sum();
        let mut knots = vec![Knot {
            at: 0,
            totals: [self.total.saturating_sub(stalled), 0, 0, 0, 0, 0],
        }];
        for &(from, to) in &self.loads {
            let mut knot = knots[knots.len() - 1];
            knot.at = from + shift;
            knots.push(knot);
            knot.at = to + shift;
            knot.totals[CPU] += to - from;
            knots.push(knot);
        }
        let last = knots[knots.len() - 1];
        knots.push(Knot {
            at: self.end + shift,
            ..last
        });
        Trace {
            name: "lab",
            knots,
            start: psilogd::time::Moment(self.start + shift),
        }
    }
}

/// What a trigger did: so many events, the first and the last so many seconds
/// behind the beginning of the load.
#[derive(Clone, Copy, PartialEq, Debug)]
struct Delivered {
    count: usize,
    first: Option<f64>,
    last: Option<f64>,
}

/// The rights that a case has, and how late the worker may have come.
fn rights(case: &str, late: u64) -> Rights {
    let unprivileged = |reader| Rights::Unprivileged { late, reader };
    match case {
        "read-1s" => unprivileged(Some(SECOND)),
        "read-10ms" => unprivileged(Some(10_000)),
        case if case.starts_with("unprivileged") => unprivileged(None),
        _ => Rights::Privileged,
    }
}

/// What the model does with the same load.
fn modelled(case: &Case, rights: Rights, phase: u64) -> Delivered {
    let trace = case.trace(phase);
    let shift = trace.start.0 - case.start;
    let mut kernel = Kernel::new(&trace, &case.triggers, rights, trace.start.0);
    let polled = vec![true; case.triggers.len()];
    let (mut events, mut now) = (Vec::new(), trace.start.0);
    while let Some(at) = kernel.run(now, trace.end().0, &polled) {
        now = at;
        for index in 0..polled.len() {
            if kernel.take(index) && index == 0 {
                events.push(at - shift);
            }
        }
    }
    case.delivered(&events)
}

fn check(kernel: &str, log: &str) {
    let cases = cases(log);
    assert_eq!(cases.len(), 10, "{kernel}");
    for (name, case) in &cases {
        let real = case.delivered(&case.events);
        let models: Vec<_> = [10_000, 100_000, SECOND]
            .into_iter()
            .flat_map(|late| (0..PHASES).map(move |phase| (late, phase)))
            .map(|(late, phase)| modelled(case, rights(name, late), phase))
            .collect();
        let counts = models.iter().map(|model| model.count);
        let (fewest, most) = (counts.clone().min().unwrap(), counts.max().unwrap());
        let firsts = models.iter().filter_map(|model| model.first);
        let soonest = firsts.clone().fold(99.0, f64::min) - case.burst();
        let latest = firsts.fold(0.0, f64::max) + case.burst() + SLOW;
        let what = format!(
            "{kernel} {name}: {real:?}, the model {fewest} to {most}, the first from {soonest:.2} \
             to {latest:.2}"
        );
        println!("{what}");
        // one that stood at the edge of the load
        assert!(
            (fewest.saturating_sub(1)..=most + 1).contains(&real.count),
            "{what}"
        );
        assert!(
            real.first
                .is_none_or(|first| (soonest..=latest).contains(&first)),
            "{what}"
        );
        assert_eq!(real.count == 0, most == 0, "{what}");
        // 6.1 reports a breach as soon as its limit is over, not with the next stall
        if name == "stale" && kernel != "6.1" {
            let with_the_next = |events: &Delivered| events.last.is_some_and(|last| last > 60.0);
            assert!(
                with_the_next(&real) && models.iter().all(with_the_next),
                "{what}"
            );
        }
    }
}

/// Against what `make replay-lab` has just seen, or else what is kept.
#[test]
fn real_kernels_do_what_the_model_does() {
    let Some(directory) = std::env::var_os("REPLAY_LAB") else {
        check("6.1", include_str!("lab/6.1.log"));
        check("6.12", include_str!("lab/6.12.log"));
        return;
    };
    for entry in std::fs::read_dir(directory).unwrap().flatten() {
        let name = entry.file_name().into_string().unwrap();
        let kernel = name
            .strip_prefix("model-")
            .and_then(|name| name.strip_suffix(".log"));
        if let Some(kernel) = kernel {
            let log = std::fs::read(entry.path()).unwrap();
            check(kernel, &String::from_utf8_lossy(&log));
        }
    }
}
