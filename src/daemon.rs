//! The loop: every trigger in one poll(2) array, one timer for all episodes.

mod cgroups;
mod drill;
mod greet;
mod reload;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;

use crate::account::{Account, Ledger, Wake};
use crate::budget::Budget;
use crate::cgroup::{Descent, Tree};
use crate::config::Config;
use crate::episode::{Figures, Sample};
use crate::notify::{Notify, State};
use crate::options::{CommandLine, Source};
use crate::pressure::{Percent, Stall};
use crate::report::{Id, Report, Told};
use crate::rule::{Place, Rule};
use crate::schedule::Schedule;
use crate::sink::Sink;
use crate::sys::{self, Signal, Signals, Slot};
use crate::time::{Micros, Moment};
use crate::trigger::{BadTrigger, Hint, Roots, Trigger};
use crate::watches::{Failure, Found, Lost, Watch, Watches};

pub use greet::is_watched;

/// Where the signalfd and inotify stand in the poll array, and from where on the
/// outputs do; the triggers follow.
const SIGNALS: usize = 0;
const CGROUPS: usize = 1;
const OUTPUTS: usize = 2;

/// A rule that could not be armed at start.
pub struct BadRule {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: BadTrigger,
}

/// Everything that psilogd holds.
pub struct Daemon {
    source: Source,
    config: Config,
    verbose: bool,
    signals: Signals,
    sink: Sink,
    notify: Notify,
    ledger: Ledger,
    roots: Roots,
    tree: Option<Tree>,
    descent: Option<Descent>,
    watches: Watches<Trigger>,
    slots: Vec<Slot>,
    schedule: Schedule,
    /// Whether what is armed or lost has changed in this turn.
    changed: bool,
    /// Whether a cgroup was looked for that is named, in this turn.
    found: bool,
}

impl Daemon {
    /// Takes over signals and opens the outputs.
    pub fn new(line: CommandLine, config: Config) -> io::Result<Daemon> {
        let signals = Signals::new()?;
        sys::raise_descriptor_limit();
        let now = sys::now();
        let settings = &config.settings;
        let up = sys::uptime();
        let start = u64::try_from(sys::wall()).unwrap_or_default();
        let roots = Roots::find().with_cgroups(line.cgroups.as_deref());
        Ok(Daemon {
            signals,
            sink: Sink::new(settings, now),
            notify: Notify::from_environment(now),
            ledger: Ledger::new(Budget::new(settings.budget, now), start),
            tree: roots.cgroup.as_deref().map(Tree::new),
            descent: roots.cgroup.as_deref().map(Descent::new),
            roots,
            watches: Watches::new(settings.max_triggers),
            slots: Vec::new(),
            schedule: Schedule::new(sys::has_sys_resource(), up, settings.grace, now),
            source: line.source,
            verbose: line.verbose,
            config,
            changed: false,
            found: false,
        })
    }

    /// Arms every rule; those that can't be are logged, returned, and passed over.
    pub fn arm(&mut self) -> Vec<BadRule> {
        let (rules, max) = (&self.config.rules, self.config.settings.max_triggers);
        self.watches.set_rules(rules, max);
        let mut bad = Vec::new();
        self.settle();
        self.cover(&mut bad);
        self.settle();
        self.tell_lapses(true);
        bad
    }

    /// Lets the lines go that tell why nothing runs.
    pub fn finish(&mut self) {
        self.sink.finish();
    }

    /// Whether there is anything that can ever be logged: a trigger, or a cgroup
    /// that is waited for.
    pub fn watches_anything(&self) -> bool {
        let tree = self.tree.as_ref().filter(|tree| tree.fd().is_some());
        let comes = |tree: &Tree| {
            let mut rules = self.watches.rules.iter();
            let mut lost = self.watches.lost.iter();
            rules.any(|ruled| ruled.rule.is_pattern())
                || lost.any(|lost| {
                    lost.account
                        .cgroup()
                        .is_some_and(|path| tree.may_come(path))
                })
        };
        !self.watches.list.is_empty() || tree.is_some_and(comes) || self.is_blind()
    }

    /// Watches and logs until a signal stops it.
    pub fn run(&mut self) -> ExitCode {
        self.log_start();
        let code = loop {
            if let Some(code) = self.turn() {
                break code;
            }
        };
        let watches = std::mem::take(&mut self.watches.list);
        release(watches);
        code
    }

    /// One turn of the loop: waits, and does what there is to do. The exit code
    /// when it is over. Allocates nothing but for a reload, and for cgroups that
    /// come and go.
    pub fn turn(&mut self) -> Option<ExitCode> {
        if let Err(error) = self.wait() {
            return Some(self.give_up(&error));
        }
        // Triggers first: what the others do may build the array anew, and an
        // event that was taken from the kernel comes only once.
        self.take_crossings();
        let outputs = OUTPUTS..self.triggers();
        self.sink.ready(&self.slots[outputs], sys::now());
        let signalled = self.slots[SIGNALS].seen() != 0;
        if self.slots[CGROUPS].seen() != 0 {
            self.take_changes();
        }
        self.expire();
        self.tell_lapses(false);
        if signalled {
            if let Some(signal) = self.take_signals() {
                return Some(self.stop(signal));
            }
        }
        // Nobody would ever hear of anything any more.
        self.sink.is_over().then_some(ExitCode::FAILURE)
    }

