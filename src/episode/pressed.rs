//! An open episode: what it has come to, and when it is still there or over.

use super::growth::{Growth, Mean};
use super::params::Params;
use super::run::{Figures, Run};
use super::{Event, Verdict};
use crate::rule::REPEAT_MAX;
use crate::time::{Micros, Moment};

/// Each relapse in a row makes `clear=` so many times as long, an hour at most.
const DAMPING: u64 = 4;
const DAMPED_MAX: Micros = Micros::secs(3600);

/// An open episode.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Pressed {
    pub(super) run: Run,
    /// Over the last min(for, clear).
    mean: Mean,
    /// The newest window; empty if the episode began within one.
    newest: Growth,
    pub(super) lull: Option<Lull>,
    /// When the next *still* is due, and its distance from the one before.
    still: Moment,
    pause: Micros,
    /// How long no window may be met before it ends.
    pub(super) clear: Micros,
}

/// No window was met since.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Lull {
    /// The last window that was met ended then.
    since: Moment,
    /// What the episode amounts to if it ended there.
    figures: Figures,
}

impl Pressed {
    /// One that begins at `at`; `relapses` is its place in a row of relapses, 0 for none.
    pub(super) fn new(
        at: Moment,
        run: Run,
        newest: Growth,
        relapses: u32,
        params: &Params,
    ) -> Pressed {
        let factor = DAMPING.saturating_pow(relapses);
        let damped = Micros(params.clear.0.saturating_mul(factor)).min(DAMPED_MAX);
        Pressed {
            run,
            mean: Mean::default(),
            newest,
            lull: None,
            still: at + params.repeat,
            pause: params.repeat,
            clear: params.clear.max(damped),
        }
    }

    /// Takes the window between two readings.
    pub(super) fn take(
        &mut self,
        window: Growth,
        before: Moment,
        at: Moment,
        verdict: Verdict,
        params: &Params,
    ) -> Option<Event> {
        let ended = self.run.ended(before, self.newest, window);
        let length = params.sustain.min(self.clear);
        self.run.add(window, params);
        self.mean.add(window, length);
        self.newest = window;
        let met = params.reached(window) && params.is_near(self.mean.over(length));
        if !(met && verdict.agrees) {
            let lull = *self.lull.get_or_insert(Lull {
                since: before,
                figures: ended,
            });
            let over = at.since(lull.since) >= self.clear;
            return over.then_some(Event::End(lull.figures));
        }
        self.lull = None;
        if params.repeat == Micros::ZERO || at < self.still {
            return None;
        }
        let longest = REPEAT_MAX.max(params.repeat);
        self.pause = (self.pause + self.pause).min(longest);
        self.still = at + self.pause;
        Some(Event::Still(self.run.until(at)))
    }
}
