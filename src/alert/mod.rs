//! The state of one rule in one scope (the whole system or one cgroup): a reading
//! goes in, a report comes out, or none. It is numbered and paid for, or counted as
//! suppressed. Pure like the episode itself.

mod cpus;
mod fallback;
mod proof;
mod rate_limit;

use std::rc::Rc;

pub use fallback::FallbackPoll;
pub use rate_limit::{RateLimit, Suppressed};

use crate::episode::{Episode, Event, Figures, Phase, Relapse, Sample};
use crate::evidence::Evidence;
use crate::pressure::Averages;
use crate::report::{EndReason, EpisodeReport, Findings, Id, Report};
use crate::rule::{Rule, Scope};
use crate::time::Moment;
use proof::Proof;

/// Why a counter was read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wake {
    /// The trigger fired.
    Crossed,
    /// The fallback reading, which backs the trigger up.
    Checked,
    /// The episode's own timer.
    Expired,
    /// The grace after boot is over: a new baseline, and nothing to log.
    GraceOver,
}

/// What was read at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// When.
    pub at: Moment,
    /// The pressure file.
    pub averages: Averages,
    /// The host's other counters, as far as they were read.
    pub evidence: Evidence,
}

impl Reading {
    /// The counter.
    pub fn sample(&self) -> Sample {
        Sample {
            at: self.at,
            total: self.averages.total,
        }
    }
}

/// Numbers episodes, over all rules.
#[derive(Clone, Copy, Debug)]
pub struct Ids {
    start: u64,
    number: u64,
}

impl Ids {
    /// `start` is the daemon's start, in seconds since the epoch.
    pub fn new(start: u64) -> Ids {
        Ids { start, number: 0 }
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.number
    }

    fn next(&mut self) -> Id {
        self.number += 1;
        Id {
            start: self.start,
            number: self.number,
        }
    }
}

/// What a line shows of a reading.
#[derive(Clone, Copy, Debug)]
struct Shown {
    averages: Option<Averages>,
    findings: Findings,
    relapse: Option<Relapse>,
}

/// An episode that has begun.
#[derive(Clone, Copy, Debug)]
struct Open {
    id: Id,
    /// Whether its begin was logged; if not, nothing else of it is.
    logged: bool,
}

/// A rule, the cgroup if it watches one, and its episode there.
#[derive(Clone, Debug)]
pub struct Alert {
    cgroup: Option<Box<[u8]>>,
    episode: Episode,
    proof: Proof,
    open: Option<Open>,
}

impl Alert {
    /// Nothing has happened yet. `cgroup` is a path, None the whole system; `baseline`
    /// was read before the trigger was armed, with CAP_SYS_RESOURCE if `privileged`.
    pub fn new(rule: Rc<Rule>, cgroup: Option<&[u8]>, baseline: Sample, privileged: bool) -> Alert {
        Alert {
            episode: Episode::new(rule, baseline, privileged),
            cgroup: cgroup.map(Into::into),
            proof: Proof::None,
            open: None,
        }
    }

    /// The path of the cgroup; None is the whole system.
    pub fn cgroup(&self) -> Option<&[u8]> {
        self.cgroup.as_deref()
    }

