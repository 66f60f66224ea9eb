//! Disks from one reading of /proc/diskstats to the next. A disk is stuck if it has
//! something in flight and completes nothing. Busy time and mean wait don't separate a
//! dead disk from a healthy one under load.

use super::Io;
use super::text::{lines, words};
use crate::pressure::number;
use crate::time::{Micros, Moment};

/// Disks that are followed. Of more, those with nothing in flight are left out first.
pub const DISKS_MAX: usize = 64;
/// The longest name of a disk, in bytes (DISK_NAME_LEN in include/linux/blkdev.h).
pub const NAME_MAX: usize = 32;
/// Rates are taken over at least this, the shortest window of a rule: several rules
/// may be read within milliseconds.
const RATE_MIN: Micros = Micros::millis(500);
/// And over at most this: a mean over hours doesn't show what happens now.
const RATE_MAX: Micros = Micros::secs(60);
/// What is no disk, or has its disk below it, which is the one to name.
const SKIPPED: [&[u8]; 6] = [b"ram", b"loop", b"zram", b"dm-", b"md", b"md_"];

/// A disk's name, as the kernel writes it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskName {
    bytes: [u8; NAME_MAX],
    length: u8,
}

impl DiskName {
    /// None for a name longer than any of the kernel's.
    pub fn new(name: &[u8]) -> Option<DiskName> {
        let mut bytes = [0; NAME_MAX];
        bytes.get_mut(..name.len())?.copy_from_slice(name);
        let length = u8::try_from(name.len()).ok()?;
        Some(DiskName { bytes, length })
    }

    /// Without the zeros behind it.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }
}

/// A line of /proc/diskstats; fields as numbered in iostats.rst.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskCounters {
    /// Fields 1, 5, 12, 16: requests completed.
    pub completed: u64,
    /// Fields 4, 8, 15, 17: milliseconds that they took.
    pub waited: u64,
    /// Field 9, the only one that is no counter.
    pub inflight: u64,
    /// Field 10: milliseconds with something in flight.
    pub busy: u64,
}

impl DiskCounters {
    /// None if a field is missing or is no number. Before 4.18 there are 11 fields,
    /// before 5.5 there are 15; fields that a later kernel may add are ignored.
    fn parse<'a>(words: impl Iterator<Item = &'a [u8]>) -> Option<DiskCounters> {
        let mut fields = [0; 18];
        let mut count = 0;
        for (field, word) in fields[1..].iter_mut().zip(words) {
            *field = number(word)?;
            count += 1;
        }
        let sum = |of: [usize; 4]| {
            of.iter()
                .try_fold(0u64, |sum, &field| sum.checked_add(fields[field]))
        };
        (count >= 11).then_some(DiskCounters {
            completed: sum([1, 5, 12, 16])?,
            waited: sum([4, 8, 15, 17])?,
            inflight: fields[9],
            busy: fields[10],
        })
    }
}

/// A whole disk in a text, and how much is in flight on its partitions.
struct Reading<'a> {
    name: &'a [u8],
    /// None where the disk isn't one to follow.
    counters: Option<DiskCounters>,
    partitions: u64,
}

impl Reading<'_> {
    fn hand_over(&self, each: &mut dyn FnMut(DiskName, DiskCounters)) {
        if let (Some(mut counters), Some(name)) = (self.counters, DiskName::new(self.name)) {
            // where the disk counts what is in flight at all, that is on its partitions too
            counters.inflight = counters.inflight.max(self.partitions);
            each(name, counters);
        }
    }

    /// Whether a name is one of its partitions': its own and digits, or its own, p and
    /// digits where it ends in a digit.
    fn has_partition(&self, name: &[u8]) -> bool {
        let digits = match (name.strip_prefix(self.name), self.name.last()) {
            (Some(rest), Some(b'0'..=b'9')) => rest.strip_prefix(b"p"),
            (rest, _) => rest,
        };
        digits.is_some_and(|digits| !digits.is_empty() && digits.iter().all(u8::is_ascii_digit))
    }
}

/// Whether it is of a kind that is left out: `loop0`, not `loopy`.
fn is_skipped(name: &[u8]) -> bool {
    SKIPPED.iter().any(|kind| {
        let rest = name.strip_prefix(*kind);
        rest.and_then(<[u8]>::first)
            .is_some_and(|&b| b.is_ascii_digit() || kind.ends_with(b"_"))
    })
}

/// Every whole disk in a text of /proc/diskstats: its line, which those of its
/// partitions follow. On some kernels (6.12) only a partition has what goes through it in
/// flight. Whether it has any line of the kind.
pub fn whole_disks(text: &[u8], each: &mut dyn FnMut(DiskName, DiskCounters)) -> bool {
    let mut known = false;
    let mut reading: Option<Reading<'_>> = None;
    for line in lines(text) {
        let mut words = words(line).skip(2);
        let Some(name) = words.next() else {
            continue;
        };
        let counters = DiskCounters::parse(words);
        known |= counters.is_some();
        match &mut reading {
            Some(disk) if disk.has_partition(name) => {
                let inflight = counters.map_or(0, |counters| counters.inflight);
                disk.partitions = disk.partitions.saturating_add(inflight);
                continue;
            }
            Some(disk) => disk.hand_over(each),
            None => {}
        }
        reading = Some(Reading {
            name,
            counters: counters.filter(|_| !is_skipped(name)),
            partitions: 0,
        });
    }
    if let Some(disk) = &reading {
        disk.hand_over(each);
    }
    known
}

