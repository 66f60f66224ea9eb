//! The host's other counters over a scene: recordings, spliced. What counts goes on
//! over every splice and every lap, as it does on one host; what is a level is as it
//! was recorded. The texts go through the daemon's own parser.

use std::collections::BTreeMap;
use std::fmt::Write;

use psilogd::evidence::{Evidence, Host};
use psilogd::pressure::Resource;
use psilogd::time::Moment;

use super::recording::{Reading, Recording, Row};
use super::scene::{Going, Scene};

/// Requests in flight, the one field of a disk that is no counter, from 0.
const IN_FLIGHT: usize = 8;

pub struct Counters<'a> {
    scene: &'a Scene,
    recordings: &'a BTreeMap<Going, Vec<Recording>>,
    /// Which stretch of the scene it is in, and what counters said where it began.
    place: usize,
    disks: BTreeMap<String, Row>,
    cpus: BTreeMap<String, Row>,
    host: Host,
    /// When each resource's files were read.
    read: BTreeMap<&'static str, u64>,
}

impl<'a> Counters<'a> {
    pub fn new(scene: &'a Scene, recordings: &'a BTreeMap<Going, Vec<Recording>>) -> Counters<'a> {
        Counters {
            scene,
            recordings,
            place: 0,
            disks: BTreeMap::new(),
            cpus: BTreeMap::new(),
            host: Host::new(),
            read: BTreeMap::new(),
        }
    }

    /// What goes on, since when, and its recording: of several, the seed draws one.
    fn stretch(&self) -> (u64, &'a Recording) {
        let (from, going) = self.scene.going[self.place];
        let recordings = &self.recordings[&going];
        let draw = self.scene.seed as usize % recordings.len();
        (from, &recordings[draw])
    }

    /// Goes on to a moment; they come in order.
    fn advance(&mut self, at: u64) {
        while let Some(&(next, _)) = self
            .scene
            .going
            .get(self.place + 1)
            .filter(|next| next.0 <= at)
        {
            let disks = self.grown(&self.disks, next, |reading| &reading.disks);
            let cpus = self.grown(&self.cpus, next, |reading| &reading.cpus);
            (self.disks, self.cpus) = (disks, cpus);
            self.place += 1;
        }
    }

    /// Counters at a moment of the stretch.
    fn grown(
        &self,
        base: &BTreeMap<String, Row>,
        at: u64,
        of: impl Fn(&Reading) -> &BTreeMap<String, Row>,
    ) -> BTreeMap<String, Row> {
        let (from, recording) = self.stretch();
        let (laps, place) = (
            (at - from) / recording.length(),
            (at - from) % recording.length(),
        );
        let (first, last) = (recording.at(0), recording.at(u64::MAX));
        let now = recording.at(place);
        let mut rows = base.clone();
        for (name, row) in of(now) {
            let (first, last) = (&of(first)[name], &of(last)[name]);
            let base = rows
                .entry(name.clone())
                .or_insert_with(|| vec![0; row.len()]);
            for (field, value) in base.iter_mut().enumerate() {
                let lap = last[field].saturating_sub(first[field]);
                *value += laps * lap + row[field].saturating_sub(first[field]);
            }
        }
        rows
    }

    /// /proc/diskstats.
    pub fn diskstats(&mut self, at: u64) -> String {
        self.advance(at);
        let (from, recording) = self.stretch();
        let now = recording.at((at - from) % recording.length());
        let mut text = String::new();
        for (name, mut row) in self.grown(&self.disks, at, |reading| &reading.disks) {
            // of a device that this recording leaves out, nothing is in flight
            row[IN_FLIGHT] = now.disks.get(&name).map_or(0, |row| row[IN_FLIGHT]);
            line(&mut text, &name, &row);
        }
        text
    }

    /// /proc/stat.
    pub fn stat(&mut self, at: u64) -> String {
        self.advance(at);
        let mut text = String::new();
        for (name, row) in self.grown(&self.cpus, at, |reading| &reading.cpus) {
            // two spaces behind the sum
            let name = if name == "cpu" { "cpu " } else { &name };
            line(&mut text, name, &row);
        }
        // the recordings leave out what follows; the parser wants to see that it does
        text.push_str("intr 0\n");
        text
    }

    /// /proc/meminfo.
    pub fn meminfo(&mut self, at: u64) -> &'a str {
        self.advance(at);
        let (from, recording) = self.stretch();
        &recording.at((at - from) % recording.length()).meminfo
    }

    /// /proc/vmstat.
    pub fn vmstat(&self, at: u64) -> String {
        let kills = self.scene.kills.iter().filter(|&&kill| kill <= at);
        format!("oom_kill {}\n", kills.count())
    }

    /// What the daemon makes of it: the files of a resource are read once at a moment.
    pub fn evidence(&mut self, resource: Resource, at: u64) -> Evidence {
        let fresh = self.read.insert(resource.name(), at) != Some(at);
        match resource {
            Resource::Memory => {
                if fresh {
                    let (meminfo, vmstat) = (self.meminfo(at), self.vmstat(at));
                    self.host.meminfo(meminfo.as_bytes());
                    self.host.vmstat(vmstat.as_bytes());
                }
                Evidence::Memory(self.host.memory())
            }
            Resource::Io => {
                if fresh {
                    let text = self.diskstats(at);
                    self.host.diskstats(Moment(at), text.as_bytes());
                }
                Evidence::Io(self.host.io())
            }
            Resource::Cpu => {
                if fresh {
                    let text = self.stat(at);
                    self.host.stat(text.as_bytes());
                }
                self.host.cpu().map_or(Evidence::None, Evidence::Cpu)
            }
            Resource::Irq => Evidence::None,
        }
    }
}

