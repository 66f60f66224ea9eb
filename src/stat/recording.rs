//! A record in memory: every counter as a series over time, so that it has a value at
//! any moment. Between two readings a counter grows evenly.

use crate::evidence::{DiskCounters, DiskName};
use crate::pressure::{Kind, Resource};
use crate::stat::CELLS;
use crate::stat::record::{Entry, GroupCounters, HostCounters, Reader, RecordError, Totals};
use crate::time::{Micros, Moment};

/// A counter over time.
#[derive(Clone, Default, Debug)]
pub struct Series {
    /// When, and how much it has grown since the first reading. Growth never falls.
    knots: Vec<(Moment, u64)>,
    /// From when on, and what `total=` is beside that growth: it changes when the
    /// counter is another one.
    bases: Vec<(Moment, u64)>,
}

impl Series {
    /// Whether there is no reading.
    pub fn is_empty(&self) -> bool {
        self.knots.is_empty()
    }

    /// Adds a reading, later than those before. `new` is whether it is another counter.
    fn push(&mut self, at: Moment, total: u64, new: bool) {
        let Some(&(_, grown)) = self.knots.last() else {
            self.knots.push((at, 0));
            self.bases.push((at, total));
            return;
        };
        let before = grown.wrapping_add(self.bases.last().map_or(0, |base| base.1));
        let sum = |growth: u64| grown.checked_add(growth).filter(|_| !new);
        let sum = total.checked_sub(before).and_then(sum);
        if sum.is_none() {
            self.bases.push((at, total.wrapping_sub(grown)));
        }
        let grown = sum.unwrap_or(grown);
        let rests = |knot: &(Moment, u64)| knot.1 == grown;
        match self.knots.as_mut_slice() {
            // a counter that rests needs no knot for every reading
            [.., first, last] if rests(first) && rests(last) => last.0 = at,
            _ => self.knots.push((at, grown)),
        }
    }

    /// How much it has grown from the first reading to this moment.
    pub fn grown(&self, at: Moment) -> u64 {
        let after = self.knots.partition_point(|knot| knot.0 <= at);
        let Some(&(from, grown)) = after.checked_sub(1).and_then(|i| self.knots.get(i)) else {
            return 0;
        };
        let Some(&(to, later)) = self.knots.get(after) else {
            return grown;
        };
        let growth = u128::from(later - grown) * u128::from(at.since(from).0);
        // from < at < to, so the quotient is no more than the growth
        grown + (growth / u128::from(to.since(from).0.max(1))) as u64
    }

    /// `total=` at this moment.
    pub fn total(&self, at: Moment) -> u64 {
        let after = self.bases.partition_point(|base| base.0 <= at);
        let base = self.bases.get(after.saturating_sub(1));
        self.grown(at).wrapping_add(base.map_or(0, |base| base.1))
    }

    /// Whether it grows right up to this moment.
    pub fn grows(&self, at: Moment) -> bool {
        let after = self.knots.partition_point(|knot| knot.0 < at);
        let pair = after
            .checked_sub(1)
            .and_then(|from| self.knots.get(from..=after));
        pair.is_some_and(|pair| pair[1].1 > pair[0].1)
    }

    /// The first knot after this moment.
    pub fn next_knot(&self, at: Moment) -> Option<Moment> {
        let after = self.knots.partition_point(|knot| knot.0 <= at);
        self.knots.get(after).map(|knot| knot.0)
    }

    /// Forgets what is not needed for any moment from this one on.
    pub fn forget_before(&mut self, at: Moment) {
        let knots = self.knots.partition_point(|knot| knot.0 <= at);
        self.knots.drain(..knots.saturating_sub(1));
        let bases = self.bases.partition_point(|base| base.0 <= at);
        self.bases.drain(..bases.saturating_sub(1));
    }
}

/// The whole system or a cgroup over time.
#[derive(Clone, Default, Debug)]
pub struct Track {
    /// The cgroup's path; None is the whole system.
    pub path: Option<Vec<u8>>,
    /// By [`CELLS`].
    series: [Series; CELLS.len()],
    /// From when to when it was there; None is the end of the record.
    spans: Vec<(Moment, Option<Moment>)>,
    /// Its other counters, each time that one had changed.
    counters: Vec<(Moment, GroupCounters)>,
}

impl Track {
    /// One counter.
    pub fn series(&self, resource: Resource, kind: Kind) -> &Series {
        let cell = CELLS.iter().position(|cell| *cell == (resource, kind));
        // interrupts have no `some`, and then that of no group has a reading
        cell.map_or(&NOTHING, |cell| &self.series[cell])
    }

    /// Whether it was there.
    pub fn is_there(&self, at: Moment) -> bool {
        let within =
            |(from, to): &(Moment, Option<Moment>)| *from <= at && to.is_none_or(|to| at < to);
        self.spans.iter().any(within)
    }

    /// Its other counters as they were last read.
    pub fn counters(&self, at: Moment) -> GroupCounters {
        let after = self.counters.partition_point(|counters| counters.0 <= at);
        let last = after.checked_sub(1).and_then(|at| self.counters.get(at));
        last.map_or(GroupCounters::default(), |last| last.1)
    }

    /// When it was created (true) or removed.
    pub fn changes(&self) -> impl Iterator<Item = (Moment, bool)> {
        let both =
            |(from, to): &(Moment, Option<Moment>)| [Some((*from, true)), to.map(|to| (to, false))];
        self.spans.iter().flat_map(both).flatten()
    }

