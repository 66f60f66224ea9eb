//! Where something in the watched set is, without a look at all of it: whoever compares
//! each of thousands of rules or cgroups with each is deaf for seconds.

use std::cmp::Ordering;
use std::rc::Rc;

use super::rules::RuleInForce;
use crate::alert::Alert;
use crate::rule::Rule;

/// What distinguishes alerts: the rule and the cgroup. Those of one rule are together.
pub(super) type Key<'a> = (*const Rule, Option<&'a [u8]>);

/// The key of an alert.
pub(super) fn key(alert: &Alert) -> Key<'_> {
    (Rc::as_ptr(alert.rule()), alert.cgroup())
}

/// Positions in a list, in the order of what is there.
#[derive(Default)]
pub(super) struct Index(Vec<u32>);

impl Index {
    /// Of a whole list of this length.
    pub fn of(length: usize, order: &dyn Fn(usize, usize) -> Ordering) -> Index {
        // a list has at most as many items as there are descriptors, or lines of a file
        let mut positions: Vec<u32> = (0..length as u32).collect();
        positions.sort_unstable_by(|a, b| order(*a as usize, *b as usize));
        Index(positions)
    }

    /// The slot of what compares equal, or the one where it would be.
    pub fn slot(&self, order: impl Fn(usize) -> Ordering) -> Result<usize, usize> {
        self.0
            .binary_search_by(|position| order(*position as usize))
    }

    /// The position of what compares equal.
    pub fn find(&self, order: impl Fn(usize) -> Ordering) -> Option<usize> {
        let slot = self.slot(order).ok()?;
        self.0.get(slot).map(|position| *position as usize)
    }

    /// The positions of all that compare equal.
    pub fn all(&self, order: impl Fn(usize) -> Ordering) -> impl Iterator<Item = usize> {
        let from = self
            .0
            .partition_point(|at| order(*at as usize) == Ordering::Less);
        let rest = self.0[from..].iter().map(|position| *position as usize);
        rest.take_while(move |position| order(*position) == Ordering::Equal)
    }

    /// Adds a position at a slot.
    pub fn insert(&mut self, slot: usize, position: usize) {
        self.0.insert(slot, position as u32);
    }

    /// Takes a slot out.
    pub fn remove(&mut self, slot: usize) {
        self.0.remove(slot);
    }

    /// What is at this slot is at another position.
    pub fn set(&mut self, slot: usize, position: usize) {
        self.0[slot] = position as u32;
    }
}

/// The rules in force by what they watch, as their positions.
#[derive(Default)]
pub(super) struct Coverage {
    /// Those that name a cgroup, in the order of their paths.
    named: Vec<(Box<[u8]>, u32)>,
    /// Those with wildcards.
    patterns: Vec<u32>,
    /// How many watch the whole system.
    pub whole: usize,
}

impl Coverage {
    pub fn of(rules: &[RuleInForce]) -> Coverage {
        let mut coverage = Coverage::default();
        for (at, RuleInForce { rule, .. }) in (0..).zip(rules) {
            match rule.cgroup.as_ref().map(|pattern| pattern.plain()) {
                None => coverage.whole += 1,
                Some(Some(path)) => coverage.named.push((path.into(), at)),
                Some(None) => coverage.patterns.push(at),
            }
        }
        coverage.named.sort_unstable();
        coverage
    }

    /// Rules with wildcards.
    pub fn patterns(&self) -> impl Iterator<Item = usize> {
        self.patterns.iter().map(|at| *at as usize)
    }

    /// Rules that name this cgroup.
    pub fn naming<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let from = self.named.partition_point(|(named, _)| **named < *path);
        let rest = self.named[from..].iter();
        rest.take_while(move |(named, _)| **named == *path)
            .map(|(_, at)| *at as usize)
    }

    /// Rules that name a cgroup below this one.
    pub fn naming_below<'a>(&'a self, path: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let above = path.strip_suffix(b"/").unwrap_or(path);
        let is_below = move |named: &[u8]| {
            named
                .strip_prefix(above)
                .is_some_and(|rest| rest.len() > 1 && rest.starts_with(b"/"))
        };
        let first = |named: &[u8]| named.iter().lt(above.iter().chain(b"/"));
        let from = self.named.partition_point(|(named, _)| first(named));
        let rest = self.named[from..].iter();
        // the mount itself is no cgroup below it
        rest.skip_while(|(named, _)| **named == *b"/")
            .take_while(move |(named, _)| is_below(named))
            .map(|(_, at)| *at as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Moment;

    fn coverage(paths: &[&str]) -> Coverage {
        let rules: Vec<_> = paths
            .iter()
            .map(|path| {
                let rule = Rule::parse(format!("io full 1%/2s cgroup={path}").split(' '));
                RuleInForce::new(&rule.unwrap(), None, Moment(0))
            })
            .collect();
        Coverage::of(&rules)
    }

    #[test]
    fn named_cgroups_are_found_by_path_and_by_what_is_above_them() {
        let coverage = coverage(&["/a/b", "/a-b", "/", "/a", "/a/b/c", "/b", "/a/*", "/a"]);
        let naming = |path: &[u8]| coverage.naming(path).collect::<Vec<_>>();
        assert_eq!(naming(b"/a"), [3, 7]);
        assert_eq!(naming(b"/a/"), [0; 0]);
        assert_eq!(naming(b"/"), [2]);
        let below = |path: &[u8]| coverage.naming_below(path).collect::<Vec<_>>();
        assert_eq!(below(b"/a"), [0, 4]);
        assert_eq!(below(b"/a/b"), [4]);
        assert_eq!(below(b"/"), [3, 7, 1, 0, 4, 5]);
        assert_eq!(below(b"/c"), [0; 0]);
        assert_eq!(coverage.patterns().collect::<Vec<_>>(), [6]);
    }

    #[test]
    fn an_index_finds_what_a_look_at_all_would() {
        let list = [5, 1, 4, 1, 3];
        let index = Index::of(list.len(), &|a, b| list[a].cmp(&list[b]).then(a.cmp(&b)));
        for wanted in 0..7 {
            let all: Vec<_> = index.all(|at| list[at].cmp(&wanted)).collect();
            let expected: Vec<_> = (0..5).filter(|at| list[*at] == wanted).collect();
            assert_eq!(all, expected);
            let found = index.find(|at| list[at].cmp(&wanted));
            assert_eq!(found.is_some(), !expected.is_empty());
        }
    }
}