fn line(text: &mut String, name: &str, row: &Row) {
    text.push_str(name);
    for value in row {
        let _ = write!(text, " {value}");
    }
    text.push('\n');
}

/// Over splices and laps counters never fall, and the parser makes of them what goes on.
#[test]
fn counters_go_on_over_splices_and_laps() {
    let recordings = super::recording::all();
    for row in super::rows() {
        let scene = row(2);
        let mut counters = Counters::new(&scene, &recordings);
        let (start, end) = (scene.trace.start.0, scene.trace.end().0);
        let (mut disks, mut cpus) = (BTreeMap::new(), BTreeMap::new());
        for at in (start..end).step_by(37_000_000) {
            let (disk, cpu) = (counters.diskstats(at), counters.stat(at));
            hold(&mut disks, &disk, 3, Some(IN_FLIGHT));
            hold(&mut cpus, &cpu, 1, None);
            for resource in [Resource::Cpu, Resource::Memory, Resource::Io] {
                let evidence = counters.evidence(resource, at);
                assert_ne!(evidence, Evidence::None, "{}", scene.name);
            }
        }
    }
}

#[cfg(test)]
fn hold(before: &mut BTreeMap<String, Row>, text: &str, words: usize, level: Option<usize>) {
    for line in text.lines().filter(|line| *line != "intr 0") {
        let (name, row) = super::recording::split(line, words);
        let old = before.entry(name).or_insert_with(|| row.clone());
        for (field, (old, new)) in old.iter_mut().zip(row).enumerate() {
            assert!(Some(field) == level || *old <= new, "field {field}: {line}");
            *old = new;
        }
    }
}

/// Idle time that passes while CPUs are overloaded, and while a quota is used up.
#[test]
fn cpus_are_idle_as_recorded() {
    let recordings = super::recording::all();
    let idle = |row: usize| {
        let scene = super::cpus::ROWS[row](1);
        let from = scene.going[1].0 + 600_000_000;
        let mut counters = Counters::new(&scene, &recordings);
        let mut idle = |at| match counters.evidence(Resource::Cpu, at) {
            Evidence::Cpu(cpu) => (cpu.idle.0, u64::from(cpu.cpus)),
            other => panic!("{other:?}"),
        };
        let (before, after) = (idle(from), idle(from + 3_600_000_000));
        100 * (after.0 - before.0) / (3_600_000_000 * after.1)
    };
    assert!(idle(1) <= 2, "overloaded: {} %", idle(1));
    assert!((60..=95).contains(&idle(2)), "quota: {} %", idle(2));
}
