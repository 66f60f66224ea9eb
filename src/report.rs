//! A report and its line. The line format is an API (psilogd(8), LINES): the
//! sentence comes from a fixed vocabulary, `event` and `level` come first and
//! side by side, keys are only ever appended, and one that doesn't apply is
//! left out.

use syslog::Severity;

use crate::episode::{Figures, Phase};
use crate::line::Line;
use crate::pressure::{Percent, Stall};
use crate::rule::{Level, Place, Rule};
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

/// An open episode, as a line tells it.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// Its rule.
    pub rule: &'a Rule,
    /// What is pressed.
    pub place: Place<'a>,
    /// Its identifier.
    pub id: Id,
    /// The reading that the line is based on; None if there is nothing to read any
    /// more.
    pub stall: Option<Stall>,
    /// What it has come to.
    pub figures: Figures,
    /// Whether it is a drill (`psilogd --drill`).
    pub test: bool,
    /// The most-stalled cgroup where the whole system is pressed, if one stands out.
    pub worst: Option<Worst<'a>>,
}

/// The most-stalled cgroup. It suffers most, which is not to say that it is the
/// cause.
#[derive(Clone, Copy, Debug)]
pub struct Worst<'a> {
    /// Its path.
    pub path: &'a [u8],
    /// Its average of the rule's resource and kind.
    pub avg10: Percent,
}

