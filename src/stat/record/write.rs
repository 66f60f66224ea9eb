//! A record's lines, written one after another.

use super::{FORMAT, GroupCounters, HEAD, HostCounters, LETTERS, Subject, Totals, Values};
use crate::evidence::{DiskCounters, DiskName};
use crate::pattern::CgroupPath;
use crate::stat::{CELLS, Group};
use crate::time::Moment;

/// MemAvailable and SwapFree move all the time: less than this part of the memory, or
/// of the swap, is not written.
const COARSE: u64 = 1000;

struct Known {
    path: Option<Vec<u8>>,
    id: u64,
    values: Values,
    /// The newest reading, if nothing has changed in it.
    unchanged: Option<Moment>,
    gone: bool,
}

struct KnownDisk {
    name: DiskName,
    values: Values,
    seen: bool,
}

/// Writes readings, one after another.
#[derive(Default)]
pub struct Writer {
    groups: Vec<Known>,
    disks: Vec<KnownDisk>,
    host: Values,
    last: Option<Moment>,
}

impl Writer {
    /// Appends one reading of the pressure of every group. A cgroup that is not among
    /// them any more is gone.
    pub fn add(&mut self, out: &mut Vec<u8>, groups: &[Group]) {
        let time = |group: &Group| group.readings.iter().flatten().map(|r| r.at).next();
        let newest = groups.iter().filter_map(time).max();
        for group in groups {
            if let Some(at) = time(group) {
                self.group(out, group, at);
            }
        }
        for number in 0..self.groups.len() {
            let known = &self.groups[number];
            let is_it = |group: &&Group| group.path == known.path && time(group).is_some();
            if !known.gone && !groups.iter().any(|group| is_it(&group)) {
                let at = newest.or(self.last).unwrap_or(Moment(0));
                self.gone(out, number, at);
            }
        }
    }

    fn group(&mut self, out: &mut Vec<u8>, group: &Group, at: Moment) {
        self.head(out);
        let number = self.number(out, group);
        if self.groups[number].id != group.id && !self.groups[number].gone {
            self.gone(out, number, at);
        }
        let known = &mut self.groups[number];
        (known.id, known.gone) = (group.id, false);
        let mut totals: Totals = [None; CELLS.len()];
        for (total, (resource, kind)) in totals.iter_mut().zip(CELLS) {
            let reading = group.readings[resource as usize];
            *total = reading
                .and_then(|reading| reading.pressure.of(kind))
                .map(|stall| stall.total);
        }
        let changes = changes(super::GROUP, &mut known.values, &totals, 0);
        if changes.is_empty() {
            known.unchanged = Some(at);
            return;
        }
        // Or the counter would seem to have grown all the time since its last line.
        if let Some(unchanged) = known.unchanged.take() {
            self.line(out, Subject::Group(number), unchanged, "");
        }
        self.line(out, Subject::Group(number), at, &changes);
    }

    /// Appends other counters of the cgroup of this path, if it is one of the groups.
    pub fn counters(
        &mut self,
        out: &mut Vec<u8>,
        path: &[u8],
        at: Moment,
        counters: GroupCounters,
    ) {
        let known = |known: &Known| known.path.as_deref() == Some(path) && !known.gone;
        let Some(number) = self.groups.iter().position(known) else {
            return;
        };
        let values = [counters.oom_kills, counters.periods, counters.throttled];
        let known = &mut self.groups[number].values;
        let changes = changes(super::GROUP, known, &values, CELLS.len());
        if !changes.is_empty() {
            self.line(out, Subject::Group(number), at, &changes);
        }
    }

    /// Appends a reading of all disks and of the host, whose line is always written.
    pub fn host(
        &mut self,
        out: &mut Vec<u8>,
        at: Moment,
        disks: &[(DiskName, DiskCounters)],
        host: HostCounters,
    ) {
        self.head(out);
        for (name, counters) in disks {
            self.disk(out, *name, at, counters);
        }
        let seen = |name| disks.iter().any(|(other, _)| *other == name);
        for place in 0..self.disks.len() {
            let known = &mut self.disks[place];
            if known.seen && !seen(known.name) {
                (known.seen, known.values) = (false, [None; LETTERS]);
                let name = known.name;
                self.line(out, Subject::Disk(name), at, " -");
            }
        }
        let mut coarse = host;
        coarse.available = coarsely(self.host[1], host.available, host.memory);
        coarse.swap_free = coarsely(self.host[3], host.swap_free, host.swap);
        let changes = changes(super::HOST, &mut self.host, &coarse.values(), 0);
        self.line(out, Subject::Host, at, &changes);
    }

