//! The loop: every trigger in one poll(2) array, one timer for all episodes.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;

use crate::account::{Account, Ledger, Wake};
use crate::budget::Budget;
use crate::config::Config;
use crate::episode::{Figures, Sample};
use crate::notify::{Notify, State};
use crate::options::Source;
use crate::pressure::Percent;
use crate::report::{Id, NOTHING_READ, Report, Told};
use crate::rule::Rule;
use crate::schedule::Schedule;
use crate::sink::Sink;
use crate::sys::{self, Signal, Signals, Slot};
use crate::time::{Micros, Moment};
use crate::trigger::{BadTrigger, Roots, Trigger};

/// Where the signalfd stands in the poll array, and from where on the outputs do;
/// the triggers follow.
const SIGNALS: usize = 0;
const OUTPUTS: usize = 1;

/// A rule, its episode, and its trigger if it is armed.
struct Watch {
    account: Account,
    trigger: Option<Trigger>,
}

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
    watches: Vec<Watch>,
    slots: Vec<Slot>,
    schedule: Schedule,
}

impl Daemon {
    /// Takes over signals and opens the outputs.
    pub fn new(source: Source, config: Config, verbose: bool) -> io::Result<Daemon> {
        let signals = Signals::new()?;
        let now = sys::now();
        let settings = &config.settings;
        let up = sys::uptime();
        let start = u64::try_from(sys::wall()).unwrap_or_default();
        Ok(Daemon {
            signals,
            sink: Sink::new(settings, now),
            notify: Notify::from_environment(now),
            ledger: Ledger::new(Budget::new(settings.budget, now), start),
            roots: Roots::find(),
            watches: Vec::new(),
            slots: Vec::new(),
            schedule: Schedule::new(sys::has_sys_resource(), up, settings.grace, now),
            source,
            config,
            verbose,
        })
    }

    /// Arms every rule; those that can't be are logged, returned, and passed over.
    pub fn arm(&mut self) -> Vec<BadRule> {
        let mut bad = Vec::new();
        for rule in self.config.rules.clone() {
            if let Err(why) = self.add(rule.clone()) {
                bad.push(BadRule {
                    name: rule.name,
                    why,
                });
            }
        }
        self.settle();
        bad
    }

    /// Lets the lines go that tell why nothing runs.
    pub fn finish(&mut self) {
        self.sink.finish();
    }

    /// How many rules are armed.
    pub fn armed(&self) -> usize {
        self.watches
            .iter()
            .filter(|watch| watch.trigger.is_some())
            .count()
    }

    /// Watches and logs until a signal stops it.
    pub fn run(&mut self) -> ExitCode {
        self.log_start();
        loop {
            if let Some(code) = self.turn() {
                return code;
            }
        }
    }

