//! Arming: what the rules cover gets a trigger, at the start and as cgroups are
//! created and removed.

use std::rc::Rc;

use super::{Daemon, UnarmedError, close};
use crate::alert::Alert;
use crate::cgroup::{Change, Tree};
use crate::episode::Sample;
use crate::monitors::{Failure, Found, Turnover};
use crate::pressure::Averages;
use crate::report::{EndReason, Hint};
use crate::rule::Rule;
use crate::sorted::SortedMap;
use crate::sys;
use crate::trigger::{ArmError, Trigger};

/// So many rules or cgroups are armed at once: some milliseconds. Triggers are served in
/// between.
const AT_ONCE: usize = 256;

/// The first failure of each rule.
#[derive(Default)]
pub(super) struct Failures {
    known: SortedMap<*const Rule, ()>,
    list: Vec<UnarmedError>,
}

impl Failures {
    fn note(&mut self, rule: &Rc<Rule>, outcome: Result<(), ArmError>) {
        if let Err(why) = outcome {
            if self.known.insert(Rc::as_ptr(rule), ()).is_none() {
                let name = rule.name.clone();
                self.list.push(UnarmedError { name, why });
            }
        }
    }
}

impl Daemon {
    /// Arms every rule; those that can't be are logged, returned, and passed over.
    pub fn arm(&mut self) -> Vec<UnarmedError> {
        let settings = &self.config.settings;
        let (max, lines) = (settings.max_triggers, settings.rate_limit);
        self.monitors.set_poll(settings.poll);
        self.monitors
            .set_rules(&self.config.rules, max, lines, sys::now());
        let mut failures = Failures::default();
        self.look_for_all();
        while self.is_arming() {
            self.arm_some(&mut failures);
        }
        self.report_unarmed(true);
        failures.list
    }

    /// Whether there is anything that can ever be logged: a trigger, or a cgroup
    /// that may be created.
    pub fn watches_anything(&self) -> bool {
        let tree = self.tree.as_ref().filter(|tree| tree.fd().is_some());
        let may_appear = |tree: &Tree| {
            self.monitors.rules().any(|rule| rule.is_pattern())
                || self
                    .monitors
                    .unarmed_cgroups()
                    .any(|path| tree.may_appear(path))
        };
        !self.monitors.is_empty() || tree.is_some_and(may_appear) || self.misses_changes()
    }

    /// Starts to arm whatever the rules cover and is not armed yet.
    pub(super) fn look_for_all(&mut self) {
        // what waits is found again
        self.monitors.forget_waiting();
        // Watched first: what is created while we look is noticed.
        let monitors = &self.monitors;
        if let Some(tree) = &mut self.tree {
            tree.scan(monitors.bound(), &|path| monitors.reach_below(path));
        }
        self.to_arm = monitors.rules().rev().cloned().collect();
        self.changed = true;
    }

    /// Whether [`Daemon::arm_some`] has more to do.
    pub(super) fn is_arming(&self) -> bool {
        !self.to_arm.is_empty() || self.tree.as_ref().is_some_and(Tree::is_exploring)
    }

    /// Arms some of it: first the rules that are no patterns, then the cgroups. More at
    /// once where there is more: a turn of the loop looks at everything.
    pub(super) fn arm_some(&mut self, failures: &mut Failures) {
        let count = AT_ONCE + (self.monitors.len() + self.config.rules.len()) / 8;
        for _ in 0..count {
            let Some(rule) = self.to_arm.pop() else {
                return self.explore(count, failures);
            };
            let outcome = match rule.is_pattern() {
                true if self.tree.is_none() => self.open(&rule, Some(b"/")).map(drop),
                true => Ok(()),
                false => {
                    let path = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
                    self.arm_one(&rule, path.as_deref())
                }
            };
            failures.note(&rule, outcome);
        }
    }

    /// Looks into some directories, where any rule is about cgroups.
    fn explore(&mut self, count: usize, failures: &mut Failures) {
        let monitors = &self.monitors;
        let found = self
            .tree
            .as_mut()
            .map(|tree| tree.explore(count, &|path| monitors.reach_below(path)));
        for change in found.unwrap_or_default() {
            if let Change::Created(path) = change {
                self.arm_cgroup(&path, failures);
            }
        }
    }

    /// Takes the changes of the tree that inotify has noticed.
    pub(super) fn take_changes(&mut self) {
        let shown = self.failing.is_none();
        let changes = self.tree.as_mut().map(|tree| tree.take(shown));
        self.changed |= self.misses_changes();
        let mut failures = Failures::default();
        for change in changes.unwrap_or_default() {
            match change {
                Change::Created(path) => self.arm_cgroup(&path, &mut failures),
                Change::Removed(path) => self.disarm_cgroup(&path),
                Change::Overflow => self.rescan(),
            }
        }
    }

    /// Whether cgroups are created without notice.
    fn misses_changes(&self) -> bool {
        self.tree
            .as_ref()
            .is_some_and(|tree| tree.inotify_error().is_some())
    }