/// What there is to log.
#[derive(Clone, Copy, Debug)]
pub enum Report<'a> {
    /// Pressure has begun.
    Begin(Told<'a>),
    /// It goes on.
    Still(Told<'a>),
    /// It has ended, or the daemon stops looking, for the reason given.
    End(Told<'a>, Option<&'static str>),
    /// A rule is not armed, or no longer: its errno, and a token for what helps.
    Lost {
        /// The rule.
        rule: &'a Rule,
        /// What is not watched; if it is more than one cgroup, the first.
        place: Place<'a>,
        /// errno(3) of what failed.
        errno: i32,
        /// What would help; psilogd(8), DIAGNOSTICS explains each.
        hint: Option<&'static str>,
        /// How many cgroups of the rule are not armed.
        count: usize,
    },
    /// It is armed again, with every cgroup that it watches.
    Restored(&'a Rule),
    /// Cgroups that a rule's pattern matches and the cap leaves out.
    Capped {
        /// The rule.
        rule: &'a Rule,
        /// How many; none any more is good news.
        count: usize,
        /// The cap.
        max: usize,
    },
    /// The configuration was read again and is in force.
    Reload {
        /// Rules that are armed now.
        triggers: usize,
        /// Rules that are new.
        added: usize,
        /// Rules that are gone.
        removed: usize,
        /// Rules that are not armed.
        failed: usize,
    },
    /// It was not, and nothing has changed.
    ReloadFailed {
        /// The file.
        file: &'a [u8],
        /// The line, 0 for the file as a whole.
        line: usize,
        /// What was wrong, as a token.
        reason: &'static str,
        /// The word.
        word: &'a [u8],
    },
    /// Lines that an output could not keep.
    Dropped {
        /// How many.
        count: u64,
    },
    /// Lines that the budget held back.
    Held {
        /// How many.
        count: u64,
        /// How many of them were begins.
        begins: u64,
        /// Since when.
        since: Micros,
    },
    /// Two rules of one group with windows that differ.
    Windows {
        /// The rule with the shorter window.
        short: &'a Rule,
        /// The rule with the longer one.
        long: &'a Rule,
    },
    /// Where a rule stands (SIGUSR1).
    Status {
        /// The rule.
        rule: &'a Rule,
        /// What it watches.
        place: Place<'a>,
        /// Its state; None is not armed.
        phase: Option<Phase>,
        /// Its episode, if one is open.
        id: Option<Id>,
        /// Its averages and counter, if they could be read.
        stall: Option<Stall>,
        /// What the open episode has come to.
        figures: Option<Figures>,
    },
    /// How many cgroups of a pattern are in that state (SIGUSR1).
    Tally {
        /// The rule.
        rule: &'a Rule,
        /// Armed and without pressure.
        quiet: usize,
        /// Left out by the cap.
        capped: usize,
    },
    /// The daemon has started.
    Start {
        /// The program's version.
        version: &'static str,
        /// Rules that are armed.
        triggers: usize,
        /// Rules that are not.
        failed: usize,
        /// The period of the slow reading, where there is one.
        backing: Option<Micros>,
    },
    /// The daemon stops.
    Stop {
        /// The signal's name without SIG.
        signal: &'static str,
    },
    /// A trigger fired (with -v).
    Crossing {
        /// Its rule.
        rule: &'a Rule,
        /// Where.
        place: Place<'a>,
        /// The reading.
        total: u64,
    },
    /// A reading was made (with -v).
    Reading {
        /// Its rule.
        rule: &'a Rule,
        /// Where.
        place: Place<'a>,
        /// The reading.
        total: u64,
        /// The state after it.
        phase: Phase,
    },
}

/// What a full queue gives up first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// *still* lines: the begin was told, the end will be.
    Still,
    /// Start, stop, reload, status and the like.
    Information,
    /// Everything else.
    Alarm,
}

const INFO: Level = Level(Severity::LOG_INFO);
const NOTICE: Level = Level(Severity::LOG_NOTICE);
const WARNING: Level = Level(Severity::LOG_WARNING);
const ERR: Level = Level(Severity::LOG_ERR);
const DEBUG: Level = Level(Severity::LOG_DEBUG);

impl Report<'_> {
    /// The name for `event=`.
    pub const fn event(&self) -> &'static str {
        match self {
            Report::Begin(_) => "begin",
            Report::Still(_) => "still",
            Report::End(..) => "end",
            Report::Lost { .. } => "lost",
            Report::Restored(_) => "restored",
            Report::Capped { .. } => "capped",
            Report::Reload { .. } => "reload",
            Report::ReloadFailed { .. } => "reload_failed",
            Report::Dropped { .. } => "dropped",
            Report::Held { .. } => "held",
            Report::Windows { .. } => "windows",
            Report::Status { .. } | Report::Tally { .. } => "status",
            Report::Start { .. } => "start",
            Report::Stop { .. } => "stop",
            Report::Crossing { .. } => "crossing",
            Report::Reading { .. } => "reading",
        }
    }

    /// The value of `level=`: the rule's own for what tells of pressure.
    pub fn level(&self) -> Level {
        match self {
            Report::Begin(told) | Report::Still(told) | Report::End(told, _) => told.rule.level,
            Report::Lost { .. } | Report::ReloadFailed { .. } => ERR,
            Report::Capped { count: 0, .. } => INFO,
            Report::Dropped { .. }
            | Report::Held { .. }
            | Report::Windows { .. }
            | Report::Capped { .. } => WARNING,
            Report::Restored(_)
            | Report::Reload { .. }
            | Report::Status { .. }
            | Report::Tally { .. }
            | Report::Start { .. }
            | Report::Stop { .. } => INFO,
            Report::Crossing { .. } | Report::Reading { .. } => DEBUG,
        }
    }

    /// The severity of the line itself. An *end* is good news and never wakes
    /// anybody; start and stop must not be lost by receivers that drop info.
    pub fn severity(&self) -> Level {
        match self {
            Report::End(..)
            | Report::Restored(_)
            | Report::Reload { .. }
            | Report::Start { .. }
            | Report::Stop { .. } => NOTICE,
            _ => self.level(),
        }
    }

    /// What a full queue may do with it.
    pub fn class(&self) -> Class {
        match self {
            Report::Still(_) => Class::Still,
            _ if matches!(self.level().number(), 6..)
                && !matches!(self, Report::Begin(_) | Report::End(..)) =>
            {
                Class::Information
            }
            _ => Class::Alarm,
        }
    }

    /// Writes the line: sentence, colon, keys.
    pub fn write(&self, line: &mut Line<'_>) {
        self.sentence(line);
        line.text(":");
        line.word("event", self.event());
        line.word("level", self.level().name());
        match self {
            Report::Begin(told) => {
                told.identity(line);
                place(line, told.place);
                line.number("stall_us", told.rule.stall().0);
                line.number("window_us", told.rule.window.0);
                averages(line, told.stall);
                told.worst(line);
                told.drill(line);
            }
            Report::Still(told) => {
                told.identity(line);
                // before the cgroup, which may be long and then goes first
                told.figures.write(line);
                place(line, told.place);
                averages(line, told.stall);
                told.worst(line);
                told.drill(line);
            }
            Report::End(told, reason) => {
                told.identity(line);
                told.figures.write(line);
                line.percent("mean_pct", told.figures.mean());
                line.percent("worst_pct", told.figures.worst);
                if let Some(reason) = reason {
                    line.word("reason", reason);
                }
                place(line, told.place);
                averages(line, told.stall);
                told.drill(line);
            }
            Report::Lost {
                rule,
                place: at,
                errno,
                hint,
                count,
            } => {
                identity(line, rule);
                match errno_name(*errno) {
                    Some(name) => line.word("errno", name),
                    None => line.number("errno", u64::from(errno.unsigned_abs())),
                };
                if let Some(hint) = hint {
                    line.word("hint", hint);
                }
                place(line, *at);
                if *count > 1 {
                    line.number("count", *count as u64);
                }
            }
            Report::Restored(rule) => {
                identity(line, rule);
                place(line, rule.place());
            }
            Report::Capped { rule, count, max } => {
                identity(line, rule);
                line.number("count", *count as u64);
                line.number("max_triggers", *max as u64);
                place(line, rule.place());
            }
            Report::Tally {
                rule,
                quiet,
                capped,
            } => {
                identity(line, rule);
                line.word("state", Phase::Quiet.name());
                place(line, rule.place());
                line.number("count", *quiet as u64);
                line.number("capped", *capped as u64);
            }
            Report::Reload {
                triggers,
                added,
                removed,
                failed,
            } => {
                line.number("triggers", *triggers as u64);
                line.number("added", *added as u64);
                line.number("removed", *removed as u64);
                line.number("failed", *failed as u64);
            }
            Report::ReloadFailed {
                file,
                line: number,
                reason,
                word,
            } => {
                line.escaped("file", file);
                if *number > 0 {
                    line.number("line", *number as u64);
                }
                line.word("reason", reason);
                if !word.is_empty() {
                    line.escaped("word", word);
                }
            }
            Report::Dropped { count } => {
                line.number("count", *count);
            }
            Report::Held {
                count,
                begins,
                since,
            } => {
                line.number("count", *count);
                line.number("begins", *begins);
                line.seconds("since_s", *since);
            }
            Report::Windows { short, long } => {
                line.word("trigger", &short.name);
                line.number("window_us", short.window.0);
                line.word("blinds", &long.name);
                line.number("blinds_window_us", long.window.0);
                place(line, short.place());
            }
            Report::Status {
                rule,
                place: at,
                phase,
                id,
                stall,
                figures,
            } => {
                identity(line, rule);
                line.word("state", phase.map_or("lost", Phase::name));
                if let Some(id) = id {
                    line.id("id", id.start, id.number);
                }
                if let Some(figures) = figures {
                    figures.write(line);
                }
                avg10(line, *stall);
                place(line, *at);
                averages(line, *stall);
            }
            Report::Start {
                version,
                triggers,
                failed,
                backing,
            } => {
                line.word("version", version);
                line.number("triggers", *triggers as u64);
                line.number("failed", *failed as u64);
                if let Some(period) = backing {
                    line.seconds("backing_s", *period);
                }
            }
            Report::Stop { signal } => {
                line.word("signal", signal);
            }
            Report::Crossing {
                rule,
                place: at,
                total,
            } => {
                identity(line, rule);
                line.number("total_us", *total);
                place(line, *at);
            }
            Report::Reading {
                rule,
                place: at,
                total,
                phase,
            } => {
                identity(line, rule);
                line.word("state", phase.name());
                line.number("total_us", *total);
                place(line, *at);
            }
        }
    }

    fn sentence(&self, line: &mut Line<'_>) {
        let fixed = match self {
            Report::Begin(told) => {
                line.text(told.rule.resource.name()).text(" pressure ");
                adjective(told.rule.level)
            }
            Report::Still(told) => {
                line.text(told.rule.resource.name())
                    .text(" pressure still ");
                adjective(told.rule.level)
            }
            Report::End(told, _) => {
                line.text(told.rule.resource.name());
                " pressure ended"
            }
            Report::Lost { .. } => "trigger lost",
            Report::Restored(_) => "trigger restored",
            Report::Capped { .. } => "cgroups left out",
            Report::Reload { .. } => "configuration reloaded",
            Report::ReloadFailed { .. } => "configuration rejected",
            Report::Dropped { .. } => "messages dropped",
            Report::Held { .. } => "messages held back by the budget",
            Report::Windows { .. } => "windows differ",
            Report::Status { .. } | Report::Tally { .. } => "status",
            Report::Start { .. } => "psilogd started",
            Report::Stop { .. } => "psilogd stopping",
            Report::Crossing { .. } => "trigger fired",
            Report::Reading { .. } => "counter read",
        };
        line.text(fixed);
    }
}