/// A disk that is followed.
#[derive(Clone, Copy, Debug)]
struct Disk {
    name: DiskName,
    completed: u64,
    inflight: u64,
    /// Since when it has had something in flight and completed nothing.
    stuck_since: Option<Moment>,
    /// The reading that the next rates are taken from.
    base: (Moment, DiskCounters),
    /// How much `busy` grew between the readings of the last rates.
    grown: u64,
    iops: Option<u64>,
    wait: Option<Micros>,
    /// Whether the newest text has it.
    seen: bool,
}

impl Disk {
    fn new(name: DiskName, at: Moment, counters: DiskCounters) -> Disk {
        Disk {
            name,
            completed: counters.completed,
            inflight: counters.inflight,
            stuck_since: None,
            base: (at, counters),
            grown: 0,
            iops: None,
            wait: None,
            seen: false,
        }
    }

    /// Takes a reading. One that comes late is as good: a request that was in flight
    /// then and now, with none completed in between, is the same request.
    fn take(&mut self, at: Moment, counters: DiskCounters) {
        let completed = counters.completed != self.completed;
        self.stuck_since = match self.stuck_since {
            _ if counters.inflight == 0 => None,
            Some(since) if !completed => Some(since),
            _ => Some(at),
        };
        self.completed = counters.completed;
        self.inflight = counters.inflight;
        self.seen = true;
        if at.since(self.base.0) >= RATE_MIN {
            self.rate(at, counters);
        }
    }

    /// Rates since the base, which is then this reading.
    fn rate(&mut self, at: Moment, now: DiskCounters) {
        let (from, before) = self.base;
        let elapsed = at.since(from);
        self.base = (at, now);
        self.grown = now.busy.saturating_sub(before.busy);
        (self.iops, self.wait) = (None, None);
        let completed = now.completed.checked_sub(before.completed);
        let Some(completed) = completed.filter(|_| elapsed <= RATE_MAX) else {
            return;
        };
        let second = u128::from(Micros::secs(1).0);
        let elapsed = u128::from(elapsed.0);
        let rounded = (u128::from(completed) * second + elapsed / 2) / elapsed.max(1);
        let iops = u64::try_from(rounded).unwrap_or(u64::MAX);
        self.iops = Some(iops.max(u64::from(completed > 0)));
        // a counter of 32 bits before 5.0: it has wrapped if it fell
        let waited = now.waited.checked_sub(before.waited);
        let mean = waited.and_then(|ms| ms.saturating_mul(1000).checked_div(completed));
        self.wait = mean.map(Micros);
    }

    fn stuck(&self, at: Moment) -> Micros {
        self.stuck_since
            .map_or(Micros::ZERO, |since| at.since(since))
    }
}

/// All disks of the newest text.
#[derive(Clone, Debug)]
pub(super) struct Disks {
    at: Moment,
    /// Whether the newest text was empty or had a line that could be read.
    known: bool,
    /// At most DISKS_MAX. There is room for as many; what is never used of it is memory
    /// that the kernel never gives.
    disks: Vec<Disk>,
}

impl Disks {
    pub(super) fn new() -> Disks {
        Disks {
            at: Moment(0),
            known: false,
            disks: Vec::with_capacity(DISKS_MAX),
        }
    }

    /// Takes a text.
    pub(super) fn take(&mut self, at: Moment, text: &[u8]) {
        self.start(at);
        let known = whole_disks(text, &mut |name, counters| self.settle(at, name, counters));
        self.known = known || text.is_empty();
        self.finish();
    }

    /// Takes what another text said of every disk.
    pub(super) fn take_counters(&mut self, at: Moment, disks: &[(DiskName, DiskCounters)]) {
        self.start(at);
        self.known = true;
        for (name, counters) in disks {
            self.settle(at, *name, *counters);
        }
        self.finish();
    }

    fn start(&mut self, at: Moment) {
        self.at = at;
        for disk in &mut self.disks {
            disk.seen = false;
        }
    }

    fn finish(&mut self) {
        self.disks.retain(|disk| disk.seen);
    }

    /// A disk and its partitions have been read.
    fn settle(&mut self, at: Moment, name: DiskName, counters: DiskCounters) {
        let mut disks = self.disks.iter_mut();
        if let Some(disk) = disks.find(|disk| disk.name == name) {
            // a disk that is removed meanwhile can move another into a text twice
            if !disk.seen {
                disk.take(at, counters);
            }
            return;
        }
        let mut disk = Disk::new(name, at, counters);
        disk.take(at, counters);
        if self.disks.len() < DISKS_MAX {
            self.disks.push(disk);
        } else if let (1.., Some(idle)) = (counters.inflight, self.idle()) {
            *idle = disk;
        }
    }

    /// A disk with nothing in flight, which may give its place to one with something.
    fn idle(&mut self) -> Option<&mut Disk> {
        self.disks.iter_mut().find(|disk| disk.inflight == 0)
    }

    pub(super) fn known(&self) -> bool {
        self.known
    }

    /// The disk stuck for longest, else the busiest.
    pub(super) fn io(&self) -> Io {
        let rank = |disk: &Disk| (disk.stuck(self.at), disk.grown, disk.inflight);
        let disks = self.disks.iter();
        let acts = disks.filter(|disk| disk.inflight > 0 || disk.grown > 0);
        // the first of equals, so that the name doesn't change from line to line
        let Some(disk) = acts.reduce(|a, b| if rank(b) > rank(a) { b } else { a }) else {
            return Io::default();
        };
        Io {
            disk: Some(disk.name),
            stuck: disk.stuck(self.at),
            inflight: disk.inflight,
            iops: disk.iops,
            wait: disk.wait,
        }
    }
}

#[cfg(test)]
mod tests;