    /// Why no pattern's cgroups are seen, or not all of them.
    fn inotify_error(&self) -> Option<Failure> {
        let (errno, hint) = match &self.tree {
            None => (self.mounts.error.unwrap_or(libc::ENOENT), Hint::Cgroup2),
            Some(tree) => match tree.inotify_error() {
                Some(libc::ENOENT) => (libc::ENOENT, Hint::Cgroup2),
                Some(errno) => (errno, Hint::Inotify),
                // without room, nothing that appears could be armed
                None if tree.is_partial() && self.monitors.has_room() => {
                    (libc::ENOSPC, Hint::MaxTriggers)
                }
                None => return None,
            },
        };
        Some(Failure {
            errno,
            hint: Some(hint),
        })
    }

    /// Looks at everything, since what has changed is unknown.
    pub(super) fn rescan(&mut self) {
        self.find_mount();
        for index in (0..self.monitors.len()).rev() {
            if let Some(failure) = died_of(self.monitors.trigger(index)) {
                self.rearm(index, failure);
            }
        }
        self.retry_all();
        self.look_for_all();
    }

    /// Tries to arm what is not armed.
    pub(super) fn retry_all(&mut self) {
        for unarmed in self.monitors.take_all_unarmed() {
            // what can't be armed is logged with the others of its rule
            let _ = self.try_arm(unarmed.alert, Some(unarmed.failure));
        }
    }

    fn arm_cgroup(&mut self, path: &[u8], failures: &mut Failures) {
        for rule in self.monitors.covering(path) {
            // what can't be armed is logged with the others of its rule
            let outcome = self.arm_one(&rule, Some(path));
            failures.note(&rule, outcome);
        }
    }

    fn disarm_cgroup(&mut self, path: &[u8]) {
        self.changed |= self.monitors.forget(path);
        for rule in self.monitors.covering(path) {
            let Some(Found::Armed(index)) = self.monitors.find(&rule, Some(path)) else {
                continue;
            };
            // another cgroup of that name may be there before we hear of the end
            if died_of(self.monitors.trigger(index)).is_some() {
                let failure = Failure {
                    errno: libc::ENODEV,
                    hint: None,
                };
                self.rearm(index, failure);
            }
        }
    }

