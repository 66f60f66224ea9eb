//! How a report is written. The line format is an API (psilogd(8), LINES): the
//! sentence comes from a fixed vocabulary, `event` and `level` come first and side
//! by side, keys are only ever appended, and one that doesn't apply is left out.

use super::{EndReason, EpisodeReport, Findings, Hint, Report};
use crate::episode::{Figures, Phase};
use crate::line::Line;
use crate::pressure::{Averages, Percent};
use crate::rule::{Reason, Rule, Scope};
use crate::severity::Severity;
use crate::time::Micros;

impl Report<'_> {
    /// Writes the line: sentence, colon, keys. A new kind of report finds its family here;
    /// the function of a family gets no other.
    pub fn write(&self, line: &mut Line<'_>) {
        let heading = self.heading();
        if let Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) = self {
            line.text(episode.rule.resource.name());
        }
        line.text(heading.sentence);
        if let Report::Begin(episode) | Report::Still(episode) = self {
            line.text(" ").text(adjective(episode.rule.level));
        }
        line.text(":");
        line.word("event", heading.event);
        line.word("level", heading.level.name());
        match self {
            Report::Begin(begin) => {
                episode(line, begin, None, Some(begin.rule.threshold_share()));
            }
            Report::Still(still) => episode(line, still, None, None),
            Report::End(end, reason) => episode(line, end, *reason, None),
            Report::Lost { .. } | Report::Restored(_) | Report::Capped { .. } => {
                self.write_coverage(line);
            }
            Report::Status { .. } | Report::Tally { .. } => self.write_status(line),
            Report::Alive(counts) => counts.write(line),
            Report::Crossing { .. } | Report::Reading { .. } => self.write_debug(line),
            Report::Reload { .. } | Report::ReloadFailed { .. } | Report::WindowConflict { .. } => {
                self.write_configuration(line);
            }
            Report::Start { .. }
            | Report::Stop { .. }
            | Report::Dropped { .. }
            | Report::Suppressed { .. } => self.write_process(line),
        }
    }

    /// What is watched, and what is not.
    fn write_coverage(&self, line: &mut Line<'_>) {
        match *self {
            Report::Lost {
                rule,
                scope: at,
                errno,
                hint,
                count,
            } => {
                identity(line, rule);
                error(line, "errno", errno);
                word_of(line, hint);
                scope(line, at);
                if count > 1 {
                    line.number("count", count as u64);
                }
            }
            Report::Restored(rule) => {
                identity(line, rule);
                scope(line, rule.scope());
            }
            Report::Capped {
                rule,
                count,
                max,
                hint,
            } => {
                identity(line, rule);
                line.number("count", count as u64);
                line.number("max_triggers", max as u64);
                word_of(line, hint);
                scope(line, rule.scope());
            }
            _ => {}
        }
    }

    /// The states of rules.
    fn write_status(&self, line: &mut Line<'_>) {
        match *self {
            Report::Status {
                rule,
                scope: at,
                phase,
                id,
                averages,
                figures: so_far,
            } => {
                identity(line, rule);
                line.word("state", phase.map_or("lost", Phase::name));
                if let Some(id) = id {
                    line.id("id", id.start, id.number);
                }
                if let Some(so_far) = so_far {
                    figures(line, &so_far);
                }
                avg10(line, averages);
                scope(line, at);
                longer_averages(line, averages);
            }
            Report::Tally {
                rule,
                unmounted,
                quiet,
                capped,
            } => {
                identity(line, rule);
                let phase = (!unmounted).then_some(Phase::Quiet);
                line.word("state", phase.map_or("lost", Phase::name));
                scope(line, rule.scope());
                line.number("count", quiet as u64);
                line.number("capped", capped as u64);
            }
            _ => {}
        }
    }

    /// What -v adds.
    fn write_debug(&self, line: &mut Line<'_>) {
        match *self {
            Report::Crossing {
                rule,
                scope: at,
                total,
            } => {
                identity(line, rule);
                line.number("total_us", total);
                scope(line, at);
            }
            Report::Reading {
                rule,
                scope: at,
                total,
                phase,
            } => {
                identity(line, rule);
                line.word("state", phase.name());
                line.number("total_us", total);
                scope(line, at);
            }
            _ => {}
        }
    }

    /// The configuration.
    fn write_configuration(&self, line: &mut Line<'_>) {
        match *self {
            Report::Reload {
                triggers,
                added,
                removed,
                failed,
            } => {
                line.number("triggers", triggers as u64);
                line.number("added", added as u64);
                line.number("removed", removed as u64);
                line.number("failed", failed as u64);
            }
            Report::ReloadFailed {
                file,
                line: number,
                reason,
                word,
            } => {
                rejected(line, file, number, reason, word);
            }
            Report::WindowConflict { short, long } => window_conflict(line, short, long),
            _ => {}
        }
    }

    /// psilogd itself: start, stop, and lines that were not written.
    fn write_process(&self, line: &mut Line<'_>) {
        match *self {
            Report::Start {
                version,
                triggers,
                failed,
                poll,
                mlock,
                sandbox,
            } => {
                line.word("version", version);
                line.number("triggers", triggers as u64);
                line.number("failed", failed as u64);
                if let Some(period) = poll {
                    line.seconds("poll_s", period);
                }
                if let Some(errno) = mlock {
                    error(line, "mlock", errno);
                }
                line.word("sandbox", sandbox);
            }
            Report::Stop { signal } => {
                signal.map(|signal| line.word("signal", signal.token()));
            }
            Report::Dropped { count } => {
                line.number("count", count);
            }
            Report::Suppressed {
                rule,
                count,
                begins,
                since,
            } => {
                identity(line, rule);
                line.number("count", count).number("begins", begins);
                line.seconds("since_s", since);
            }
            _ => {}
        }
    }
}