fn adjective(level: Level) -> &'static str {
    match level.number() {
        0 | 1 => "extreme",
        2 => "critical",
        3 => "severe",
        4 => "high",
        5 => "raised",
        _ => "present",
    }
}

fn identity(line: &mut Line<'_>, rule: &Rule) {
    line.word("trigger", &rule.name);
    line.word("res", rule.resource.name());
    line.word("kind", rule.kind.name());
}

fn place(line: &mut Line<'_>, place: Place<'_>) {
    match place {
        Place::System => line.word("cgroup", "/"),
        Place::Cgroup(path) => line.escaped("cgroup", path),
        Place::Pattern(pattern) => line.word("cgroup", pattern.text()),
    };
}

fn avg10(line: &mut Line<'_>, stall: Option<Stall>) {
    if let Some(stall) = stall {
        line.percent("avg10", stall.avg10);
    }
}

fn averages(line: &mut Line<'_>, stall: Option<Stall>) {
    if let Some(stall) = stall {
        line.percent("avg60", stall.avg60);
        line.percent("avg300", stall.avg300);
        line.number("total_us", stall.total);
    }
}

impl Told<'_> {
    fn identity(&self, line: &mut Line<'_>) {
        identity(line, self.rule);
        line.id("id", self.id.start, self.id.number);
        avg10(line, self.stall);
    }

    fn worst(&self, line: &mut Line<'_>) {
        if let Some(worst) = self.worst {
            line.escaped("worst", worst.path);
            line.percent("worst_avg10", worst.avg10);
        }
    }

    fn drill(&self, line: &mut Line<'_>) {
        if self.test {
            line.number("test", 1);
        }
    }
}

