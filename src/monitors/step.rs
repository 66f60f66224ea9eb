//! The loop's step. What poll(2) saw and the time go in; tasks come out, one after
//! the other, until there is none: counters to read, lines to log, triggers that are
//! dead. Nothing here allocates.
//!
//! A step is a row of passes over what is armed, or over the rules. A pass over
//! monitors runs from the last to the first, since one that is disarmed on the way
//! leaves its place to the last one, which was visited already. A pass over rules runs
//! in their order, which is that of the lines. Where nothing is due, a turn visits what
//! poll(2) has seen, or nothing.
//!
//! ```text
//! wake:    Fired --(grace over: GraceOver)--> Expired --(round due: Fallback)--> Summaries
//! notify:  Notices
//! retire:  Closing --> LastSummaries
//! ```

use super::rules::{RuleInForce, limit_of};
use super::{Failure, Monitors};
use crate::alert::{Reading, Suppressed, Wake};
use crate::report::{EndReason, Hint, Report};
use crate::time::Moment;

/// What poll(2) saw of a trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Seen {
    /// The kernel's event.
    Fired,
    /// Its file is dead: errno(3).
    Dead(i32),
}

/// What there is to do; see [`Monitors::next_task`].
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "it is carried out at once, and nothing here may allocate"
)]
pub enum Task<'a> {
    /// Read the counter of this monitor and hand it to [`Monitors::take`].
    Read(usize, Wake),
    /// Close the episode of this monitor ([`Monitors::close`]) with a last reading.
    Close(usize, EndReason),
    /// The trigger of this monitor is dead, of this errno(3): disarm it, and arm it
    /// again if that can be.
    Rearm(usize, i32),
    /// Look for cgroups whose creation goes unnoticed.
    Rescan,
    /// Try to arm what is not armed.
    Retry,
    /// Log this.
    Log(Report<'a>),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Pass {
    Fired,
    GraceOver,
    Expired,
    Fallback,
    Summaries,
    Notices { at_once: bool },
    Closing(EndReason),
    LastSummaries,
    Over,
}

/// How far the step is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Step {
    now: Moment,
    pass: Pass,
    /// So many are still to be visited in this pass.
    left: usize,
    /// Whether anything but events may be there for it.
    due: bool,
}

impl Step {
    pub const OVER: Step = Step {
        now: Moment(0),
        pass: Pass::Over,
        left: 0,
        due: false,
    };
}

/// A task before its line is put together.
#[expect(
    clippy::large_enum_variant,
    reason = "it is carried out at once, and nothing here may allocate"
)]
enum Due {
    Task(Task<'static>),
    Suppressed(usize, Suppressed),
    Lost(usize, usize),
    Capped(usize, usize),
}

impl<T> Monitors<T> {
    /// poll(2) has seen an event of this trigger.
    pub fn fired(&mut self, index: usize) {
        self.armed[index].seen = Some(Seen::Fired);
        self.seen = true;
    }

    /// poll(2) has seen that this trigger's file is dead.
    pub fn died(&mut self, index: usize, errno: i32) {
        self.armed[index].seen = Some(Seen::Dead(errno));
        self.seen = true;
    }

    /// When there is something to do.
    pub fn deadline(&mut self) -> Option<Moment> {
        let mut next = self.fallback.deadlines().chain(self.place_deadline()).min();
        for monitor in &self.armed {
            next = earlier(next, monitor.alert.deadline());
        }
        for rule in &self.rules {
            next = earlier(next, rule.limit.deadline());
            next = earlier(next, rule.lost.deadline());
            next = earlier(next, rule.capped.deadline());
        }
        self.due = Some(next.unwrap_or(Moment(u64::MAX)));
        next
    }

    /// Whether anything may be due.
    fn is_due(&self, now: Moment) -> bool {
        self.due.is_none_or(|due| due <= now)
    }

    /// Starts the tasks of a turn of the loop: events first, then what is due.
    pub fn wake(&mut self, now: Moment) {
        self.step.due = self.is_due(now);
        self.start(now, Pass::Fired);
    }