    fn disk(&mut self, out: &mut Vec<u8>, name: DiskName, at: Moment, now: &DiskCounters) {
        let place = self.disks.iter().position(|known| known.name == name);
        let place = place.unwrap_or_else(|| {
            self.disks.push(KnownDisk {
                name,
                values: [None; LETTERS],
                seen: true,
            });
            self.disks.len() - 1
        });
        let known = &mut self.disks[place];
        known.seen = true;
        let values = [now.completed, now.inflight, now.busy, now.waited].map(Some);
        let changes = changes(super::DISK, &mut known.values, &values, 0);
        if !changes.is_empty() {
            self.line(out, Subject::Disk(name), at, &changes);
        }
    }

    /// Appends the time at which the record ends: nothing has changed until then.
    pub fn end(&mut self, out: &mut Vec<u8>, at: Moment) {
        if self.last.is_some() && !self.groups.is_empty() {
            self.line(out, Subject::Group(0), at, "");
        }
    }

    fn head(&self, out: &mut Vec<u8>) {
        if self.last.is_none() && self.groups.is_empty() {
            out.extend_from_slice(format!("{HEAD}{FORMAT}\n").as_bytes());
        }
    }

    fn gone(&mut self, out: &mut Vec<u8>, number: usize, at: Moment) {
        let known = &mut self.groups[number];
        (known.gone, known.values, known.unchanged) = (true, [None; LETTERS], None);
        self.line(out, Subject::Group(number), at, " -");
    }

    fn line(&mut self, out: &mut Vec<u8>, subject: Subject, at: Moment, changes: &str) {
        let passed = at.since(self.last.unwrap_or(Moment(0))).0;
        self.last = Some(self.last.map_or(at, |last| last.max(at)));
        let of = match subject {
            Subject::Group(0) => String::new(),
            Subject::Group(number) => format!(":{number}"),
            Subject::Host => ":host".into(),
            Subject::Disk(name) => format!("/{}", CgroupPath::of(name.as_bytes().into())),
        };
        out.extend_from_slice(format!("{passed}{of}{changes}\n").as_bytes());
    }

    fn number(&mut self, out: &mut Vec<u8>, group: &Group) -> usize {
        let known = |known: &Known| known.path == group.path;
        if let Some(found) = self.groups.iter().position(known) {
            return found;
        }
        let name = match &group.path {
            None => "-".into(),
            Some(path) => CgroupPath::of(path.clone()).to_string(),
        };
        out.extend_from_slice(format!("group {name}\n").as_bytes());
        self.groups.push(Known {
            path: group.path.clone(),
            id: group.id,
            values: [None; LETTERS],
            unchanged: None,
            gone: false,
        });
        self.groups.len() - 1
    }
}

/// The value that was written before, unless the new one is further from it than a
/// small part of the whole.
fn coarsely(before: Option<u64>, now: Option<u64>, whole: Option<u64>) -> Option<u64> {
    let (before, now) = (before.or(now)?, now?);
    match before.abs_diff(now) > whole.unwrap_or(0) / COARSE {
        true => Some(now),
        false => Some(before),
    }
}

/// ` c30 d=5`: what has changed of these values, whose first letter is at `from`.
fn changes(letters: &str, known: &mut Values, now: &[Option<u64>], from: usize) -> String {
    let mut changes = String::new();
    let places = known[from..].iter_mut().zip(now);
    for ((known, now), letter) in places.zip(letters[from..].chars()) {
        let Some(now) = *now else {
            continue;
        };
        let before = known.replace(now);
        match (before, now.checked_sub(before.unwrap_or(0))) {
            (Some(_), Some(0)) => {}
            (_, Some(growth)) => changes.push_str(&format!(" {letter}{growth}")),
            // it fell: another counter, from its start, or no counter
            (_, None) => changes.push_str(&format!(" {letter}={now}")),
        }
    }
    changes
}