    /// One turn of the loop: waits, and does what there is to do. The exit code
    /// when it is over. Allocates nothing but for a reload.
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
        self.expire();
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
            triggers: self.armed(),
            failed: self.watches.len() - self.armed(),
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
        let episodes = self
            .watches
            .iter()
            .filter_map(|watch| watch.account.deadline());
        episodes
            .chain(self.schedule.deadlines())
            .chain(self.ledger.budget.deadline())
            .chain(self.sink.deadline())
            .chain(self.notify.deadline())
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
        for index in 0..self.watches.len() {
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
            self.watches.iter_mut().for_each(Watch::rebase);
            self.settle();
        }
        for index in 0..self.watches.len() {
            if self.watches[index]
                .account
                .deadline()
                .is_some_and(|due| due <= now)
            {
                self.read(index, Wake::Expired);
                self.schedule.has_read();
            }
        }
        if self.schedule.slow_round(now) {
            self.slow_round(now);
        }
        let sink = &mut self.sink;
        self.ledger
            .sum_up(now, false, &mut |report| sink.log(report));
    }

    /// Reads one counter and tells what comes of it.
    fn read(&mut self, index: usize, wake: Wake) {
        let watch = &mut self.watches[index];
        let Some(trigger) = &watch.trigger else {
            return;
        };
        let stall = match trigger.read() {
            Ok(stall) => stall,
            Err(error) => {
                return self.lose(index, error.raw_os_error().unwrap_or(libc::EIO));
            }
        };
        // after the reading, so that a reading made late is not over 100 %
        let at = sys::now();
        let (rule, total) = (watch.account.rule(), stall.total);
        let sink = &mut self.sink;
        if self.verbose && wake == Wake::Crossed {
            sink.log(&Report::Crossing { rule, total });
        }
        let out = &mut |report: &Report<'_>| sink.log(report);
        watch.account.take(wake, at, stall, &mut self.ledger, out);
        if self.verbose {
            let (rule, phase) = (watch.account.rule(), watch.account.phase());
            self.sink.log(&Report::Reading { rule, total, phase });
        }
        let slot = self.triggers() + index;
        self.slots[slot] = self.watches[index].slot(&self.schedule);
    }

    /// The trigger is dead: its episode ends, its descriptor goes.
    fn lose(&mut self, index: usize, errno: i32) {
        let now = sys::now();
        let watch = &mut self.watches[index];
        let sink = &mut self.sink;
        let out = &mut |report: &Report<'_>| sink.log(report);
        watch
            .account
            .close(now, NOTHING_READ, "gone", &mut self.ledger, out);
        watch.trigger = None;
        let rule = watch.account.rule();
        if self.ledger.budget.line(now, rule.level) {
            let hint = None;
            self.sink.log(&Report::Lost { rule, errno, hint });
        } else {
            self.ledger.budget.hold(now, 1, 0);
        }
        let slot = self.triggers() + index;
        self.slots[slot] = Slot::IDLE;
        self.set_slow_timer();
    }

    /// Reads every quiet counter where events can be stolen, and looks again for
    /// cgroups that were not there.
    fn slow_round(&mut self, now: Moment) {
        for index in 0..self.watches.len() {
            let watch = &self.watches[index];
            if watch.trigger.is_none() {
                self.look_again(index, now);
            } else if self.schedule.checks(&watch.account) {
                self.read(index, Wake::Checked);
            }
        }
        self.settle();
    }

    fn look_again(&mut self, index: usize, now: Moment) {
        let watch = &mut self.watches[index];
        if watch.account.rule().cgroup.is_none() {
            return;
        }
        if let Ok((trigger, stall)) = Trigger::arm(watch.account.rule(), &self.roots) {
            watch.trigger = Some(trigger);
            watch.account.rebase(Sample {
                at: sys::now(),
                total: stall.total,
            });
            let rule = watch.account.rule();
            match self.ledger.budget.line(now, rule.level) {
                true => self.sink.log(&Report::Restored(rule)),
                false => self.ledger.budget.hold(now, 1, 0),
            };
        }
    }

    /// Arms a rule and adds its watch, armed or not.
    fn add(&mut self, rule: Rule) -> Result<(), BadTrigger> {
        let (trigger, stall, error) = match Trigger::arm(&rule, &self.roots) {
            Ok((trigger, stall)) => (Some(trigger), stall, None),
            Err(error) => (None, NOTHING_READ, Some(error)),
        };
        if let Some(error) = &error {
            self.sink.log(&Report::Lost {
                rule: &rule,
                errno: error.errno(),
                hint: error.hint.map(|hint| hint.token()),
            });
        }
        let baseline = Sample {
            at: sys::now(),
            total: stall.total,
        };
        self.watches.push(Watch {
            account: Account::new(rule, baseline, self.schedule.privileged()),
            trigger,
        });
        error.map_or(Ok(()), Err)
    }

    /// Builds the poll array and the slow timer anew after the set has changed.
    fn settle(&mut self) {
        self.slots.clear();
        self.slots
            .push(Slot::new(self.signals.as_fd(), libc::POLLIN));
        self.slots.resize(self.triggers(), Slot::IDLE);
        let schedule = &self.schedule;
        self.slots
            .extend(self.watches.iter().map(|watch| watch.slot(schedule)));
        self.set_slow_timer();
    }

    fn set_slow_timer(&mut self) {
        let lost = |watch: &Watch| watch.trigger.is_none() && watch.account.rule().cgroup.is_some();
        let missing = self.watches.iter().any(lost);
        self.schedule.settle(sys::now(), missing);
    }

    /// SIGHUP: what is unchanged keeps its descriptor and its open episode.
    fn reload(&mut self) {
        let config = match self.source.load() {
            Ok(config) => config,
            Err(bad) => {
                if let Some(first) = bad.lines.first() {
                    self.sink.log(&Report::ReloadFailed {
                        file: bad.file.as_os_str().as_encoded_bytes(),
                        line: first.line,
                        reason: first.mistake.reason.token(),
                        word: first.mistake.word.as_bytes(),
                    });
                }
                return;
            }
        };
        let now = sys::now();
        let settings = &config.settings;
        if settings.budget != self.config.settings.budget {
            let sink = &mut self.sink;
            self.ledger
                .sum_up(now, true, &mut |report| sink.log(report));
            self.ledger.budget = Budget::new(settings.budget, now);
        }
        self.sink.set(settings, now);
        let mut before = std::mem::take(&mut self.watches);
        let mut fresh = Vec::new();
        for rule in &config.rules {
            match before.iter().position(|watch| watch.account.rule() == rule) {
                Some(index) => self.watches.push(before.swap_remove(index)),
                None => fresh.push(rule.clone()),
            }
        }
        let (removed, added) = (before.len(), fresh.len());
        for mut watch in before {
            self.close(&mut watch, now, "reload");
        }
        for rule in fresh {
            // its line is logged, and that is all there is to do about it
            let _ = self.add(rule);
        }
        self.config = config;
        self.settle();
        self.log_windows();
        self.sink.log(&Report::Reload {
            triggers: self.armed(),
            added,
            removed,
            failed: self.watches.len() - self.armed(),
        });
        stay_in_memory();
    }

    /// SIGUSR1.
    fn status(&mut self) {
        let sink = &mut self.sink;
        for watch in &self.watches {
            let stall = watch
                .trigger
                .as_ref()
                .and_then(|trigger| trigger.read().ok());
            watch.account.status(stall, &mut |report| sink.log(report));
        }
    }

    fn tell_ready(&self) {
        let triggers = self.armed();
        let failed = self.watches.len() - triggers;
        self.notify.tell(State::Ready { triggers, failed });
    }

    fn stop(&mut self, signal: &'static str) -> ExitCode {
        self.notify.tell(State::Stopping);
        let now = sys::now();
        for mut watch in std::mem::take(&mut self.watches) {
            self.close(&mut watch, now, "stop");
        }
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
        for watch in &self.watches {
            let rule = watch.account.rule();
            self.sink.log(&Report::Lost {
                rule,
                errno,
                hint: None,
            });
        }
        self.sink.finish();
        ExitCode::FAILURE
    }

    fn close(&mut self, watch: &mut Watch, now: Moment, reason: &'static str) {
        let stall = watch
            .trigger
            .as_ref()
            .and_then(|trigger| trigger.read().ok());
        let stall = stall.unwrap_or(NOTHING_READ);
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

    /// `-t`: a begin and an end of the most severe rule, marked `test=1`, on the
    /// way that real ones take. Whether they were taken.
    pub fn drill(&mut self) -> bool {
        let Some(rule) = self
            .config
            .rules
            .iter()
            .min_by_key(|rule| rule.level.number())
        else {
            return false;
        };
        let told = Told {
            rule,
            id: Id {
                start: u64::try_from(sys::wall()).unwrap_or_default(),
                number: 0,
            },
            stall: NOTHING_READ,
            figures: Figures {
                duration: rule.hold,
                stalled: Micros::ZERO,
                hits: 0,
                worst: Percent(0),
            },
            test: true,
        };
        self.sink.log(&Report::Begin(told));
        self.sink.log(&Report::End(told, None));
        self.sink.finish()
    }
}

impl Watch {
    fn slot(&self, schedule: &Schedule) -> Slot {
        match &self.trigger {
            Some(trigger) if schedule.polls(&self.account) => {
                Slot::new(trigger.as_fd(), libc::POLLPRI)
            }
            _ => Slot::IDLE,
        }
    }

    fn rebase(&mut self) {
        if let Some(stall) = self
            .trigger
            .as_ref()
            .and_then(|trigger| trigger.read().ok())
        {
            self.account.rebase(Sample {
                at: sys::now(),
                total: stall.total,
            });
        }
    }
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
