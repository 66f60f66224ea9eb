//! Feeds a trace to what the daemon runs: the step of its loop, and the lines of its
//! reports. A model of the kernel takes the place of poll(2), the trace that of the
//! counters; nothing is decided here. Time comes from the trace alone.

use std::rc::Rc;

use psilogd::alert::{Alert, FallbackPoll, Ids};
use psilogd::config::Config;
use psilogd::episode::{Phase, Sample};
use psilogd::line::{LINE_MAX, Line};
use psilogd::monitors::{Monitors, Task};
use psilogd::pressure::{Averages, Percent};
use psilogd::report::Report;
use psilogd::rule::Rule;
use psilogd::time::{Micros, Moment};

use super::averages::Averager;
use super::kernel::{Kernel, Rights};
use super::trace::*;

/// The daemon wakes so much later than it should, at most.
const LATE: u64 = 5_000;

/// A line of the log, as a receiver reads it.
#[derive(Clone, Debug)]
pub struct Logged {
    pub at: u64,
    pub event: String,
    pub rule: String,
    pub id: u64,
    /// `dur_s`, in microseconds; it has one decimal.
    pub duration: u64,
    pub stalled: u64,
    /// All of it, without a header.
    pub text: String,
}

/// What a replay came to.
pub struct Run {
    pub logged: Vec<Logged>,
    pub wakes: u64,
    /// Which rule's counter was read when.
    pub reads: Vec<(usize, u64)>,
    /// Where the machines stood at the end, before the daemon stopped.
    pub phases: Vec<Phase>,
}

/// `keys=` of a line.
fn parse(at: u64, text: &str) -> Logged {
    let value = |key: &str| {
        let mut words = text.split(' ').filter_map(|word| word.split_once('='));
        words.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let number = |key| value(key).map_or(0, |word: &str| word.parse().unwrap());
    Logged {
        at,
        event: value("event").unwrap().into(),
        rule: value("rule").unwrap_or_default().into(),
        id: value("id").map_or(0, |id| id.split_once('.').unwrap().1.parse().unwrap()),
        duration: value("dur_s").map_or(0, |word| {
            let (whole, tenths) = word.split_once('.').unwrap();
            (whole.parse::<u64>().unwrap() * 10 + tenths.parse::<u64>().unwrap()) * 100_000
        }),
        stalled: number("stalled_us"),
        text: text.into(),
    }
}

/// The daemon's place in a replay.
struct Machine<'a> {
    /// A trigger is its place among the kernel's.
    monitors: Monitors<usize>,
    kernel: Kernel<'a>,
    cursor: Cursor<'a>,
    averagers: [Averager<'a>; STATES],
    run: Run,
}

/// Runs a configuration over a trace.
pub fn replay(trace: &Trace, config: &Config, rights: Rights) -> Run {
    let mut machine = Machine::new(trace, config, rights);
    let mut random = Random(7);
    let (mut now, end) = (trace.start.0, trace.end().0);
    loop {
        let polled: Vec<bool> = machine.monitors.polled().map(|one| one.is_some()).collect();
        let due = machine.monitors.deadline();
        let due = due.map_or(end, |due| due.0.max(now));
        let fired = machine.kernel.run(now, due.min(end), &polled);
        now = fired.unwrap_or(due) + random.within(0, LATE);
        if now >= end {
            return machine.stop(end);
        }
        machine.run.wakes += 1;
        for index in (0..polled.len()).filter(|&index| polled[index]) {
            if machine.kernel.take(index) {
                machine.monitors.fired(index);
            }
        }
        machine.monitors.wake(Moment(now));
        machine.carry_out(now);
    }
}

impl<'a> Machine<'a> {
    fn new(trace: &'a Trace, config: &Config, rights: Rights) -> Machine<'a> {
        let now = trace.start;
        let mut cursor = Cursor::new(trace);
        let settings = &config.settings;
        let fallback = FallbackPoll::new(Micros(now.0), settings.grace, now);
        let mut monitors = Monitors::new(Ids::new(1), fallback);
        monitors.set_rules(
            &config.rules,
            settings.max_triggers,
            settings.rate_limit,
            now,
        );
        let rules: Vec<_> = monitors.rules().cloned().collect();
        for (index, rule) in rules.into_iter().enumerate() {
            let total = total(&mut cursor, &rule, now.0);
            let privileged = rights == Rights::Privileged;
            monitors.arm(
                Alert::new(rule, None, Sample { at: now, total }, privileged),
                index,
            );
        }
        monitors.recount(now, None);
        Machine {
            monitors,
            kernel: Kernel::new(trace, &config.rules, rights, now.0),
            cursor,
            averagers: std::array::from_fn(|state| Averager::new(trace, state)),
            run: Run {
                logged: Vec::new(),
                wakes: 0,
                reads: Vec::new(),
                phases: Vec::new(),
            },
        }
    }

    /// What the daemon does with its tasks, at a moment that does not pass.
    fn carry_out(&mut self, now: u64) {
        while let Some(task) = self.monitors.next_task() {
            match task {
                Task::Log(report) => self.run.logged.push(line(now, &report)),
                Task::Read(index, wake) => {
                    let averages = self.read(index, now);
                    self.kernel.read(now);
                    let report = self.monitors.take(index, wake, Moment(now), averages);
                    self.run
                        .logged
                        .extend(report.map(|report| line(now, &report)));
                }
                Task::Close(index, reason) => {
                    let averages = self.read(index, now);
                    let report = self
                        .monitors
                        .close(index, Moment(now), Some(averages), reason);
                    self.run
                        .logged
                        .extend(report.map(|report| line(now, &report)));
                }
                Task::Rearm(..) | Task::Rescan => unreachable!("no trace has cgroups"),
            }
        }
    }

    fn read(&mut self, index: usize, now: u64) -> Averages {
        let rule = Rc::clone(self.monitors.alert(index).rule());
        self.run.reads.push((*self.monitors.trigger(index), now));
        let averages = self.averagers[state(rule.resource, rule.kind)].at(now);
        let [avg10, avg60, avg300] = averages.map(|share| Percent((share * 100.0) as u32));
        Averages {
            avg10,
            avg60,
            avg300,
            total: total(&mut self.cursor, &rule, now),
        }
    }

    fn stop(mut self, at: u64) -> Run {
        let alerts = (0..self.monitors.len()).map(|index| self.monitors.alert(index));
        self.run.phases = alerts.map(Alert::phase).collect();
        self.monitors.stop(Moment(at));
        self.carry_out(at);
        self.run
    }
}

fn total(cursor: &mut Cursor<'_>, rule: &Rule, now: u64) -> u64 {
    cursor.total(state(rule.resource, rule.kind), now)
}

fn line(at: u64, report: &Report<'_>) -> Logged {
    let mut buffer = [0; LINE_MAX];
    let mut line = Line::new(&mut buffer);
    report.write(&mut line);
    parse(at, std::str::from_utf8(line.bytes()).unwrap())
}
