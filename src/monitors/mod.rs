//! The watched set behind a door: rules by the cgroups that they cover, what is
//! armed, what is not, what waits for room under the cap. And the loop's step: what
//! was seen goes in, what is to do comes out (`step`).
//!
//! Pure: `T` is an armed trigger, which nothing here touches. The daemon moves the
//! descriptors, a replay has a model of the kernel in their place.

mod index;
mod notice;
mod room;
mod rules;
mod shrink;
mod status;
mod step;
#[cfg(test)]
mod tests;

use std::io;
use std::rc::Rc;

pub use rules::Reloaded;
pub use step::Task;

use crate::alert::{Alert, FallbackPoll, Ids};
use crate::pressure::Averages;
use crate::report::{Counts, EndReason, Hint, Report};
use crate::rule::Rule;
use crate::time::{Micros, Moment};
use index::{Coverage, Index, key};
pub use room::Turnover;
use room::{Kept, Waiting};
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

    /// Whether it may be over by itself, and nothing would show when: what it keeps from
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
    coverage: Coverage,
    /// The rules in the order of their addresses.
    by_address: Index,
    /// In the order of the poll array.
    armed: Vec<Monitor<T>>,
    /// The same in the order of their keys.
    by_key: Index,
    /// In the order of their keys.
    #[expect(clippy::vec_box, reason = "all behind one that is inserted move")]
    unarmed: Vec<Box<Unarmed>>,
    waiting: Waiting,
    kept: Kept,
    /// Triggers on cgroups, at most.
    max: usize,
    /// How many triggers there are descriptors for, once they have run short.
    descriptors: Option<usize>,
    /// Lines per rule and hour.
    lines: Option<u32>,
    ids: Ids,
    /// Crossings, and lines whose suppression was reported.
    counts: Counts,
    fallback: FallbackPoll,
    /// Why no pattern's cgroups are seen, or not all of them.
    inotify_error: Option<Failure>,
    /// Why events are not waited for.
    poll_error: Option<Failure>,
    step: Step,
    /// Whether poll(2) has seen anything that no step has visited.
    seen: bool,
    /// Nothing is due before, as [`Monitors::deadline`] has found; None where something
    /// may have changed since. A turn in which nothing happens then visits nothing.
    due: Option<Moment>,
}

