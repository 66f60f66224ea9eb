//! The time axis, and the area below one counter's curve.

use std::io::{self, Write};

use super::{LEFT, WIDTH, tenths};
use crate::pressure::{Kind, Resource};
use crate::stat::recording::{Recording, Track};
use crate::stat::suggest::WINDOW;
use crate::time::{Micros, Moment};

/// The time axis.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    pub(super) start: Moment,
    /// Never zero.
    pub(super) length: Micros,
}

impl Scale {
    pub(super) fn of(recording: &Recording) -> Scale {
        Scale {
            start: recording.span().map_or(Moment(0), |span| span.0),
            length: recording.length().max(Micros(1)),
        }
    }

    pub(super) fn end(&self) -> Moment {
        self.start + self.length
    }

    /// The length in whole seconds, and where it has many of them, in minutes or hours.
    pub(super) fn rounded(&self) -> Micros {
        let unit = match self.length.0 / 1_000_000 {
            0..600 => 1,
            600..36_000 => 60,
            _ => 3_600,
        };
        let unit = unit * 1_000_000;
        Micros(self.length.0.saturating_add(unit / 2) / unit * unit)
    }

    /// Tenths of a pixel up to this moment; what is outside is at the edge.
    fn tenths(&self, at: Moment) -> u64 {
        let passed = at.since(self.start).min(self.length);
        // no more than the width, since no more has passed than the length
        let part = u128::from(passed.0) * u128::from(WIDTH * 10) / u128::from(self.length.0);
        LEFT * 10 + part as u64
    }

    /// The pixel of this moment.
    pub(super) fn x(&self, at: Moment) -> u64 {
        self.tenths(at) / 10
    }

    /// The time of one point: a window, or so many that a pixel has one point at most.
    pub(super) fn point(&self) -> Micros {
        let windows = self.length.0 / WINDOW.0;
        Micros(WINDOW.0 * windows.div_ceil(WIDTH).max(1))
    }
}

/// Points of a curve: tenths of pixels across, and of percent; None where the cgroup was
/// not there.
fn points(scale: &Scale, track: &Track, cell: (Resource, Kind)) -> Vec<Option<(u64, u64)>> {
    let series = track.series(cell.0, cell.1);
    let worst = |from: Moment, to: Moment| {
        let mut worst = 0;
        let mut at = from;
        while at + WINDOW <= to {
            let stalled = series.grown(at + WINDOW).saturating_sub(series.grown(at));
            worst = worst.max((stalled.saturating_mul(1_000) / WINDOW.0).min(1_000));
            at = at + WINDOW;
        }
        worst
    };
    let point = scale.point();
    let mut points = Vec::new();
    let mut from = scale.start;
    while from + WINDOW <= scale.end() {
        let to = from + point;
        let middle = from + Micros(point.0 / 2);
        let there = track.path.is_none() || track.is_there(middle);
        points.push(there.then(|| (scale.tenths(middle), worst(from, to.min(scale.end())))));
        from = to;
    }
    points
}

/// The area below a curve. Points within a level stretch are left out.
pub(super) fn curve(
    out: &mut dyn Write,
    scale: &Scale,
    track: &Track,
    cell: (Resource, Kind),
    bottom: u64,
) -> io::Result<()> {
    for part in points(scale, track, cell).split(Option::is_none) {
        let part: Vec<_> = part.iter().copied().flatten().collect();
        let (Some(first), Some(last)) = (part.first(), part.last()) else {
            continue;
        };
        write!(out, "M{} {bottom}", tenths(first.0))?;
        for (index, (x, y)) in part.iter().enumerate() {
            let same = |other: Option<&(u64, u64)>| other.is_some_and(|other| other.1 == *y);
            let before = index.checked_sub(1).and_then(|before| part.get(before));
            if !same(before) || !same(part.get(index + 1)) {
                write!(out, "L{} {}", tenths(*x), tenths(bottom * 10 - y))?;
            }
        }
        write!(out, "L{} {bottom}Z", tenths(last.0))?;
    }
    Ok(())
}