    /// Starts the tasks that log what is not watched, as far as it is due; `at_once`
    /// at a start and after a reload: then all of it, free of the rate limit.
    pub fn notify(&mut self, now: Moment, at_once: bool) {
        let over = !at_once && !self.is_due(now);
        let pass = if over {
            Pass::Over
        } else {
            Pass::Notices { at_once }
        };
        self.start(now, pass);
    }

    /// Starts the tasks that close what retires.
    pub fn retire(&mut self, now: Moment, reason: EndReason) {
        self.start(now, Pass::Closing(reason));
    }

    /// Starts the tasks that close everything.
    pub fn stop(&mut self, now: Moment) {
        self.armed
            .iter_mut()
            .for_each(|monitor| monitor.retiring = true);
        self.rules.iter_mut().for_each(|rule| rule.retiring = true);
        self.start(now, Pass::Closing(EndReason::Stop));
    }

    /// The next task; None when the step is over.
    pub fn next_task(&mut self) -> Option<Task<'_>> {
        Some(match self.advance()? {
            Due::Task(task) => task,
            Due::Suppressed(
                at,
                Suppressed {
                    count,
                    begins,
                    since,
                },
            ) => {
                let since = self.step.now.since(since);
                self.counts.suppressed += count;
                let rule = &self.rules[at].rule;
                Task::Log(Report::Suppressed {
                    rule,
                    count,
                    begins,
                    since,
                })
            }
            Due::Lost(at, 0) => Task::Log(Report::Restored(&self.rules[at].rule)),
            Due::Lost(at, count) => Task::Log(self.lost(at, count)),
            Due::Capped(at, count) => {
                let (rule, max) = (&self.rules[at].rule, self.max);
                let short = self.is_short() && count > 0;
                let hint = short.then_some(Hint::Descriptors);
                Task::Log(Report::Capped {
                    rule,
                    count,
                    max,
                    hint,
                })
            }
        })
    }

