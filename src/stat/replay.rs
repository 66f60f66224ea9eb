//! A recording, or any other past, through the daemon's own step: what [`Monitors`]
//! asks for is done here as the daemon does it, at moments that do not pass. The
//! kernel's place is a [`Source`]'s. Nothing is decided here, and nothing is read.

mod ideal;
mod judged;

use std::rc::Rc;

pub use ideal::Ideal;
pub use judged::{NotJudged, Tally, judged};

use crate::alert::{Alert, FallbackPoll, Ids, Reading, Wake};
use crate::config::Config;
use crate::episode::Sample;
use crate::evidence::Evidence;
use crate::line::{LINE_MAX, Line};
use crate::monitors::{Failure, Found, Monitors, Task};
use crate::pressure::Averages;
use crate::report::{EndReason, Hint, Report};
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// More than the time in front of a line has.
const TIME_MAX: usize = 24;

/// What is in the kernel's place: counters, triggers with their events, and the
/// cgroups. Time only goes forward.
pub trait Source {
    /// Registers a trigger. None if this cgroup does not exist now, or has no such file.
    fn arm(&mut self, rule: &Rule, cgroup: Option<&[u8]>, at: Moment) -> Option<Armed>;

    /// Waits as poll(2) does: for an event of one of these triggers, or until a cgroup
    /// is created or removed, at most to `until`. The moment at which it returns, which
    /// may be later.
    fn wait(&mut self, polled: &[usize], now: Moment, until: Moment) -> Moment;

    /// Whether this trigger has an event by now, which is then taken.
    fn take(&mut self, trigger: usize, now: Moment) -> bool;

    /// The next change of the cgroups that has happened by now.
    fn change(&mut self, now: Moment) -> Option<Change>;

    /// Reads the counter of an alert that is armed.
    fn read(&mut self, alert: &Alert, at: Moment) -> Averages;

    /// Reads the other counters that go with it.
    fn evidence(&mut self, alert: &Alert, at: Moment) -> Evidence;
}

/// A trigger that was registered.
#[derive(Clone, Copy, Debug)]
pub struct Armed {
    /// Its number, by which the source knows it.
    pub trigger: usize,
    /// `total=` before it was registered, in microseconds.
    pub total: u64,
    /// Whether it was registered with CAP_SYS_RESOURCE.
    pub privileged: bool,
}

/// A change of the cgroups, by path.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// This one was created.
    Created(Vec<u8>),
    /// This one was removed.
    Removed(Vec<u8>),
}

/// Takes the lines: when each is logged, and what it says.
pub type Log<'a> = dyn FnMut(Moment, &Report<'_>) + 'a;

/// `[ 1802.0] io pressure …`: a line with the seconds since the beginning, as dmesg(1)
/// shows them, and its end.
pub fn line(out: &mut Vec<u8>, at: Micros, report: &Report<'_>) {
    let mut buffer = [0; TIME_MAX + LINE_MAX];
    let mut line = Line::new(&mut buffer);
    line.text("[").decimal(at.0 / 1_000_000, 5, b' ');
    line.text(".").decimal(at.0 / 100_000 % 10, 1, b'0');
    line.text("] ");
    report.write(&mut line);
    out.extend_from_slice(line.bytes());
    out.push(b'\n');
}

/// A daemon over the past.
pub struct Replay<S> {
    monitors: Monitors<usize>,
    source: S,
    now: Moment,
    /// Whether what is watched has changed since it was last counted.
    changed: bool,
}

impl<S: Source> Replay<S> {
    /// Starts at `now`, which is the time since boot: the grace after boot counts from
    /// there. Of the settings those that a replay can obey apply: `grace`, `poll`,
    /// `rate_limit`, `max_triggers`.
    pub fn new(source: S, config: &Config, now: Moment, log: &mut Log<'_>) -> Replay<S> {
        let settings = &config.settings;
        let fallback = FallbackPoll::new(Micros(now.0), settings.grace, now);
        let mut replay = Replay {
            monitors: Monitors::new(Ids::new(1), fallback),
            source,
            now,
            changed: true,
        };
        let (max, lines) = (settings.max_triggers, settings.rate_limit);
        replay.monitors.set_poll(settings.poll);
        replay.monitors.set_rules(&config.rules, max, lines, now);
        for rule in replay.monitors.rules().cloned().collect::<Vec<_>>() {
            if !rule.is_pattern() {
                let path = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
                replay.arm_one(&rule, path.as_deref());
            }
        }
        replay.take_changes(log);
        replay.report_unarmed(true, log);
        replay
    }

    /// Runs to `end`, which is not included; how often the daemon woke.
    pub fn run(&mut self, end: Moment, log: &mut Log<'_>) -> u64 {
        let (mut polled, mut wakes) = (Vec::new(), 0);
        loop {
            polled.clear();
            polled.extend(self.monitors.polled().flatten());
            let due = self.monitors.deadline();
            let until = due.map_or(end, |due| due.max(self.now).min(end));
            self.now = self.source.wait(&polled, self.now, until);
            if self.now >= end {
                return wakes;
            }
            wakes += 1;
            self.turn(log);
        }
    }

    /// What the daemon does when it stops at `at`.
    pub fn stop(&mut self, at: Moment, log: &mut Log<'_>) {
        self.now = at;
        self.monitors.stop(at);
        self.carry_out(log);
    }

    /// What is in the kernel's place.
    pub fn source(&mut self) -> &mut S {
        &mut self.source
    }

