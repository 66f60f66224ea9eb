//! The watched set in the hands of a daemon: cgroups are created and removed, triggers
//! fire and die, descriptors run short, other rules are put in force. Against lists of
//! what there is: nothing is watched twice, and nothing is forgotten.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::LazyLock;

use psilogd::alert::{Alert, FallbackPoll, Ids, Reading, Wake};
use psilogd::episode::Sample;
use psilogd::evidence::Evidence;
use psilogd::monitors::{Failure, Found, Monitors, Task};
use psilogd::pattern::Pattern;
use psilogd::pressure::Averages;
use psilogd::report::{EndReason, EpisodeReport, Hint, Report};
use psilogd::rule::Rule;
use psilogd::time::{Micros, Moment};

use super::bytes::Bytes;

const START: Moment = Moment(1_000_000_000);
/// Rules of one name are never in force together.
const RULES: [&str; 9] = [
    "memory full 10%/2s for=0 clear=0 name=whole",
    "io full 10%/2s for=4s clear=4s name=whole",
    "io full 10%/2s for=0 clear=2s name=named cgroup=/n",
    "io full 10%/2s for=0 clear=2s name=named cgroup=/u/a/1",
    "io full 10%/2s for=0 clear=0 name=deep cgroup=/u/**",
    "io full 10%/2s for=0 clear=0 name=deep cgroup=/u/** except=/u/a/1,/u/b/*",
    "io full 20%/2s for=0 clear=0 name=deep cgroup=/u/**",
    "cpu full 10%/2s for=4s clear=4s name=services cgroup=/s/*.service",
    "cpu some 10%/2s for=0 clear=0 repeat=2s name=all cgroup=/**",
];
static PARSED: LazyLock<Vec<Rule>> = LazyLock::new(|| {
    let parse = |text: &&str| Rule::parse(text.split(' ')).unwrap();
    RULES.iter().map(parse).collect()
});
const ENDED: Failure = Failure {
    errno: libc::ENODEV,
    hint: None,
};
const NO_CGROUP: Failure = Failure {
    errno: libc::ENOENT,
    hint: Some(Hint::NoCgroup),
};
const SHORT: Failure = Failure {
    errno: libc::EMFILE,
    hint: Some(Hint::Descriptors),
};

type Path = Vec<u8>;
type Scope = (String, Option<Path>);

/// A trigger as the kernel has it.
struct Trigger {
    cgroup: Option<Path>,
    total: u64,
    dead: bool,
}

struct World {
    monitors: Monitors<u32>,
    rules: Vec<Rule>,
    max: usize,
    now: Moment,
    cgroups: BTreeSet<Path>,
    /// The descriptors that are open, by number.
    open: BTreeMap<u32, Trigger>,
    last: u32,
    /// No more can be open.
    most: usize,
    inotify_error: Option<Failure>,
    changed: bool,
    /// Whether nothing was ever pressed, and no descriptor ever short.
    calm: bool,
    log: Log,
}

/// What the lines say.
#[derive(Default)]
struct Log {
    /// Whether a rate limit may have kept a line back.
    limited: bool,
    begun: BTreeMap<Scope, u64>,
    last_id: u64,
    lost: BTreeSet<String>,
    capped: BTreeSet<String>,
}

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let up = Micros::secs(bytes.pick(&[3600, 3600, 100]));
    let fallback = FallbackPoll::new(up, Micros::secs(120), START);
    let mut world = World {
        monitors: Monitors::new(Ids::new(1), fallback),
        rules: Vec::new(),
        max: 0,
        now: START,
        cgroups: BTreeSet::new(),
        open: BTreeMap::new(),
        last: 0,
        most: 1000,
        inotify_error: None,
        changed: true,
        calm: true,
        log: Log::default(),
    };
    world.put_in_force(&mut bytes);
    let mut steps = 0;
    while !bytes.is_empty() && steps < 200 {
        steps += 1;
        world.step(&mut bytes);
    }
    world.stop();
}

