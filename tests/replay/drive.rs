//! Feeds a trace to what the daemon runs: accounts, budget, schedule and the
//! lines of reports. What is here is what the daemon's loop is: wait for the
//! kernel or the next deadline, take crossings, do what is due. Time comes from
//! the trace alone.

use psilogd::account::{Account, Ledger, Wake};
use psilogd::budget::Budget;
use psilogd::config::Config;
use psilogd::episode::{Phase, Sample};
use psilogd::line::{LINE_MAX, Line};
use psilogd::pressure::Stall;
use psilogd::report::Report;
use psilogd::schedule::Schedule;
use psilogd::time::{Micros, Moment};

use super::kernel::{Kernel, Rights};
use super::trace::*;

/// The daemon wakes so much later than it should, at most.
const LATE: u64 = 5_000;

/// A line of the log, as a receiver reads it.
#[derive(Clone, Debug)]
pub struct Told {
    pub at: u64,
    pub event: String,
    pub rule: String,
    pub id: u64,
    /// `dur_s`, in microseconds; it has one decimal.
    pub duration: u64,
    pub stalled: u64,
}

/// What a replay came to.
pub struct Run {
    pub told: Vec<Told>,
    pub wakes: u64,
    /// Where the machines stood at the end, before the daemon stopped.
    pub phases: Vec<Phase>,
}

/// `keys=` of a line.
fn parse(at: u64, text: &str) -> Told {
    let value = |key: &str| {
        let mut words = text.split(' ').filter_map(|word| word.split_once('='));
        words.find(|(name, _)| *name == key).map(|(_, value)| value)
    };
    let number = |key| value(key).map_or(0, |word: &str| word.parse().unwrap());
    Told {
        at,
        event: value("event").unwrap().into(),
        rule: value("trigger").unwrap_or_default().into(),
        id: value("id").map_or(0, |id| id.split_once('.').unwrap().1.parse().unwrap()),
        duration: value("dur_s").map_or(0, |word| {
            let (whole, tenths) = word.split_once('.').unwrap();
            (whole.parse::<u64>().unwrap() * 10 + tenths.parse::<u64>().unwrap()) * 100_000
        }),
        stalled: number("stalled_us"),
    }
}

struct Machine<'a> {
    accounts: Vec<Account>,
    schedule: Schedule,
    ledger: Ledger,
    kernel: Kernel<'a>,
    cursor: Cursor<'a>,
    run: Run,
}

/// Runs a configuration over a trace.
pub fn replay(trace: &Trace, config: &Config, rights: Rights) -> Run {
    let start = trace.start;
    let mut machine = Machine::new(trace, config, rights);
    let mut random = Random(7);
    let (mut now, end) = (start.0, trace.end().0);
    let mut polled = vec![false; machine.accounts.len()];
    loop {
        for (polled, account) in polled.iter_mut().zip(&machine.accounts) {
            *polled = machine.schedule.polls(account);
        }
        let due = machine.deadline().map_or(end, |due| due.0.max(now));
        let fired = machine.kernel.run(now, due.min(end), &polled);
        now = fired.unwrap_or(due) + random.within(0, LATE);
        if now >= end {
            return machine.stop(end);
        }
        machine.run.wakes += 1;
        for index in (0..polled.len()).filter(|&index| polled[index]) {
            if machine.kernel.take(index) {
                machine.read(index, Wake::Crossed, now);
            }
        }
        machine.expire(now);
    }
}

impl<'a> Machine<'a> {
    fn new(trace: &'a Trace, config: &Config, rights: Rights) -> Machine<'a> {
        let now = trace.start;
        let mut cursor = Cursor::new(trace);
        let privileged = rights == Rights::Privileged;
        let accounts = config.rules.iter().map(|rule| {
            let total = cursor.total(state(rule.resource, rule.kind), now.0);
            Account::new(rule.clone(), Sample { at: now, total }, privileged)
        });
        let accounts: Vec<_> = accounts.collect();
        let settings = &config.settings;
        let up = Micros(now.0);
        let mut schedule = Schedule::new(up, settings.grace, now);
        schedule.settle(now, accounts.iter(), false);
        Machine {
            accounts,
            schedule,
            ledger: Ledger::new(Budget::new(settings.budget, now), 1),
            kernel: Kernel::new(trace, &config.rules, rights, now.0),
            cursor,
            run: Run {
                told: Vec::new(),
                wakes: 0,
                phases: Vec::new(),
            },
        }
    }

    fn deadline(&self) -> Option<Moment> {
        let episodes = self.accounts.iter().filter_map(Account::deadline);
        episodes
            .chain(self.schedule.deadlines())
            .chain(self.ledger.budget.deadline())
            .min()
    }

    fn stall(&mut self, index: usize, now: u64) -> Stall {
        let rule = self.accounts[index].rule();
        let total = self.cursor.total(state(rule.resource, rule.kind), now);
        Stall {
            total,
            ..Stall::default()
        }
    }

    fn read(&mut self, index: usize, wake: Wake, now: u64) {
        let stall = self.stall(index, now);
        self.kernel.read(now);
        let told = &mut self.run.told;
        let out = &mut |report: &Report<'_>| told.push(line(now, report));
        self.accounts[index].take(wake, Moment(now), stall, &mut self.ledger, out);
    }

    fn expire(&mut self, at: u64) {
        let now = Moment(at);
        if self.schedule.end_grace(now) {
            for index in 0..self.accounts.len() {
                let total = self.stall(index, at).total;
                self.accounts[index].rebase(Sample { at: now, total });
            }
        }
        for index in 0..self.accounts.len() {
            if self.accounts[index]
                .deadline()
                .is_some_and(|due| due <= now)
            {
                self.schedule.has_read(&self.accounts[index]);
                self.read(index, Wake::Expired, at);
            }
        }
        if self.schedule.slow_round(now) {
            for index in 0..self.accounts.len() {
                if self.schedule.checks(&self.accounts[index]) {
                    self.read(index, Wake::Checked, at);
                }
            }
        }
        let told = &mut self.run.told;
        self.ledger
            .sum_up(now, false, &mut |report| told.push(line(at, report)));
    }

    fn stop(mut self, at: u64) -> Run {
        self.run.phases = self.accounts.iter().map(Account::phase).collect();
        for index in 0..self.accounts.len() {
            let stall = Some(self.stall(index, at));
            let told = &mut self.run.told;
            let out = &mut |report: &Report<'_>| told.push(line(at, report));
            self.accounts[index].close(Moment(at), stall, "stop", &mut self.ledger, out);
        }
        let told = &mut self.run.told;
        self.ledger
            .sum_up(Moment(at), true, &mut |report| told.push(line(at, report)));
        self.run
    }
}

fn line(at: u64, report: &Report<'_>) -> Told {
    let mut buffer = [0; LINE_MAX];
    let mut line = Line::new(&mut buffer);
    report.write(&mut line);
    parse(at, std::str::from_utf8(line.bytes()).unwrap())
}