    /// Where it is, as a line names it.
    pub fn scope(&self) -> Scope<'_> {
        self.cgroup().map_or(Scope::System, Scope::Cgroup)
    }

    /// The rule.
    pub fn rule(&self) -> &Rc<Rule> {
        self.episode.rule()
    }

    /// Whether its trigger was opened with CAP_SYS_RESOURCE; without, any reader of its
    /// file can steal its events.
    pub fn is_privileged(&self) -> bool {
        self.episode.is_privileged()
    }

    /// Whether nothing is open or being verified.
    pub fn is_quiet(&self) -> bool {
        self.phase() == Phase::Quiet
    }

    /// Whether an episode is open and its last window was calm.
    pub fn is_lulled(&self) -> bool {
        self.episode.is_lulled()
    }

    /// Whether it can go on unchanged under this rule.
    pub fn can_be_of(&self, rule: &Rule) -> bool {
        let covered = match self.cgroup() {
            Some(path) => rule.covers(path),
            None => rule.cgroup.is_none(),
        };
        covered && self.rule().is_same_alarm(rule)
    }

    /// Goes on under a rule that is the same alarm ([`Rule::is_same_alarm`]).
    pub fn set_rule(&mut self, rule: &Rc<Rule>) {
        self.episode.set_rule(rule);
    }

    /// The state of its episode.
    pub fn phase(&self) -> Phase {
        self.episode.phase()
    }

    /// Whether a reading for this reason wants the host's other counters with it.
    pub fn wants_evidence(&self, wake: Wake) -> bool {
        matches!(wake, Wake::Crossed | Wake::Expired)
    }

    /// When it wants [`Wake::Expired`].
    pub fn deadline(&self) -> Option<Moment> {
        self.episode.deadline()
    }

    /// Starts over with another trigger: see [`Alert::new`].
    pub fn rearm(&mut self, baseline: Sample, privileged: bool) {
        self.episode.rearm(baseline, privileged);
    }

    /// Starts over from a new baseline: the grace is over.
    pub fn rebase(&mut self, baseline: Sample) {
        self.episode.rebase(baseline);
    }

    /// Takes a reading.
    pub fn take(
        &mut self,
        wake: Wake,
        reading: Reading,
        limit: &mut RateLimit,
        ids: &mut Ids,
    ) -> Option<Report<'_>> {
        let at = reading.at;
        let (event, shown) = self.observe(wake, reading);
        match event {
            Some(Event::Begin(figures)) => {
                let logged = limit.begin(at);
                if !logged {
                    limit.suppress(at, 1, 1);
                }
                let id = ids.next();
                self.open = Some(Open { id, logged });
                logged.then(|| Report::Begin(self.report(id, shown, figures)))
            }
            Some(Event::Still(figures)) => self.still(at, shown, figures, limit),
            Some(Event::End(figures)) => self.end(at, shown, figures, None, limit),
            None => self.retry(at, shown, limit),
        }
    }

    /// Takes a reading; the episode's event, and what its line would show.
    fn observe(&mut self, wake: Wake, reading: Reading) -> (Option<Event>, Shown) {
        if self.is_quiet() {
            self.proof.restart();
        }
        let Reading { at, evidence, .. } = reading;
        let total = reading.averages.total;
        let of_cgroup = self.cgroup.is_some();
        let (verdict, findings) = self
            .proof
            .take(self.episode.rule(), of_cgroup, at, evidence);
        // an end is still that of a relapse
        let before = self.episode.relapse();
        let event = match wake {
            Wake::Crossed => self.episode.crossed(at, total, verdict),
            Wake::Checked => self.episode.checked(at, total),
            Wake::Expired => self.episode.expire(at, total, verdict),
            Wake::GraceOver => {
                self.rebase(reading.sample());
                None
            }
        };
        let shown = Shown {
            averages: Some(reading.averages),
            findings,
            relapse: self.episode.relapse().or(before),
        };
        (event, shown)
    }

    /// Ends what is open because nothing will be read any more. It is quiet
    /// afterwards. `averages` is None if nothing could be read; then it starts over with
    /// the next baseline.
    pub fn close(
        &mut self,
        at: Moment,
        averages: Option<Averages>,
        reason: EndReason,
        limit: &mut RateLimit,
    ) -> Option<Report<'_>> {
        let figures = self.episode.figures();
        let relapse = self.episode.relapse();
        let total = averages.map_or(0, |averages| averages.total);
        self.rebase(Sample { at, total });
        let shown = Shown {
            averages,
            findings: Findings::None,
            relapse,
        };
        self.end(at, shown, figures?, Some(reason), limit)
    }

    /// Its state, for SIGUSR1; `averages` is None where it isn't armed.
    pub fn status(&self, averages: Option<Averages>) -> Report<'_> {
        Report::Status {
            rule: self.rule(),
            scope: self.scope(),
            phase: averages.map(|_| self.phase()),
            id: self.open.map(|open| open.id),
            averages,
            figures: self.episode.figures(),
        }
    }

    fn still(
        &mut self,
        at: Moment,
        shown: Shown,
        figures: Figures,
        limit: &mut RateLimit,
    ) -> Option<Report<'_>> {
        let Open { id, logged } = self.open?;
        if !logged {
            return self.begin_late(at, shown, figures, limit);
        }
        if !limit.line(at) {
            limit.suppress(at, 1, 0);
            return None;
        }
        Some(Report::Still(self.report(id, shown, figures)))
    }

    /// A begin that the rate limit suppressed is logged as soon as there is room, if
    /// pressure is still there: no long episode goes unreported.
    fn retry(&mut self, at: Moment, shown: Shown, limit: &mut RateLimit) -> Option<Report<'_>> {
        if self.open?.logged || self.episode.is_lulled() {
            return None;
        }
        let figures = self.episode.figures()?;
        self.begin_late(at, shown, figures, limit)
    }

    fn begin_late(
        &mut self,
        at: Moment,
        shown: Shown,
        figures: Figures,
        limit: &mut RateLimit,
    ) -> Option<Report<'_>> {
        let open = self.open.as_mut().filter(|_| limit.begin(at))?;
        limit.take_back_begin();
        open.logged = true;
        let id = open.id;
        Some(Report::Begin(self.report(id, shown, figures)))
    }

    fn end(
        &mut self,
        at: Moment,
        shown: Shown,
        figures: Figures,
        reason: Option<EndReason>,
        limit: &mut RateLimit,
    ) -> Option<Report<'_>> {
        let Open { id, logged } = self.open.take()?;
        if !logged {
            // the begin was counted when it was due
            limit.suppress(at, 1, 0);
            return None;
        }
        // paid for with the begin
        Some(Report::End(self.report(id, shown, figures), reason))
    }

    fn report(&self, id: Id, shown: Shown, figures: Figures) -> EpisodeReport<'_> {
        EpisodeReport {
            rule: self.rule(),
            scope: self.scope(),
            id,
            averages: shown.averages,
            figures,
            findings: shown.findings,
            relapse: shown.relapse,
            drill: false,
            top: None,
        }
    }
}

#[cfg(test)]
mod tests;