    /// Takes what was read for a task; what there is to log of it.
    pub fn take(&mut self, index: usize, wake: Wake, reading: Reading) -> Option<Report<'_>> {
        self.due = None;
        self.counts.crossings += u64::from(wake == Wake::Crossed);
        let alert = &mut self.armed[index].alert;
        let limit = limit_of(&mut self.rules, &self.by_address, alert.rule())?;
        alert.take(wake, reading, limit, &mut self.ids)
    }

    fn start(&mut self, now: Moment, pass: Pass) {
        let left = self.length(pass);
        (self.step.now, self.step.pass, self.step.left) = (now, pass, left);
    }

    /// How many visits a pass makes; two per rule for its two notices.
    fn length(&self, pass: Pass) -> usize {
        match pass {
            Pass::Fired if !self.seen => 0,
            Pass::Fired | Pass::GraceOver | Pass::Expired | Pass::Fallback => self.armed.len(),
            Pass::Closing(_) => self.armed.len(),
            Pass::Summaries | Pass::LastSummaries => self.rules.len(),
            Pass::Notices { .. } => 2 * self.rules.len(),
            Pass::Over => 0,
        }
    }

    fn advance(&mut self) -> Option<Due> {
        loop {
            while let Some(left) = self.step.left.checked_sub(1) {
                self.step.left = left;
                if let Some(due) = self.visit(left) {
                    return Some(due);
                }
            }
            let Step { now, pass, .. } = self.step;
            if pass == Pass::Over {
                return None;
            }
            let behind = self.behind(pass);
            self.start(now, behind);
            match pass {
                Pass::Fallback if self.inotify_error.is_some() => {
                    return Some(Due::Task(Task::Rescan));
                }
                Pass::Fallback if self.may_mend() => return Some(Due::Task(Task::Retry)),
                _ => {}
            }
        }
    }

    /// The pass that follows.
    fn behind(&mut self, pass: Pass) -> Pass {
        let now = self.step.now;
        self.seen &= pass != Pass::Fired;
        match pass {
            Pass::Fired if !self.step.due => Pass::Over,
            Pass::Fired if self.fallback.ends_grace(now) => Pass::GraceOver,
            Pass::Fired | Pass::GraceOver => Pass::Expired,
            Pass::Expired if self.fallback.starts_round(now) => Pass::Fallback,
            Pass::Expired | Pass::Fallback => Pass::Summaries,
            Pass::Closing(_) => Pass::LastSummaries,
            Pass::Summaries | Pass::Notices { .. } | Pass::LastSummaries | Pass::Over => Pass::Over,
        }
    }

    /// With so many visits left in this pass.
    fn visit(&mut self, left: usize) -> Option<Due> {
        let (pass, now) = (self.step.pass, self.step.now);
        let at = self.length(pass) - 1 - left;
        match pass {
            Pass::Summaries => {
                let summary = self.rules[at].limit.summary(now);
                summary.map(|sum| Due::Suppressed(at, sum))
            }
            Pass::LastSummaries => {
                let rule = self.rules.get_mut(at).filter(|rule| rule.retiring);
                let summary = rule.and_then(|rule| rule.limit.last_summary());
                summary.map(|sum| Due::Suppressed(at, sum))
            }
            Pass::Notices { at_once } => self.visit_notice(at, at_once),
            _ => self.visit_monitor(left).map(Due::Task),
        }
    }

    fn visit_monitor(&mut self, index: usize) -> Option<Task<'static>> {
        let monitor = self.armed.get_mut(index)?;
        let alert = &monitor.alert;
        match self.step.pass {
            Pass::Fired => monitor.seen.take().map(|seen| match seen {
                Seen::Fired => Task::Read(index, Wake::Crossed),
                Seen::Dead(errno) => Task::Rearm(index, errno),
            }),
            Pass::GraceOver => Some(Task::Read(index, Wake::GraceOver)),
            Pass::Expired if alert.deadline().is_some_and(|due| due <= self.step.now) => {
                self.fallback.has_read(alert);
                Some(Task::Read(index, Wake::Expired))
            }
            Pass::Fallback if self.fallback.checks(alert) => Some(Task::Read(index, Wake::Checked)),
            Pass::Closing(reason) if monitor.retiring => Some(Task::Close(index, reason)),
            _ => None,
        }
    }

    /// A rule's lost cgroups, and those that the cap leaves out.
    fn visit_notice(&mut self, visit: usize, at_once: bool) -> Option<Due> {
        let (at, now) = (visit / 2, self.step.now);
        let RuleInForce {
            limit,
            lost,
            capped,
            ..
        } = &mut self.rules[at];
        let notice = if visit % 2 == 0 { lost } else { capped };
        let count = match at_once {
            true => notice.take_at_once(now),
            false => notice.take(now),
        }?;
        if !at_once && !limit.line(now) {
            limit.suppress(now, 1, 0);
            return None;
        }
        Some(match visit % 2 {
            0 => Due::Lost(at, count),
            _ => Due::Capped(at, count),
        })
    }

    /// What a rule has lost, by its first scope and the reason there.
    fn lost(&self, at: usize, count: usize) -> Report<'_> {
        let rule = &self.rules[at].rule;
        let first = self.first_unarmed(rule);
        let failure = first.map(|unarmed| unarmed.failure);
        let failure = failure.or(self.poll_error).or(self.inotify_error);
        // something is lost only where one of them is there
        let Failure { errno, hint } = failure.unwrap_or(Failure {
            errno: libc::EIO,
            hint: None,
        });
        let scope = first.map_or(rule.scope(), |unarmed| unarmed.alert.scope());
        Report::Lost {
            rule,
            scope,
            errno,
            hint,
            count,
        }
    }
}

/// By hand: as a chain of iterators this was a third of what a wake-up took where there
/// were a thousand rules.
fn earlier(one: Option<Moment>, other: Option<Moment>) -> Option<Moment> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one.min(other)),
        (None, other) => other,
        (one, None) => one,
    }
}
