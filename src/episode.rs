//! The state machine of one alert. The trigger wakes psilogd, the counter decides:
//! the kernel's events are no reliable witness (the first ones of an unprivileged
//! trigger are false, a stale one may come hours late, readers steal them), so an
//! event is only a reason to look at `total=`.
//!
//! ```text
//!            .------> Verifying ----.
//!            | .---------'          |
//!            | v                    v
//!           Quiet <-------------> Pressed
//!            | ^                    ^
//!            | '---------.          |
//!            '------> Rechecking ---'
//!
//! from        on                  when                                 to          event
//! Quiet       crossing            long for=, mean under the threshold  Quiet
//!                                 for>0 otherwise                      Verifying
//!                                 for=0, first behind an end, growth
//!                                 under the threshold                  Rechecking
//!                                 for=0, the counter confirms it       Pressed     Begin
//!                                 for=0, it doesn't                    Rechecking
//!             fallback reading    growth under the stall               Quiet
//!                                 long for=, mean under the threshold  Quiet
//!                                 for>0, growth of the stall or more   Verifying
//!                                 for=0, mean at the threshold         Pressed     Begin
//!                                 for=0, mean under it                 Rechecking
//! Verifying   reading due         a process was killed for memory      Pressed     Begin
//!                                 mean under the threshold, half of it
//!                                 or more and the evidence absent      Verifying
//!                                 mean under the threshold otherwise   Quiet
//!                                 met, and enough stalled within for=  Pressed     Begin
//!                                 otherwise                            Verifying
//! Rechecking  crossing            the counter confirms it              Pressed     Begin
//!             recheck due         growth of the stall or more          Pressed     Begin
//!                                 otherwise, the next later by double  Rechecking
//!             window over         mean at the threshold                Pressed     Begin
//!                                 mean under it                        Quiet
//! Pressed     window over         none met for clear=                  Quiet       End
//!                                 repeat= over, window met             Pressed     Still
//!                                 otherwise                            Pressed
//! any         new base            armed again, grace over, closed      Quiet
//! ```
//!
//! A window is met if it reached the threshold and the rule's evidence agrees; once
//! pressed, also the mean of the last min(for, clear) must be three quarters of the
//! threshold or more. A `for=` of more than 60 windows is long: without the capability,
//! the mean decides whether its crossings count. Enough has stalled within `for=` when
//! it is the threshold's share of it: at once if pressure is severe, as a relay with an
//! inverse-time curve trips the sooner, the higher the current. What recurs within an
//! hour of an end has four times the `clear=` each time, as route flaps are damped
//! (RFC 2439).
//!
//! Pure: no I/O, no clock; every call takes the time and the counter.

mod growth;
mod lookback;
mod params;
mod phase;
mod pressed;
mod run;
mod verdict;
mod verifying;

use std::num::NonZeroU64;
use std::rc::Rc;

use crate::rule::Rule;
use crate::time::{Micros, Moment};

pub use growth::{Growth, Mean, Sample, share};
use growth::{any_growth, plausible_growth};
use lookback::Lookback;
use params::{Backdate, Params};
pub use phase::Phase;
use pressed::Pressed;
pub use run::Figures;
use run::Run;
pub use verdict::Verdict;
use verifying::{Outcome, Verifying};

/// A begin so soon after an end is a relapse.
const RELAPSE: Micros = Micros::secs(3600);
/// A rule that doesn't verify rechecks the counter after this part of the window, then
/// at doubling distances: a latched event of long ago comes at the first stall of new
/// pressure, and the kernel holds back the next event for a window.
const FIRST_RECHECK: u64 = 128;

/// How what recurs is damped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Relapse {
    /// How many begins in a row came within an hour of an end.
    pub count: u32,
    /// What `clear=` is therefore.
    pub clear: Micros,
}

