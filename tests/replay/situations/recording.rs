//! What the lab recorded of the host's other counters: texts of /proc, second by second
//! (tests/README.md has the format). Of a recording that part is played in which its
//! situation lasts: from its last mark that begins one to the mark behind.

use std::collections::BTreeMap;
use std::path::Path;

use super::scene::Going;
use crate::trace::*;

/// The counters of a line, behind its name: of a device, or of a CPU.
pub type Row = Vec<u64>;

/// All files at a moment, with what had not changed.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Microseconds from the first one of the part that is played.
    pub at: u64,
    /// By what stands before the counters, as it stands in the file.
    pub disks: BTreeMap<String, Row>,
    pub cpus: BTreeMap<String, Row>,
    pub meminfo: String,
}

#[derive(Debug)]
pub struct Recording {
    pub readings: Vec<Reading>,
}

/// Names of recordings and what goes on in them; of those with marks, which one begins
/// it, counted from 0.
const NAMES: [(&str, Going, usize); 10] = [
    ("idle", Going::Idle, 0),
    ("disk-dead", Going::DeadDisk, 0),
    ("disk-dead-partition", Going::DeadDisk, 0),
    ("disk-dead-busy", Going::DeadDiskBusy, 0),
    ("disk-saturated", Going::Saturated, 0),
    ("disk-backup", Going::Backup, 0),
    ("quota", Going::Quota, 0),
    ("busy", Going::Busy, 0),
    ("memory-oom", Going::Thrash, 1),
    ("memory-high", Going::MemoryHigh, 0),
];

/// So long behind a mark its situation is there, and so long before the next one it
/// still is.
const MARGIN: u64 = 1_500_000;

/// Every recording of every kernel, by what goes on in it.
pub fn all() -> BTreeMap<Going, Vec<Recording>> {
    let mut found: BTreeMap<Going, Vec<Recording>> = BTreeMap::new();
    for kernel in ["6.1", "6.12", "7.3"] {
        for (name, going, mark) in NAMES {
            let file = format!("tests/replay/evidence/{kernel}/{name}.txt");
            // not every kernel has each of them; one has
            if Path::new(&file).exists() {
                let text = std::fs::read_to_string(&file).unwrap();
                let recording = Recording::parse(&text, mark);
                found.entry(going).or_default().push(recording);
            }
        }
    }
    let whole = NAMES.iter().all(|(_, going, _)| found.contains_key(going));
    assert!(whole, "only {:?} are recorded", found.keys());
    found
}

fn micros(seconds: &str) -> u64 {
    (seconds.parse::<f64>().unwrap() * 1e6) as u64
}

/// A line in two: so many words as they stand, and the numbers behind them.
pub fn split(line: &str, words: usize) -> (String, Row) {
    let mut rest = line;
    for _ in 0..words {
        let start = rest.trim_start();
        rest = &start[start.find(' ').unwrap()..];
    }
    let head = &line[..line.len() - rest.len()];
    let numbers = rest.split_whitespace().map(|word| word.parse().unwrap());
    (head.into(), numbers.collect())
}

impl Recording {
    fn parse(text: &str, mark: usize) -> Recording {
        let (mut readings, mut marks) = (Vec::<Reading>::new(), Vec::new());
        let mut file = "";
        for line in text.lines() {
            if let Some(seconds) = line.strip_prefix("@ ") {
                let before = readings.last().cloned().unwrap_or_default();
                let at = micros(seconds);
                readings.push(Reading { at, ..before });
            } else if let Some(note) = line.strip_prefix("! ") {
                marks.push(micros(note.split(' ').next().unwrap()));
            } else if let Some(name) = line.strip_prefix("== ") {
                file = name;
                if file == "meminfo" {
                    readings.last_mut().unwrap().meminfo.clear();
                }
            } else {
                readings.last_mut().unwrap().take(file, line);
            }
        }
        let from = marks.get(mark).map_or(0, |mark| mark + MARGIN);
        let to = marks.get(mark + 1).map_or(u64::MAX, |mark| mark - MARGIN);
        readings.retain(|reading| (from..=to).contains(&reading.at));
        let first = readings[0].at;
        readings.iter_mut().for_each(|reading| reading.at -= first);
        assert!(readings.len() > 10, "{} readings", readings.len());
        Recording { readings }
    }

    pub fn length(&self) -> u64 {
        self.readings[self.readings.len() - 1].at
    }

    /// The newest reading so long behind the first.
    pub fn at(&self, place: u64) -> &Reading {
        let behind = self.readings.partition_point(|reading| reading.at <= place);
        &self.readings[behind.max(1) - 1]
    }
}

impl Reading {
    fn take(&mut self, file: &str, line: &str) {
        match file {
            "diskstats" => self.disks.extend([split(line, 3)]),
            "stat" => self.cpus.extend([split(line, 1)]),
            "meminfo" => self.meminfo += &format!("{line}\n"),
            // kills are the scene's, pressure is the trace's
            _ => {}
        }
    }

    /// MemAvailable of MemTotal, in percent.
    pub fn available(&self) -> f64 {
        let value = |key: &str| -> f64 {
            let line = self.meminfo.lines().find(|line| line.starts_with(key));
            let word = line.unwrap().split_whitespace().nth(1);
            word.unwrap().parse().unwrap()
        };
        100.0 * value("MemAvailable:") / value("MemTotal:")
    }
}

#[test]
fn a_dead_disk_completes_nothing_in_what_is_played() {
    for recording in &all()[&Going::DeadDisk] {
        let of = |reading: &Reading| {
            let mut disks = reading.disks.iter();
            let (_, row) = disks.find(|(name, _)| name.ends_with(" nbd0")).unwrap();
            row[0] + row[4] + row[11] + row[15]
        };
        let (first, last) = (&recording.readings[0], recording.at(u64::MAX));
        assert_eq!(of(first), of(last));
        assert!(recording.length() > 40 * SECOND);
    }
}
