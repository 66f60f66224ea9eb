//! Traces: what the counters of a machine said over time. A recorded and a generated
//! trace are the same thing, a series of knots; between two of them a counter grows
//! evenly.

use psilogd::pressure::{Kind, Resource};
use psilogd::time::Moment;

pub use crate::random::Random;

/// `some` and `full` of cpu, memory and io, as [`state`] numbers them.
pub const STATES: usize = 6;
pub type Totals = [u64; STATES];

pub fn state(resource: Resource, kind: Kind) -> usize {
    resource as usize * 2 + kind as usize
}

pub const MEMORY: usize = 3;
pub const IO: usize = 5;
pub const CPU: usize = 0;

/// The counters at a moment. Two knots of one moment are a counter that jumps.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Knot {
    pub at: u64,
    pub totals: Totals,
}

#[derive(Debug)]
pub struct Trace {
    pub name: &'static str,
    pub knots: Vec<Knot>,
    /// When the daemon starts; the trace begins at boot.
    pub start: Moment,
}

impl Trace {
    pub fn end(&self) -> Moment {
        Moment(self.knots.last().map_or(0, |knot| knot.at))
    }

    /// A counter at any moment; [`Cursor`] is the quick way for moments in order.
    pub fn total(&self, state: usize, at: Moment) -> u64 {
        let after = self.knots.partition_point(|knot| knot.at <= at.0);
        between(&self.knots, after, state, at.0)
    }

    /// Growth between two moments, without what a counter jumped.
    pub fn stalled(&self, state: usize, from: Moment, to: Moment) -> u64 {
        let mut sum = 0;
        let first = self.knots.partition_point(|knot| knot.at <= from.0);
        let mut before = (from.0, self.total(state, from));
        for knot in self.knots[first..]
            .iter()
            .take_while(|knot| knot.at <= to.0)
        {
            if knot.at > before.0 {
                sum += knot.totals[state].saturating_sub(before.1);
            }
            before = (knot.at, knot.totals[state]);
        }
        if to.0 > before.0 {
            sum += self.total(state, to).saturating_sub(before.1);
        }
        sum
    }
}

/// The counter at `at`, which lies before the knot `after` and not before the
/// one in front of that.
fn between(knots: &[Knot], after: usize, state: usize, at: u64) -> u64 {
    let Some(last) = after.checked_sub(1).map(|index| &knots[index]) else {
        return knots.first().map_or(0, |knot| knot.totals[state]);
    };
    let Some(next) = knots.get(after) else {
        return last.totals[state];
    };
    let (growth, length) = (
        next.totals[state].saturating_sub(last.totals[state]),
        next.at - last.at,
    );
    if growth == 0 || length == 0 {
        return last.totals[state];
    }
    last.totals[state] + (u128::from(growth) * u128::from(at - last.at) / u128::from(length)) as u64
}

/// Walks a trace forwards.
#[derive(Clone)]
pub struct Cursor<'a> {
    knots: &'a [Knot],
    after: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(trace: &'a Trace) -> Cursor<'a> {
        Cursor {
            knots: &trace.knots,
            after: 0,
        }
    }

    pub fn seek(&mut self, at: u64) {
        let near = (self.after + 16).min(self.knots.len());
        while self.after < near && self.knots[self.after].at <= at {
            self.after += 1;
        }
        if self.after == near {
            self.after += self.knots[near..].partition_point(|knot| knot.at <= at);
        }
    }

    pub fn total(&mut self, state: usize, at: u64) -> u64 {
        self.seek(at);
        between(self.knots, self.after, state, at)
    }

    /// When one of these counters next grows, from `at` on.
    pub fn growth(&mut self, states: &[usize], at: u64) -> Option<u64> {
        self.seek(at);
        let mut index = self.after.max(1);
        loop {
            let (before, next) = (self.knots.get(index - 1)?, self.knots.get(index)?);
            if next.at > before.at && states.iter().any(|&s| next.totals[s] > before.totals[s]) {
                return Some(before.at.max(at));
            }
            index += 1;
        }
    }
}

/// Writes a trace, one stretch of time after another.
pub struct Pen {
    knots: Vec<Knot>,
    now: Knot,
}

/// Shares of the time that is stalled, in tenths of a percent, by state.
pub type Rates = [u64; STATES];

/// Rates by resource: `full` is part of `some`.
pub fn rates(cpu: u64, memory: u64, io: u64) -> Rates {
    let some = |full: u64| (full + full / 2).min(1000);
    [cpu, 0, some(memory), memory, some(io), io]
}

pub const SECOND: u64 = 1_000_000;
pub const MINUTE: u64 = 60 * SECOND;
pub const HOUR: u64 = 60 * MINUTE;
pub const DAY: u64 = 24 * HOUR;

impl Default for Pen {
    fn default() -> Pen {
        let now = Knot {
            at: 0,
            totals: [0; STATES],
        };
        Pen {
            knots: vec![now],
            now,
        }
    }
}

impl Pen {
    pub fn at(&self) -> u64 {
        self.now.at
    }

    /// Time passes at these rates.
    pub fn pass(&mut self, length: u64, rates: Rates) {
        self.now.at += length;
        for (total, rate) in self.now.totals.iter_mut().zip(rates) {
            *total += length / 1000 * rate;
        }
        self.knots.push(self.now);
    }

    /// A counter is another one from here on.
    pub fn jump(&mut self, state: usize, change: impl Fn(u64) -> u64) {
        self.now.totals[state] = change(self.now.totals[state]);
        self.knots.push(self.now);
    }

    pub fn trace(self, name: &'static str, start: u64) -> Trace {
        Trace {
            name,
            knots: self.knots,
            start: Moment(start),
        }
    }
}
