//! Room under the cap: what waits for it, and who gets it. It is shared among the names
//! that the first wildcard of a pattern matches: of `/user.slice/**`, each user has a
//! share. Whoever creates cgroups by the hundred takes no trigger from a share that has
//! fewer. What was armed and is removed keeps its place for a minute, so that a service
//! that restarts finds room.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::rc::Rc;

use super::Monitors;
use crate::pattern::Pattern;
use crate::rule::Rule;
use crate::sorted::SortedMap;
use crate::time::{Micros, Moment};

/// How long a place is kept.
const KEPT: Micros = Micros::secs(60);
/// So many places are kept at most, and of the cap an eighth: what comes once and never
/// again, such as a user's transient units, is not to leave the others out.
const KEPT_MAX: usize = 32;

/// Cgroups for which rules have no room, by the address of the rule.
#[derive(Default)]
pub(super) struct Waiting(SortedMap<*const Rule, Queue>);

/// Those of one share.
type Paths = SortedMap<Box<[u8]>, ()>;

/// The cgroups of one rule, by their shares and in the order of their paths.
struct Queue {
    rule: Rc<Rule>,
    shares: SortedMap<Box<[u8]>, Paths>,
    /// How many are in those.
    known: usize,
    /// How many others there were beside them.
    more: usize,
}

impl Queue {
    /// Keeps a cgroup, unless `most` are kept already, or an eighth of them of its share:
    /// then it is only counted.
    fn add(&mut self, path: &[u8], most: usize) {
        let Some(name) = name(&self.rule, path) else {
            return;
        };
        let known = self.shares.get(name);
        if known.is_some_and(|known| known.contains(path)) {
            return;
        }
        if self.known >= most || known.map_or(0, Paths::len) >= most / 8 {
            self.more += 1;
            return;
        }
        self.known += 1;
        let share = self.shares.or_insert_with(name.into(), Paths::default);
        share.insert(path.into(), ());
    }

    fn remove(&mut self, path: &[u8]) -> bool {
        let name = name(&self.rule, path).unwrap_or_default();
        let Some(share) = self.shares.get_mut(name) else {
            return false;
        };
        let removed = share.remove(path).is_some();
        if share.is_empty() {
            self.shares.remove(name);
        }
        self.known -= usize::from(removed);
        removed
    }
}

impl Waiting {
    /// Takes a cgroup out that is armed now.
    pub fn remove(&mut self, rule: &Rc<Rule>, path: &[u8]) -> bool {
        let queue = self.0.get_mut(&Rc::as_ptr(rule));
        queue.is_some_and(|queue| queue.remove(path))
    }

    /// A cgroup that was not armed was removed; whether it had waited.
    pub fn forget(&mut self, rule: &Rc<Rule>, path: &[u8]) -> bool {
        let Some(queue) = self.0.get_mut(&Rc::as_ptr(rule)) else {
            return false;
        };
        let counted = queue.more > 0;
        if queue.remove(path) {
            return true;
        }
        queue.more -= usize::from(counted);
        counted
    }

    /// How many of a rule wait.
    pub fn of(&self, rule: &Rc<Rule>) -> usize {
        let queue = self.0.get(&Rc::as_ptr(rule));
        queue.map_or(0, |queue| queue.known + queue.more)
    }

    fn is_empty(&self) -> bool {
        self.0.iter().all(|(_, queue)| queue.known == 0)
    }
}

/// A place that is kept.
struct Place {
    until: Moment,
    rule: Rc<Rule>,
    path: Box<[u8]>,
}

/// The places that are kept, the oldest first.
#[derive(Default)]
pub(super) struct Kept(VecDeque<Place>);

/// What a share has.
#[derive(Default)]
struct Share<'a> {
    armed: usize,
    /// Those of the armed that could go, the newest last.
    quiet: Vec<usize>,
    /// Those without a trigger, the last in the order of their paths first.
    waiting: Vec<(&'a Rc<Rule>, &'a [u8])>,
}

/// Rules and cgroups that get room.
type Admitted = Vec<(Rc<Rule>, Box<[u8]>)>;

/// Who gets room, and who loses it.
pub struct Turnover<T> {
    /// Triggers to be closed.
    pub evicted: Vec<T>,
    /// Cgroups to be armed.
    pub admitted: Admitted,
}

impl<T> Monitors<T> {
    /// Whether one more trigger is within the cap, and a descriptor may be left for it.
    pub fn has_room(&self) -> bool {
        self.room() > 0
    }

    fn room(&self) -> usize {
        let taken = self.on_cgroups() + self.kept.0.len();
        match self.is_short() {
            true => 0,
            false => self.max.saturating_sub(taken),
        }
    }

    /// Sets a cgroup aside until there is room.
    pub fn wait(&mut self, rule: &Rc<Rule>, path: &[u8]) {
        let waiting = &mut self.waiting.0;
        let queue = waiting.or_insert_with(Rc::as_ptr(rule), || Queue {
            rule: Rc::clone(rule),
            shares: SortedMap::default(),
            known: 0,
            more: 0,
        });
        queue.add(path, bound(self.max));
    }

    /// How many cgroups that wait are kept for each rule, and directories for inotify:
    /// what others create takes no more memory than that.
    pub fn bound(&self) -> usize {
        bound(self.max)
    }

    /// Whether there is room for cgroups that were only counted: a look at the tree finds
    /// them.
    pub fn lacks_paths(&self) -> bool {
        self.has_room() && self.waiting.0.iter().any(|(_, queue)| queue.more > 0)
    }

