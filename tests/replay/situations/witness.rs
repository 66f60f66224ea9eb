//! The evidence on a line held against what goes on in its scene.

use std::collections::BTreeMap;

use super::judge::{Fault, Finding};
use super::recording::Recording;
use super::scene::{Going, Scene};
use super::verdicts::value;
use crate::drive::{Logged, Run};
use crate::trace::*;

/// The disk that dies in the lab, and the one that the machine has booted from.
const DISKS: [&str; 2] = ["nbd0", "vda"];
/// From the beginning of a stretch to the first reading in it, at most: where events are
/// stolen, the fallback reading.
const FIRST: f64 = 36.0;
/// A recorded reading lasts for a second, and the daemon's for a window.
const WINDOW: f64 = 3.0;

pub struct Witness<'a> {
    pub scene: &'a Scene,
    pub recordings: &'a BTreeMap<Going, Vec<Recording>>,
    pub run: &'a Run,
}

impl Witness<'_> {
    /// Everything that lines say of other counters and that is not so.
    pub fn judge(&self) -> Vec<Finding> {
        let episodes = ["begin", "still", "end"];
        let lines = self.run.logged.iter();
        let lines = lines.filter(|line| episodes.contains(&line.event.as_str()));
        let wrong = |line: &Logged, what: Option<String>| {
            what.map(|what| Finding {
                fault: Fault::Line,
                at: line.at,
                what: format!("{}: {}", what, line.text),
            })
        };
        let checks = |line| {
            let all = [
                self.disk(line),
                self.memory(line),
                self.kills(line),
                self.cpus(line),
            ];
            all.into_iter().filter_map(move |what| wrong(line, what))
        };
        lines.flat_map(checks).collect()
    }

    /// What goes on at a moment, and for how many seconds it has.
    fn going(&self, at: u64) -> (Going, f64) {
        let behind = self.scene.going.partition_point(|one| one.0 <= at);
        let (from, going) = self.scene.going[behind - 1];
        (going, (at - from) as f64 / 1e6)
    }

    fn disk(&self, line: &Logged) -> Option<String> {
        let disk = value(&line.text, "disk");
        let stuck: Option<f64> = value(&line.text, "stuck_s").map(|word| word.parse().unwrap());
        if disk.is_some_and(|disk| !DISKS.contains(&disk)) {
            return Some("no disk of this host".into());
        }
        let (going, lasted) = self.going(line.at);
        let is_dead = matches!(going, Going::DeadDisk | Going::DeadDiskBusy);
        match (is_dead, stuck) {
            (true, Some(stuck)) => {
                let right = (lasted - FIRST..=lasted + WINDOW).contains(&stuck);
                let right = right && disk == Some("nbd0");
                (!right).then(|| format!("nbd0 is dead for {lasted:.1} s"))
            }
            (false, Some(stuck)) if stuck > WINDOW => Some("no disk is dead".into()),
            _ => None,
        }
    }

    fn memory(&self, line: &Logged) -> Option<String> {
        let found: f64 = value(&line.text, "avail_pct")?.parse().unwrap();
        let (going, _) = self.going(line.at);
        let readings = self.recordings[&going].iter().flat_map(|one| &one.readings);
        let shares: Vec<f64> = readings.map(|reading| reading.available()).collect();
        let least = shares.iter().copied().fold(100.0, f64::min) - 0.1;
        let most = shares.iter().copied().fold(0.0, f64::max) + 0.1;
        let right = (least..=most).contains(&found);
        (!right).then(|| format!("{least:.1} to {most:.1} % were available"))
    }

    /// Kills since the onset.
    fn kills(&self, line: &Logged) -> Option<String> {
        let found: usize = value(&line.text, "oom_kills")?.parse().unwrap();
        let mut begins = self.run.logged.iter().rev();
        let begin = begins.find(|begin| begin.event == "begin" && begin.id == line.id)?;
        let onset = begin.at.saturating_sub(begin.duration + 2 * SECOND);
        let kills = self.scene.kills.iter();
        let kills = kills
            .filter(|&&kill| onset < kill && kill <= line.at)
            .count();
        (found != kills).then(|| format!("{kills} were killed"))
    }

    fn cpus(&self, line: &Logged) -> Option<String> {
        let idle: f64 = value(&line.text, "idle_pct")?.parse().unwrap();
        match self.going(line.at) {
            (Going::Busy, lasted) if lasted > 600.0 && idle > 25.0 => Some("CPUs are busy".into()),
            (Going::Quota, lasted) if lasted > 600.0 && idle < 40.0 => Some("CPUs are idle".into()),
            _ if idle > 100.0 => Some("more than all".into()),
            _ => None,
        }
    }
}