/// What there is to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Enough was stalled within `for=`, and pressure is there now.
    Begin(Figures),
    /// It is still there.
    Still(Figures),
    /// It has been gone for `clear=`.
    End(Figures),
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Quiet {
        /// The reading before the newest: a breach may lie before that, if it is fresh.
        older: Sample,
    },
    Verifying(Verifying),
    Rechecking {
        due: Moment,
        /// What had stalled before, and counts as well.
        before: Micros,
    },
    Pressed(Pressed),
}

/// The machine of one trigger.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Episode {
    rule: Rc<Rule>,
    privileged: bool,
    /// The newest reading.
    last: Sample,
    state: State,
    /// The last end, as a [`Moment`] of 8 bytes; how many begins in a row were relapses.
    ended: Option<NonZeroU64>,
    relapses: u32,
}

impl Episode {
    /// A quiet machine; `baseline` is the counter read before the trigger was
    /// armed, `privileged` whether that was with CAP_SYS_RESOURCE.
    pub fn new(rule: Rc<Rule>, baseline: Sample, privileged: bool) -> Episode {
        Episode {
            rule,
            privileged,
            last: baseline,
            state: State::Quiet { older: baseline },
            ended: None,
            relapses: 0,
        }
    }

    /// Quiet again, as its trigger was armed anew: see [`Episode::new`].
    pub fn rearm(&mut self, baseline: Sample, privileged: bool) {
        self.privileged = privileged;
        self.rebase(baseline);
    }

    /// Quiet again, with another baseline.
    pub fn rebase(&mut self, baseline: Sample) {
        self.last = baseline;
        self.state = State::Quiet { older: baseline };
    }

    /// Its rule.
    pub fn rule(&self) -> &Rc<Rule> {
        &self.rule
    }

    /// Goes on under a rule that is the same alarm ([`Rule::is_same_alarm`]).
    pub fn set_rule(&mut self, rule: &Rc<Rule>) {
        self.rule = Rc::clone(rule);
    }

    /// Whether its trigger was opened with CAP_SYS_RESOURCE.
    pub fn is_privileged(&self) -> bool {
        self.privileged
    }

    /// What the rule asks for, computed anew: thousands of episodes are kept.
    fn params(&self) -> Params {
        Params::new(&self.rule, self.privileged)
    }

    /// The state.
    pub fn phase(&self) -> Phase {
        match self.state {
            State::Quiet { .. } => Phase::Quiet,
            State::Verifying(_) => Phase::Verifying,
            State::Rechecking { .. } => Phase::Rechecking,
            State::Pressed(_) => Phase::Pressed,
        }
    }

    /// When [`Episode::expire`] wants to be called; None while quiet, when only
    /// the trigger is waited for.
    pub fn deadline(&self) -> Option<Moment> {
        match self.state {
            State::Quiet { .. } => None,
            State::Rechecking { due, .. } => Some(due),
            State::Verifying(Verifying { due, .. }) => Some(due),
            State::Pressed(_) => Some(self.last.at + self.rule.window),
        }
    }

    /// What the episode amounts to; None unless pressed.
    pub fn figures(&self) -> Option<Figures> {
        match &self.state {
            State::Pressed(pressed) => Some(pressed.run.until(self.last.at)),
            _ => None,
        }
    }

    /// Whether the last window was not met while pressed: an end may be under way.
    pub fn is_lulled(&self) -> bool {
        matches!(&self.state, State::Pressed(pressed) if pressed.lull.is_some())
    }

    /// How the open episode is damped, if it is a relapse.
    pub fn relapse(&self) -> Option<Relapse> {
        match &self.state {
            State::Pressed(pressed) if self.relapses > 0 => Some(Relapse {
                count: self.relapses,
                clear: pressed.clear,
            }),
            _ => None,
        }
    }

    /// The kernel's trigger fired.
    pub fn crossed(&mut self, at: Moment, total: u64, verdict: Verdict) -> Option<Event> {
        let now = Sample { at, total };
        match self.state {
            State::Quiet { older } => self.quiet_crossed(older, now, verdict),
            State::Rechecking { .. } => self.rechecking_crossed(now),
            State::Verifying(_) | State::Pressed(_) => None,
        }
    }

