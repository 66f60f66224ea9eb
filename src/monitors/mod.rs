//! The watched set behind a door: rules by the cgroups that they cover, what is
//! armed, what is not, what waits for room under the cap. And the loop's step: what
//! was seen goes in, what is to do comes out (`step`).
//!
//! Pure: `T` is an armed trigger, which nothing here touches. The daemon moves the
//! descriptors, a replay has a model of the kernel in their place.

mod notice;
mod rules;
mod shrink;
mod step;
#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;

pub use rules::Reloaded;
pub use step::Task;

use crate::alert::{Alert, FallbackPoll, Ids};
use crate::pressure::Averages;
use crate::report::{EndReason, Hint, Report};
use crate::rule::Rule;
use crate::time::{Micros, Moment};
use rules::RuleInForce;
use step::{Seen, Step};

/// Why something is not armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// errno(3).
    pub errno: i32,
    /// What would help.
    pub hint: Option<Hint>,
}

impl Failure {
    /// The system's error; EIO where it has no number.
    pub fn of(error: &io::Error, hint: Option<Hint>) -> Failure {
        Failure {
            errno: error.raw_os_error().unwrap_or(libc::EIO),
            hint,
        }
    }

    /// Whether it may be over by itself, and nobody would say when: what it keeps from
    /// being armed is tried again with the fallback reading.
    pub fn may_pass(&self) -> bool {
        const PASSING: [i32; 6] = [
            libc::ENOMEM,
            libc::EIO,
            libc::EINTR,
            libc::EAGAIN,
            libc::ENFILE,
            libc::EMFILE,
        ];
        PASSING.contains(&self.errno) || self.hint == Some(Hint::NoEvidence)
    }
}

/// An armed trigger and the alert that it is for.
struct Monitor<T> {
    alert: Alert,
    trigger: T,
    /// What poll(2) saw of it and no task has taken yet.
    seen: Option<Seen>,
    retiring: bool,
}

/// An alert whose trigger is not armed.
pub struct Unarmed {
    /// What it will go on with.
    pub alert: Alert,
    /// Why.
    pub failure: Failure,
}

/// A cgroup for which a rule has no room.
struct Waiting {
    rule: Rc<Rule>,
    path: Box<[u8]>,
}

/// Where an alert is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// Among the armed.
    Armed(usize),
    /// Among the others.
    Unarmed(usize),
}

/// Everything that is watched.
pub struct Monitors<T> {
    rules: Vec<RuleInForce>,
    /// In the order of the poll array.
    armed: Vec<Monitor<T>>,
    unarmed: Vec<Unarmed>,
    waiting: Vec<Waiting>,
    /// Triggers on cgroups, at most.
    max: usize,
    /// Lines per rule and hour.
    lines: Option<u32>,
    ids: Ids,
    fallback: FallbackPoll,
    /// Why no pattern's cgroups are seen, or not all of them.
    inotify_error: Option<Failure>,
    /// Why events are not waited for.
    poll_error: Option<Failure>,
    step: Step,
}

impl<T> Monitors<T> {
    /// Nothing yet.
    pub fn new(ids: Ids, fallback: FallbackPoll) -> Monitors<T> {
        Monitors {
            rules: Vec::new(),
            armed: Vec::new(),
            unarmed: Vec::new(),
            waiting: Vec::new(),
            max: 0,
            lines: None,
            ids,
            fallback,
            inotify_error: None,
            poll_error: None,
            step: Step::OVER,
        }
    }