impl<T> Monitors<T> {
    /// Nothing yet.
    pub fn new(ids: Ids, fallback: FallbackPoll) -> Monitors<T> {
        Monitors {
            rules: Vec::new(),
            coverage: Coverage::default(),
            by_address: Index::default(),
            armed: Vec::new(),
            by_key: Index::default(),
            unarmed: Vec::new(),
            waiting: Waiting::default(),
            kept: Kept::default(),
            max: 0,
            descriptors: None,
            lines: None,
            ids,
            counts: Counts::default(),
            fallback,
            inotify_error: None,
            poll_error: None,
            step: Step::OVER,
            seen: false,
            due: None,
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
        let unmounted = self.is_unmounted();
        let unseen = if unmounted { patterns.count() } else { 0 };
        self.unarmed.len() + unseen
    }

    /// The cgroups among those.
    pub fn unarmed_cgroups(&self) -> impl Iterator<Item = &[u8]> {
        self.unarmed
            .iter()
            .filter_map(|unarmed| unarmed.alert.cgroup())
    }

    /// The rules in force.
    pub fn rules(&self) -> impl DoubleEndedIterator<Item = &Rc<Rule>> {
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
        self.due = None;
        self.fallback.has_read_cgroups();
    }

    /// Where a rule's alert for a scope is.
    pub fn find(&self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Option<Found> {
        let wanted = (Rc::as_ptr(rule), cgroup);
        let is = |at: usize| key(&self.armed[at].alert).cmp(&wanted);
        let armed = self.by_key.find(is);
        let unarmed = || {
            self.unarmed
                .binary_search_by(|other| key(&other.alert).cmp(&wanted))
                .ok()
        };
        armed
            .map(Found::Armed)
            .or_else(|| unarmed().map(Found::Unarmed))
    }

    /// The rules that cover a cgroup.
    pub fn covering(&self, path: &[u8]) -> Vec<Rc<Rule>> {
        let named = self.coverage.naming(path);
        let mut at: Vec<usize> = named.chain(self.coverage.patterns()).collect();
        at.sort_unstable();
        at.iter()
            .map(|at| &self.rules[*at].rule)
            .filter(|rule| rule.covers(path))
            .cloned()
            .collect()
    }

    /// Whether a cgroup can appear below this path that is to be armed. One that is
    /// named and armed is not waited for: its own trigger shows its end.
    pub fn reach_below(&self, path: &[u8]) -> bool {
        let rule = |at: usize| &self.rules[at].rule;
        let reaches = |at| rule(at).reaches_below(path);
        let waits = |at| self.first_unarmed(rule(at)).is_some();
        self.coverage.patterns().any(reaches) || self.coverage.naming_below(path).any(waits)
    }

    /// No descriptor is left for one more trigger than are armed now. The next is tried
    /// when one of these has been disarmed, or after a reload.
    pub fn run_short(&mut self) {
        self.descriptors = Some(self.armed.len());
    }

    fn is_short(&self) -> bool {
        self.descriptors
            .is_some_and(|most| self.armed.len() >= most)
    }

    /// An alert that only lacks a descriptor, if one may be left.
    pub fn take_short(&mut self) -> Option<Alert> {
        if self.descriptors.is_none() || self.is_short() {
            return None;
        }
        let mut unarmed = self.unarmed.iter();
        let index = unarmed.position(|one| one.failure.hint == Some(Hint::Descriptors))?;
        Some(self.take_unarmed(index))
    }

    /// One that is not armed keeps its place. Each rule for the whole system has one
    /// alert, armed or not.
    fn on_cgroups(&self) -> usize {
        let all = self.armed.len() + self.unarmed.len();
        all.saturating_sub(self.coverage.whole)
    }

    /// Adds what was armed.
    pub fn arm(&mut self, alert: Alert, trigger: T) {
        if let Some(path) = alert.cgroup() {
            self.waiting.remove(alert.rule(), path);
        }
        let (armed, wanted) = (&self.armed, key(&alert));
        let slot = self.by_key.slot(|at| key(&armed[at].alert).cmp(&wanted));
        debug_assert!(slot.is_err(), "armed twice: {wanted:?}");
        let (Ok(slot) | Err(slot)) = slot;
        self.by_key.insert(slot, armed.len());
        self.armed.push(Monitor {
            alert,
            trigger,
            seen: None,
            retiring: false,
        });
    }

    /// Adds what could not be.
    pub fn add_unarmed(&mut self, alert: Alert, failure: Failure) {
        let wanted = key(&alert);
        let slot = self
            .unarmed
            .binary_search_by(|other| key(&other.alert).cmp(&wanted));
        let (Ok(slot) | Err(slot)) = slot;
        let unarmed = Box::new(Unarmed { alert, failure });
        self.unarmed.insert(slot, unarmed);
    }

    /// It was tried again, and still can't be.
    pub fn set_failure(&mut self, index: usize, failure: Failure) {
        self.unarmed[index].failure = failure;
    }

    /// Takes one out, to arm it.
    pub fn take_unarmed(&mut self, index: usize) -> Alert {
        self.unarmed.remove(index).alert
    }

    /// Takes all of them out.
    pub fn take_all_unarmed(&mut self) -> Vec<Box<Unarmed>> {
        std::mem::take(&mut self.unarmed)
    }

    /// Takes a monitor out, its episode being closed; the last one gets its place.
    pub fn disarm(&mut self, index: usize) -> (Alert, T) {
        let armed = &self.armed;
        let slot = |wanted: usize| {
            let wanted = key(&armed[wanted].alert);
            self.by_key.slot(|at| key(&armed[at].alert).cmp(&wanted))
        };
        let (of_this, of_last) = (slot(index), slot(armed.len() - 1));
        if let (Ok(of_this), Ok(of_last)) = (of_this, of_last) {
            self.by_key.set(of_last, index);
            self.by_key.remove(of_this);
        }
        let Monitor { alert, trigger, .. } = self.armed.swap_remove(index);
        (alert, trigger)
    }

    /// Takes all triggers out, to close them.
    pub fn take_triggers(&mut self) -> Vec<T> {
        self.by_key = Index::default();
        let armed = std::mem::take(&mut self.armed);
        armed.into_iter().map(|monitor| monitor.trigger).collect()
    }

    /// A cgroup was removed: no pattern has anything to do with it any more. Whether
    /// one had.
    pub fn forget(&mut self, path: &[u8]) -> bool {
        let mut had = false;
        for rule in self.covering(path).iter().filter(|rule| rule.is_pattern()) {
            match self.find(rule, Some(path)) {
                Some(Found::Armed(_)) => {}
                Some(Found::Unarmed(index)) => {
                    self.unarmed.remove(index);
                    had = true;
                }
                None => had |= self.waiting.forget(rule, path),
            }
        }
        had
    }

    /// After what is watched has changed: counts anew what each rule has lost and what
    /// the cap leaves out, and whether fallback readings are needed. With an `inotify_error`,
    /// patterns have lost what they can't see, and the tree is scanned now and then.
    pub fn recount(&mut self, now: Moment, inotify_error: Option<Failure>) {
        self.due = None;
        self.inotify_error = inotify_error;
        for at in 0..self.rules.len() {
            let rule = &self.rules[at].rule;
            let (lost, capped) = (self.unarmed_of(rule).len(), self.waiting.of(rule));
            let unseen = inotify_error.is_some() && rule.is_pattern();
            let unseen = usize::from(unseen || self.poll_error.is_some());
            let rule = &mut self.rules[at];
            rule.lost.set(now, lost.max(unseen));
            rule.capped.set(now, capped);
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
        self.due = None;
        self.poll_error = failure;
        self.fallback.set_poll_failed(now, failure.is_some());
        new
    }

    fn unarmed_of(&self, rule: &Rc<Rule>) -> &[Box<Unarmed>] {
        let of = |other: &Unarmed| Rc::as_ptr(other.alert.rule());
        let rule = Rc::as_ptr(rule);
        let from = self.unarmed.partition_point(|other| of(other) < rule);
        let rest = &self.unarmed[from..];
        &rest[..rest.partition_point(|other| of(other) == rule)]
    }

    fn first_unarmed(&self, rule: &Rc<Rule>) -> Option<&Unarmed> {
        self.unarmed_of(rule).first().map(|unarmed| &**unarmed)
    }

    /// Ends the open episode of a monitor that is not read any more.
    pub fn close(
        &mut self,
        index: usize,
        at: Moment,
        averages: Option<Averages>,
        reason: EndReason,
    ) -> Option<Report<'_>> {
        self.due = None;
        let alert = &mut self.armed[index].alert;
        let limit = rules::limit_of(&mut self.rules, &self.by_address, alert.rule())?;
        alert.close(at, averages, reason, limit)
    }
}
