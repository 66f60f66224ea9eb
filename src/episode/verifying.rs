//! Pressure of which there was not enough yet.

use super::Verdict;
use super::growth::{Growth, Mean};
use super::params::{Backdate, Params};
use super::run::Run;
use crate::time::{Micros, Moment};

/// What was measured since pressure was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Verifying {
    run: Run,
    /// Over the last `for=`.
    mean: Mean,
    /// When to look again.
    pub(super) due: Moment,
}

/// What a reading shows.
pub(super) enum Outcome {
    /// It was enough, and is there now.
    Begin(Run),
    /// It is gone.
    Quiet,
    /// It was not enough yet.
    Verifying(Verifying),
}

impl Verifying {
    /// Nothing was measured yet.
    pub(super) fn new(run: Run, due: Moment) -> Verifying {
        Verifying {
            run,
            mean: Mean::default(),
            due,
        }
    }

    /// Takes the window between two readings.
    pub(super) fn take(
        self,
        window: Growth,
        before: Moment,
        at: Moment,
        verdict: Verdict,
        params: &Params,
    ) -> Outcome {
        let (mut run, mut mean) = (self.run, self.mean);
        if run.onset == before {
            run.backdate.limit(window);
            run.add_hidden(params);
            mean.add(params.hidden(run.backdate), params.sustain);
        }
        run.add(window, params);
        mean.add(window, params.sustain);
        if verdict.killed {
            return Outcome::Begin(run);
        }
        // Where the evidence shows nothing, going to and fro costs more readings than
        // staying does.
        let mean_now = mean.over(params.sustain);
        let stays = verdict.absent && params.is_half(mean_now);
        if !params.reached(mean_now) && !stays {
            return Outcome::Quiet;
        }
        // Not in a window that is not met: a begin says that there *is* pressure, not
        // that there was enough of it a while ago.
        let missing = params.missing(&mean);
        if missing == Micros::ZERO && verdict.agrees && params.reached(window) {
            return Outcome::Begin(run);
        }
        let due = params.due(at, missing, verdict);
        if verdict.absent {
            // what stalled so far was something else
            run = Run::new(at, Backdate::default());
        }
        Outcome::Verifying(Verifying { run, mean, due })
    }
}