    /// The start line, and what belongs to a start.
    pub fn log_start(&mut self) {
        self.log_windows();
        self.sink.log(&Report::Start {
            version: env!("CARGO_PKG_VERSION"),
            triggers: self.watches.list.len(),
            failed: self.watches.lost.len(),
            backing: self.schedule.backing(),
        });
        stay_in_memory();
        self.tell_ready();
    }

    /// Waits for a signal, a trigger or the next thing that is due.
    fn wait(&mut self) -> io::Result<()> {
        let now = sys::now();
        let timeout = self.deadline().map(|due| due.since(now));
        let outputs = OUTPUTS..self.triggers();
        self.sink.arm(&mut self.slots[outputs]);
        sys::poll(&mut self.slots, timeout)
    }

    /// From where on the triggers stand in the poll array.
    fn triggers(&self) -> usize {
        OUTPUTS + self.sink.width()
    }

    fn deadline(&self) -> Option<Moment> {
        let watches = self.watches.list.iter();
        let episodes = watches.filter_map(|watch| watch.account.deadline());
        episodes
            .chain(self.schedule.deadlines())
            .chain(self.ledger.budget.deadline())
            .chain(self.sink.deadline())
            .chain(self.notify.deadline())
            .chain(self.watches.deadline())
            .min()
    }

    /// Handles what is pending; the name of the signal that stops us.
    fn take_signals(&mut self) -> Option<&'static str> {
        while let Some(signal) = self.signals.take() {
            match signal {
                Signal::Term => return Some("TERM"),
                Signal::Int => return Some("INT"),
                Signal::Hup => {
                    self.notify.tell(State::Reloading { at: sys::now() });
                    self.reload();
                    self.tell_ready();
                }
                Signal::Usr1 => self.status(),
            }
        }
        None
    }

    /// Looks at every trigger that fired. POLLERR first: it stays for ever once
    /// a cgroup is gone, and then POLLPRI means nothing.
    fn take_crossings(&mut self) {
        let triggers = self.triggers();
        // From the end, since one that is lost may leave its place to the last.
        for index in (0..self.watches.list.len()).rev() {
            match self.slots[triggers + index].seen() {
                0 => {}
                seen if seen & (libc::POLLERR | libc::POLLNVAL) != 0 => {
                    self.lose(index, libc::ENODEV);
                }
                _ => self.read(index, Wake::Crossed),
            }
        }
    }

    /// Does what is due.
    fn expire(&mut self) {
        let now = sys::now();
        self.sink.expire(now);
        self.notify.expire(now);
        if self.schedule.end_grace(now) {
            self.watches.list.iter_mut().for_each(rebase);
            self.settle();
        }
        for index in (0..self.watches.list.len()).rev() {
            let due = self.watches.list[index].account.deadline();
            if due.is_some_and(|due| due <= now) {
                self.read(index, Wake::Expired);
                self.schedule.has_read();
            }
        }
        if self.schedule.slow_round(now) {
            self.slow_round();
        }
        let sink = &mut self.sink;
        self.ledger
            .sum_up(now, false, &mut |report| sink.log(report));
    }

    /// Reads one counter and tells what comes of it.
    fn read(&mut self, index: usize, wake: Wake) {
        let watch = &mut self.watches.list[index];
        let stall = match watch.trigger.read() {
            Ok(stall) => stall,
            Err(error) => {
                return self.lose(index, error.raw_os_error().unwrap_or(libc::EIO));
            }
        };
        // after the reading, so that a reading made late is not over 100 %
        let at = sys::now();
        let account = &mut watch.account;
        let total = stall.total;
        let (sink, descent) = (&mut self.sink, &mut self.descent);
        if self.verbose && wake == Wake::Crossed {
            let (rule, place) = (account.rule(), account.place());
            sink.log(&Report::Crossing { rule, place, total });
        }
        let out = &mut |report: &Report<'_>| log_with_worst(sink, descent, report);
        account.take(wake, at, stall, &mut self.ledger, out);
        if self.verbose {
            self.sink.log(&Report::Reading {
                rule: account.rule(),
                place: account.place(),
                total,
                phase: account.phase(),
            });
        }
        self.set_slot(index);
    }

    /// Reads every quiet counter where events can be stolen, and looks again for
    /// cgroups where we aren't told of them.
    fn slow_round(&mut self) {
        for index in (0..self.watches.list.len()).rev() {
            if self.schedule.checks(&self.watches.list[index].account) {
                self.read(index, Wake::Checked);
            }
        }
        if self.is_blind() {
            self.look_again();
        }
        self.settle();
    }

    /// Builds the poll array and the slow timer anew after the set has changed.
    fn settle(&mut self) {
        self.slots.clear();
        self.slots
            .push(Slot::new(self.signals.as_fd(), libc::POLLIN));
        self.slots
            .push(self.tree.as_ref().map_or(Slot::IDLE, tree_slot));
        self.slots.resize(self.triggers(), Slot::IDLE);
        let schedule = &self.schedule;
        let watches = self.watches.list.iter();
        self.slots
            .extend(watches.map(|watch| slot(watch, schedule)));
        self.schedule.settle(sys::now(), self.is_blind());
    }

    fn set_slot(&mut self, index: usize) {
        let at = self.triggers() + index;
        self.slots[at] = slot(&self.watches.list[index], &self.schedule);
    }

    /// SIGUSR1. Of a pattern, the quiet cgroups are one line.
    fn status(&mut self) {
        let sink = &mut self.sink;
        for ruled in &self.watches.rules {
            let rule = &ruled.rule;
            let mut quiet = 0;
            for watch in &self.watches.list {
                let account = &watch.account;
                if !account.is_under(rule) {
                    continue;
                }
                if rule.is_pattern() && account.is_quiet() {
                    quiet += 1;
                    continue;
                }
                let stall = watch.trigger.read().ok();
                account.status(stall, &mut |report| sink.log(report));
            }
            for Lost { account, .. } in &self.watches.lost {
                if account.is_under(rule) {
                    account.status(None, &mut |report| sink.log(report));
                }
            }
            if rule.is_pattern() {
                let capped = self.watches.capped(rule);
                sink.log(&Report::Tally {
                    rule,
                    quiet,
                    capped,
                });
            }
        }
    }

    fn tell_ready(&self) {
        self.notify.tell(State::Ready {
            triggers: self.watches.list.len(),
            failed: self.watches.lost.len(),
        });
    }

    fn stop(&mut self, signal: &'static str) -> ExitCode {
        self.notify.tell(State::Stopping);
        let now = sys::now();
        let mut watches = std::mem::take(&mut self.watches.list);
        for watch in &mut watches {
            self.close(watch, now, "stop");
        }
        // to be let go when the last line is out
        self.watches.list = watches;
        let sink = &mut self.sink;
        self.ledger
            .sum_up(now, true, &mut |report| sink.log(report));
        self.sink.log(&Report::Stop { signal });
        self.sink.finish();
        ExitCode::SUCCESS
    }

    /// poll(2) itself fails: nothing more can be watched.
    fn give_up(&mut self, error: &io::Error) -> ExitCode {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        for ruled in &self.watches.rules {
            self.sink.log(&Report::Lost {
                rule: &ruled.rule,
                place: ruled.rule.place(),
                errno,
                hint: None,
                count: 1,
            });
        }
        self.sink.finish();
        ExitCode::FAILURE
    }

    fn close(&mut self, watch: &mut Watch<Trigger>, now: Moment, reason: &'static str) {
        let stall = watch.trigger.read().ok();
        let sink = &mut self.sink;
        let out = &mut |report: &Report<'_>| sink.log(report);
        watch
            .account
            .close(now, stall, reason, &mut self.ledger, out);
    }

    fn log_windows(&mut self) {
        for (short, long) in self.config.differing_windows() {
            self.sink.log(&Report::Windows { short, long });
        }
    }
}

