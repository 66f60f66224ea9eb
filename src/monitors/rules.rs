//! The rules in force, and what each may still log.

use std::rc::Rc;

use super::notice::Notice;
use super::{Monitor, Monitors, Unarmed};
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
    fn new(rule: &Rule, lines: Option<u32>, now: Moment) -> RuleInForce {
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
        let mut before = std::mem::take(&mut self.rules);
        let mut added = 0;
        for rule in rules {
            let known = before.iter().position(|other| *other.rule == *rule);
            self.rules.push(match known {
                Some(at) => before.swap_remove(at),
                None => {
                    added += 1;
                    RuleInForce::new(rule, lines, now)
                }
            });
        }
        if lines != self.lines {
            self.rules
                .iter_mut()
                .for_each(|rule| rule.limit.set(lines, now));
        }
        (self.max, self.lines) = (max, lines);
        // the limit may be another
        self.descriptors = None;
        let removed = before.len();
        // what waits is found again by a look at the tree
        self.waiting.clear();
        self.hand_over();
        self.rules
            .extend(before.into_iter().map(|rule| RuleInForce {
                retiring: true,
                ..rule
            }));
        self.retire_surplus();
        Reloaded { added, removed }
    }

    /// Gives what is watched to the rules that cover it now.
    fn hand_over(&mut self) {
        let rules = &self.rules;
        let inherited = |alert: &mut Alert| {
            let heir = rules.iter().find(|heir| alert.can_be_of(&heir.rule));
            heir.map(|heir| alert.set_rule(&heir.rule)).is_some()
        };
        self.unarmed
            .retain_mut(|Unarmed { alert, .. }| inherited(alert));
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
        let retired: Vec<Monitor<T>> = retired;
        retired.into_iter().map(|monitor| monitor.trigger).collect()
    }
}

/// The rate limit of a rule in force.
pub(super) fn limit_of<'a>(
    rules: &'a mut [RuleInForce],
    rule: &Rc<Rule>,
) -> Option<&'a mut RateLimit> {
    let found = rules.iter_mut().find(|other| Rc::ptr_eq(&other.rule, rule));
    found.map(|rule| &mut rule.limit)
}
