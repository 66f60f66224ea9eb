//! A report: what happened, in the terms of a reader of the log. How it is written
//! is the business of `format`.

mod counts;
mod format;
mod message_id;
#[cfg(test)]
mod tests;
mod words;

pub use counts::Counts;
pub use message_id::{MESSAGE_IDS, message_id};
pub use words::{EndReason, Hint, StopSignal};

use crate::episode::{Figures, Phase, Relapse};
use crate::evidence::Io;
use crate::pressure::{Averages, Percent};
use crate::rule::{Reason, Rule, Scope};
use crate::severity::Severity;
use crate::time::Micros;

/// An episode's identifier: the daemon's start (seconds since the epoch) and the
/// episode's number. A gap in the numbers shows a lost begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Id {
    /// Seconds since the epoch at the daemon's start.
    pub start: u64,
    /// Counted from 1.
    pub number: u64,
}

/// An open episode, as a line shows it.
#[derive(Clone, Copy, Debug)]
pub struct EpisodeReport<'a> {
    /// Its rule.
    pub rule: &'a Rule,
    /// What is pressed.
    pub scope: Scope<'a>,
    /// Its identifier.
    pub id: Id,
    /// The reading that the line is based on; None if nothing could be read.
    pub averages: Option<Averages>,
    /// Its figures so far.
    pub figures: Figures,
    /// What the host's other counters say.
    pub findings: Findings,
    /// How it is damped, if it is a relapse.
    pub relapse: Option<Relapse>,
    /// Whether it is a drill (`psilogd --drill`).
    pub drill: bool,
    /// The most-stalled cgroup where the whole system is pressed, if one stands out.
    pub top: Option<Top<'a>>,
}

/// What a line shows of the host's other counters. What is None is left out.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Findings {
    /// Nothing was read.
    #[default]
    None,
    /// For pressure on memory.
    Memory {
        /// MemAvailable of MemTotal.
        available: Option<Percent>,
        /// SwapFree of SwapTotal.
        swap_free: Option<Percent>,
        /// Processes killed since the pressure was noticed.
        oom_kills: Option<u64>,
    },
    /// For pressure on I/O: the disk that is stuck or busiest.
    Io(Io),
    /// For pressure on CPUs, since the previous reading.
    Cpu {
        /// Idle, or waiting for I/O.
        idle: Option<Percent>,
        /// Taken by the hypervisor.
        steal: Option<Percent>,
        /// The share of its quota's periods in which a cgroup was stopped.
        throttled: Option<Percent>,
    },
}

/// The most-stalled cgroup. It suffers most, which is not to say that it is the
/// cause.
#[derive(Clone, Copy, Debug)]
pub struct Top<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Its average of the rule's resource and kind.
    pub avg10: Percent,
}

