//! Arming: what the rules cover gets a trigger, at the start and as cgroups are
//! created and removed.

use std::rc::Rc;

use super::{Daemon, UnarmedRule};
use crate::alert::Alert;
use crate::cgroup::{Change, Tree};
use crate::episode::Sample;
use crate::monitors::{Failure, Found, Unarmed};
use crate::pressure::Averages;
use crate::report::{EndReason, Hint};
use crate::rule::Rule;
use crate::sys;
use crate::trigger::{ArmError, Trigger};

impl Daemon {
    /// Arms every rule; those that can't be are logged, returned, and passed over.
    pub fn arm(&mut self) -> Vec<UnarmedRule> {
        let settings = &self.config.settings;
        let (max, lines) = (settings.max_triggers, settings.rate_limit);
        self.monitors
            .set_rules(&self.config.rules, max, lines, sys::now());
        let mut bad = Vec::new();
        self.arm_missing(&mut bad);
        self.report_unarmed(true);
        bad
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

    /// Arms whatever the rules cover and is not armed yet; `bad` gets the first
    /// failure of each rule.
    pub(super) fn arm_missing(&mut self, bad: &mut Vec<UnarmedRule>) {
        let mut first = |rule: &Rule, outcome: Result<(), ArmError>| {
            let known = bad.iter().any(|bad| bad.name == rule.name);
            if let (Err(why), false) = (outcome, known) {
                let name = rule.name.clone();
                bad.push(UnarmedRule { name, why });
            }
        };
        // Watched first: what is created while we look is noticed.
        let found = self.scan();
        for rule in self.monitors.rules().cloned().collect::<Vec<_>>() {
            if rule.is_pattern() {
                if self.tree.is_none() {
                    first(&rule, self.open(&rule, Some(b"/")).map(drop));
                }
                continue;
            }
            let path = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
            first(&rule, self.arm_one(&rule, path.as_deref()));
        }
        for change in found {
            let Change::Created(path) = change else {
                continue;
            };
            for rule in self.monitors.covering(&path) {
                first(&rule, self.arm_one(&rule, Some(&path)));
            }
        }
        self.changed = true;
    }

    /// Looks for all that is there, where any rule is about cgroups.
    fn scan(&mut self) -> Vec<Change> {
        let monitors = &self.monitors;
        self.tree.as_mut().map_or_else(Vec::new, |tree| {
            tree.scan(&|path| monitors.reach_below(path))
        })
    }

    /// Takes the changes of the tree that inotify has noticed.
    pub(super) fn take_changes(&mut self) {
        let monitors = &self.monitors;
        let Some(tree) = &mut self.tree else {
            return;
        };
        for change in tree.take(&|path| monitors.reach_below(path)) {
            match change {
                Change::Created(path) => self.arm_cgroup(&path),
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
            None => (libc::ENOENT, Hint::Cgroup2),
            Some(tree) => match tree.inotify_error()? {
                libc::ENOENT => (libc::ENOENT, Hint::Cgroup2),
                errno => (errno, Hint::Inotify),
            },
        };
        Some(Failure {
            errno,
            hint: Some(hint),
        })
    }

    /// Looks at everything, since what has changed is unknown.
    pub(super) fn rescan(&mut self) {
        for index in (0..self.monitors.len()).rev() {
            if let Some(failure) = died_of(self.monitors.trigger(index)) {
                self.rearm(index, failure);
            }
        }
        self.monitors.forget_waiting();
        for Unarmed { alert, failure } in self.monitors.take_all_unarmed() {
            // what can't be armed is logged with the others of its rule
            let _ = self.try_arm(alert, Some(failure));
        }
        self.arm_missing(&mut Vec::new());
    }

    fn arm_cgroup(&mut self, path: &[u8]) {
        for rule in self.monitors.covering(path) {
            // what can't be armed is logged with the others of its rule
            let _ = self.arm_one(&rule, Some(path));
        }
    }

    fn disarm_cgroup(&mut self, path: &[u8]) {
        self.changed |= self.monitors.forget(path);
        for index in (0..self.monitors.len()).rev() {
            // another cgroup of that name may be there before we hear of the end
            let is_there = self.monitors.alert(index).cgroup() == Some(path);
            if is_there && died_of(self.monitors.trigger(index)).is_some() {
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
                let alert = self.monitors.take_unarmed(index);
                self.found |= !rule.is_pattern();
                return self.try_arm(alert, None);
            }
            None => {}
        }
        if let (Some(path), true, false) = (cgroup, rule.is_pattern(), self.monitors.has_room()) {
            self.monitors.wait(rule, path);
            self.changed = true;
            return Ok(());
        }
        let nothing = Sample {
            at: sys::now(),
            total: 0,
        };
        let alert = Alert::new(Rc::clone(rule), cgroup, nothing, false);
        self.try_arm(alert, None)
    }

    /// Arms what is not; a cgroup that a pattern matched may be gone by now, and
    /// then that is all. `was` is why it was disarmed, if it was.
    fn try_arm(&mut self, mut alert: Alert, was: Option<Failure>) -> Result<(), ArmError> {
        self.changed = true;
        let rule = Rc::clone(alert.rule());
        match self.open(&rule, alert.cgroup()) {
            Ok((trigger, averages)) => {
                let baseline = Sample {
                    at: sys::now(),
                    total: averages.total,
                };
                alert.rearm(baseline, trigger.is_privileged());
                self.monitors.arm(alert, trigger);
                Ok(())
            }
            Err(why) => {
                let removed = why.hint == Some(Hint::NoCgroup);
                if removed && rule.is_pattern() {
                    return Ok(());
                }
                let now = Failure {
                    errno: why.errno(),
                    hint: why.hint,
                };
                self.monitors
                    .add_unarmed(alert, was.filter(|_| removed).unwrap_or(now));
                Err(why)
            }
        }
    }

    /// Opens and arms. Where that can't be yet, we want to know when it can: a
    /// cgroup that is named may be created, pressure files that are switched off may
    /// be switched on. Then we look once more, for what has just happened.
    fn open(
        &mut self,
        rule: &Rule,
        cgroup: Option<&[u8]>,
    ) -> Result<(Trigger, Averages), ArmError> {
        self.sources.check(rule)?;
        if let (None, Some(file)) = (cgroup, self.passed.take(rule.resource)) {
            // one that is armed already, or is none, is as good as not passed
            if let Ok(armed) = Trigger::arm_opened(rule, file) {
                return Ok(armed);
            }
        }
        let armed = Trigger::arm(rule, cgroup, &self.roots);
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
    /// new cgroup of that name already; if not, a rule that names it waits for it.
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
            // what can't be armed is logged with the others of its rule
            Some(_) => drop(self.try_arm(alert, Some(failure))),
            None => self.monitors.add_unarmed(alert, failure),
        }
    }

    /// Gives room to cgroups that wait, and logs what is due of lost cgroups and of
    /// the cap; at a start or a reload, all that there is.
    pub(super) fn report_unarmed(&mut self, at_once: bool) {
        if self.changed {
            while let Some((rule, path)) = self.monitors.admit() {
                // what can't be armed is logged with the others of its rule
                let _ = self.arm_one(&rule, Some(&path));
            }
            self.monitors.recount(sys::now(), self.inotify_error());
            self.stop_following();
            self.changed = false;
            self.rebuild_poll_set();
            // what was armed has to stay as the rest does; may be refused likewise
            let _ = sys::lock_memory();
        }
        self.monitors.notify(sys::now(), at_once);
        self.carry_out();
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

/// What a trigger's file says if it is dead.
fn died_of(trigger: &Trigger) -> Option<Failure> {
    let error = trigger.read().err()?;
    Some(Failure::of(&error, None))
}