    /// Adds a reading.
    pub fn read(&mut self, at: Moment, totals: &Totals) {
        let open = self.spans.last().is_some_and(|span| span.1.is_none());
        if !open {
            self.spans.push((at, None));
        }
        for (series, total) in self.series.iter_mut().zip(totals) {
            if let Some(total) = total {
                series.push(at, *total, !open);
            }
        }
    }

    /// Forgets what is not needed for any moment from this one on.
    pub fn forget_before(&mut self, at: Moment) {
        for series in &mut self.series {
            series.forget_before(at);
        }
    }
}

static NOTHING: Series = Series {
    knots: Vec::new(),
    bases: Vec::new(),
};

/// A disk's new counters; None of one that is gone.
pub type DiskChange = (DiskName, Option<DiskCounters>);

/// A reading of the host's other counters.
#[derive(Clone, Copy, Debug)]
pub struct HostReading {
    /// When.
    pub at: Moment,
    /// The counters.
    pub counters: HostCounters,
    /// So many changes of disks belong to it and to the readings before.
    disks: usize,
}

/// Everything that a record says.
#[derive(Clone, Default, Debug)]
pub struct Recording {
    /// The whole system and cgroups, by number.
    pub groups: Vec<Track>,
    /// How many readings of a group's pressure have a line.
    pub readings: u64,
    host: Vec<HostReading>,
    disks: Vec<DiskChange>,
    /// The end of the first reading of every group, and the last line.
    span: Option<(Moment, Moment)>,
}

impl Recording {
    /// Reads a record.
    ///
    /// # Errors
    /// The first line that does not belong in one.
    pub fn parse(text: &str) -> Result<Recording, RecordError> {
        let mut reader = Reader::new(text)?;
        let mut recording = Recording::default();
        // Groups are read one after another: all that come before any comes again are
        // of the first reading.
        let mut first = true;
        while let Some(entry) = reader.next_entry()? {
            while recording.groups.len() < reader.groups() {
                let path = reader.path(recording.groups.len()).map(<[u8]>::to_vec);
                recording.groups.push(Track {
                    path,
                    ..Track::default()
                });
            }
            first &= match entry {
                Entry::Reading { group, .. } => recording.groups[group].spans.is_empty(),
                _ => false,
            };
            recording.add(entry, reader.at(), first);
        }
        Ok(recording)
    }

    /// One group and its first reading, which was complete at that moment.
    pub fn of_group(path: Option<Vec<u8>>, at: Moment, totals: &Totals) -> Recording {
        let mut recording = Recording {
            groups: vec![Track {
                path,
                ..Track::default()
            }],
            span: Some((at, at)),
            ..Recording::default()
        };
        recording.feed(at, totals);
        recording
    }

    /// Adds another reading of that group.
    pub fn feed(&mut self, at: Moment, totals: &Totals) {
        self.readings += 1;
        self.span = self.span.map(|(start, _)| (start, at));
        if let Some(track) = self.groups.first_mut() {
            track.read(at, totals);
        }
    }

    fn add(&mut self, entry: Entry, at: Moment, first: bool) {
        let start = self.span.filter(|_| !first).map_or(at, |span| span.0);
        self.span = Some((start, at));
        match entry {
            Entry::Reading { group, at, totals } => {
                self.readings += 1;
                self.groups[group].read(at, &totals);
            }
            Entry::Counters {
                group,
                at,
                counters,
            } => self.groups[group].counters.push((at, counters)),
            Entry::Gone { group, at } => {
                if let Some(span) = self.groups[group].spans.last_mut() {
                    span.1.get_or_insert(at);
                }
            }
            Entry::Disk { name, counters } => self.disks.push((name, counters)),
            Entry::Host { at, counters } => {
                self.host.push(HostReading {
                    at,
                    counters,
                    disks: self.disks.len(),
                });
            }
        }
    }

    /// From the first reading of every group to the last line; None of a record without
    /// any reading.
    pub fn span(&self) -> Option<(Moment, Moment)> {
        self.span
    }

    /// How long that is.
    pub fn length(&self) -> Micros {
        self.span.map_or(Micros::ZERO, |(from, to)| to.since(from))
    }

    /// Whether it has the host's other counters of this resource: available memory,
    /// disks, idle CPUs.
    pub fn has_evidence(&self, resource: Resource) -> bool {
        let last = self.host.last().map(|reading| reading.counters);
        last.is_some_and(|last| match resource {
            Resource::Memory => last.available.is_some() && last.memory.is_some(),
            Resource::Io => !self.disks.is_empty(),
            Resource::Cpu => last.idle.is_some() && last.cpus.is_some(),
            Resource::Irq => false,
        })
    }

    /// A group by its path.
    pub fn group(&self, path: Option<&[u8]>) -> Option<usize> {
        self.groups
            .iter()
            .position(|group| group.path.as_deref() == path)
    }

    /// The reading of the host's other counters that was the newest at this moment, and
    /// what had changed of the disks between the reading `before` and it.
    pub fn host(
        &self,
        at: Moment,
        before: Option<HostReading>,
    ) -> Option<(HostReading, &[DiskChange])> {
        let after = self.host.partition_point(|reading| reading.at <= at);
        let reading = *self.host.get(after.checked_sub(1)?)?;
        let from = before.map_or(0, |before| before.disks);
        Some((reading, self.disks.get(from..reading.disks)?))
    }
}

#[cfg(test)]
mod tests;