/// What there is to log.
#[derive(Clone, Copy, Debug)]
pub enum Report<'a> {
    /// Pressure has begun.
    Begin(EpisodeReport<'a>),
    /// It goes on.
    Still(EpisodeReport<'a>),
    /// It has ended, or psilogd stops watching, for the reason given.
    End(EpisodeReport<'a>, Option<EndReason>),
    /// A rule is not armed, or no longer.
    Lost {
        /// The rule.
        rule: &'a Rule,
        /// What is not watched; if it is more than one cgroup, the first.
        scope: Scope<'a>,
        /// errno(3) of what failed.
        errno: i32,
        /// What would help.
        hint: Option<Hint>,
        /// How many cgroups of the rule are not armed.
        count: usize,
    },
    /// A rule is armed again, with every cgroup that it watches.
    Restored(&'a Rule),
    /// Cgroups that a rule's pattern matches and the cap leaves out.
    Capped {
        /// The rule.
        rule: &'a Rule,
        /// How many; 0 once all of them are armed.
        count: usize,
        /// The cap.
        max: usize,
        /// What is short, if it isn't the cap.
        hint: Option<Hint>,
    },
    /// The configuration was read again and is in force.
    Reload {
        /// Triggers that are armed now.
        triggers: usize,
        /// Rules that are new.
        added: usize,
        /// Rules that were removed.
        removed: usize,
        /// Rules and cgroups that are not armed.
        failed: usize,
    },
    /// A reload was rejected; the old configuration stays in force.
    ReloadFailed {
        /// The file.
        file: &'a [u8],
        /// The line, 0 for the file as a whole.
        line: usize,
        /// What was wrong.
        reason: Reason,
        /// The word.
        word: &'a [u8],
    },
    /// Lines that an output could not keep.
    Dropped {
        /// How many.
        count: u64,
    },
    /// Lines that a rule's rate limit suppressed.
    Suppressed {
        /// The rule.
        rule: &'a Rule,
        /// How many lines.
        count: u64,
        /// How many of them were begins.
        begins: u64,
        /// How long ago the first of them was due.
        since: Micros,
    },
    /// Two rules for the whole system, or for the same cgroup, with windows that differ.
    WindowConflict {
        /// The rule with the shorter window.
        short: &'a Rule,
        /// The rule with the longer one.
        long: &'a Rule,
    },
    /// The state of a rule (SIGUSR1).
    Status {
        /// The rule.
        rule: &'a Rule,
        /// What it watches.
        scope: Scope<'a>,
        /// Its state; None is not armed.
        phase: Option<Phase>,
        /// Its episode, if one is open.
        id: Option<Id>,
        /// Its averages and counter, if they could be read.
        averages: Option<Averages>,
        /// The figures of the open episode.
        figures: Option<Figures>,
    },
    /// How many cgroups of a pattern are quiet (SIGUSR1).
    Tally {
        /// The rule.
        rule: &'a Rule,
        /// Whether no cgroup is seen, as no cgroup2 hierarchy is mounted.
        unmounted: bool,
        /// Armed and without pressure.
        quiet: usize,
        /// Left out by the cap.
        capped: usize,
    },
    /// psilogd has started.
    Start {
        /// The program's version.
        version: &'static str,
        /// Triggers that are armed.
        triggers: usize,
        /// Rules and cgroups that are not.
        failed: usize,
        /// The period of the fallback reading, where there is one.
        poll: Option<Micros>,
        /// Why its memory is not locked, as errno(3).
        mlock: Option<i32>,
        /// What restricts psilogd from now on.
        sandbox: &'a str,
    },
    /// psilogd stops.
    Stop {
        /// On which signal; None if every output is closed.
        signal: Option<StopSignal>,
    },
    /// A sign of life.
    Alive(Counts),
    /// A trigger fired (with -v).
    Crossing {
        /// Its rule.
        rule: &'a Rule,
        /// Where.
        scope: Scope<'a>,
        /// `total=`, in microseconds.
        total: u64,
    },
    /// A counter was read (with -v).
    Reading {
        /// Its rule.
        rule: &'a Rule,
        /// Where.
        scope: Scope<'a>,
        /// `total=`, in microseconds.
        total: u64,
        /// The state after it.
        phase: Phase,
    },
}

/// What a full queue gives up first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// *still* lines: the begin was logged, the end will be. Signs of life: the next one
    /// says the same.
    Still,
    /// Start, stop, reload, status and the like.
    Information,
    /// Everything else.
    Alarm,
}

const INFO: Severity = Severity::INFO;
const WARNING: Severity = Severity::WARNING;
const ERR: Severity = Severity::ERR;
const DEBUG: Severity = Severity::DEBUG;

/// What is fixed for each kind of report; psilogd(8), LINES has the same table.
#[derive(Clone, Copy)]
pub struct Heading {
    /// The name for `event=`.
    pub event: &'static str,
    /// The sentence; that of an episode follows the name of its resource.
    pub sentence: &'static str,
    /// The value of `level=`: the rule's own for an episode.
    pub level: Severity,
    /// The severity of the line itself. An *end* is good news and never wakes
    /// anybody; start and stop must not be lost by receivers that drop info.
    pub severity: Severity,
    /// What a full queue may do with it.
    pub class: Class,
}

/// The heading of everything but an episode: its level is its severity, but for good
/// news.
const fn fixed(event: &'static str, sentence: &'static str, level: Severity) -> Heading {
    let class = match level.number() {
        6.. => Class::Information,
        _ => Class::Alarm,
    };
    Heading {
        event,
        sentence,
        level,
        severity: level,
        class,
    }
}

/// What receivers that drop info must not lose.
const fn at_notice(heading: Heading) -> Heading {
    Heading {
        severity: Severity::NOTICE,
        ..heading
    }
}

/// The heading of an episode's line: its level is the rule's.
const fn episode(event: &'static str, sentence: &'static str, rule: &Rule) -> Heading {
    Heading {
        class: Class::Alarm,
        ..fixed(event, sentence, rule.level)
    }
}

impl Report<'_> {
    /// The one table of events.
    pub fn heading(&self) -> Heading {
        match self {
            Report::Begin(begin) => episode("begin", " pressure", begin.rule),
            Report::Still(still) => Heading {
                class: Class::Still,
                ..episode("still", " pressure still", still.rule)
            },
            Report::End(end, _) => at_notice(episode("end", " pressure ended", end.rule)),
            Report::Lost { .. } => fixed("lost", "trigger lost", ERR),
            Report::Restored(_) => at_notice(fixed("restored", "trigger restored", INFO)),
            Report::Capped { count: 0, .. } => fixed("capped", "cgroups left out", INFO),
            Report::Capped { .. } => fixed("capped", "cgroups left out", WARNING),
            Report::Reload { .. } => at_notice(fixed("reload", "configuration reloaded", INFO)),
            Report::ReloadFailed { .. } => fixed("reload_failed", "configuration rejected", ERR),
            Report::Dropped { .. } => fixed("dropped", "lines dropped", WARNING),
            Report::Suppressed { .. } => fixed("suppressed", "lines suppressed", WARNING),
            Report::WindowConflict { .. } => fixed("window_conflict", "windows differ", WARNING),
            Report::Status { .. } | Report::Tally { .. } => fixed("status", "status", INFO),
            Report::Start { .. } => at_notice(fixed("start", "psilogd started", INFO)),
            Report::Stop { .. } => at_notice(fixed("stop", "psilogd stopping", INFO)),
            Report::Alive(_) => Heading {
                class: Class::Still,
                ..at_notice(fixed("alive", "psilogd alive", INFO))
            },
            Report::Crossing { .. } => fixed("crossing", "trigger fired", DEBUG),
            Report::Reading { .. } => fixed("reading", "counter read", DEBUG),
        }
    }
}