    /// How many triggers are armed; their indices run from 0.
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }

    /// How many are not armed, though they should be.
    pub fn unarmed(&self) -> usize {
        let patterns = self.rules().filter(|rule| rule.is_pattern());
        let blind = if self.is_blind() { patterns.count() } else { 0 };
        self.unarmed.len() + blind
    }

    /// The cgroups among those.
    pub fn unarmed_cgroups(&self) -> impl Iterator<Item = &[u8]> {
        self.unarmed
            .iter()
            .filter_map(|unarmed| unarmed.alert.cgroup())
    }

    /// The rules in force.
    pub fn rules(&self) -> impl Iterator<Item = &Rc<Rule>> {
        self.rules.iter().map(|rule| &rule.rule)
    }

    /// An armed trigger.
    pub fn trigger(&self, index: usize) -> &T {
        &self.armed[index].trigger
    }

    /// What it is for.
    pub fn alert(&self, index: usize) -> &Alert {
        &self.armed[index].alert
    }

    /// The triggers that poll(2) may look at: those of the others would lose the
    /// event that they have latched.
    pub fn polled(&self) -> impl Iterator<Item = Option<&T>> {
        let polls = |alert| self.fallback.polls(alert);
        self.armed
            .iter()
            .map(move |monitor| polls(&monitor.alert).then_some(&monitor.trigger))
    }

    /// The period of the fallback reading, where there is one.
    pub fn fallback_period(&self) -> Option<Micros> {
        self.fallback.period()
    }

    /// Puts the setting `poll` in force, at the next count of what is watched.
    pub fn set_poll(&mut self, setting: Option<Micros>) {
        self.fallback.set_period(setting);
    }

    /// Pressure files of cgroups were read, which may have taken events of theirs.
    pub fn has_read_cgroups(&mut self) {
        self.fallback.has_read_cgroups();
    }

    /// Where a rule's alert for a scope is.
    pub fn find(&self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Option<Found> {
        let armed = self
            .armed
            .iter()
            .position(|monitor| monitor.alert.is_of(rule, cgroup));
        let unarmed = || {
            self.unarmed
                .iter()
                .position(|other| other.alert.is_of(rule, cgroup))
        };
        armed
            .map(Found::Armed)
            .or_else(|| unarmed().map(Found::Unarmed))
    }

    /// The rules that cover a cgroup.
    pub fn covering(&self, path: &[u8]) -> Vec<Rc<Rule>> {
        self.rules()
            .filter(|rule| rule.covers(path))
            .cloned()
            .collect()
    }

    /// Whether a cgroup can appear below this path that is to be armed. One that is
    /// named and armed is not waited for: its own trigger shows its end.
    pub fn reach_below(&self, path: &[u8]) -> bool {
        let waits = |rule: &Rc<Rule>| rule.is_pattern() || self.first_unarmed(rule).is_some();
        self.rules()
            .any(|rule| rule.reaches_below(path) && waits(rule))
    }

    /// Whether one more trigger is within the cap.
    pub fn has_room(&self) -> bool {
        self.on_cgroups() < self.max
    }

    /// One that is not armed keeps its place.
    fn on_cgroups(&self) -> usize {
        let armed = self.armed.iter().map(|monitor| &monitor.alert);
        let all = armed.chain(self.unarmed.iter().map(|unarmed| &unarmed.alert));
        all.filter(|alert| alert.cgroup().is_some()).count()
    }

    /// Adds what was armed.
    pub fn arm(&mut self, alert: Alert, trigger: T) {
        self.armed.push(Monitor {
            alert,
            trigger,
            seen: None,
            retiring: false,
        });
    }

    /// Adds what could not be.
    pub fn add_unarmed(&mut self, alert: Alert, failure: Failure) {
        self.unarmed.push(Unarmed { alert, failure });
    }

    /// Takes one out, to arm it.
    pub fn take_unarmed(&mut self, index: usize) -> Alert {
        self.unarmed.swap_remove(index).alert
    }

    /// Takes all of them out.
    pub fn take_all_unarmed(&mut self) -> Vec<Unarmed> {
        std::mem::take(&mut self.unarmed)
    }

    /// Takes a monitor out, its episode being closed; the last one gets its place.
    pub fn disarm(&mut self, index: usize) -> (Alert, T) {
        let Monitor { alert, trigger, .. } = self.armed.swap_remove(index);
        (alert, trigger)
    }

    /// Takes all triggers out, to close them.
    pub fn take_triggers(&mut self) -> Vec<T> {
        let armed = std::mem::take(&mut self.armed);
        armed.into_iter().map(|monitor| monitor.trigger).collect()
    }

    /// Sets a cgroup aside until there is room.
    pub fn wait(&mut self, rule: &Rc<Rule>, path: &[u8]) {
        let known = |waiting: &Waiting| Rc::ptr_eq(&waiting.rule, rule) && *waiting.path == *path;
        if !self.waiting.iter().any(known) {
            self.waiting.push(Waiting {
                rule: Rc::clone(rule),
                path: path.into(),
            });
        }
    }

    /// No cgroup is known to wait: the tree is scanned anew.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// The one that has waited longest, if there is room.
    pub fn admit(&mut self) -> Option<(Rc<Rule>, Box<[u8]>)> {
        if self.waiting.is_empty() || !self.has_room() {
            return None;
        }
        let Waiting { rule, path } = self.waiting.remove(0);
        Some((rule, path))
    }

    /// A cgroup was removed: no pattern has anything to do with it any more. Whether
    /// one had.
    pub fn forget(&mut self, path: &[u8]) -> bool {
        let before = self.waiting.len() + self.unarmed.len();
        self.waiting.retain(|waiting| *waiting.path != *path);
        self.unarmed.retain(|Unarmed { alert, .. }| {
            alert.cgroup() != Some(path) || !alert.rule().is_pattern()
        });
        self.waiting.len() + self.unarmed.len() < before
    }

    /// After what is watched has changed: counts anew what each rule has lost and what
    /// the cap leaves out, and whether fallback readings are needed. With an `inotify_error`,
    /// patterns have lost what they can't see, and the tree is scanned now and then.
    pub fn recount(&mut self, now: Moment, inotify_error: Option<Failure>) {
        self.inotify_error = inotify_error;
        for RuleInForce {
            rule, lost, capped, ..
        } in &mut self.rules
        {
            let of_rule = |unarmed: &&Unarmed| Rc::ptr_eq(unarmed.alert.rule(), rule);
            let count = self.unarmed.iter().filter(of_rule).count();
            let unseen = inotify_error.is_some() && rule.is_pattern();
            let unseen = usize::from(unseen || self.poll_error.is_some());
            lost.set(now, count.max(unseen));
            capped.set(now, waiting_of(&self.waiting, rule));
        }
        let unprivileged = self
            .armed
            .iter()
            .any(|monitor| !monitor.alert.is_privileged());
        let missing = inotify_error.is_some() || self.may_mend();
        self.fallback.set_needed(now, unprivileged, missing);
    }

    /// Why poll(2) fails, or that it doesn't any more: all counters are then read instead.
    /// Whether that is new, and everything has to be counted anew.
    pub fn set_poll_error(&mut self, now: Moment, failure: Option<Failure>) -> bool {
        let new = self.poll_error.is_some() != failure.is_some();
        self.poll_error = failure;
        self.fallback.set_blind(now, failure.is_some());
        new
    }

    fn first_unarmed(&self, rule: &Rc<Rule>) -> Option<&Unarmed> {
        self.unarmed
            .iter()
            .find(|unarmed| Rc::ptr_eq(unarmed.alert.rule(), rule))
    }

    /// When there is something to do.
    pub fn deadline(&self) -> Option<Moment> {
        let episodes = self
            .armed
            .iter()
            .filter_map(|monitor| monitor.alert.deadline());
        let rules = self.rules.iter().flat_map(|rule| {
            [
                rule.limit.deadline(),
                rule.lost.deadline(),
                rule.capped.deadline(),
            ]
        });
        episodes
            .chain(rules.flatten())
            .chain(self.fallback.deadlines())
            .min()
    }

    /// The state of everything (SIGUSR1): `read` reads a trigger's counter. Of a
    /// pattern, the quiet cgroups are one line.
    pub fn status(&self, read: &dyn Fn(&T) -> Option<Averages>, log: &mut dyn FnMut(&Report<'_>)) {
        for rule in self.rules() {
            let of_rule = |alert: &Alert| Rc::ptr_eq(alert.rule(), rule);
            let mut quiet = 0;
            for Monitor { alert, trigger, .. } in &self.armed {
                if !of_rule(alert) {
                    continue;
                }
                match rule.is_pattern() && alert.is_quiet() {
                    true => quiet += 1,
                    false => log(&alert.status(read(trigger))),
                }
            }
            let lost = self
                .unarmed
                .iter()
                .filter(|unarmed| of_rule(&unarmed.alert));
            lost.for_each(|unarmed| log(&unarmed.alert.status(None)));
            if rule.is_pattern() {
                let capped = waiting_of(&self.waiting, rule);
                log(&Report::Tally {
                    rule,
                    blind: self.is_blind(),
                    quiet,
                    capped,
                });
            }
        }
    }

    /// Ends the open episode of a monitor that is not read any more.
    pub fn close(
        &mut self,
        index: usize,
        at: Moment,
        averages: Option<Averages>,
        reason: EndReason,
    ) -> Option<Report<'_>> {
        let alert = &mut self.armed[index].alert;
        let limit = rules::limit_of(&mut self.rules, alert.rule())?;
        alert.close(at, averages, reason, limit)
    }
}

fn waiting_of(waiting: &[Waiting], rule: &Rc<Rule>) -> usize {
    let of_rule = |waiting: &&Waiting| Rc::ptr_eq(&waiting.rule, rule);
    waiting.iter().filter(of_rule).count()
}