    /// What is watched, and its state.
    pub fn monitors(&self) -> &Monitors<usize> {
        &self.monitors
    }

    /// One turn of the daemon's loop, after it has waited.
    fn turn(&mut self, log: &mut Log<'_>) {
        let polls: Vec<bool> = self.monitors.polled().map(|one| one.is_some()).collect();
        for index in (0..polls.len()).filter(|&index| polls[index]) {
            if self.source.take(*self.monitors.trigger(index), self.now) {
                self.monitors.fired(index);
            }
        }
        self.monitors.wake(self.now);
        self.carry_out(log);
        self.take_changes(log);
        self.report_unarmed(false, log);
    }

    /// Does what the step asks for.
    fn carry_out(&mut self, log: &mut Log<'_>) {
        let now = self.now;
        while let Some(task) = self.monitors.next_task() {
            match task {
                Task::Log(report) => log(now, &report),
                Task::Read(index, wake) => {
                    let reading = self.read(index, wake);
                    let report = self.monitors.take(index, wake, reading);
                    report.iter().for_each(|report| log(now, report));
                }
                Task::Close(index, reason) => {
                    let averages = self.source.read(self.monitors.alert(index), now);
                    let report = self.monitors.close(index, now, Some(averages), reason);
                    report.iter().for_each(|report| log(now, report));
                }
                Task::Rearm(index, errno) => self.rearm(index, errno, log),
                // asked for only where cgroups are created without notice
                Task::Rescan | Task::Retry => {}
            }
        }
    }

    fn read(&mut self, index: usize, wake: Wake) -> Reading {
        let (alert, at) = (self.monitors.alert(index), self.now);
        let averages = self.source.read(alert, at);
        let evidence = match alert.wants_evidence(wake) {
            true => self.source.evidence(alert, at),
            false => Evidence::None,
        };
        Reading {
            at,
            averages,
            evidence,
        }
    }

    fn take_changes(&mut self, log: &mut Log<'_>) {
        while let Some(change) = self.source.change(self.now) {
            match change {
                Change::Created(path) => {
                    for rule in self.monitors.covering(&path) {
                        self.arm_one(&rule, Some(&path));
                    }
                }
                Change::Removed(path) => {
                    self.changed |= self.monitors.forget(&path);
                    for index in (0..self.monitors.len()).rev() {
                        if self.monitors.alert(index).cgroup() == Some(&path) {
                            self.rearm(index, libc::ENODEV, log);
                        }
                    }
                }
            }
        }
    }

    /// Arms a rule for the whole system or one cgroup, unless it is.
    fn arm_one(&mut self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) {
        let alert = match self.monitors.find(rule, cgroup) {
            Some(Found::Armed(_)) => return,
            Some(Found::Unarmed(index)) => self.monitors.take_unarmed(index),
            None => self.new_alert(rule, cgroup),
        };
        self.changed = true;
        match cgroup {
            Some(path)
                if rule.is_pattern()
                    && !self.monitors.take_place(rule, path)
                    && !self.monitors.has_room() =>
            {
                self.monitors.wait(rule, path);
            }
            _ => self.try_arm(alert),
        }
    }

    fn new_alert(&self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Alert {
        let nothing = Sample {
            at: self.now,
            total: 0,
        };
        Alert::new(Rc::clone(rule), cgroup, nothing, false)
    }

    /// A cgroup that a pattern matched and that is gone belongs to no rule any more.
    fn try_arm(&mut self, mut alert: Alert) {
        let rule = Rc::clone(alert.rule());
        match self.source.arm(&rule, alert.cgroup(), self.now) {
            Some(armed) => {
                let (at, total) = (self.now, armed.total);
                alert.rearm(Sample { at, total }, armed.privileged);
                self.monitors.arm(alert, armed.trigger);
            }
            None if rule.is_pattern() => {}
            None => {
                let failure = Failure {
                    errno: libc::ENOENT,
                    hint: alert.cgroup().map(|_| Hint::NoCgroup),
                };
                self.monitors.add_unarmed(alert, failure);
            }
        }
    }

    /// The cgroup was removed: its episode ends.
    fn rearm(&mut self, index: usize, errno: i32, log: &mut Log<'_>) {
        self.changed = true;
        let end = self.monitors.close(index, self.now, None, EndReason::Gone);
        end.iter().for_each(|report| log(self.now, report));
        let (alert, _) = self.monitors.disarm(index);
        match alert.rule().is_pattern() {
            true => {
                let (rule, path) = (Rc::clone(alert.rule()), alert.cgroup().map(Box::from));
                self.try_arm(alert);
                let path: Option<Box<[u8]>> = path;
                if let (None, Some(path)) = (self.monitors.find(&rule, path.as_deref()), path) {
                    self.monitors.keep(&rule, &path, self.now);
                }
            }
            false => {
                let failure = Failure { errno, hint: None };
                self.monitors.add_unarmed(alert, failure);
            }
        }
    }

    /// Gives room to cgroups that wait, and logs what is due of those that are not armed.
    fn report_unarmed(&mut self, at_once: bool, log: &mut Log<'_>) {
        self.changed |= self.monitors.give_up_places(self.now);
        if self.changed {
            loop {
                let admitted = self.monitors.share_room().admitted;
                if admitted.is_empty() {
                    break;
                }
                for (rule, path) in admitted {
                    self.try_arm(self.new_alert(&rule, Some(&path)));
                }
            }
            self.monitors.recount(self.now, None);
            self.changed = false;
        }
        self.monitors.notify(self.now, at_once);
        self.carry_out(log);
    }
}
