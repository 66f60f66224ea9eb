//! The daemon moves descriptors: every trigger is in one poll(2) array, and what the
//! step of [`Monitors`] asks for is done. Nothing is decided here.

mod arming;
mod drill;
mod evidence;
mod fence;
mod greet;
mod heartbeat;
mod mounts;
mod rehearse;
mod reload;
mod top;
mod wait;

use std::error::Error;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::ExitCode;
use std::rc::Rc;

use crate::alert::{FallbackPoll, Ids, Reading, Wake};
use crate::cgroup::Tree;
use crate::config::{Config, OutputSpec};
use crate::evidence::Evidence;
use crate::listen::Passed;
use crate::monitors::{Failure, Monitors, Reloaded, Task};
use crate::notify::{Notify, State};
use crate::options::{CommandLine, Source};
use crate::report::{EndReason, Hint, Report, StopSignal};
use crate::roots::Roots;
use crate::rule::Rule;
use crate::sink::Sink;
use crate::sys::{self, Signals, Slot};
use crate::time::Moment;
use crate::trigger::{ArmError, Trigger};

use arming::Failures;
use evidence::Sources;
use fence::Sandbox;
use heartbeat::Heartbeat;
use mounts::Mounts;
use top::TopSearch;
use wait::Failing;

pub use evidence::check_evidence;
pub use fence::{FenceError, find_user};
pub use greet::is_watched;

/// The slots of the signalfd, of inotify, of the search and of mountinfo in the poll
/// array, and the first of the outputs; the triggers follow.
const SIGNALS: usize = 0;
const CGROUPS: usize = 1;
const TOP: usize = 2;
const MOUNTS: usize = 3;
const OUTPUTS: usize = 4;

/// Stop, stop, reload, status, and the end of a child.
const SIGNALS_TAKEN: [libc::c_int; 5] = [
    libc::SIGTERM,
    libc::SIGINT,
    libc::SIGHUP,
    libc::SIGUSR1,
    libc::SIGCHLD,
];

/// A rule that could not be armed at start.
#[derive(Debug)]
pub struct UnarmedError {
    /// Its name.
    pub name: String,
    /// Why.
    pub why: ArmError,
}

impl fmt::Display for UnarmedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} is not armed: {}", self.name, self.why)
    }
}

impl Error for UnarmedError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.why)
    }
}

/// Everything that psilogd holds.
pub struct Daemon {
    source: Source,
    config: Config,
    verbose: bool,
    signals: Signals,
    sink: Sink,
    notify: Notify,
    heartbeat: Heartbeat,
    roots: Roots,
    mounts: Mounts,
    passed: Passed,
    tree: Option<Tree>,
    sources: Sources,
    top: TopSearch,
    monitors: Monitors<Trigger>,
    slots: Vec<Slot>,
    /// Rules that are to be armed, the first one last.
    to_arm: Vec<Rc<Rule>>,
    /// The reload whose rules and cgroups are being armed.
    reloaded: Option<Reloaded>,
    /// Since when poll(2) fails, if it does.
    failing: Option<Failing>,
    /// Whether what is watched has changed since it was last counted.
    changed: bool,
    /// Whether a cgroup that a rule names was found since then.
    found: bool,
    sandbox: Sandbox,
}

impl Daemon {
    /// Takes over signals and opens the outputs.
    pub fn new(line: CommandLine, config: Config) -> io::Result<Daemon> {
        let passed = Passed::from_environment();
        let signals = Signals::new(&SIGNALS_TAKEN)?;
        // a file that has reached RLIMIT_FSIZE is an output that fails for a while
        sys::ignore(libc::SIGXFSZ);
        sys::raise_descriptor_limit();
        let now = sys::now();
        let settings = &config.settings;
        let start = sys::wall().0 / 1_000_000;
        let fallback = FallbackPoll::new(sys::uptime(), settings.grace, now);
        let (mut roots, mut mounts) = (Roots::find_system(), Mounts::new(line.cgroups));
        mounts.find(&mut roots);
        Ok(Daemon {
            signals,
            sink: Sink::new(settings, now),
            notify: Notify::from_environment(),
            heartbeat: Heartbeat::new(settings.heartbeat, now),
            tree: roots.cgroup.as_deref().map(Tree::new),
            sources: Sources::new(&roots, now),
            top: TopSearch::new(roots.cgroup.as_deref()),
            roots,
            mounts,
            passed,
            monitors: Monitors::new(Ids::new(start), fallback),
            slots: Vec::new(),
            to_arm: Vec::new(),
            reloaded: None,
            failing: None,
            source: line.source,
            verbose: line.verbose,
            config,
            changed: false,
            found: false,
            sandbox: Sandbox::none(),
        })
    }

