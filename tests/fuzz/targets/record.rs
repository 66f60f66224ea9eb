//! psistat's records: any text is read or refused, and what was written reads back.

use std::collections::BTreeMap;

use psilogd::evidence::{DiskCounters, DiskName};
use psilogd::pressure::{Averages, Kind, Pressure};
use psilogd::stat::record::{Entry, HostCounters, Reader, Totals, Writer, parse};
use psilogd::stat::recording::Recording;
use psilogd::stat::{CELLS, Group, Reading};
use psilogd::time::Moment;

use super::bytes::Bytes;
use super::clean;

pub fn run(data: &[u8]) {
    match data.starts_with(b"psi") {
        true => read(&String::from_utf8_lossy(data)),
        false => write(&mut Bytes(data)),
    }
}

/// Every entry of a text, or the line that is wrong.
fn entries(text: &str) -> Result<Vec<Entry>, usize> {
    let mut reader = Reader::new(text).map_err(|error| error.line)?;
    let (mut entries, mut last) = (Vec::new(), Moment(0));
    while let Some(entry) = reader.next_entry().map_err(|error| error.line)? {
        assert!(reader.at() >= last, "time goes back");
        last = reader.at();
        if let Entry::Reading { group, .. }
        | Entry::Counters { group, .. }
        | Entry::Gone { group, .. } = entry
        {
            assert!(group < reader.groups());
        }
        entries.push(entry);
    }
    Ok(entries)
}

fn read(text: &str) {
    let (entries, recording) = (entries(text), Recording::parse(text));
    match &recording {
        Err(error) => {
            clean::sentence(&error.to_string());
            assert!((1..=text.matches('\n').count() + 1).contains(&error.line));
            assert_eq!(entries.err(), Some(error.line));
        }
        Ok(recording) => follow(recording, &entries.unwrap()),
    }
    // format 2 has all that format 1 has
    if let (Some(rest), Ok(points)) = (text.strip_prefix("psistat record 1\n"), parse(text)) {
        assert_eq!(parse(&format!("psistat record 2\n{rest}")), Ok(points));
    }
}

/// The newest counters of each group are those of its last entry.
fn follow(recording: &Recording, entries: &[Entry]) {
    let mut last: BTreeMap<usize, (Moment, Totals)> = BTreeMap::new();
    let mut readings = 0;
    for entry in entries {
        if let Entry::Reading { group, at, totals } = entry {
            last.insert(*group, (*at, *totals));
            readings += 1;
        }
    }
    assert_eq!(recording.readings, readings);
    for (group, (at, totals)) in last {
        check(recording, group, at, &totals);
    }
}

fn check(recording: &Recording, group: usize, at: Moment, totals: &Totals) {
    for (total, (resource, kind)) in totals.iter().zip(CELLS) {
        let series = recording.groups[group].series(resource, kind);
        if let Some(total) = total {
            assert_eq!(series.total(at), *total, "{resource:?} {kind:?} {at:?}");
            assert!(series.grown(Moment(at.0 / 2)) <= series.grown(at));
        }
    }
}

/// What was read, and when.
type Past = Vec<(Option<Vec<u8>>, Moment, Totals)>;

fn write(bytes: &mut Bytes<'_>) {
    let (mut writer, mut out) = (Writer::default(), Vec::new());
    let (mut past, mut now) = (Past::new(), Moment(bytes.number() >> 8));
    let mut groups: Vec<Group> = vec![group(None)];
    let (mut host, mut disks) = (HostCounters::default(), BTreeMap::new());
    let mut turns = 0;
    while !bytes.is_empty() && turns < 24 {
        turns += 1;
        now.0 += 1 + bytes.small();
        match bytes.below(6) {
            0 => {
                let path = [b"/", bytes.name(3)].concat();
                if groups
                    .iter()
                    .all(|group| group.path.as_ref() != Some(&path))
                {
                    groups.push(group(Some(path)));
                }
            }
            1 if groups.len() > 1 => drop(groups.remove(1 + bytes.below(groups.len() - 1))),
            // another cgroup of the same path
            2 => groups.last_mut().unwrap().id += 1,
            3 => others(bytes, &mut host, &mut disks),
            _ => grow(bytes, &mut groups),
        }
        for group in &mut groups {
            now.0 += 1;
            past.push((group.path.clone(), now, stamp(group, now)));
        }
        writer.add(&mut out, &groups);
        let listed: Vec<(DiskName, DiskCounters)> = disks.values().copied().collect();
        writer.host(&mut out, now, &listed, host);
    }
    writer.end(&mut out, Moment(now.0 + 1));
    if turns > 0 {
        reads_back(&String::from_utf8(out).unwrap(), &past, &host, &disks);
    }
}