/// The cgroups that may be there: two users, of whom one has many, services, one that
/// is named.
fn path(bytes: &mut Bytes<'_>) -> Path {
    let text = match bytes.byte() {
        at @ 0..=99 => format!("/u/a/{}", at % 20),
        at @ 100..=149 => format!("/u/b/{}", at % 5),
        at @ 150..=199 => format!("/s/{}.service", at % 5),
        200..=220 => "/n".into(),
        221..=235 => "/u/c".into(),
        _ => "/s".into(),
    };
    text.into_bytes()
}

impl World {
    fn step(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.below(12) {
            0..=2 => self.create(path(bytes)),
            3 => self.remove(&path(bytes)),
            4 | 5 => self.press(bytes),
            6 | 7 => {
                let due = self.monitors.deadline().filter(|_| bytes.flag());
                let short = Micros(bytes.small() * 1000);
                self.now = due.unwrap_or(self.now + short).max(self.now);
            }
            8 => self.put_in_force(bytes),
            9 => {
                self.most = bytes.pick(&[1000, 1000, 8, 4, 1]);
                self.calm &= self.most == 1000;
            }
            10 => self.give_up(bytes),
            _ => self.fail_events(bytes),
        }
        self.turn();
        self.check();
    }

    /// What the daemon does in each turn.
    fn turn(&mut self) {
        self.monitors.wake(self.now);
        self.carry_out();
        self.report_unarmed(false);
    }

    fn create(&mut self, path: Path) {
        if self.cgroups.insert(path.clone()) {
            self.arm_cgroup(&path);
        }
    }

    fn remove(&mut self, path: &Path) {
        if !self.cgroups.remove(path) {
            return;
        }
        let of_it = |trigger: &&mut Trigger| trigger.cgroup.as_ref() == Some(path);
        self.open
            .values_mut()
            .filter(of_it)
            .for_each(|trigger| trigger.dead = true);
        self.changed |= self.monitors.forget(path);
        for rule in self.monitors.covering(path) {
            if let Some(Found::Armed(index)) = self.monitors.find(&rule, Some(path)) {
                self.rearm(index, ENDED);
            }
        }
    }

    /// A counter grows, and the kernel sees it, or not; or its file dies unnoticed.
    fn press(&mut self, bytes: &mut Bytes<'_>) {
        if self.monitors.is_empty() {
            return;
        }
        let index = bytes.below(self.monitors.len().min(256));
        let trigger = self.open.get_mut(self.monitors.trigger(index)).unwrap();
        trigger.total += bytes.pick(&[0, 100_000, 300_000, 2_000_000]);
        let polled = self.monitors.polled().nth(index).unwrap().is_some();
        match bytes.below(4) {
            0 => {}
            1 => self.monitors.died(index, libc::ENODEV),
            _ if polled => self.monitors.fired(index),
            _ => {}
        }
    }

    /// A start or a reload.
    fn put_in_force(&mut self, bytes: &mut Bytes<'_>) {
        let mut names = BTreeSet::new();
        let chosen = u16::from(bytes.byte()) << 1 | u16::from(bytes.byte() & 1);
        let rules = PARSED.iter().enumerate();
        let rules = rules.filter(|(at, _)| chosen & 1 << at != 0);
        let rules = rules.map(|(_, rule)| rule.clone());
        self.rules = rules
            .filter(|rule| names.insert(rule.name.clone()))
            .collect();
        self.max = 1 + bytes.below(24);
        let lines = bytes.pick(&[None, None, Some(2), Some(12)]);
        self.log.limited |= lines.is_some();
        let poll = bytes.pick(&[None, None, Some(Micros::secs(10))]);
        self.monitors.set_poll(poll);
        self.monitors
            .set_rules(&self.rules, self.max, lines, self.now);
        self.monitors.retire(self.now, EndReason::Reload);
        self.carry_out();
        let retired = self.monitors.remove_retired();
        self.close(retired);
        // rules that are gone, or new ones of the same name, have nothing to be restored
        let known: BTreeSet<_> = self.rules.iter().map(|rule| rule.name.clone()).collect();
        self.log.lost.retain(|name| known.contains(name));
        self.log.capped.retain(|name| known.contains(name));
        self.look_for_all();
        self.report_unarmed(true);
    }