impl Figures {
    fn write(&self, line: &mut Line<'_>) {
        line.seconds("dur_s", self.duration);
        line.number("hits", u64::from(self.hits));
        line.number("stalled_us", self.stalled.0);
    }
}

/// The names of the errors that a pressure file can give.
fn errno_name(errno: i32) -> Option<&'static str> {
    const NAMES: [(i32, &str); 15] = [
        (libc::EPERM, "EPERM"),
        (libc::ENOENT, "ENOENT"),
        (libc::EIO, "EIO"),
        (libc::ENOMEM, "ENOMEM"),
        (libc::EACCES, "EACCES"),
        (libc::EBUSY, "EBUSY"),
        (libc::ENODEV, "ENODEV"),
        (libc::ENOTDIR, "ENOTDIR"),
        (libc::EINVAL, "EINVAL"),
        (libc::ENFILE, "ENFILE"),
        (libc::EMFILE, "EMFILE"),
        (libc::ENOSPC, "ENOSPC"),
        (libc::EROFS, "EROFS"),
        (libc::EOPNOTSUPP, "EOPNOTSUPP"),
        (libc::ENAMETOOLONG, "ENAMETOOLONG"),
    ];
    NAMES
        .iter()
        .find(|(number, _)| *number == errno)
        .map(|(_, name)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::line::LINE_MAX;

    fn told(rule: &Rule) -> Told<'_> {
        Told {
            rule,
            place: Place::System,
            id: Id {
                start: 0x6a2b_1c3d,
                number: 17,
            },
            stall: Some(Stall {
                avg10: Percent(4310),
                avg60: Percent(802),
                avg300: Percent(210),
                total: 123_456_789,
            }),
            figures: Figures {
                duration: Micros(677_200_000),
                stalled: Micros(333_999_999),
                hits: 66,
                worst: Percent(8120),
            },
            test: false,
            worst: None,
        }
    }

    fn written(report: Report<'_>) -> String {
        let mut buffer = [0; LINE_MAX];
        let mut line = Line::new(&mut buffer);
        report.write(&mut line);
        String::from_utf8_lossy(line.bytes()).into_owned()
    }

    #[test]
    fn begin_still_and_end_as_documented() {
        let text = "memory full 40%/2s level=crit name=memory-critical";
        let rule = Rule::parse(text.split(' ')).expect("a rule");
        assert_eq!(
            written(Report::Begin(told(&rule))),
            "memory pressure critical: event=begin level=crit trigger=memory-critical res=memory \
             kind=full id=6a2b1c3d.17 avg10=43.10 cgroup=/ stall_us=800000 window_us=2000000 \
             avg60=8.02 avg300=2.10 total_us=123456789"
        );
        assert_eq!(
            written(Report::Still(told(&rule))),
            "memory pressure still critical: event=still level=crit trigger=memory-critical \
             res=memory kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 \
             stalled_us=333999999 cgroup=/ avg60=8.02 avg300=2.10 total_us=123456789"
        );
        assert_eq!(
            written(Report::End(told(&rule), Some("stop"))),
            "memory pressure ended: event=end level=crit trigger=memory-critical res=memory \
             kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 stalled_us=333999999 \
             mean_pct=49.32 worst_pct=81.20 reason=stop cgroup=/ avg60=8.02 avg300=2.10 \
             total_us=123456789"
        );
    }

    #[test]
    fn what_was_not_read_is_not_told() {
        let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
        let told = Told {
            stall: None,
            place: Place::Cgroup(b"/gone"),
            ..told(&rule)
        };
        assert_eq!(
            written(Report::End(told, Some("gone"))),
            "io pressure ended: event=end level=warning trigger=io-full res=io kind=full \
             id=6a2b1c3d.17 dur_s=677.2 hits=66 stalled_us=333999999 mean_pct=49.32 \
             worst_pct=81.20 reason=gone cgroup=/gone"
        );
    }

    #[test]
    fn the_worst_cgroup_comes_last_and_its_path_is_escaped() {
        let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
        let told = Told {
            worst: Some(Worst {
                path: b"/a b/c",
                avg10: Percent(4190),
            }),
            ..told(&rule)
        };
        for report in [Report::Begin(told), Report::Still(told)] {
            let text = written(report);
            let keys = " total_us=123456789 worst=/a%20b/c worst_avg10=41.90";
            assert!(text.ends_with(keys), "{text}");
        }
        let text = written(Report::End(told, None));
        assert!(!text.contains("worst="), "{text}");
    }

    #[test]
    fn what_is_said_of_a_pattern() {
        let text = "io full 1%/2s name=svc cgroup=/a%20b/*.service";
        let rule = Rule::parse(text.split(' ')).expect("a rule");
        let lost = Report::Lost {
            rule: &rule,
            place: Place::Cgroup(b"/a b/x.service"),
            errno: libc::EMFILE,
            hint: Some("descriptors"),
            count: 7,
        };
        assert_eq!(
            written(lost),
            "trigger lost: event=lost level=err trigger=svc res=io kind=full errno=EMFILE \
             hint=descriptors cgroup=/a%20b/x.service count=7"
        );
        let (count, max) = (12, 256);
        let rule = &rule;
        assert_eq!(
            written(Report::Capped { rule, count, max }),
            "cgroups left out: event=capped level=warning trigger=svc res=io kind=full count=12 \
             max_triggers=256 cgroup=/a%20b/*.service"
        );
        let (quiet, capped) = (5, 12);
        let tally = Report::Tally {
            rule,
            quiet,
            capped,
        };
        assert_eq!(
            written(tally),
            "status: event=status level=info trigger=svc res=io kind=full state=quiet \
             cgroup=/a%20b/*.service count=5 capped=12"
        );
    }

    #[test]
    fn severities() {
        let rule = Rule::parse("io full 1%/2s level=crit".split(' ')).expect("a rule");
        let of = |report: Report<'_>| {
            (
                report.level().name(),
                report.severity().name(),
                report.class(),
            )
        };
        let told = told(&rule);
        assert_eq!(of(Report::Begin(told)), ("crit", "crit", Class::Alarm));
        assert_eq!(of(Report::Still(told)), ("crit", "crit", Class::Still));
        assert_eq!(
            of(Report::End(told, None)),
            ("crit", "notice", Class::Alarm)
        );
        let stop = Report::Stop { signal: "TERM" };
        assert_eq!(of(stop), ("info", "notice", Class::Information));
        let dropped = Report::Dropped { count: 12 };
        assert_eq!(of(dropped), ("warning", "warning", Class::Alarm));
    }

    #[test]
    fn the_cgroup_is_escaped_and_costs_no_figure() {
        let path = format!("/{}\n", "\u{e9}".repeat(120));
        let rule = Rule::parse("io full 1%/2s cgroup=/*".split(' ')).expect("a rule");
        let told = Told {
            place: Place::Cgroup(path.as_bytes()),
            ..told(&rule)
        };
        let text = written(Report::End(told, None));
        assert!(text.contains(" worst_pct=81.20 cgroup=/%C3%A9"), "{text}");
        assert!(text.contains("%0A avg60="), "{text}");
    }
}