    /// Arms a rule for the whole system or one cgroup, unless it is.
    fn arm_one(&mut self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Result<(), ArmError> {
        match self.monitors.find(rule, cgroup) {
            Some(Found::Armed(index)) => {
                if let Some(failure) = died_of(self.monitors.trigger(index)) {
                    self.rearm(index, failure);
                }
                return Ok(());
            }
            Some(Found::Unarmed(index)) => {
                self.found |= !rule.is_pattern();
                return self.retry(index, rule, cgroup);
            }
            None => {}
        }
        if let (Some(path), true) = (cgroup, rule.is_pattern()) {
            if !self.monitors.take_place(rule, path) && !self.monitors.has_room() {
                self.monitors.wait(rule, path);
                self.changed = true;
                return Ok(());
            }
        }
        self.arm_new(rule, cgroup)
    }

    fn arm_new(&mut self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Result<(), ArmError> {
        let nothing = Sample {
            at: sys::now(),
            total: 0,
        };
        let alert = Alert::new(Rc::clone(rule), cgroup, nothing, false);
        self.try_arm(alert, None)
    }

    /// Arms what is not; a cgroup that a pattern matched may be gone by now, and
    /// then that is all. `was` is why it was disarmed, if it was.
    fn try_arm(&mut self, alert: Alert, was: Option<Failure>) -> Result<(), ArmError> {
        self.changed = true;
        let rule = Rc::clone(alert.rule());
        match self.open(&rule, alert.cgroup()) {
            Ok(opened) => {
                self.add(alert, opened);
                Ok(())
            }
            Err(why) => {
                let removed = why.hint == Some(Hint::NoCgroup);
                if removed && rule.is_pattern() {
                    if let (Some(_), Some(path)) = (was, alert.cgroup()) {
                        self.monitors.keep(&rule, path, sys::now());
                    }
                    return Ok(());
                }
                if why.hint == Some(Hint::Descriptors) {
                    self.monitors.run_short();
                    if let (true, Some(path)) = (rule.is_pattern(), alert.cgroup()) {
                        self.monitors.wait(&rule, path);
                        return Ok(());
                    }
                }
                let failure = was.filter(|_| removed).unwrap_or(failure_of(&why));
                self.monitors.add_unarmed(alert, failure);
                Err(why)
            }
        }
    }

    fn add(&mut self, mut alert: Alert, (trigger, averages): (Trigger, Averages)) {
        let baseline = Sample {
            at: sys::now(),
            total: averages.total,
        };
        alert.rearm(baseline, trigger.is_privileged());
        self.monitors.arm(alert, trigger);
    }

    /// Arms what could not be armed before; what still can't be stays in its place.
    fn retry(
        &mut self,
        index: usize,
        rule: &Rc<Rule>,
        cgroup: Option<&[u8]>,
    ) -> Result<(), ArmError> {
        self.changed = true;
        if rule.is_pattern() {
            let alert = self.monitors.take_unarmed(index);
            return self.try_arm(alert, None);
        }
        let opened = self.open(rule, cgroup).inspect_err(|why| {
            self.monitors.set_failure(index, failure_of(why));
            if why.hint == Some(Hint::Descriptors) {
                self.monitors.run_short();
            }
        })?;
        let alert = self.monitors.take_unarmed(index);
        self.add(alert, opened);
        Ok(())
    }

    /// Opens and arms. Where that can't be yet, we want to know when it can: a
    /// cgroup that is named may be created, pressure files that are switched off may
    /// be switched on. Then we look once more, for what has just happened.
    fn open(
        &mut self,
        rule: &Rule,
        cgroup: Option<&[u8]>,
    ) -> Result<(Trigger, Averages), ArmError> {
        self.sources.provide(rule)?;
        if let (None, Some(file)) = (cgroup, self.passed.take(rule.resource)) {
            // one that is armed already, or is none, is as good as not passed
            if let Ok(armed) = Trigger::arm_opened(rule, file) {
                return Ok(armed);
            }
        }
        let mut armed = Trigger::arm(rule, cgroup, &self.roots);
        if armed.as_ref().is_err_and(|why| failure_of(why).may_pass()) {
            armed = Trigger::arm(rule, cgroup, &self.roots);
        }
        let (Err(why), Some(path), Some(tree)) = (&armed, cgroup, &mut self.tree) else {
            return armed;
        };
        let switched_off = match why.hint {
            Some(Hint::CgroupPressure) => true,
            Some(Hint::NoCgroup) if !rule.is_pattern() => false,
            _ => return armed,
        };
        if switched_off && !tree.watch_switch(path) {
            return armed;
        }
        if !rule.is_pattern() {
            tree.follow(path);
        }
        Trigger::arm(rule, cgroup, &self.roots)
    }

    /// The trigger is dead: its episode ends, its descriptor goes. There may be a
    /// new cgroup of that name already; if not, a rule that names it waits for it. A
    /// file of the whole system that could not be read may be readable again.
    pub(super) fn rearm(&mut self, index: usize, failure: Failure) {
        self.changed = true;
        let end = self
            .monitors
            .close(index, sys::now(), None, EndReason::Gone);
        if let Some(report) = end {
            self.sink.log(&report);
        }
        let (alert, _) = self.monitors.disarm(index);
        match alert.cgroup() {
            // a file that is dead will be so again, and at once
            None if !failure.may_pass() => self.monitors.add_unarmed(alert, failure),
            // what can't be armed is logged with the others of its rule
            _ => drop(self.try_arm(alert, Some(failure))),
        }
    }

    /// Gives room to cgroups that wait, and logs what is due of lost cgroups and of
    /// the cap; at a start or a reload, all that there is. Before everything was looked
    /// at, that is unknown.
    pub(super) fn report_unarmed(&mut self, at_once: bool) {
        self.changed |= self.monitors.give_up_places(sys::now());
        if self.changed {
            while let Some(alert) = self.monitors.take_short() {
                // what can't be armed is logged with the others of its rule
                let _ = self.try_arm(alert, None);
            }
            self.share_room();
            if self.monitors.lacks_paths() && !self.is_arming() {
                self.look_for_all();
            }
            self.rebuild_poll_set();
            // what was armed has to stay as the rest does; may be refused likewise
            let _ = sys::lock_memory();
        }
        if self.is_arming() {
            return;
        }
        if self.changed {
            self.monitors.recount(sys::now(), self.inotify_error());
            self.stop_following();
            self.changed = false;
        }
        self.monitors.notify(sys::now(), at_once);
        self.carry_out();
    }

    /// Arms what waits, as far as there is room for it or another share has too much.
    fn share_room(&mut self) {
        loop {
            let Turnover { evicted, admitted } = self.monitors.share_room();
            close(evicted);
            if admitted.is_empty() {
                return;
            }
            for (rule, path) in admitted {
                // what can't be armed is logged with the others of its rule
                let _ = self.arm_new(&rule, Some(&path));
            }
        }
    }

    /// Where a cgroup that is named has been created, nothing on the way to it
    /// matters any more: a host on which only other cgroups are created and removed
    /// is not to wake us.
    fn stop_following(&mut self) {
        let monitors = &self.monitors;
        if let (true, Some(tree)) = (self.found, &mut self.tree) {
            tree.prune(&|path| monitors.reach_below(path));
        }
        self.found = false;
    }
}

fn failure_of(why: &ArmError) -> Failure {
    Failure {
        errno: why.errno(),
        hint: why.hint,
    }
}

/// What a trigger's file says if it is dead.
fn died_of(trigger: &Trigger) -> Option<Failure> {
    let error = trigger.read().err()?;
    Some(Failure::of(&error, None))
}