fn reads_back(text: &str, past: &Past, host: &HostCounters, disks: &Disks) {
    text.lines()
        .for_each(|line| clean::printable(line.as_bytes()));
    let recording = Recording::parse(text).unwrap_or_else(|error| panic!("{error}: {text}"));
    for (path, at, totals) in past {
        let group = recording.group(path.as_deref()).unwrap();
        check(&recording, group, *at, totals);
        assert!(recording.groups[group].is_there(*at), "{at:?}: {text}");
    }
    let end = recording.span().unwrap().1;
    let (reading, changes) = recording.host(end, None).unwrap();
    let newest = |name: DiskName| changes.iter().rfind(|change| change.0 == name);
    for (name, counters) in disks.values() {
        assert_eq!(newest(*name), Some(&(*name, Some(*counters))), "{text}");
    }
    let gone = |change: &&(DiskName, _)| disks.values().all(|(name, _)| *name != change.0);
    assert!(
        changes
            .iter()
            .filter(gone)
            .all(|change| newest(change.0).unwrap().1.is_none())
    );
    assert_eq!(reading.counters.idle, host.idle);
    assert_eq!(reading.counters.cpus, host.cpus);
    assert_eq!(reading.counters.oom_kills, host.oom_kills);
}

type Disks = BTreeMap<u8, (DiskName, DiskCounters)>;

fn others(bytes: &mut Bytes<'_>, host: &mut HostCounters, disks: &mut Disks) {
    host.idle = Some(bytes.number());
    host.cpus = Some(bytes.number());
    host.oom_kills = Some(bytes.number());
    (host.memory, host.available) = (Some(bytes.number()), Some(bytes.number()));
    let disk = bytes.byte() % 4;
    let counters = DiskCounters {
        completed: bytes.number(),
        waited: bytes.number(),
        inflight: bytes.number(),
        busy: bytes.number(),
    };
    match bytes.flag() {
        true => disks.insert(
            disk,
            (DiskName::new(&[b's', b' ', disk]).unwrap(), counters),
        ),
        false => disks.remove(&disk),
    };
}

fn group(path: Option<Vec<u8>>) -> Group {
    let pressure = Pressure {
        some: Some(Averages::default()),
        full: Some(Averages::default()),
    };
    let reading = Reading {
        at: Moment(0),
        pressure,
    };
    let irq = Reading {
        pressure: Pressure {
            some: None,
            ..pressure
        },
        ..reading
    };
    Group {
        path,
        id: 0,
        readings: [Some(reading), Some(reading), Some(reading), Some(irq)],
    }
}

/// Some counters grow, or fall.
fn grow(bytes: &mut Bytes<'_>, groups: &mut [Group]) {
    let at = bytes.below(groups.len());
    let readings = groups[at].readings.iter_mut().flatten();
    for pressure in readings.map(|reading| &mut reading.pressure) {
        for averages in [&mut pressure.some, &mut pressure.full]
            .into_iter()
            .flatten()
        {
            averages.total = match bytes.below(4) {
                0 => bytes.number(),
                1 => averages.total.saturating_add(bytes.small()),
                _ => averages.total,
            };
        }
    }
}

/// The group was read at this moment; its counters.
fn stamp(group: &mut Group, now: Moment) -> Totals {
    group
        .readings
        .iter_mut()
        .flatten()
        .for_each(|reading| reading.at = now);
    CELLS.map(|(resource, kind): (_, Kind)| {
        let reading = group.readings[resource as usize].unwrap();
        reading.pressure.of(kind).map(|averages| averages.total)
    })
}
