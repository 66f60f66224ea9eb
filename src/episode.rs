//! The state machine of one trigger. The trigger wakes, the counter decides:
//! the kernel's events are no reliable witness (the first ones of an
//! unprivileged trigger are false, a stale one may come hours late, readers
//! steal them), so an event only makes us look at `total=`.
//!
//! ```text
//! Quiet --crossing--> Pending --for= long, mean over threshold--> Pressed --clear= long calm--> Quiet
//!   ^                    |                                        (begin)                       (end)
//!   +----mean fell-------+  silently
//! ```
//!
//! Pure: no I/O, no clock; every call takes the time and the counter.

use crate::pressure::Percent;
use crate::rule::{REPEAT_MAX, Rule};
use crate::time::{Micros, Moment};

/// The counter at a point in time.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When it was read.
    pub at: Moment,
    /// `total=`: stalled time, in microseconds.
    pub total: u64,
}

/// A reading this many windows before an event is near enough to tell what led
/// up to it: the kernel's rate limit and its grid together hide up to two.
const LEAD_WINDOWS: u64 = 3;
/// For a rule that verifies, one so many windows before will do: the daemon's slow
/// reading comes every 15 windows of 2 s, and an event up to three behind it.
const NEAR_WINDOWS: u64 = 15 + LEAD_WINDOWS;

/// A rule that doesn't verify looks again at an event that the counter belies: after
/// such a part of the window, then at doubling distances. A latched event of long ago
/// comes at the first stall of new pressure, and the kernel holds back the next one
/// for a window.
const FIRST_LOOK: u64 = 128;

/// What a rule asks of an episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Terms {
    stall: Micros,
    window: Micros,
    hold: Micros,
    clear: Micros,
    repeat: Micros,
    /// So much the counter must have grown for an event to be taken at its word.
    least: Micros,
}

/// What an episode has come to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Figures {
    /// From the onset to now, or to the start of the calm that ended it.
    pub duration: Micros,
    /// Stalled time in `duration`.
    pub stalled: Micros,
    /// Readings (one a window) at or over the threshold.
    pub hits: u32,
    /// The worst reading.
    pub worst: Percent,
}

impl Figures {
    /// `stalled` over `duration`.
    pub fn mean(&self) -> Percent {
        share(self.stalled, self.duration)
    }
}

/// What there is to tell.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Pressure has lasted for `for=` and is there now.
    Begin(Figures),
    /// It is still there.
    Still(Figures),
    /// It has been gone for `clear=`.
    End(Figures),
}

/// Where the machine stands, for a status line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nothing; the trigger is polled.
    Quiet,
    /// A crossing is being verified.
    Pending,
    /// Pressure is there.
    Pressed,
}

impl Phase {
    /// The word for `state=`.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Quiet => "quiet",
            Phase::Pending => "pending",
            Phase::Pressed => "pressed",
        }
    }
}

/// Pressure from its onset on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Run {
    /// The first reading.
    onset: Moment,
    /// Credible growth of the counter since the onset.
    stalled: Micros,
    /// What came before the first reading. It counts for what is told, not for
    /// the mean that must hold.
    lead: Lead,
    hits: u32,
    worst: Percent,
    /// The first reading at which half of `for=` was over, and what was stalled
    /// by then.
    middle: Option<(Moment, Micros)>,
    /// The newest window: growth and length.
    newest: (Micros, Micros),
    /// When a rule that doesn't verify looks again.
    look: Moment,
    calm: Option<Calm>,
}

/// Pressure between its true onset and the event that told of it: the kernel
/// passes over events that follow another too closely, and looks only every
/// 2 s where the trigger is unprivileged.
///
/// A rule that verifies learns the length from the first window behind the event:
/// it took as long as it takes to stall for so long at that window's rate.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Lead {
    lasted: Micros,
    stalled: Micros,
}

/// A calm that lasts until now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Calm {
    /// The reading before it.
    since: Moment,
    /// What it has come to if pressure ended there.
    figures: Figures,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    /// `older` and `last` are the two newest readings; growth is held against
    /// `older` while `last` is so fresh that the breach may lie before it.
    Quiet {
        older: Sample,
    },
    Pending(Run),
    Pressed {
        run: Run,
        still: Moment,
        pause: Micros,
    },
}

/// The machine of one trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Episode {
    terms: Terms,
    last: Sample,
    state: State,
}

/// `part` over `whole`, at most 100 %; what has no length is 0 %.
fn share(part: Micros, whole: Micros) -> Percent {
    if whole == Micros::ZERO {
        return Percent(0);
    }
    let hundredths = u128::from(part.0) * 10_000 / u128::from(whole.0);
    Percent(hundredths.min(10_000) as u32)
}