    /// No cgroup is known to wait: the tree is scanned anew.
    pub fn forget_waiting(&mut self) {
        self.waiting = Waiting::default();
    }

    /// Keeps the place of a cgroup that was armed and is removed.
    pub fn keep(&mut self, rule: &Rc<Rule>, path: &[u8], now: Moment) {
        let most = KEPT_MAX.min(self.max / 8);
        let kept = &mut self.kept.0;
        kept.push_back(Place {
            until: now + KEPT,
            rule: Rc::clone(rule),
            path: path.into(),
        });
        while kept.len() > most {
            kept.pop_front();
        }
    }

    /// Takes the place that was kept for a cgroup, if one was.
    pub fn take_place(&mut self, rule: &Rc<Rule>, path: &[u8]) -> bool {
        let kept = &mut self.kept.0;
        let is = |place: &Place| Rc::ptr_eq(&place.rule, rule) && *place.path == *path;
        let at = kept.iter().position(is);
        at.is_some_and(|at| kept.remove(at).is_some())
    }

    /// When a place is kept no longer, if anything waits for it.
    pub(super) fn place_deadline(&self) -> Option<Moment> {
        let first = self.kept.0.front().filter(|_| !self.waiting.is_empty());
        first.map(|place| place.until)
    }

    /// Gives up places that were kept long enough; whether any was.
    pub fn give_up_places(&mut self, now: Moment) -> bool {
        let kept = &mut self.kept.0;
        let before = kept.len();
        while kept.front().is_some_and(|place| place.until <= now) {
            kept.pop_front();
        }
        kept.len() < before
    }

    /// Gives room to what waits, the share with the fewest triggers first. Without room,
    /// the share with the most gives its newest quiet trigger to one that has at least
    /// two fewer, and waits instead.
    pub fn share_room(&mut self) -> Turnover<T> {
        let mut turnover = Turnover {
            evicted: Vec::new(),
            admitted: Vec::new(),
        };
        if self.waiting.is_empty() {
            return turnover;
        }
        let (mut evicted, admitted) = divide(self.shares(), self.room());
        turnover.admitted = admitted;
        for (rule, path) in &turnover.admitted {
            self.waiting.remove(rule, path);
        }
        // the last one takes the place of one that is disarmed
        evicted.sort_unstable();
        for index in evicted.into_iter().rev() {
            let (alert, trigger) = self.disarm(index);
            if let Some(path) = alert.cgroup() {
                self.wait(alert.rule(), path);
            }
            turnover.evicted.push(trigger);
        }
        turnover
    }

    fn shares(&self) -> Vec<Share<'_>> {
        let mut shares = SortedMap::<(*const Rule, &[u8]), Share<'_>>::default();
        for (index, monitor) in self.armed.iter().enumerate() {
            let alert = &monitor.alert;
            let Some(name) = alert.cgroup().and_then(|path| name(alert.rule(), path)) else {
                continue;
            };
            let share = shares.or_insert_with((Rc::as_ptr(alert.rule()), name), Share::default);
            share.armed += 1;
            if alert.is_quiet() {
                share.quiet.push(index);
            }
        }
        for (address, queue) in self.waiting.0.iter() {
            for (name, paths) in queue.shares.iter() {
                let share = shares.or_insert_with((*address, &**name), Share::default);
                let paths = paths.iter().rev();
                share
                    .waiting
                    .extend(paths.map(|(path, ())| (&queue.rule, &**path)));
            }
        }
        shares.into_values().collect()
    }
}

/// Twice the cap; and enough for the directories of a small host, whatever the cap.
fn bound(max: usize) -> usize {
    2 * max + 64
}

/// The name of a cgroup's share: its path down to what the first wildcard matches.
fn name<'a>(rule: &Rule, path: &'a [u8]) -> Option<&'a [u8]> {
    let pattern = rule.cgroup.as_ref().filter(|pattern| pattern.is_wild());
    pattern.map(|pattern| Pattern::share(pattern, path))
}

/// Positions of the armed that go, and cgroups that get their room and what is free.
fn divide(mut shares: Vec<Share<'_>>, mut room: usize) -> (Vec<usize>, Admitted) {
    let (mut evicted, mut admitted) = (Vec::new(), Vec::new());
    let all = shares.iter().enumerate();
    let (mut fewest, mut most): (BinaryHeap<_>, BinaryHeap<_>) = all
        .map(|(at, share)| (Reverse((share.armed, at)), (share.armed, at)))
        .unzip();
    while let Some(Reverse((has, at))) = fewest.pop() {
        let Some((rule, path)) = shares[at].waiting.pop() else {
            continue;
        };
        if room > 0 {
            room -= 1;
        } else if let Some(index) = take(&mut shares, &mut most, has + 2) {
            evicted.push(index);
        } else {
            break;
        }
        admitted.push((Rc::clone(rule), path.into()));
        fewest.push(Reverse((has + 1, at)));
    }
    (evicted, admitted)
}

/// Takes a quiet one from the share that has the most, if it has at least so many.
fn take(
    shares: &mut [Share<'_>],
    most: &mut BinaryHeap<(usize, usize)>,
    least: usize,
) -> Option<usize> {
    while let Some((has, at)) = most.pop().filter(|(has, _)| *has >= least) {
        if let Some(index) = shares[at].quiet.pop() {
            most.push((has - 1, at));
            return Some(index);
        }
    }
    None
}