    /// Lets the lines go that say why nothing runs.
    pub fn finish(&mut self) {
        self.sink.finish();
    }

    /// Watches and logs until a signal stops it.
    #[inline(never)] // into main, whose code is given back
    pub fn run(&mut self) -> ExitCode {
        self.log_start();
        self.notify_ready();
        self.notify.start_watchdog(sys::now());
        let code = loop {
            if let Some(code) = self.turn() {
                break code;
            }
        };
        close(self.monitors.take_triggers());
        code
    }

    /// The start line, and what belongs to a start.
    pub fn log_start(&mut self) {
        // after fence(), so that the search has no more privileges than psilogd
        self.top.set_rules(self.config.rules.iter());
        self.top.own_memory();
        self.log_window_conflicts();
        let rehearsal = rehearse::Rehearsal::new();
        let locked = sys::lock_memory();
        // where it can't be locked again, all of it stays
        if locked.is_ok() {
            sys::forget_start();
        }
        self.sink.log(&Report::Start {
            version: env!("CARGO_PKG_VERSION"),
            triggers: self.monitors.len(),
            failed: self.monitors.unarmed(),
            poll: self.monitors.fallback_period(),
            mlock: locked.err().and_then(|error| error.raw_os_error()),
            sandbox: self.sandbox.name(),
        });
        self.rehearse(rehearsal);
        // once more, for what the first line and the rehearsal have touched
        let _ = sys::lock_memory();
    }

    /// One turn of the loop: waits, and does what there is to do. The exit code
    /// when it is over. Allocates nothing but for a reload, and for cgroups that
    /// are created and removed.
    pub fn turn(&mut self) -> Option<ExitCode> {
        self.wait();
        let over = self.serve();
        self.top.own_memory();
        over.or_else(|| self.sink.is_over().then(|| self.stop_unheard()))
    }

    /// What a turn does when it has waited.
    fn serve(&mut self) -> Option<ExitCode> {
        let now = sys::now();
        self.note_events();
        self.sources.turn();
        if self.slots[TOP].seen() != 0 && self.top.take() {
            self.monitors.has_read_cgroups();
        }
        self.monitors.wake(now);
        self.carry_out();
        let outputs = OUTPUTS..OUTPUTS + self.sink.width();
        self.sink.ready(&self.slots[outputs], now);
        self.sink.expire(now);
        self.notify.expire(now);
        if self.heartbeat.take(now) {
            self.log_alive();
        }
        self.top.ask(now);
        if self.slots[CGROUPS].seen() != 0 {
            self.take_changes();
        }
        if self.is_arming() {
            self.arm_some(&mut Failures::default());
        }
        if self.slots[MOUNTS].seen() != 0 {
            self.note_mounts();
        }
        self.report_unarmed(false);
        self.finish_reload();
        if self.slots[SIGNALS].seen() != 0 {
            if let Some(signal) = self.take_signals() {
                self.stop(Some(signal));
                return Some(ExitCode::SUCCESS);
            }
        }
        None
    }

    /// Hands over what poll(2) saw of the triggers. POLLERR first: it stays set
    /// once a cgroup was removed, and then POLLPRI means nothing.
    fn note_events(&mut self) {
        let triggers = OUTPUTS + self.sink.width();
        for (index, slot) in self.slots[triggers..].iter().enumerate() {
            match slot.seen() {
                0 => {}
                seen if seen & (libc::POLLERR | libc::POLLNVAL) != 0 => {
                    self.monitors.died(index, libc::ENODEV);
                }
                _ => self.monitors.fired(index),
            }
        }
    }

    /// Does what the step asks for.
    fn carry_out(&mut self) {
        while let Some(task) = self.monitors.next_task() {
            match task {
                Task::Log(report) => self.sink.log(&report),
                Task::Read(index, wake) => self.read(index, wake),
                Task::Close(index, reason) => self.close_episode(index, reason),
                Task::Rearm(index, errno) => self.rearm(index, Failure { errno, hint: None }),
                Task::Rescan => self.rescan(),
                Task::Retry => self.retry_all(),
            }
        }
    }