    /// A reading without an event, while quiet: where events can be stolen, it
    /// stands in for the one that was.
    pub fn checked(&mut self, at: Moment, total: u64) -> Option<Event> {
        match self.state {
            State::Quiet { older } => self.quiet_checked(older, Sample { at, total }),
            _ => None,
        }
    }

    /// The deadline has passed.
    pub fn expire(&mut self, at: Moment, total: u64, verdict: Verdict) -> Option<Event> {
        let now = Sample { at, total };
        match self.state {
            State::Quiet { .. } => None,
            State::Verifying(verifying) => self.verifying_expired(verifying, now, verdict),
            State::Rechecking { due, before } => self.rechecking_expired(due, before, now),
            State::Pressed(_) => self.pressed_expired(now, verdict),
        }
    }

    /// With `for=0` the counter confirms an event if it has grown by the threshold
    /// since the trigger was armed (or last found quiet), or by a quarter of it where
    /// the trigger is privileged. But the first event behind an end may be one that the
    /// kernel kept from the episode, and delivers at the first small stall.
    fn quiet_crossed(&mut self, older: Sample, now: Sample, verdict: Verdict) -> Option<Event> {
        let params = self.params();
        let base = match now.at.since(self.last.at) < params.window {
            true => older,
            false => self.last,
        };
        if params.is_long() && !self.privileged && !params.reached_between(base, now) {
            // Where a reading has taken the end of a window, the kernel compares the
            // growth within two of them with the threshold of one. Pressure that lasts
            // crosses it again.
            return self.turn_quiet(now);
        }
        if params.verifies() {
            let lookback = params.lookback(older, base, now).within(verdict.began);
            let run = Run::reached(now.at, lookback.backdate, &params);
            self.verify(now, run, lookback, params.first_due(now.at, verdict));
            return None;
        }
        let grown = any_growth(base, now);
        let is_first = NonZeroU64::new(self.last.at.0) == self.ended;
        let (wanted, counts) = match is_first && self.privileged {
            true => (params.stall, grown),
            false => (params.confirm, Micros::ZERO),
        };
        if grown < wanted {
            self.recheck(now, counts);
            return None;
        }
        Some(self.begin_confirmed(base, now, &params))
    }

    fn quiet_checked(&mut self, older: Sample, now: Sample) -> Option<Event> {
        let (params, last) = (self.params(), self.last);
        // A sliver of a window proves nothing.
        let growth = self.window_over(now)?;
        self.state = State::Quiet { older: last };
        if growth.stalled < params.stall {
            return None;
        }
        // Enough for a window, but not for all the time since the last reading, may be
        // pressure that began a moment ago, or a little of it all the time: the next
        // windows show which, or, of a long for=, the next reading like this one.
        let reached = params.reached(growth);
        if !reached && params.is_long() {
            return None;
        }
        if params.verifies() {
            let lookback = params.lookback(older, last, now);
            let run = match reached {
                true => Run::reached(now.at, lookback.backdate, &params),
                false => Run::new(now.at, lookback.backdate),
            };
            self.verify(now, run, lookback, now.at + params.window);
            return None;
        }
        if !reached {
            self.recheck(now, Micros::ZERO);
            return None;
        }
        let run = Run::reached(now.at, params.assume_one_window(), &params);
        Some(self.begin(now, run, Growth::default()))
    }

    fn verifying_expired(
        &mut self,
        verifying: Verifying,
        now: Sample,
        verdict: Verdict,
    ) -> Option<Event> {
        let (params, before) = (self.params(), self.last);
        let window = self.window_over(now)?;
        match verifying.take(window, before.at, now.at, verdict, &params) {
            Outcome::Begin(run) => Some(self.begin(now, run, window)),
            Outcome::Quiet => self.turn(State::Quiet { older: before }),
            Outcome::Verifying(verifying) => self.turn(State::Verifying(verifying)),
        }
    }

