//! Cgroups that come and go, and triggers that are lost with them.

use super::*;
use crate::cgroup::Change;

impl Daemon {
    /// Arms whatever the rules cover and is not armed yet; `bad` gets the first
    /// failure of each rule.
    pub(super) fn cover(&mut self, bad: &mut Vec<BadRule>) {
        let mut first = |rule: &Rule, outcome: Result<(), BadTrigger>| {
            let known = bad.iter().any(|bad| bad.name == rule.name);
            if let (Err(why), false) = (outcome, known) {
                let name = rule.name.clone();
                bad.push(BadRule { name, why });
            }
        };
        // Watched first: what comes while we look is told.
        let found = self.scan();
        let rules = self
            .watches
            .rules
            .iter()
            .map(|ruled| Rc::clone(&ruled.rule));
        for rule in rules.collect::<Vec<_>>() {
            if rule.is_pattern() {
                if self.tree.is_none() {
                    first(&rule, self.trigger(&rule, Some(b"/")).map(drop));
                }
                continue;
            }
            let path = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
            first(&rule, self.watch(&rule, path.as_deref()));
        }
        for change in found {
            let Change::Came(path) = change else {
                continue;
            };
            for rule in self.watches.covering(&path) {
                first(&rule, self.watch(&rule, Some(&path)));
            }
        }
        self.changed = true;
    }

    /// Looks for all that is there, where any rule is about cgroups.
    fn scan(&mut self) -> Vec<Change> {
        let watches = &self.watches;
        self.tree.as_mut().map_or_else(Vec::new, |tree| {
            tree.scan(&|path| watches.reach_below(path))
        })
    }

    /// Takes what the tree has to tell.
    pub(super) fn take_changes(&mut self) {
        let watches = &self.watches;
        let Some(tree) = &mut self.tree else {
            return;
        };
        for change in tree.take(&|path| watches.reach_below(path)) {
            match change {
                Change::Came(path) => self.came(&path),
                Change::Gone(path) => self.gone(&path),
                Change::Unknown => self.look_again(),
            }
        }
    }

    /// Whether cgroups come without our being told.
    pub(super) fn is_blind(&self) -> bool {
        self.tree
            .as_ref()
            .is_some_and(|tree| tree.trouble().is_some())
    }

    /// Why no pattern's cgroups are seen, or not all that come.
    fn blindness(&self) -> Option<Failure> {
        let (errno, hint) = match &self.tree {
            None => (libc::ENOENT, Hint::Cgroup2),
            Some(tree) => match tree.trouble()? {
                libc::ENOENT => (libc::ENOENT, Hint::Cgroup2),
                errno => (errno, Hint::Inotify),
            },
        };
        let hint = Some(hint.token());
        Some(Failure { errno, hint })
    }

    /// Looks at everything, since we were not told what has changed.
    pub(super) fn look_again(&mut self) {
        for index in (0..self.watches.list.len()).rev() {
            if let Some(errno) = died_of(&self.watches.list[index].trigger) {
                self.lose(index, errno);
            }
        }
        self.watches.forget_waiting();
        for Lost { account, failure } in std::mem::take(&mut self.watches.lost) {
            let _ = self.enlist(account, Some(failure));
        }
        self.cover(&mut Vec::new());
    }

    fn came(&mut self, path: &[u8]) {
        for rule in self.watches.covering(path) {
            // what can't be armed is told with the others of its rule
            let _ = self.watch(&rule, Some(path));
        }
    }

    fn gone(&mut self, path: &[u8]) {
        self.changed |= self.watches.forget(path);
        for index in (0..self.watches.list.len()).rev() {
            let Watch { account, trigger } = &self.watches.list[index];
            // another cgroup of that name may have come before we heard of the end
            if account.cgroup() == Some(path) && died_of(trigger).is_some() {
                self.lose(index, libc::ENODEV);
            }
        }
    }