    /// Reads one counter and logs the report, if any.
    fn read(&mut self, index: usize, wake: Wake) {
        let averages = match self.monitors.trigger(index).read() {
            Ok(averages) => averages,
            Err(error) => return self.rearm(index, Failure::of(&error, None)),
        };
        // after the reading, so that a reading made late is not over 100 %
        let at = sys::now();
        let total = averages.total;
        let evidence = match self.read_evidence(index, wake, at) {
            Ok(evidence) => evidence,
            Err(failure) => return self.rearm(index, failure),
        };
        if self.verbose && wake == Wake::Crossed {
            let alert = self.monitors.alert(index);
            let (rule, scope) = (alert.rule(), alert.scope());
            self.sink.log(&Report::Crossing { rule, scope, total });
        }
        let was_quiet = self.monitors.alert(index).is_quiet();
        let reading = Reading {
            at,
            averages,
            evidence,
        };
        if let Some(report) = self.monitors.take(index, wake, reading) {
            self.sink.log(&self.top.name(report, at));
        }
        let alert = self.monitors.alert(index);
        self.top.note(alert, was_quiet, at, averages.avg10);
        if self.verbose {
            let (rule, scope, phase) = (alert.rule(), alert.scope(), alert.phase());
            self.sink.log(&Report::Reading {
                rule,
                scope,
                total,
                phase,
            });
        }
    }

    /// Reads what a reading for this reason wants beside the counter. Only a rule that
    /// asks for it can't do without.
    fn read_evidence(&mut self, index: usize, wake: Wake, at: Moment) -> Result<Evidence, Failure> {
        let alert = self.monitors.alert(index);
        if !alert.wants_evidence(wake) {
            return Ok(Evidence::None);
        }
        let rule = alert.rule();
        match self.sources.read(rule, alert.cgroup(), at) {
            Ok(evidence) if self.sources.check(rule).is_ok() => Ok(evidence),
            Err(_) if !rule.asks_evidence() => Ok(Evidence::None),
            read => {
                let error = read.err().unwrap_or(io::ErrorKind::InvalidData.into());
                Err(Failure::of(&error, Some(Hint::NoEvidence)))
            }
        }
    }

    fn close_episode(&mut self, index: usize, reason: EndReason) {
        let averages = self.monitors.trigger(index).read().ok();
        let now = sys::now();
        if let Some(report) = self.monitors.close(index, now, averages, reason) {
            self.sink.log(&self.top.name(report, now));
        }
    }

    /// Handles what is pending; the signal that stops psilogd.
    fn take_signals(&mut self) -> Option<StopSignal> {
        while let Some(signal) = self.signals.take() {
            match signal {
                libc::SIGTERM => return Some(StopSignal::Term),
                libc::SIGINT => return Some(StopSignal::Int),
                libc::SIGHUP => {
                    self.notify.notify(State::Reloading { at: sys::now() });
                    self.reload();
                }
                libc::SIGUSR1 => {
                    let sink = &mut self.sink;
                    let read = |trigger: &Trigger| trigger.read().ok();
                    self.monitors.status(&read, &mut |report| sink.log(report));
                    self.log_alive();
                }
                libc::SIGCHLD => self.top.reap(),
                // the descriptor has no others
                _ => {}
            }
        }
        None
    }

    fn notify_ready(&self) {
        self.notify.notify(State::Ready {
            triggers: self.monitors.len(),
            failed: self.monitors.unarmed(),
        });
    }

    /// Ends what is open. On a signal, or because nothing is left to do.
    fn stop(&mut self, signal: Option<StopSignal>) {
        self.notify.notify(State::Stopping);
        self.monitors.stop(sys::now());
        self.carry_out();
        self.sink.log(&Report::Stop { signal });
        self.sink.finish();
    }

    /// With every output closed, no line will ever be read: standard error gets the
    /// last ones, if it is not one of them.
    fn stop_unheard(&mut self) -> ExitCode {
        let settings = &mut self.config.settings;
        if !settings.outputs.contains(&OutputSpec::Stderr) {
            settings.outputs = vec![OutputSpec::Stderr];
            self.sink.set(settings, sys::now());
        }
        self.stop(None);
        ExitCode::FAILURE
    }

    fn log_window_conflicts(&mut self) {
        for (short, long) in self.config.differing_windows() {
            self.sink.log(&Report::WindowConflict { short, long });
        }
    }
}

/// Closes triggers.
fn close(triggers: Vec<Trigger>) {
    sys::close_together(triggers.into_iter().map(OwnedFd::from).collect());
}

/// psilogd is needed when memory is short. It may be refused, and then it is as safe as
/// any other process.
fn spare_from_oom_killer() {
    let path = Path::new("/proc/self/oom_score_adj");
    let Ok(file) = sys::open(path, libc::O_RDWR) else {
        return;
    };
    let mut score = [0; 2];
    // a score that the service manager has set is its decision
    if file.read_at(&mut score, 0).is_ok() && score == *b"0\n" {
        let _ = file.write_at(b"-1000", 0);
    }
}