    /// Stays quiet, with a newer reading if a window has passed since the newest.
    fn turn_quiet(&mut self, now: Sample) -> Option<Event> {
        let older = self.last;
        self.window_over(now)?;
        self.turn(State::Quiet { older })
    }

    /// Goes on in another state, with nothing to report.
    fn turn(&mut self, state: State) -> Option<Event> {
        self.state = state;
        None
    }

    /// The kernel's event may be the true one at last.
    fn rechecking_crossed(&mut self, now: Sample) -> Option<Event> {
        let (params, before) = (self.params(), self.last);
        if any_growth(before, now) < params.confirm {
            return None;
        }
        Some(self.begin_confirmed(before, now, &params))
    }

    /// Until the window is over the threshold's stall is enough, however short the
    /// time; then the mean decides.
    fn rechecking_expired(&mut self, due: Moment, led: Micros, now: Sample) -> Option<Event> {
        let (params, before) = (self.params(), self.last);
        let growth = plausible_growth(before, now, params.window);
        let over = growth.elapsed >= params.window;
        let confirmed = match over {
            true => params.reached(growth),
            false if now.at < due => return None,
            false => growth.stalled + led >= params.stall,
        };
        if confirmed {
            let mut run = Run::new(before.at, Backdate::new(led, led));
            run.add(growth, &params);
            let newest = if over { growth } else { Growth::default() };
            return Some(self.begin(now, run, newest));
        }
        if over {
            self.last = now;
            self.state = State::Quiet { older: before };
        } else {
            let due = now.at + growth.elapsed;
            self.state = State::Rechecking { due, before: led };
        }
        None
    }

    fn pressed_expired(&mut self, now: Sample, verdict: Verdict) -> Option<Event> {
        let before = self.last;
        let window = self.window_over(now)?;
        let params = self.params();
        let State::Pressed(pressed) = &mut self.state else {
            return None;
        };
        let event = pressed.take(window, before.at, now.at, verdict, &params);
        if let Some(Event::End(_)) = event {
            // what was counted for this episode counts for no other, and the kernel may
            // deliver an event that it latched meanwhile
            self.state = State::Quiet { older: now };
            self.ended = NonZeroU64::new(now.at.0);
        }
        event
    }

    /// The growth since the newest reading, which `now` becomes; None, and nothing
    /// changes, while less than a window has passed.
    fn window_over(&mut self, now: Sample) -> Option<Growth> {
        let before = self.last;
        if now.at.since(before.at) < self.rule.window {
            return None;
        }
        self.last = now;
        Some(plausible_growth(before, now, self.rule.window))
    }

    fn verify(&mut self, now: Sample, run: Run, lookback: Lookback, due: Moment) {
        self.last = now;
        self.state = State::Verifying(Verifying::new(run, lookback, due));
    }

    fn recheck(&mut self, now: Sample, before: Micros) {
        self.last = now;
        let due = now.at + Micros(self.rule.window.0 / FIRST_RECHECK);
        self.state = State::Rechecking { due, before };
    }

    fn begin_confirmed(&mut self, base: Sample, now: Sample, params: &Params) -> Event {
        let run = Run::reached(now.at, params.backdate_confirmed(base, now), params);
        self.begin(now, run, Growth::default())
    }

    fn begin(&mut self, now: Sample, run: Run, newest: Growth) -> Event {
        self.last = now;
        let relapsed = |ended: NonZeroU64| now.at.since(Moment(ended.get())) < RELAPSE;
        self.relapses = match self.ended.is_some_and(relapsed) {
            true => self.relapses.saturating_add(1),
            false => 0,
        };
        let pressed = Pressed::new(now.at, run, newest, self.relapses, &self.params());
        self.state = State::Pressed(pressed);
        Event::Begin(run.until(now.at))
    }
}

#[cfg(test)]
mod tests;
