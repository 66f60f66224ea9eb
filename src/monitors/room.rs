//! Room under the cap: what waits for it.

use std::collections::BTreeMap;
use std::rc::Rc;

use super::Monitors;
use crate::rule::Rule;

/// Cgroups for which rules have no room, by the address of the rule.
#[derive(Default)]
pub(super) struct Waiting(BTreeMap<*const Rule, Queue>);

/// The cgroups of one rule by their paths.
struct Queue {
    rule: Rc<Rule>,
    paths: std::collections::BTreeSet<Box<[u8]>>,
}

impl Waiting {
    pub fn remove(&mut self, rule: &Rc<Rule>, path: &[u8]) -> bool {
        let queue = self.0.get_mut(&Rc::as_ptr(rule));
        queue.is_some_and(|queue| queue.paths.remove(path))
    }

    /// How many of a rule wait.
    pub fn of(&self, rule: &Rc<Rule>) -> usize {
        let queue = self.0.get(&Rc::as_ptr(rule));
        queue.map_or(0, |queue| queue.paths.len())
    }
}

impl<T> Monitors<T> {
    /// Sets a cgroup aside until there is room.
    pub fn wait(&mut self, rule: &Rc<Rule>, path: &[u8]) {
        let queue = self.waiting.0.entry(Rc::as_ptr(rule));
        let queue = queue.or_insert_with(|| Queue {
            rule: Rc::clone(rule),
            paths: Default::default(),
        });
        queue.paths.insert(path.into());
    }

    /// No cgroup is known to wait: the tree is scanned anew.
    pub fn forget_waiting(&mut self) {
        self.waiting = Waiting::default();
    }

    /// One that has waited, if there is room.
    pub fn admit(&mut self) -> Option<(Rc<Rule>, Box<[u8]>)> {
        if !self.has_room() {
            return None;
        }
        let mut queues = self.waiting.0.values_mut();
        queues.find_map(|queue| Some((Rc::clone(&queue.rule), queue.paths.pop_first()?)))
    }
}
