//! The rules in force, and what each may still log.

use std::rc::Rc;

use super::index::{Coverage, Index, key};
use super::notice::Notice;
use super::room::Kept;
use super::{Monitor, Monitors};
use crate::alert::{Alert, RateLimit};
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// A service that restarts is back within this time.
pub(super) const SETTLE: Micros = Micros::secs(1);
/// One line about lost cgroups per rule and minute, one about the cap in ten.
const LOST_PAUSE: Micros = Micros::secs(60);
const CAPPED_PAUSE: Micros = Micros::secs(600);

/// A rule in force.
pub(super) struct RuleInForce {
    pub rule: Rc<Rule>,
    /// How many lines it may write.
    pub limit: RateLimit,
    /// Its cgroups that are not armed.
    pub lost: Notice,
    /// Those that the cap leaves out.
    pub capped: Notice,
    /// Whether it goes as soon as its episodes are closed.
    pub retiring: bool,
}

/// What a reload has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reloaded {
    /// Rules that are new.
    pub added: usize,
    /// Rules that were removed.
    pub removed: usize,
}

impl RuleInForce {
    pub fn new(rule: &Rule, lines: Option<u32>, now: Moment) -> RuleInForce {
        RuleInForce {
            rule: Rc::new(rule.clone()),
            limit: RateLimit::new(lines, now),
            lost: Notice::new(SETTLE, LOST_PAUSE),
            capped: Notice::new(SETTLE, CAPPED_PAUSE),
            retiring: false,
        }
    }
}

impl<T> Monitors<T> {
    /// Puts other rules in force. A monitor that one of them covers as before stays as
    /// it is. The others, and those over the cap, retire: they are closed by the tasks
    /// that [`Monitors::retire`] starts, and removed by [`Monitors::remove_retired`].
    pub fn set_rules(
        &mut self,
        rules: &[Rule],
        max: usize,
        lines: Option<u32>,
        now: Moment,
    ) -> Reloaded {
        let (added, retired) = self.replace_rules(rules, lines, now);
        if lines != self.lines {
            self.rules
                .iter_mut()
                .for_each(|rule| rule.limit.set(lines, now));
        }
        (self.max, self.lines) = (max, lines);
        // the limit may be another
        self.descriptors = None;
        let removed = retired.len();
        // what waits is found again by a look at the tree
        self.forget_waiting();
        self.kept = Kept::default();
        self.coverage = Coverage::of(&self.rules);
        self.hand_over();
        self.rules
            .extend(retired.into_iter().map(|rule| RuleInForce {
                retiring: true,
                ..rule
            }));
        self.index();
        self.retire_surplus();
        Reloaded { added, removed }
    }

    /// Keeps the rules that are unchanged; how many are new, and those that were.
    fn replace_rules(
        &mut self,
        rules: &[Rule],
        lines: Option<u32>,
        now: Moment,
    ) -> (usize, Vec<RuleInForce>) {
        let before = std::mem::take(&mut self.rules);
        let names: Vec<_> = before.iter().map(|known| Rc::clone(&known.rule)).collect();
        let by_name = Index::of(names.len(), &|a, b| names[a].name.cmp(&names[b].name));
        let mut before: Vec<_> = before.into_iter().map(Some).collect();
        let (mut added, mut retired) = (0, Vec::new());
        for rule in rules {
            let known = by_name.find(|at| names[at].name.cmp(&rule.name));
            match known.and_then(|at| before[at].take()) {
                Some(known) if *known.rule == *rule => self.rules.push(known),
                other => {
                    retired.extend(other);
                    added += 1;
                    self.rules.push(RuleInForce::new(rule, lines, now));
                }
            }
        }
        retired.extend(before.into_iter().flatten());
        (added, retired)
    }

    /// After the rules, or the rules of alerts, have changed.
    fn index(&mut self) {
        let address = |at: usize| Rc::as_ptr(&self.rules[at].rule);
        self.by_address = Index::of(self.rules.len(), &|a, b| address(a).cmp(&address(b)));
        let of = |at: usize| key(&self.armed[at].alert);
        self.by_key = Index::of(self.armed.len(), &|a, b| of(a).cmp(&of(b)));
        self.unarmed
            .sort_unstable_by(|a, b| key(&a.alert).cmp(&key(&b.alert)));
    }

    /// Gives what is watched to the rules that cover it now.
    fn hand_over(&mut self) {
        let rule = |at: usize| &self.rules[at].rule;
        let by_name = Index::of(self.rules.len(), &|a, b| rule(a).name.cmp(&rule(b).name));
        let inherited = |alert: &mut Alert| {
            let heir = by_name.find(|at| rule(at).name.cmp(&alert.rule().name));
            let heir = heir.map(rule);
            let heir = heir.filter(|heir| alert.can_be_of(heir));
            heir.map(|heir| alert.set_rule(heir)).is_some()
        };
        self.unarmed.retain_mut(|other| inherited(&mut other.alert));
        for Monitor {
            alert, retiring, ..
        } in &mut self.armed
        {
            *retiring = !inherited(alert);
        }
    }

    /// The newest cgroups of patterns that are over the cap.
    fn retire_surplus(&mut self) {
        let staying = |monitor: &&Monitor<T>| !monitor.retiring && monitor.alert.cgroup().is_some();
        let lost = self
            .unarmed
            .iter()
            .filter(|unarmed| unarmed.alert.cgroup().is_some());
        let count = self.armed.iter().filter(staying).count() + lost.count();
        let by_pattern =
            |monitor: &&mut Monitor<T>| !monitor.retiring && monitor.alert.rule().is_pattern();
        let surplus = count.saturating_sub(self.max);
        for monitor in self.armed.iter_mut().rev().filter(by_pattern).take(surplus) {
            monitor.retiring = true;
        }
    }

    /// Removes what has retired: its triggers, to be closed.
    pub fn remove_retired(&mut self) -> Vec<T> {
        self.rules.retain(|rule| !rule.retiring);
        let (retired, armed) = std::mem::take(&mut self.armed)
            .into_iter()
            .partition(|monitor| monitor.retiring);
        self.armed = armed;
        self.index();
        let retired: Vec<Monitor<T>> = retired;
        retired.into_iter().map(|monitor| monitor.trigger).collect()
    }
}

/// The rate limit of a rule in force.
pub(super) fn limit_of<'a>(
    rules: &'a mut [RuleInForce],
    by_address: &Index,
    rule: &Rc<Rule>,
) -> Option<&'a mut RateLimit> {
    let wanted = Rc::as_ptr(rule);
    let at = by_address.find(|at| Rc::as_ptr(&rules[at].rule).cmp(&wanted))?;
    Some(&mut rules[at].limit)
}
