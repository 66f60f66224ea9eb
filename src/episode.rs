//! The state machine of one trigger. The trigger wakes psilogd, the counter decides:
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
//! Quiet       crossing            for>0                                Verifying
//!                                 for=0, the counter confirms it       Pressed     Begin
//!                                 for=0, it doesn't                    Rechecking
//!             fallback reading    growth under the stall               Quiet
//!                                 for>0, growth of the stall or more   Verifying
//!                                 for=0, mean at the threshold         Pressed     Begin
//!                                 for=0, mean under it                 Rechecking
//! Verifying   window over         mean under the threshold             Quiet
//!                                 for= was over before, second half    Quiet
//!                                   of it calm or too long ago
//!                                 for= over, window not calm           Pressed     Begin
//!                                 otherwise                            Verifying
//! Rechecking  recheck due         growth of the stall or more          Pressed     Begin
//!                                 otherwise, the next later by double  Rechecking
//!             window over         mean at the threshold                Pressed     Begin
//!                                 mean under it                        Quiet
//! Pressed     window over         calm for clear=                      Quiet       End
//!                                 repeat= over, window not calm        Pressed     Still
//!                                 otherwise                            Pressed
//! any         new base            armed again, grace over, closed      Quiet
//! ```
//!
//! A window is calm under half the threshold. Any other input changes nothing.
//!
//! Pure: no I/O, no clock; every call takes the time and the counter.

mod run;

use crate::rule::{REPEAT_MAX, Rule};
use crate::time::{Micros, Moment};

use run::{Backdate, Growth, Params, Run, plausible_growth};
pub use run::{Figures, Sample};

/// A rule that doesn't verify rechecks the counter after this part of the window, then
/// at doubling distances: a latched event of long ago comes at the first stall of new
/// pressure, and the kernel holds back the next event for a window.
const FIRST_RECHECK: u64 = 128;

/// What there is to report.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// Pressure has lasted for `for=` and is there now.
    Begin(Figures),
    /// It is still there.
    Still(Figures),
    /// It has been gone for `clear=`.
    End(Figures),
}

/// The state, for a status line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// Nothing; the trigger is polled.
    Quiet,
    /// `for=` is above 0: pressure is measured until it has been sustained.
    Verifying,
    /// `for=0`: the counter didn't confirm an event, and is read again.
    Rechecking,
    /// An episode is open.
    Pressed,
}

impl Phase {
    /// The word for `state=`.
    pub const fn name(self) -> &'static str {
        match self {
            Phase::Quiet => "quiet",
            Phase::Verifying => "verifying",
            Phase::Rechecking => "rechecking",
            Phase::Pressed => "pressed",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum State {
    Quiet {
        /// The reading before the newest. Growth is held against it while the newest is
        /// so fresh that the breach may lie before it.
        older: Sample,
    },
    Verifying(Verifying),
    Rechecking {
        due: Moment,
    },
    Pressed(Pressed),
}

/// Pressure that has not been sustained yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Verifying {
    run: Run,
    halfway: Option<Halfway>,
}

/// The first reading at which half of `for=` was over.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Halfway {
    at: Moment,
    /// What was stalled by then.
    stalled: Micros,
}

/// An open episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Pressed {
    run: Run,
    /// The newest window; empty if the episode began within one.
    newest: Growth,
    calm: Option<Calm>,
    /// When the next *still* is due, and its distance from the one before.
    still: Moment,
    pause: Micros,
}

/// A calm that lasts until now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Calm {
    /// The reading before it.
    since: Moment,
    /// What the episode amounts to if it ended there.
    figures: Figures,
}

/// The machine of one trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Episode {
    params: Params,
    /// The newest reading.
    last: Sample,
    state: State,
}

impl Episode {
    /// A quiet machine; `baseline` is the counter read before the trigger was
    /// armed, `privileged` whether that was with CAP_SYS_RESOURCE.
    pub fn new(rule: &Rule, baseline: Sample, privileged: bool) -> Episode {
        Episode {
            params: Params::new(rule, privileged),
            last: baseline,
            state: State::Quiet { older: baseline },
        }
    }

