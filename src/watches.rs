//! The set of what is watched: rules by the cgroups that they cover, the cap on
//! them, and what waits for room. Pure: `T` is an armed trigger, which nobody here
//! touches.

use std::rc::Rc;

use crate::account::Account;
use crate::lapse::Lapse;
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// A service that restarts is back within this time.
const SETTLE: Micros = Micros::secs(1);
/// One line of lost cgroups a rule and minute, one of the cap in ten.
const LOST_PAUSE: Micros = Micros::secs(60);
const CAPPED_PAUSE: Micros = Micros::secs(600);

/// Why something is not armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Failure {
    /// errno(3).
    pub errno: i32,
    /// The token of what would help.
    pub hint: Option<&'static str>,
}

/// A rule, one place where it looks, and its trigger there.
pub struct Watch<T> {
    /// What is told of it.
    pub account: Account,
    /// The trigger.
    pub trigger: T,
}

/// A rule and a place that should be watched, but isn't.
pub struct Lost {
    /// What will be told of it.
    pub account: Account,
    /// Why.
    pub failure: Failure,
}

/// Where a watch is: in which list, and where in it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Found {
    /// In the list of what is armed.
    Armed(usize),
    /// In the other.
    Lost(usize),
}

/// A rule in force.
pub struct Ruled {
    /// The rule.
    pub rule: Rc<Rule>,
    /// Its cgroups that are not armed.
    pub lost: Lapse,
    /// Those that the cap leaves out.
    pub capped: Lapse,
}

impl Ruled {
    /// A rule of which nothing was told yet.
    pub fn new(rule: Rule) -> Ruled {
        Ruled {
            rule: rule.into(),
            lost: Lapse::new(SETTLE, LOST_PAUSE),
            capped: Lapse::new(SETTLE, CAPPED_PAUSE),
        }
    }
}

/// A cgroup for which a rule has no room.
struct Waiting {
    rule: Rc<Rule>,
    path: Box<[u8]>,
}

/// Everything that is watched.
pub struct Watches<T> {
    /// The rules in force.
    pub rules: Vec<Ruled>,
    /// What is armed, in the order of the poll array. Nothing else has a place
    /// there: poll(2) takes no more places than there may be descriptors.
    pub list: Vec<Watch<T>>,
    /// What is not.
    pub lost: Vec<Lost>,
    waiting: Vec<Waiting>,
    max: usize,
}

impl<T> Watches<T> {
    /// Nothing, and room for so many triggers on cgroups.
    pub fn new(max: usize) -> Watches<T> {
        Watches {
            rules: Vec::new(),
            list: Vec::new(),
            lost: Vec::new(),
            waiting: Vec::new(),
            max,
        }
    }

    /// Where a rule's watch of a place is.
    pub fn find(&self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) -> Option<Found> {
        let wanted = |account: &Account| account.is_of(rule, cgroup);
        let armed = self.list.iter().position(|watch| wanted(&watch.account));
        let lost = || self.lost.iter().position(|lost| wanted(&lost.account));
        armed.map(Found::Armed).or_else(|| lost().map(Found::Lost))
    }

    /// The rules that cover a cgroup.
    pub fn covering(&self, path: &[u8]) -> Vec<Rc<Rule>> {
        let rules = self.rules.iter().map(|ruled| &ruled.rule);
        rules.filter(|rule| rule.covers(path)).cloned().collect()
    }

    /// Whether a cgroup can appear below this path that is to be armed. One that is
    /// named and armed is not waited for: its own trigger tells of its end.
    pub fn reach_below(&self, path: &[u8]) -> bool {
        let waits = |rule: &Rc<Rule>| rule.is_pattern() || self.first_lost(rule).is_some();
        let mut rules = self.rules.iter().map(|ruled| &ruled.rule);
        rules.any(|rule| rule.reaches_below(path) && waits(rule))
    }

    /// Whether one more trigger is within the cap.
    pub fn has_room(&self) -> bool {
        self.on_cgroups() < self.max
    }

    /// One that is lost keeps its place.
    fn on_cgroups(&self) -> usize {
        let armed = self.list.iter().map(|watch| &watch.account);
        let all = armed.chain(self.lost.iter().map(|lost| &lost.account));
        all.filter(|account| account.cgroup().is_some()).count()
    }