/// A begin, a still or an end: a threshold is a begin's, a reason an end's.
fn episode(
    line: &mut Line<'_>,
    episode: &EpisodeReport<'_>,
    reason: Option<EndReason>,
    threshold: Option<Percent>,
) {
    open(line, episode);
    if let Some(reason) = reason {
        line.word("reason", reason.token());
    }
    scope(line, episode.scope);
    longer_averages(line, episode.averages);
    top(line, episode);
    percent(line, "threshold_pct", threshold);
    relapse(line, episode);
    drill(line, episode);
}

fn rejected(line: &mut Line<'_>, file: &[u8], number: usize, reason: Reason, word: &[u8]) {
    line.escaped("file", file);
    if number > 0 {
        line.number("line", number as u64);
    }
    line.word("reason", reason.token());
    if !word.is_empty() {
        line.escaped("word", word);
    }
}

fn window_conflict(line: &mut Line<'_>, short: &Rule, long: &Rule) {
    line.word("rule", &short.name);
    line.number("window_us", short.window.0);
    line.word("blinds", &long.name);
    line.number("blinds_window_us", long.window.0);
    scope(line, short.scope());
}

fn adjective(level: Severity) -> &'static str {
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
    line.word("rule", &rule.name);
    line.word("res", rule.resource.name());
    line.word("kind", rule.kind.name());
}

fn open(line: &mut Line<'_>, episode: &EpisodeReport<'_>) {
    identity(line, episode.rule);
    line.id("id", episode.id.start, episode.id.number);
    avg10(line, episode.averages);
    // before the cgroup, which may be long and then goes first
    figures(line, &episode.figures);
    line.percent("mean_pct", episode.figures.mean());
    line.percent("worst_pct", episode.figures.worst);
    findings(line, &episode.findings);
}

fn findings(line: &mut Line<'_>, findings: &Findings) {
    match *findings {
        Findings::None => {}
        Findings::Memory {
            available,
            swap_free,
            oom_kills,
        } => {
            percent(line, "avail_pct", available);
            percent(line, "swap_free_pct", swap_free);
            number(line, "oom_kills", oom_kills);
        }
        Findings::Io(io) => {
            let Some(disk) = io.disk else { return };
            line.escaped("disk", disk.as_bytes());
            if io.stuck > Micros::ZERO {
                line.seconds("stuck_s", io.stuck);
            }
            line.number("inflight", io.inflight);
            number(line, "iops", io.iops);
            number(line, "await_ms", io.wait.map(|wait| wait.0 / 1000));
        }
        Findings::Cpu {
            idle,
            steal,
            throttled,
        } => {
            percent(line, "idle_pct", idle);
            percent(line, "steal_pct", steal);
            percent(line, "throttled_pct", throttled);
        }
    }
}

fn percent(line: &mut Line<'_>, key: &str, share: Option<Percent>) {
    if let Some(share) = share {
        line.percent(key, share);
    }
}

fn number(line: &mut Line<'_>, key: &str, number: Option<u64>) {
    if let Some(number) = number {
        line.number(key, number);
    }
}

fn relapse(line: &mut Line<'_>, episode: &EpisodeReport<'_>) {
    if let Some(relapse) = episode.relapse {
        line.seconds("clear_s", relapse.clear);
        line.number("relapse", u64::from(relapse.count));
    }
}

fn scope(line: &mut Line<'_>, scope: Scope<'_>) {
    match scope {
        Scope::System => line.word("cgroup", "/"),
        Scope::Cgroup(path) => line.escaped("cgroup", path),
        Scope::Pattern(pattern) => line.word("cgroup", pattern.text()),
    };
}

fn word_of(line: &mut Line<'_>, hint: Option<Hint>) {
    if let Some(hint) = hint {
        line.word("hint", hint.token());
    }
}

fn avg10(line: &mut Line<'_>, averages: Option<Averages>) {
    if let Some(averages) = averages {
        line.percent("avg10", averages.avg10);
    }
}

fn longer_averages(line: &mut Line<'_>, averages: Option<Averages>) {
    if let Some(averages) = averages {
        line.percent("avg60", averages.avg60);
        line.percent("avg300", averages.avg300);
        line.number("total_us", averages.total);
    }
}

fn figures(line: &mut Line<'_>, figures: &Figures) {
    line.seconds("dur_s", figures.duration);
    line.number("hits", u64::from(figures.hits));
    line.number("stalled_us", figures.stalled.0);
}

fn top(line: &mut Line<'_>, episode: &EpisodeReport<'_>) {
    if let Some(top) = episode.top {
        line.escaped("top", top.path);
        line.percent("top_avg10", top.avg10);
    }
}

fn drill(line: &mut Line<'_>, episode: &EpisodeReport<'_>) {
    if episode.drill {
        line.number("drill", 1);
    }
}

/// An errno(3) by its name, or by its number.
fn error(line: &mut Line<'_>, key: &str, errno: i32) {
    match errno_name(errno) {
        Some(name) => line.word(key, name),
        None => line.number(key, u64::from(errno.unsigned_abs())),
    };
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
    let known = NAMES.iter().find(|(number, _)| *number == errno);
    known.map(|(_, name)| *name)
}