    fn look_for_all(&mut self) {
        self.monitors.forget_waiting();
        self.changed = true;
        for rule in self.monitors.rules().cloned().collect::<Vec<_>>() {
            if !rule.is_pattern() {
                let path = rule.cgroup.as_ref().and_then(Pattern::plain);
                self.arm_one(&rule, path.as_deref());
            }
        }
        for path in self.cgroups.clone() {
            self.arm_cgroup(&path);
        }
    }

    /// The poll array is too long.
    fn give_up(&mut self, bytes: &mut Bytes<'_>) {
        if self.monitors.give_up(bytes.below(8)) > 0 {
            self.monitors.retire(self.now, EndReason::Capped);
            self.carry_out();
            let given_up = self.monitors.remove_given_up();
            self.close(given_up);
            self.changed = true;
        }
    }

    /// poll(2) fails, or inotify does, or neither does any more.
    fn fail_events(&mut self, bytes: &mut Bytes<'_>) {
        let (hint, errno) = (bytes.option(|_| Hint::Inotify), libc::ENOMEM);
        self.inotify_error = hint.map(|_| Failure { errno, hint });
        let failure = bytes.option(|_| Failure {
            errno,
            hint: Some(Hint::Poll),
        });
        self.monitors.set_poll_error(self.now, failure);
        self.changed = true;
    }

    fn arm_cgroup(&mut self, path: &[u8]) {
        for rule in self.monitors.covering(path) {
            self.arm_one(&rule, Some(path));
        }
    }

    fn arm_one(&mut self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) {
        match self.monitors.find(rule, cgroup) {
            Some(Found::Armed(index)) => {
                if self.open[self.monitors.trigger(index)].dead {
                    self.rearm(index, ENDED);
                }
                return;
            }
            Some(Found::Unarmed(index)) => {
                let alert = self.monitors.take_unarmed(index);
                return self.try_arm(alert, None);
            }
            None => {}
        }
        if let (Some(path), true) = (cgroup, rule.is_pattern()) {
            if !self.monitors.take_place(rule, path) && !self.monitors.has_room() {
                self.monitors.wait(rule, path);
                self.changed = true;
                return;
            }
        }
        self.arm_new(rule, cgroup);
    }

    fn arm_new(&mut self, rule: &Rc<Rule>, cgroup: Option<&[u8]>) {
        let nothing = Sample {
            at: self.now,
            total: 0,
        };
        self.try_arm(Alert::new(Rc::clone(rule), cgroup, nothing, false), None);
    }

    fn try_arm(&mut self, mut alert: Alert, was: Option<Failure>) {
        self.changed = true;
        let (rule, cgroup) = (Rc::clone(alert.rule()), alert.cgroup().map(<[u8]>::to_vec));
        let failure = match &cgroup {
            Some(path) if !self.cgroups.contains(path) => NO_CGROUP,
            _ if self.open.len() >= self.most => SHORT,
            _ => {
                self.last += 1;
                let (total, dead) = (0, false);
                self.open.insert(
                    self.last,
                    Trigger {
                        cgroup,
                        total,
                        dead,
                    },
                );
                let at = self.now;
                alert.rearm(Sample { at, total }, self.last % 2 == 0);
                return self.monitors.arm(alert, self.last);
            }
        };
        if let (true, Some(path)) = (rule.is_pattern(), &cgroup) {
            if failure == SHORT {
                self.monitors.run_short();
                return self.monitors.wait(&rule, path);
            }
            if was.is_some() {
                self.monitors.keep(&rule, path, self.now);
            }
            return;
        }
        if failure == SHORT {
            self.monitors.run_short();
        }
        self.monitors.add_unarmed(alert, failure);
    }