    /// The newest watch of a pattern that is over the cap.
    pub fn surplus(&self) -> Option<usize> {
        let over = self.on_cgroups() > self.max;
        let by_pattern = |watch: &Watch<T>| watch.account.rule().is_pattern();
        over.then(|| self.list.iter().rposition(by_pattern))?
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

    /// Nobody is known to wait: the tree is looked at anew.
    pub fn forget_waiting(&mut self) {
        self.waiting.clear();
    }

    /// Who has waited longest, if there is room.
    pub fn admit(&mut self) -> Option<(Rc<Rule>, Box<[u8]>)> {
        if self.waiting.is_empty() || !self.has_room() {
            return None;
        }
        let Waiting { rule, path } = self.waiting.remove(0);
        Some((rule, path))
    }

    /// A cgroup has gone: no pattern has anything to do with it any more. Whether
    /// one had.
    pub fn forget(&mut self, path: &[u8]) -> bool {
        let before = self.waiting.len() + self.lost.len();
        self.waiting.retain(|waiting| *waiting.path != *path);
        self.lost.retain(|Lost { account, .. }| {
            account.cgroup() != Some(path) || !account.rule().is_pattern()
        });
        self.waiting.len() + self.lost.len() < before
    }

    /// Puts other rules in force. A watch that one of them covers as before stays
    /// as it is; the others are returned. The numbers of rules that are new, and
    /// that are gone.
    pub fn set_rules(&mut self, rules: &[Rule], max: usize) -> (Vec<Watch<T>>, usize, usize) {
        let mut before = std::mem::take(&mut self.rules);
        let mut added = 0;
        for rule in rules {
            let known = before.iter().position(|ruled| *ruled.rule == *rule);
            self.rules.push(match known {
                Some(at) => before.swap_remove(at),
                None => {
                    added += 1;
                    Ruled::new(rule.clone())
                }
            });
        }
        self.max = max;
        // what waits is found again by a look at the tree
        self.waiting.clear();
        let rules = &self.rules;
        let inherited = |account: &mut Account| {
            let heir = rules.iter().find(|ruled| account.can_be_of(&ruled.rule));
            heir.map(|ruled| account.set_rule(&ruled.rule)).is_some()
        };
        self.lost.retain_mut(|lost| inherited(&mut lost.account));
        let mut dropped = Vec::new();
        for mut watch in std::mem::take(&mut self.list) {
            match inherited(&mut watch.account) {
                true => self.list.push(watch),
                false => dropped.push(watch),
            }
        }
        (dropped, added, before.len())
    }

    /// Counts anew what each rule has lost and what the cap leaves out; `blind`
    /// patterns have lost what they can't see coming.
    pub fn count(&mut self, now: Moment, blind: bool) {
        for ruled in &mut self.rules {
            let rule = &ruled.rule;
            let of_rule = |lost: &&Lost| lost.account.is_under(rule);
            let lost = self.lost.iter().filter(of_rule).count();
            let blind = usize::from(blind && rule.is_pattern());
            ruled.lost.set(now, lost.max(blind));
            ruled.capped.set(now, capped(&self.waiting, rule));
        }
    }

    /// How many cgroups of a rule wait for room.
    pub fn capped(&self, rule: &Rc<Rule>) -> usize {
        capped(&self.waiting, rule)
    }

    /// The first place of a rule that is not armed, and why.
    pub fn first_lost(&self, rule: &Rc<Rule>) -> Option<&Lost> {
        self.lost.iter().find(|lost| lost.account.is_under(rule))
    }

    /// When there is something to tell of lost cgroups or of the cap.
    pub fn deadline(&self) -> Option<Moment> {
        let lapses = self
            .rules
            .iter()
            .flat_map(|ruled| [&ruled.lost, &ruled.capped]);
        lapses.filter_map(Lapse::deadline).min()
    }
}

fn capped(waiting: &[Waiting], rule: &Rc<Rule>) -> usize {
    let of_rule = |waiting: &&Waiting| Rc::ptr_eq(&waiting.rule, rule);
    waiting.iter().filter(of_rule).count()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::episode::Sample;

    const NOW: Moment = Moment(1_000_000_000);
    const START: Sample = Sample { at: NOW, total: 0 };

    fn rule(text: &str) -> Rule {
        Rule::parse(text.split(' ')).unwrap()
    }

    fn watches(max: usize, rules: &[&str]) -> Watches<u32> {
        let mut watches = Watches::new(max);
        let rules: Vec<Rule> = rules.iter().map(|text| rule(text)).collect();
        watches.set_rules(&rules, max);
        watches
    }

    /// As the daemon does, with the path's length for a trigger.
    fn came(watches: &mut Watches<u32>, path: &[u8]) {
        for rule in watches.covering(path) {
            if rule.is_pattern() && !watches.has_room() {
                watches.wait(&rule, path);
                continue;
            }
            let account = Account::of_cgroup(rule, path, START, false);
            let trigger = path.len() as u32;
            watches.list.push(Watch { account, trigger });
        }
    }

    fn paths(watches: &Watches<u32>) -> Vec<String> {
        let cgroup = |watch: &Watch<u32>| {
            let path = watch.account.cgroup().unwrap_or(b"/");
            format!(
                "{}{}",
                watch.account.rule().name,
                String::from_utf8_lossy(path)
            )
        };
        watches.list.iter().map(cgroup).collect()
    }

    #[test]
    fn who_waited_longest_gets_the_room_and_a_named_cgroup_needs_none() {
        let mut watches = watches(
            2,
            &["io full 1%/2s cgroup=/* name=p", "io full 1%/2s cgroup=/z"],
        );
        for path in [&b"/a"[..], b"/b", b"/c", b"/d", b"/z"] {
            came(&mut watches, path);
        }
        assert_eq!(paths(&watches), ["p/a", "p/b", "io-full/z"]);
        let pattern = Rc::clone(&watches.rules[0].rule);
        assert_eq!(watches.capped(&pattern), 3);
        assert!(watches.admit().is_none());
        assert!(watches.forget(b"/c") && !watches.forget(b"/c"));
        watches.list.swap_remove(0);
        watches.list.swap_remove(0);
        let (_, path) = watches.admit().unwrap();
        assert_eq!(*path, *b"/d");
    }

    #[test]
    fn a_cgroup_that_is_told_of_twice_waits_once() {
        let mut watches = watches(1, &["io full 1%/2s cgroup=/*"]);
        for path in [b"/a", b"/b", b"/b"] {
            came(&mut watches, path);
        }
        let rule = Rc::clone(&watches.rules[0].rule);
        assert_eq!(watches.capped(&rule), 1);
    }

    #[test]
    fn new_rules_keep_what_they_cover_in_the_same_way() {
        let before = [
            "io full 1%/2s cgroup=/*/* name=p",
            "io full 2%/2s cgroup=/a/x name=q",
        ];
        let mut watches = watches(9, &before);
        for path in [b"/a/x", b"/a/y", b"/b/x"] {
            came(&mut watches, path);
        }
        let after = [
            rule("io full 1%/2s cgroup=/a/** name=p except=/a/y"),
            rule("io full 3%/2s cgroup=/a/x name=q"),
        ];
        let (dropped, added, removed) = watches.set_rules(&after, 9);
        assert_eq!(
            (paths(&watches), added, removed),
            (vec!["p/a/x".into()], 2, 2)
        );
        assert!(Rc::ptr_eq(
            &watches.rules[0].rule,
            &watches.covering(b"/a/z")[0]
        ));
        let found = watches.find(&watches.rules[0].rule, Some(b"/a/x"));
        assert_eq!(found, Some(Found::Armed(0)));
        assert_eq!(dropped.len(), 3);
        let again = watches.rules.iter().map(|ruled| (*ruled.rule).clone());
        let again: Vec<Rule> = again.collect();
        let (dropped, added, removed) = watches.set_rules(&again, 9);
        assert_eq!((dropped.len(), added, removed), (0, 0, 0));
    }

    #[test]
    fn a_lower_cap_has_a_surplus_of_patterns_alone() {
        let rules = [
            "io full 1%/2s cgroup=/* name=p",
            "io full 1%/2s cgroup=/z name=z",
        ];
        let mut watches = watches(9, &rules);
        for path in [b"/a", b"/b", b"/z"] {
            came(&mut watches, path);
        }
        assert_eq!(watches.surplus(), None);
        watches.max = 2;
        assert_eq!(watches.surplus(), Some(2));
        watches.list.truncate(3);
        assert_eq!(paths(&watches), ["p/a", "p/b", "p/z"]);
    }

    #[test]
    fn what_is_lost_is_counted_by_rule() {
        let rules = ["io full 1%/2s cgroup=/* name=p", "io full 1%/2s name=whole"];
        let mut watches = watches(9, &rules);
        for path in [b"/a", b"/b"] {
            came(&mut watches, path);
        }
        let failure = Failure {
            errno: libc::EMFILE,
            hint: None,
        };
        let Watch { account, .. } = watches.list.swap_remove(1);
        watches.lost.push(Lost { account, failure });
        watches.count(NOW, false);
        assert_eq!(watches.deadline(), Some(NOW + SETTLE));
        let rule = Rc::clone(&watches.rules[0].rule);
        assert_eq!(watches.find(&rule, Some(b"/b")), Some(Found::Lost(0)));
        let lost = watches.first_lost(&rule).map(|lost| lost.failure);
        assert_eq!(lost, Some(failure));
        assert_eq!(watches.rules[0].lost.tell_at_once(NOW), Some(1));
        assert_eq!(watches.rules[1].lost.tell_at_once(NOW), None);
        watches.forget(b"/b");
        assert!(watches.lost.is_empty());
        watches.count(NOW, true);
        assert_eq!(watches.rules[0].lost.tell_at_once(NOW), None);
        watches.count(NOW, false);
        assert_eq!(watches.rules[0].lost.tell_at_once(NOW), Some(0));
    }
}