    /// Arms a rule for the whole system or one cgroup, unless it is.
    fn watch(&mut self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Result<(), BadTrigger> {
        match self.watches.find(rule, cgroup) {
            Some(Found::Armed(index)) => {
                if let Some(errno) = died_of(&self.watches.list[index].trigger) {
                    self.lose(index, errno);
                }
                return Ok(());
            }
            Some(Found::Lost(index)) => {
                let Lost { account, .. } = self.watches.lost.swap_remove(index);
                self.found |= !rule.is_pattern();
                return self.enlist(account, None);
            }
            None => {}
        }
        let baseline = Sample {
            at: sys::now(),
            total: 0,
        };
        let account = match cgroup {
            Some(path) if rule.is_pattern() && !self.watches.has_room() => {
                self.watches.wait(rule, path);
                self.changed = true;
                return Ok(());
            }
            Some(path) => Account::of_cgroup(Rc::clone(rule), path, baseline, false),
            None => Account::new(Rc::clone(rule), baseline, false),
        };
        self.enlist(account, None)
    }

    /// Arms what is not; a cgroup that a pattern matched may have gone by now, and
    /// then that is all. `was` is how it was lost, if it was.
    fn enlist(&mut self, mut account: Account, was: Option<Failure>) -> Result<(), BadTrigger> {
        self.changed = true;
        let rule = account.shared_rule();
        match self.trigger(&rule, account.cgroup()) {
            Ok((trigger, stall)) => {
                let baseline = Sample {
                    at: sys::now(),
                    total: stall.total,
                };
                account.rearm(baseline, trigger.is_privileged());
                let watch = Watch { account, trigger };
                self.slots.push(slot(&watch, &self.schedule));
                self.watches.list.push(watch);
                Ok(())
            }
            Err(why) => {
                let gone = why.hint == Some(Hint::NoCgroup);
                if gone && rule.is_pattern() {
                    return Ok(());
                }
                let now = Failure {
                    errno: why.errno(),
                    hint: why.hint.map(Hint::token),
                };
                let failure = was.filter(|_| gone).unwrap_or(now);
                self.watches.lost.push(Lost { account, failure });
                Err(why)
            }
        }
    }

    /// Opens and arms. Where that can't be yet, we want to know when it can: a
    /// cgroup that is named may come, pressure files that are switched off may be
    /// switched on. Then we look once more, for what has just happened.
    fn trigger(
        &mut self,
        rule: &Rule,
        cgroup: Option<&[u8]>,
    ) -> Result<(Trigger, Stall), BadTrigger> {
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
        if self.slots.len() > CGROUPS {
            self.slots[CGROUPS] = tree_slot(tree);
        }
        Trigger::arm(rule, cgroup, &self.roots)
    }

    /// The trigger is dead: its episode ends, its descriptor goes. There may be a
    /// new cgroup of that name already; if not, a rule that names it waits for it.
    pub(super) fn lose(&mut self, index: usize, errno: i32) {
        let Watch { mut account, .. } = self.watches.list.swap_remove(index);
        let at = self.triggers() + index;
        self.slots.swap_remove(at);
        self.changed = true;
        let sink = &mut self.sink;
        let out = &mut |report: &Report<'_>| sink.log(report);
        account.close(sys::now(), None, "gone", &mut self.ledger, out);
        let failure = Failure { errno, hint: None };
        match account.cgroup() {
            // what can't be armed is told with the others of its rule
            Some(_) => drop(self.enlist(account, Some(failure))),
            None => self.watches.lost.push(Lost { account, failure }),
        }
    }

    /// Gives room to those that wait, and tells what is due of lost cgroups and of
    /// the cap; at a start or a reload, what there is.
    pub(super) fn tell_lapses(&mut self, at_once: bool) {
        let now = sys::now();
        if self.changed {
            self.changed = false;
            while let Some((rule, path)) = self.watches.admit() {
                let _ = self.watch(&rule, Some(&path));
            }
            self.watches.count(now, self.blindness().is_some());
            self.changed = false;
            self.stop_following();
            self.settle_schedule();
            // what was armed has to stay as the rest does; may be refused likewise
            let _ = sys::lock_memory();
        } else if self.watches.deadline().is_none_or(|due| due > now) {
            return;
        }
        for index in 0..self.watches.rules.len() {
            let ruled = &mut self.watches.rules[index];
            let (lost, capped) = match at_once {
                true => (ruled.lost.tell_at_once(now), ruled.capped.tell_at_once(now)),
                false => (ruled.lost.tell(now), ruled.capped.tell(now)),
            };
            let rule = Rc::clone(&ruled.rule);
            if let Some(count) = lost {
                self.tell_lost(&rule, count, now, at_once);
            }
            if let Some(count) = capped {
                let (rule, max) = (&*rule, self.config.settings.max_triggers);
                self.tell(&Report::Capped { rule, count, max }, rule, now, at_once);
            }
        }
    }

    /// Where a cgroup that is named has come, nothing on the way to it matters any
    /// more: a host on which only others come and go is not to wake us.
    fn stop_following(&mut self) {
        let watches = &self.watches;
        if let (true, Some(tree)) = (self.found, &mut self.tree) {
            tree.prune(&|path| watches.reach_below(path));
        }
        self.found = false;
    }

    fn tell_lost(&mut self, rule: &Rc<Rule>, count: usize, now: Moment, free: bool) {
        if count == 0 {
            return self.tell(&Report::Restored(rule), rule, now, free);
        }
        let first = self.watches.first_lost(rule);
        let known = first.map(|lost| lost.failure);
        let Some(Failure { errno, hint }) = known.or_else(|| self.blindness()) else {
            return;
        };
        // a copy, as telling may not borrow what is watched
        let account = first.map(|lost| lost.account.clone());
        let place = account.as_ref().map_or(rule.place(), Account::place);
        let report = Report::Lost {
            rule,
            place,
            errno,
            hint,
            count,
        };
        self.tell(&report, rule, now, free);
    }

    /// Tells if the budget allows; a start and a reload pay nothing.
    fn tell(&mut self, report: &Report<'_>, rule: &Rule, now: Moment, free: bool) {
        match free || self.ledger.budget.line(now, rule.level) {
            true => self.sink.log(report),
            false => self.ledger.budget.hold(now, 1, 0),
        }
    }
}

/// What a trigger's file says if it is dead.
fn died_of(trigger: &Trigger) -> Option<i32> {
    let error = trigger.read().err()?;
    Some(error.raw_os_error().unwrap_or(libc::EIO))
}