/// The tree's place in the poll array.
fn tree_slot(tree: &Tree) -> Slot {
    tree.fd()
        .map_or(Slot::IDLE, |fd| Slot::new(fd, libc::POLLIN))
}

/// A trigger's place in the poll array.
fn slot(watch: &Watch<Trigger>, schedule: &Schedule) -> Slot {
    match schedule.polls(&watch.account) {
        true => Slot::new(watch.trigger.as_fd(), libc::POLLPRI),
        false => Slot::IDLE,
    }
}

fn rebase(watch: &mut Watch<Trigger>) {
    if let Ok(stall) = watch.trigger.read() {
        watch.account.rebase(Sample {
            at: sys::now(),
            total: stall.total,
        });
    }
}

/// Logs a report; one of pressure on the whole system names the most-stalled
/// cgroup.
fn log_with_worst(sink: &mut Sink, descent: &mut Option<Descent>, report: &Report<'_>) {
    let (Report::Begin(told) | Report::Still(told)) = *report else {
        return sink.log(report);
    };
    let worst = match (told.place, descent) {
        (Place::System, Some(descent)) => {
            let avg10 = told.stall.unwrap_or_default().avg10;
            descent.worst(told.rule.resource, told.rule.kind, avg10)
        }
        _ => None,
    };
    let told = Told { worst, ..told };
    match report {
        Report::Begin(_) => sink.log(&Report::Begin(told)),
        _ => sink.log(&Report::Still(told)),
    }
}

/// Lets triggers go.
fn release(watches: Vec<Watch<Trigger>>) {
    let triggers = watches.into_iter().map(|watch| watch.trigger);
    sys::close_together(triggers.map(OwnedFd::from).collect());
}

/// We are needed when memory is short. Both may be refused, and then we are as
/// safe as anybody else.
fn stay_in_memory() {
    const SCORE: &str = "/proc/self/oom_score_adj";
    let _ = sys::lock_memory();
    // a score that the service manager has set is its decision
    if std::fs::read(SCORE).is_ok_and(|score| score == b"0\n") {
        let _ = std::fs::write(SCORE, "-1000");
    }
}