    /// Quiet again, as its trigger was armed anew: see [`Episode::new`].
    pub fn rearm(&mut self, baseline: Sample, privileged: bool) {
        self.params.rearm(privileged);
        self.rebase(baseline);
    }

    /// Quiet again, with another baseline.
    pub fn rebase(&mut self, baseline: Sample) {
        self.last = baseline;
        self.state = State::Quiet { older: baseline };
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
            State::Rechecking { due } => Some(due),
            State::Verifying(_) | State::Pressed(_) => Some(self.last.at + self.params.window),
        }
    }

    /// What the episode amounts to; None unless pressed.
    pub fn figures(&self) -> Option<Figures> {
        match &self.state {
            State::Pressed(pressed) => Some(pressed.run.until(self.last.at)),
            _ => None,
        }
    }

    /// Whether the last window was calm while pressed: an end may be under way.
    pub fn is_calm(&self) -> bool {
        matches!(&self.state, State::Pressed(pressed) if pressed.calm.is_some())
    }

    /// The kernel's trigger fired.
    pub fn crossed(&mut self, at: Moment, total: u64) -> Option<Event> {
        match self.state {
            State::Quiet { older } => self.quiet_crossed(older, Sample { at, total }),
            _ => None,
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
    pub fn expire(&mut self, at: Moment, total: u64) -> Option<Event> {
        let now = Sample { at, total };
        match self.state {
            State::Quiet { .. } => None,
            State::Verifying(verifying) => self.verifying_expired(verifying, now),
            State::Rechecking { due } => self.rechecking_expired(due, now),
            State::Pressed(_) => self.pressed_expired(now),
        }
    }

    /// With `for=0` the counter confirms an event if it has grown by the threshold
    /// since the trigger was armed (or last found quiet), or by a quarter of it where
    /// the trigger is privileged.
    fn quiet_crossed(&mut self, older: Sample, now: Sample) -> Option<Event> {
        let params = self.params;
        let base = match now.at.since(self.last.at) < params.window {
            true => older,
            false => self.last,
        };
        if params.verifies() {
            let backdate = params.backdate_verified(older, base, now);
            self.verify(now, Run::reached(now.at, backdate, &params));
            return None;
        }
        // Any growth, plausible or not: the kernel's event speaks for it.
        if Micros(now.total.saturating_sub(base.total)) < params.confirm {
            self.recheck(now);
            return None;
        }
        let backdate = params.backdate_confirmed(base, now);
        let run = Run::reached(now.at, backdate, &params);
        Some(self.begin(now, run, Growth::default()))
    }

    fn quiet_checked(&mut self, older: Sample, now: Sample) -> Option<Event> {
        let (params, last) = (self.params, self.last);
        // A sliver of a window proves nothing.
        let growth = self.window_over(now)?;
        self.state = State::Quiet { older: last };
        if growth.stalled < params.stall {
            return None;
        }
        // Enough for a window, but not for all the time since the last reading, may be
        // pressure that began a moment ago, or a little of it all the time: the next
        // windows show which.
        let reached = params.reached(growth);
        if params.verifies() {
            let backdate = params.backdate_verified(older, last, now);
            let run = match reached {
                true => Run::reached(now.at, backdate, &params),
                false => Run::new(now.at, backdate),
            };
            self.verify(now, run);
            return None;
        }
        if !reached {
            self.recheck(now);
            return None;
        }
        let run = Run::reached(now.at, params.assume_one_window(), &params);
        Some(self.begin(now, run, Growth::default()))
    }

    fn verifying_expired(&mut self, verifying: Verifying, now: Sample) -> Option<Event> {
        let Verifying { mut run, halfway } = verifying;
        let (params, before) = (self.params, self.last);
        let window = self.window_over(now)?;
        if run.onset == before.at {
            run.backdate.limit(window);
        }
        run.add(window, &params);
        let lasted = run.growth(now.at);
        let half = lasted.elapsed >= Micros(params.sustain.0 / 2);
        let halfway = halfway.or(half.then_some(Halfway {
            at: now.at,
            stalled: run.stalled,
        }));
        // Once for= is over, what happened long ago says nothing of now.
        let stale = |halfway: Halfway| {
            let second_half = Growth {
                stalled: run.stalled - halfway.stalled,
                elapsed: params.sustain,
            };
            now.at.since(halfway.at) > params.sustain || params.is_calm(second_half)
        };
        let was_over = params.is_sustained(&run, before.at);
        if !params.reached(lasted) || (was_over && halfway.is_some_and(stale)) {
            self.state = State::Quiet { older: before };
            return None;
        }
        // Not in a calm window: a begin says that there *is* pressure, not that there
        // was enough of it a while ago.
        if params.is_sustained(&run, now.at) && !params.is_calm(window) {
            return Some(self.begin(now, run, window));
        }
        self.state = State::Verifying(Verifying { run, halfway });
        None
    }

    /// Until the window is over the threshold's stall is enough, however short the
    /// time; then the mean decides.
    fn rechecking_expired(&mut self, due: Moment, now: Sample) -> Option<Event> {
        let (params, before) = (self.params, self.last);
        let growth = plausible_growth(before, now, params.window);
        let over = growth.elapsed >= params.window;
        let confirmed = match over {
            true => params.reached(growth),
            false if now.at < due => return None,
            false => growth.stalled >= params.stall,
        };
        if confirmed {
            let mut run = Run::new(before.at, Backdate::default());
            run.add(growth, &params);
            let newest = if over { growth } else { Growth::default() };
            return Some(self.begin(now, run, newest));
        }
        if over {
            self.last = now;
            self.state = State::Quiet { older: before };
        } else {
            let due = now.at + growth.elapsed;
            self.state = State::Rechecking { due };
        }
        None
    }

    fn pressed_expired(&mut self, now: Sample) -> Option<Event> {
        let before = self.last;
        let window = self.window_over(now)?;
        let State::Pressed(pressed) = &mut self.state else {
            return None;
        };
        let event = pressed.take(window, before.at, now.at, &self.params);
        if let Some(Event::End(_)) = event {
            // what was counted for this episode counts for no other, and the kernel may
            // deliver an event that it latched meanwhile
            self.state = State::Quiet { older: now };
        }
        event
    }

    /// The growth since the newest reading, which `now` becomes; None, and nothing
    /// changes, while less than a window has passed.
    fn window_over(&mut self, now: Sample) -> Option<Growth> {
        let before = self.last;
        if now.at.since(before.at) < self.params.window {
            return None;
        }
        self.last = now;
        Some(plausible_growth(before, now, self.params.window))
    }

    fn verify(&mut self, now: Sample, run: Run) {
        self.last = now;
        let halfway = None;
        self.state = State::Verifying(Verifying { run, halfway });
    }

    fn recheck(&mut self, now: Sample) {
        self.last = now;
        let due = now.at + Micros(self.params.window.0 / FIRST_RECHECK);
        self.state = State::Rechecking { due };
    }

    fn begin(&mut self, now: Sample, run: Run, newest: Growth) -> Event {
        self.last = now;
        let pause = self.params.repeat;
        self.state = State::Pressed(Pressed {
            run,
            newest,
            calm: None,
            still: now.at + pause,
            pause,
        });
        Event::Begin(run.until(now.at))
    }
}

impl Pressed {
    /// Takes the window between two readings.
    fn take(
        &mut self,
        window: Growth,
        before: Moment,
        at: Moment,
        params: &Params,
    ) -> Option<Event> {
        let ended = self.run.ended(before, self.newest, window);
        self.run.add(window, params);
        self.newest = window;
        if params.is_calm(window) {
            let calm = *self.calm.get_or_insert(Calm {
                since: before,
                figures: ended,
            });
            let over = at.since(calm.since) >= params.clear;
            return over.then_some(Event::End(calm.figures));
        }
        self.calm = None;
        if params.repeat == Micros::ZERO || at < self.still {
            return None;
        }
        let longest = REPEAT_MAX.max(params.repeat);
        self.pause = (self.pause + self.pause).min(longest);
        self.still = at + self.pause;
        Some(Event::Still(self.run.until(at)))
    }
}

#[cfg(test)]
mod tests;