/// How much of a stall must be in the file for the event to be true. The kernel sums up
/// for privileged triggers apart from the file, and weighs CPUs by how busy they were
/// since it last did (psi.c, collect_percpu_times): on 6.12 an event of 200 ms came with
/// 93 to 122 ms in the file, and the rest up to 340 ms later.
fn least(stall: Micros, privileged: bool) -> Micros {
    match privileged {
        true => Micros(stall.0 / 4),
        false => stall,
    }
}

/// How long it takes to stall for `part` where `whole` takes `length`; for ever
/// where `whole` is nothing.
fn length_at(part: Micros, whole: Micros, length: Micros) -> Micros {
    let product = u128::from(part.0) * u128::from(length.0);
    let us = product.checked_div(u128::from(whole.0));
    Micros(us.and_then(|us| us.try_into().ok()).unwrap_or(u64::MAX))
}

impl Terms {
    /// Whether pressure has to last before it is told.
    fn verifies(&self) -> bool {
        self.hold > Micros::ZERO
    }

    /// Whether `growth` in `elapsed` is the threshold or more.
    fn reached(&self, growth: Micros, elapsed: Micros) -> bool {
        let product = |a: Micros, b: Micros| u128::from(a.0) * u128::from(b.0);
        product(growth, self.window) >= product(self.stall, elapsed)
    }

    /// How much of what came before the first reading counts for `for=`: two
    /// windows, which the kernel's grid and rate limit may have hidden, and never
    /// more than half, so that what was verified is the greater part.
    fn counted(&self, lead: Lead) -> Micros {
        let most = self.window + self.window;
        lead.lasted.min(most).min(Micros(self.hold.0 / 2))
    }

    /// Whether it is under half the threshold.
    fn calm(&self, growth: Micros, elapsed: Micros) -> bool {
        !self.reached(Micros(growth.0.saturating_mul(2)), elapsed)
    }
}

impl Episode {
    /// A quiet machine; `baseline` is the counter read before the trigger was
    /// armed, `privileged` tells whether that was with CAP_SYS_RESOURCE.
    pub fn new(rule: &Rule, baseline: Sample, privileged: bool) -> Episode {
        Episode {
            terms: Terms {
                stall: rule.stall(),
                window: rule.window,
                hold: rule.hold,
                clear: rule.clear,
                repeat: rule.repeat,
                least: least(rule.stall(), privileged),
            },
            last: baseline,
            state: State::Quiet { older: baseline },
        }
    }

    /// Quiet again, as its trigger was armed anew: see [`Episode::new`].
    pub fn rearm(&mut self, baseline: Sample, privileged: bool) {
        self.terms.least = least(self.terms.stall, privileged);
        self.rebase(baseline);
    }

    /// Quiet again, with another baseline.
    pub fn rebase(&mut self, baseline: Sample) {
        self.last = baseline;
        self.state = State::Quiet { older: baseline };
    }