    fn rearm(&mut self, index: usize, failure: Failure) {
        self.changed = true;
        let end = self.monitors.close(index, self.now, None, EndReason::Gone);
        self.log.take(end);
        let (alert, trigger) = self.monitors.disarm(index);
        self.close(vec![trigger]);
        match alert.cgroup() {
            None => self.monitors.add_unarmed(alert, failure),
            Some(_) => self.try_arm(alert, Some(failure)),
        }
    }

    fn close(&mut self, triggers: Vec<u32>) {
        for trigger in triggers {
            assert!(self.open.remove(&trigger).is_some(), "closed twice");
        }
    }

    fn report_unarmed(&mut self, at_once: bool) {
        self.changed |= self.monitors.give_up_places(self.now);
        if self.changed {
            while let Some(alert) = self.monitors.take_short() {
                self.try_arm(alert, None);
            }
            self.share_room();
            if self.monitors.lacks_paths() {
                self.look_for_all();
                self.share_room();
            }
            self.monitors.recount(self.now, self.inotify_error);
            self.changed = false;
        }
        self.monitors.notify(self.now, at_once);
        self.carry_out();
    }

    fn share_room(&mut self) {
        for round in 0.. {
            assert!(round < 100, "room is given and taken for ever");
            let turnover = self.monitors.share_room();
            self.close(turnover.evicted);
            if turnover.admitted.is_empty() {
                return;
            }
            for (rule, path) in turnover.admitted {
                self.arm_new(&rule, Some(&path));
            }
        }
    }

    fn carry_out(&mut self) {
        let mut tasks = 0;
        while let Some(task) = self.monitors.next_task() {
            tasks += 1;
            assert!(tasks < 10_000, "tasks for ever");
            match task {
                Task::Log(report) => self.log.take(Some(report)),
                Task::Read(index, wake) => self.read(index, wake),
                Task::Close(index, reason) => {
                    let end = self.monitors.close(index, self.now, None, reason);
                    self.log.take(end);
                }
                Task::Rearm(index, errno) => self.rearm(index, Failure { errno, hint: None }),
                Task::Rescan => {
                    self.retry_all();
                    self.look_for_all();
                }
                Task::Retry => self.retry_all(),
            }
        }
    }

    fn retry_all(&mut self) {
        for unarmed in self.monitors.take_all_unarmed() {
            self.try_arm(unarmed.alert, Some(unarmed.failure));
        }
    }

    fn read(&mut self, index: usize, wake: Wake) {
        let trigger = &self.open[self.monitors.trigger(index)];
        if trigger.dead {
            return self.rearm(index, ENDED);
        }
        let averages = Averages {
            total: trigger.total,
            ..Averages::default()
        };
        let reading = Reading {
            at: self.now,
            averages,
            evidence: Evidence::None,
        };
        let report = self.monitors.take(index, wake, reading);
        self.log.take(report);
    }

    fn stop(&mut self) {
        self.monitors.stop(self.now);
        self.carry_out();
        assert!(self.log.begun.is_empty(), "no end of {:?}", self.log.begun);
        let triggers = self.monitors.take_triggers();
        self.close(triggers);
        assert!(self.open.is_empty(), "leaked: {:?}", self.open.keys());
    }

