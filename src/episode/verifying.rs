//! Pressure of which there was not enough yet.

use std::cmp::min_by_key;

use super::Verdict;
use super::growth::{Growth, Mean};
use super::lookback::Lookback;
use super::params::Params;
use super::run::Run;
use crate::time::{Micros, Moment};

/// What was measured since pressure was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Verifying {
    run: Run,
    lookback: Lookback,
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
    pub(super) fn new(run: Run, lookback: Lookback, due: Moment) -> Verifying {
        Verifying {
            run,
            lookback,
            mean: Mean::default(),
            due,
        }
    }

    /// Takes the window between two readings.
    pub(super) fn take(
        mut self,
        window: Growth,
        before: Moment,
        at: Moment,
        verdict: Verdict,
        params: &Params,
    ) -> Outcome {
        if self.run.onset == before {
            self.look_back(window, params);
        }
        self.run.add(window, params);
        self.mean.add(window, params.sustain);
        self.onset_by_the_mean_rate(at);
        let Verifying { run, mean, .. } = self;
        if verdict.killed {
            return self.begin();
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
            return self.begin();
        }
        self.due = params.due(at, missing, verdict);
        if let Some(length) = verdict.began {
            self.run = run.since(at, length);
            self.lookback = self.run.backdate.into();
        }
        Outcome::Verifying(self)
    }

    fn begin(mut self) -> Outcome {
        let worst = self.lookback.worst(self.run.backdate);
        self.run.worst = self.run.worst.max(worst);
        Outcome::Begin(self.run)
    }

    /// What came before counts by the rate of the first window, and for a begin but once.
    fn look_back(&mut self, first: Growth, params: &Params) {
        self.run.backdate = self.lookback.onset(first);
        self.run.add_hidden(params);
        if self.mean == Mean::default() {
            let hidden = params.hidden(self.run.backdate);
            self.mean.add(hidden, params.sustain);
        }
    }

    /// A first window may have been a calm one.
    fn onset_by_the_mean_rate(&mut self, at: Moment) {
        let onset = self.lookback.onset(Growth {
            stalled: self.run.stalled,
            elapsed: at.since(self.run.onset),
        });
        self.run.backdate = min_by_key(onset, self.run.backdate, |onset| onset.lasted);
    }
}