    /// Where it stands.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Quiet { .. } => Phase::Quiet,
            State::Pending(_) => Phase::Pending,
            State::Pressed { .. } => Phase::Pressed,
        }
    }

    /// When [`Episode::expire`] wants to be called; None while quiet, when only
    /// the trigger is waited for.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Quiet { .. } => None,
            State::Pending(run) if !self.terms.verifies() => Some(run.look),
            State::Pending(_) | State::Pressed { .. } => Some(self.last.at + self.terms.window),
        }
    }

    /// What it has come to; None unless pressed.
    pub fn figures(&self) -> Option<Figures> {
        match self.state {
            State::Pressed { run, .. } => Some(run.until(self.last.at)),
            _ => None,
        }
    }

    /// Whether the last window was calm while pressed: an end may be under way.
    pub fn is_calm(&self) -> bool {
        matches!(
            self.state,
            State::Pressed {
                run: Run { calm: Some(_), .. },
                ..
            }
        )
    }

    /// The kernel's trigger fired. With `for=0` the kernel is taken at its word,
    /// but for events that the counter belies: it must have grown by the
    /// threshold since the trigger was armed (or last found quiet), or by a
    /// quarter of it where the trigger is privileged.
    pub fn crossed(&mut self, at: Moment, total: u64) -> Option<Event> {
        let State::Quiet { older } = self.state else {
            return None;
        };
        let base = match at.since(self.last.at) < self.terms.window {
            true => older,
            false => self.last,
        };
        let grown = Micros(total.saturating_sub(base.total));
        let now = Sample { at, total };
        if self.terms.verifies() {
            return self.onset(now, self.lead(older, base, now));
        }
        if grown < self.terms.least {
            return self.doubt(now, Lead::default());
        }
        let lead = match at.since(base.at) <= Micros(LEAD_WINDOWS * self.terms.window.0) {
            // Not longer ago than it takes to stall for so long without a pause.
            true => {
                let (stalled, elapsed) = credible(base, now, self.terms.window);
                let lasted = stalled.min(elapsed);
                Lead { lasted, stalled }
            }
            false => self.word_of_the_kernel(),
        };
        self.onset(now, lead)
    }

    /// A reading without an event, while quiet: where events can be stolen, it
    /// stands in for the one that didn't come.
    pub fn checked(&mut self, at: Moment, total: u64) -> Option<Event> {
        let State::Quiet { older } = self.state else {
            return None;
        };
        let (last, now) = (self.last, Sample { at, total });
        // A sliver of a window proves nothing.
        if at.since(last.at) < self.terms.window && at >= last.at {
            return None;
        }
        let (growth, elapsed) = credible(last, now, self.terms.window);
        let lead = self.terms.verifies().then(|| self.lead(older, last, now));
        self.last = now;
        self.state = State::Quiet { older: last };
        if growth < self.terms.stall {
            return None;
        }
        if self.terms.reached(growth, elapsed) {
            return self.onset(now, lead.unwrap_or(self.word_of_the_kernel()));
        }
        // Enough for a window, not for all the time since the last reading: pressure
        // that began a moment ago looks like this, and so does a little of it all
        // the time. The next windows tell.
        self.doubt(now, lead.unwrap_or_default())
    }

    /// Nothing to tell yet: the next readings decide.
    fn doubt(&mut self, now: Sample, lead: Lead) -> Option<Event> {
        self.last = now;
        let look = now.at + Micros(self.terms.window.0 / FIRST_LOOK);
        self.state = State::Pending(Run {
            look,
            ..Run::new(now.at, lead)
        });
        None
    }

    /// The timer fired: one reading a window while pending or pressed.
    pub fn expire(&mut self, at: Moment, total: u64) -> Option<Event> {
        let before = self.last;
        let terms = self.terms;
        let run = match &mut self.state {
            State::Quiet { .. } => return None,
            State::Pending(run) | State::Pressed { run, .. } => run,
        };
        if at < before.at {
            // The clock ran backwards, as no CLOCK_MONOTONIC should: keep the
            // lengths, move the points.
            let step = before.at.since(at);
            run.onset = run.onset - step;
            run.look = run.look - step;
            if let Some(calm) = &mut run.calm {
                calm.since = calm.since - step;
            }
            if let State::Pressed { still, .. } = &mut self.state {
                *still = *still - step;
            }
            self.last = Sample { at, total };
            return None;
        }
        if at.since(before.at) < terms.window {
            return self.look(Sample { at, total });
        }
        let (growth, elapsed) = credible(before, Sample { at, total }, terms.window);
        self.last = Sample { at, total };
        if run.onset == before.at && terms.verifies() {
            run.lead.lasted = run
                .lead
                .lasted
                .min(length_at(run.lead.stalled, growth, elapsed));
        }
        let ended = run.ended(before.at, (growth, elapsed));
        run.newest = (growth, elapsed);
        run.stalled = run.stalled + growth;
        run.worst = run.worst.max(share(growth, elapsed));
        if terms.reached(growth, elapsed) {
            run.hits = run.hits.saturating_add(1);
        }
        let calm = terms.calm(growth, elapsed);
        match &mut self.state {
            State::Quiet { .. } => None,
            State::Pending(run) => {
                let lasted = at.since(run.onset);
                if lasted >= Micros(terms.hold.0 / 2) && run.middle.is_none() {
                    run.middle = Some((at, run.stalled));
                }
                let (middle, by_then) = run.middle.unwrap_or((at, run.stalled));
                // Once for= is over, what came long ago tells nothing of now.
                let over = before.at.since(run.onset) + terms.counted(run.lead) >= terms.hold;
                let stale = over
                    && (at.since(middle) > terms.hold
                        || terms.calm(run.stalled - by_then, terms.hold));
                if stale || !terms.reached(run.stalled, lasted) {
                    self.state = State::Quiet { older: before };
                    None
                } else if lasted + terms.counted(run.lead) >= terms.hold && !calm {
                    // Not in a calm window: a begin says that pressure *is*,
                    // not that there was enough of it a while ago.
                    let run = *run;
                    Some(self.press(run))
                } else {
                    None
                }
            }
            State::Pressed { run, still, pause } => {
                if !calm {
                    run.calm = None;
                } else if run.calm.is_none() {
                    run.calm = Some(Calm {
                        since: before.at,
                        figures: ended,
                    });
                }
                if let Some(Calm { since, figures }) = run.calm {
                    if at.since(since) < terms.clear {
                        return None;
                    }
                    self.state = State::Quiet { older: before };
                    return Some(Event::End(figures));
                }
                if terms.repeat == Micros::ZERO || at < *still {
                    return None;
                }
                let longest = REPEAT_MAX.max(terms.repeat);
                *pause = (*pause + *pause).min(longest);
                *still = at + *pause;
                Some(Event::Still(run.until(at)))
            }
        }
    }

    /// A look between two readings: for a rule that doesn't verify, the threshold
    /// is enough, however short the time.
    fn look(&mut self, now: Sample) -> Option<Event> {
        let (before, terms) = (self.last, self.terms);
        let State::Pending(run) = &mut self.state else {
            return None;
        };
        if terms.verifies() || now.at < run.look {
            return None;
        }
        run.look = now.at + now.at.since(before.at);
        let (growth, elapsed) = credible(before, now, terms.window);
        if growth < terms.stall {
            return None;
        }
        run.stalled = growth;
        run.worst = share(growth, elapsed);
        run.hits = 1;
        let run = *run;
        self.last = now;
        Some(self.press(run))
    }

    /// With no reading near enough to tell: taken at its word, the window that
    /// fired held the threshold.
    fn word_of_the_kernel(&self) -> Lead {
        Lead {
            lasted: self.terms.window,
            stalled: self.terms.stall,
        }
    }

    /// What a rule that verifies makes of the growth since `older`, or `last` if
    /// that is too far away: from a reading that is near all of it, from another no
    /// more than fires a trigger. How long that took is at most what stands here,
    /// until a window has shown the rate.
    fn lead(&self, older: Sample, last: Sample, now: Sample) -> Lead {
        let Terms { stall, window, .. } = self.terms;
        let base = match now.at.since(older.at) <= Micros(NEAR_WINDOWS * window.0) {
            true => older,
            false => last,
        };
        let (growth, elapsed) = credible(base, now, window);
        match elapsed <= Micros(NEAR_WINDOWS * window.0) {
            true => Lead {
                lasted: elapsed,
                stalled: growth,
            },
            false => Lead {
                lasted: window + window,
                stalled: growth.min(stall),
            },
        }
    }

    fn onset(&mut self, now: Sample, lead: Lead) -> Option<Event> {
        self.last = now;
        let run = Run {
            hits: 1,
            worst: share(self.terms.stall, self.terms.window),
            ..Run::new(now.at, lead)
        };
        if !self.terms.verifies() {
            return Some(self.press(run));
        }
        self.state = State::Pending(run);
        None
    }

    fn press(&mut self, run: Run) -> Event {
        let at = self.last.at;
        self.state = State::Pressed {
            run,
            still: at + self.terms.repeat,
            pause: self.terms.repeat,
        };
        Event::Begin(run.until(at))
    }
}