    /// What holds after each turn.
    fn check(&mut self) {
        let due = self.monitors.deadline();
        assert!(due.is_none_or(|due| due > self.now), "spins");
        let armed = self.armed();
        assert_eq!(armed.len(), self.open.len(), "leaked, or armed twice");
        let on_patterns = armed.iter().filter(|rule| rule.is_pattern());
        assert!(on_patterns.count() <= self.max, "over the cap");
        let (lost, waiting) = self.status();
        for rule in self.monitors.rules() {
            let of_rule = armed.iter().filter(|other| Rc::ptr_eq(other, rule));
            let count = of_rule.count() + lost.iter().filter(|name| **name == rule.name).count();
            if !rule.is_pattern() {
                assert_eq!(count, 1, "{}", rule.name);
                continue;
            }
            let waiting = waiting[&rule.name];
            let covered = self.cgroups.iter().filter(|path| rule.covers(path)).count();
            assert_eq!(count + waiting, covered, "forgotten: {}", rule.name);
            assert!(
                waiting == 0 || !self.monitors.has_room(),
                "room for {}",
                rule.name
            );
        }
    }

    /// The rules of what is armed; each is there once, and where it is looked for.
    fn armed(&self) -> Vec<Rc<Rule>> {
        let mut known = BTreeSet::new();
        let alerts = (0..self.monitors.len()).map(|index| (index, self.monitors.alert(index)));
        let rules = alerts.map(|(index, alert)| {
            let found = self.monitors.find(alert.rule(), alert.cgroup());
            assert_eq!(found, Some(Found::Armed(index)));
            assert!(
                known.insert((alert.rule().name.clone(), alert.cgroup())),
                "armed twice"
            );
            let trigger = &self.open[self.monitors.trigger(index)];
            assert_eq!(trigger.cgroup.as_deref(), alert.cgroup());
            assert!(!trigger.dead, "dead, and armed");
            Rc::clone(alert.rule())
        });
        rules.collect()
    }

    /// The names of what is not armed, once each time; how many of a pattern wait.
    fn status(&self) -> (Vec<String>, BTreeMap<String, usize>) {
        let (mut lost, mut waiting) = (Vec::new(), BTreeMap::new());
        let mut see = |report: &Report<'_>| match report {
            Report::Status {
                rule, phase: None, ..
            } => lost.push(rule.name.clone()),
            Report::Status { .. } => {}
            Report::Tally { rule, capped, .. } => {
                waiting.insert(rule.name.clone(), *capped);
            }
            other => panic!("{other:?}"),
        };
        let read = |_: &u32| Some(Averages::default());
        self.monitors.status(&read, &mut see);
        (lost, waiting)
    }
}

impl Log {
    fn take(&mut self, report: Option<Report<'_>>) {
        match report {
            None => {}
            Some(Report::Begin(begin)) => {
                assert!(begin.id.number > 0);
                self.last_id = self.last_id.max(begin.id.number);
                let other = self.begun.insert(scope(&begin), begin.id.number);
                assert!(other.is_none(), "begun twice");
            }
            Some(Report::Still(still)) => {
                assert_eq!(self.begun.get(&scope(&still)), Some(&still.id.number));
            }
            Some(Report::End(end, _)) => {
                assert_eq!(self.begun.remove(&scope(&end)), Some(end.id.number));
            }
            Some(Report::Lost { rule, count, .. }) => {
                assert!(count > 0);
                self.lost.insert(rule.name.clone());
            }
            Some(Report::Restored(rule)) => {
                assert!(self.lost.remove(&rule.name) || self.limited, "was not lost");
            }
            Some(Report::Capped { rule, count: 0, .. }) => {
                assert!(
                    self.capped.remove(&rule.name) || self.limited,
                    "was not capped"
                );
            }
            Some(Report::Capped { rule, .. }) => drop(self.capped.insert(rule.name.clone())),
            Some(Report::Suppressed { count, begins, .. }) => {
                assert!(count > 0 && begins <= count);
            }
            Some(other) => panic!("{other:?}"),
        }
    }
}

fn scope(episode: &EpisodeReport<'_>) -> Scope {
    let path = match episode.scope {
        psilogd::rule::Scope::Cgroup(path) => Some(path.to_vec()),
        _ => None,
    };
    (episode.rule.name.clone(), path)
}
