//! Feeds a trace to what the daemon runs, by the same replay as psistat's: a model of
//! the kernel takes the place of poll(2), the trace that of the counters.

use std::cell::RefCell;
use std::rc::Rc;

use psilogd::alert::Alert;
use psilogd::config::Config;
use psilogd::episode::Phase;
use psilogd::evidence::Evidence;
use psilogd::line::{LINE_MAX, Line};
use psilogd::pressure::{Averages, Percent, Resource};
use psilogd::report::Report;
use psilogd::rule::Rule;
use psilogd::stat::replay::{Armed, Change, Replay, Source};
use psilogd::time::Moment;

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
    /// Which rule's counter was read when; a rule is its place in the configuration.
    pub reads: Vec<(usize, u64)>,
    /// Where the machines stood at the end, before the daemon stopped.
    pub phases: Vec<Phase>,
}

/// `keys=` of a line.
pub fn parse(at: u64, text: &str) -> Logged {
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

/// A trace and the model of the kernel over it. A trigger is its place in both.
struct Modelled<'a> {
    kernel: Kernel<'a>,
    cursor: Cursor<'a>,
    averagers: [Averager<'a>; STATES],
    rules: &'a [Rule],
    reads: Rc<RefCell<Vec<(usize, u64)>>>,
    evidence: &'a mut Counters<'a>,
    privileged: bool,
    armed: usize,
    random: Random,
}

/// The host's other counters at a moment, for a resource.
pub type Counters<'a> = dyn FnMut(Resource, Moment) -> Evidence + 'a;

/// Runs a configuration over a trace of pressure alone.
pub fn replay(trace: &Trace, config: &Config, rights: Rights) -> Run {
    replay_with(trace, config, rights, &mut |_, _| Evidence::None)
}

/// Runs a configuration over a trace and the counters beside it.
pub fn replay_with<'a>(
    trace: &'a Trace,
    config: &'a Config,
    rights: Rights,
    evidence: &'a mut Counters<'a>,
) -> Run {
    let (start, end) = (trace.start, trace.end());
    let reads = Rc::default();
    let source = Modelled {
        kernel: Kernel::new(trace, &config.rules, rights, start.0),
        cursor: Cursor::new(trace),
        averagers: std::array::from_fn(|state| Averager::new(trace, state)),
        rules: &config.rules,
        reads: Rc::clone(&reads),
        evidence,
        privileged: rights == Rights::Privileged,
        armed: 0,
        random: Random(7),
    };
    let mut logged = Vec::new();
    let mut log = |at: Moment, report: &Report<'_>| logged.push(line(at.0, report));
    let mut replay = Replay::new(source, config, start, &mut log);
    replay.run(end, &mut log);
    let monitors = replay.monitors();
    let alerts = (0..monitors.len()).map(|index| monitors.alert(index));
    let phases = alerts.map(Alert::phase).collect();
    replay.stop(end, &mut log);
    Run {
        logged,
        reads: reads.take(),
        phases,
    }
}

impl Source for Modelled<'_> {
    fn arm(&mut self, rule: &Rule, _: Option<&[u8]>, at: Moment) -> Option<Armed> {
        self.armed += 1;
        Some(Armed {
            trigger: self.armed - 1,
            total: total(&mut self.cursor, rule, at.0),
            privileged: self.privileged,
        })
    }

    fn wait(&mut self, polled: &[usize], now: Moment, until: Moment) -> Moment {
        let mut polls = vec![false; self.armed];
        polled.iter().for_each(|&trigger| polls[trigger] = true);
        let fired = self.kernel.run(now.0, until.0, &polls);
        Moment(fired.unwrap_or(until.0) + self.random.within(0, LATE))
    }

    fn take(&mut self, trigger: usize, _: Moment) -> bool {
        self.kernel.take(trigger)
    }

    /// No trace has cgroups.
    fn change(&mut self, _: Moment) -> Option<Change> {
        None
    }

    fn evidence(&mut self, alert: &Alert, at: Moment) -> Evidence {
        (self.evidence)(alert.rule().resource, at)
    }

    fn read(&mut self, alert: &Alert, at: Moment) -> Averages {
        let rule = alert.rule();
        self.kernel.read(at.0);
        let place = self.rules.iter().position(|one| one.name == rule.name);
        self.reads.borrow_mut().push((place.unwrap(), at.0));
        let averages = self.averagers[state(rule.resource, rule.kind)].at(at.0);
        let [avg10, avg60, avg300] = averages.map(|share| Percent((share * 100.0) as u32));
        Averages {
            avg10,
            avg60,
            avg300,
            total: total(&mut self.cursor, rule, at.0),
        }
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