impl Run {
    /// Nothing is known but what led up to it.
    fn new(onset: Moment, lead: Lead) -> Run {
        Run {
            onset,
            stalled: Micros::ZERO,
            lead,
            hits: 0,
            worst: Percent(0),
            middle: None,
            newest: (Micros::ZERO, Micros::ZERO),
            look: onset,
            calm: None,
        }
    }

    /// What it has come to if pressure ended about `at`, the reading before a calm
    /// window. At its mean rate until then, the last window and the calm one held
    /// as much of it as they grew by.
    fn ended(&self, at: Moment, calm: (Micros, Micros)) -> Figures {
        let (last, figures) = (self.newest, self.until(at));
        let length = at.since(self.onset) - last.1;
        let whole = self.stalled - last.0;
        if whole == Micros::ZERO {
            return figures;
        }
        let held = |(growth, elapsed)| length_at(growth, whole, length).min(elapsed);
        Figures {
            duration: figures.duration - last.1 + held(last) + held(calm),
            stalled: figures.stalled + calm.0,
            ..figures
        }
    }

    fn until(&self, end: Moment) -> Figures {
        Figures {
            duration: end.since(self.onset) + self.lead.lasted,
            stalled: self.stalled + self.lead.stalled,
            hits: self.hits,
            worst: self.worst,
        }
    }
}

/// The growth and the time between two readings. Stalled time can't pass faster
/// than time: a little over is a reading that was made late, but a counter that
/// leaps or falls is another counter, and what it says of the past is nothing.
fn credible(before: Sample, now: Sample, window: Micros) -> (Micros, Micros) {
    let elapsed = now.at.since(before.at);
    let growth = Micros(now.total.saturating_sub(before.total));
    match growth > elapsed + elapsed + window {
        true => (Micros::ZERO, elapsed),
        false => (growth, elapsed),
    }
}

#[cfg(test)]
mod tests;
