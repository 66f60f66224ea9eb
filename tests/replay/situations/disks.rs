//! Disks: dead ones, and ones at work.

use std::ops::RangeInclusive;

use psilogd::pressure::Resource;
use psilogd::severity::Severity;

use super::scene::*;
use crate::trace::*;

pub const ROWS: [fn(u64) -> Scene; 13] = [
    dead,
    dead_and_busy,
    dead_for_few,
    hanging,
    backup,
    copy,
    scrub,
    compaction,
    updatedb,
    unpacking,
    checkpoints,
    rebuild,
    nearly_full_queue,
];

/// Nothing completes: whoever needs the disk waits, and nobody else runs.
pub fn stuck() -> Load {
    Load {
        io: 970..=1000,
        io_some: Some(990..=1000),
        ..calm()
    }
}

/// A disk dies for 14 to 26 minutes and comes back.
fn dead(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(20 * MINUTE));
    script.pass(length, Going::DeadDisk, &stuck());
    let mut trouble = Trouble::new(Resource::Io, Severity::WARNING, from, script.at());
    trouble.crit = Some(from + 10 * MINUTE);
    script.want(trouble);
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "a disk is dead for 20 minutes",
        "warning within 3 min, crit within 10, end within 10",
    )
}

/// The same while the CPUs do other work: `full` all but vanishes.
fn dead_and_busy(seed: u64) -> Scene {
    let name = "a disk is dead for 20 minutes, the CPUs busy";
    beside_work(seed, 780..=920, name)
}

/// The kernel weighs each CPU's `some` by its busy time, so that with all of those who
/// wait on one CPU of two it is one half.
fn dead_for_few(seed: u64) -> Scene {
    let name = "a disk is dead for 20 minutes, one busy CPU of two waits";
    beside_work(seed, 480..=505, name)
}

fn beside_work(seed: u64, some: RangeInclusive<u64>, name: &'static str) -> Scene {
    let mut script = Script::new(seed);
    let before = script.vary(30 * MINUTE);
    let cpu = script.level(450);
    let busy = Load { cpu, ..calm() };
    script.pass(before, Going::Busy, &busy);
    let (from, length) = (script.at(), script.vary(20 * MINUTE));
    let load = Load {
        io: 0..=80,
        io_some: Some(some),
        ..busy.clone()
    };
    script.pass(length, Going::DeadDiskBusy, &load);
    script.want(Trouble::new(
        Resource::Io,
        Severity::WARNING,
        from,
        script.at(),
    ));
    script.hourly = (6, 6);
    let after = script.vary(30 * MINUTE);
    script.pass(after, Going::Busy, &busy);
    script.rest(90 * MINUTE);
    script.scene(name, "warning within 3 min, end within 10")
}

/// Three hours in which a disk hangs for 40 s every four minutes.
fn hanging(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, until) = (script.at(), script.at() + 3 * HOUR);
    let mut blocks = Vec::new();
    while script.at() < until {
        let (start, length) = (script.at(), script.vary(40 * SECOND));
        script.pass(length, Going::DeadDisk, &stuck());
        blocks.push((start, script.at()));
        let pause = script.vary(200 * SECOND);
        script.pass(pause, Going::Idle, &calm());
    }
    let to = blocks[blocks.len() - 1].1;
    script.want(Trouble {
        end: HOUR,
        blocks,
        ..Trouble::new(Resource::Io, Severity::WARNING, from, to)
    });
    script.hourly = (6, 6);
    script.lines = 8;
    script.rest(2 * HOUR);
    script.scene(
        "a disk hangs for 40 s every 4 minutes, 3 hours",
        "one episode, warning within 3 min, at most 8 lines",
    )
}

/// Work on a disk that completes requests.
struct Job {
    going: Going,
    /// The level of io full, in tenths of a percent.
    io: u64,
    length: u64,
    pause: u64,
    times: usize,
}

impl Job {
    fn run(&self, script: &mut Script) {
        for _ in 0..self.times {
            let from = script.at();
            let length = script.vary(self.length);
            let load = Load {
                cpu: 50..=350,
                memory: 0..=20,
                io: script.level(self.io),
                io_some: None,
            };
            script.pass(length, self.going, &load);
            script.want(Trouble::job(Resource::Io, from, script.at()));
            let pause = script.vary(self.pause);
            script.pass(pause, Going::Idle, &calm());
        }
    }

    fn scene(self, seed: u64, name: &'static str) -> Scene {
        let mut script = Script::new(seed);
        self.run(&mut script);
        script.hourly = (6, 6);
        script.rest(HOUR);
        let wanted = match self.length >= HOUR {
            true => "nothing, or two lines at notice per job of hours",
            false => "nothing",
        };
        script.scene(name, wanted)
    }
}

const COPYING: Job = Job {
    going: Going::Backup,
    io: 650,
    length: 2 * HOUR,
    pause: HOUR,
    times: 1,
};

fn backup(seed: u64) -> Scene {
    COPYING.scene(seed, "a backup for 2 hours")
}

fn copy(seed: u64) -> Scene {
    let job = Job {
        going: Going::Saturated,
        io: 950,
        length: 100 * MINUTE,
        ..COPYING
    };
    job.scene(seed, "a raw copy for 100 minutes")
}

fn scrub(seed: u64) -> Scene {
    let job = Job {
        io: 800,
        length: 6 * HOUR,
        ..COPYING
    };
    job.scene(seed, "a scrub for 6 hours")
}

fn compaction(seed: u64) -> Scene {
    let job = Job {
        going: Going::Saturated,
        io: 700,
        length: 20 * MINUTE,
        pause: 90 * MINUTE,
        times: 4,
    };
    job.scene(seed, "compaction for 20 minutes every 2 hours")
}

fn updatedb(seed: u64) -> Scene {
    let job = Job {
        io: 600,
        length: 15 * MINUTE,
        ..COPYING
    };
    job.scene(seed, "updatedb for 15 minutes")
}

fn unpacking(seed: u64) -> Scene {
    let job = Job {
        going: Going::Saturated,
        io: 700,
        length: 5 * MINUTE,
        pause: 15 * MINUTE,
        times: 18,
    };
    job.scene(seed, "CI unpacks for 5 minutes every 20")
}

/// A database that checkpoints for a minute every five is at work for twelve hours.
fn checkpoints(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, until) = (script.at(), script.at() + 12 * HOUR);
    while script.at() < until {
        let (length, pause) = (script.vary(MINUTE), script.vary(4 * MINUTE));
        let load = |io| Load {
            cpu: 100..=400,
            memory: 0..=10,
            io,
            io_some: None,
        };
        let (high, low) = (script.level(650), script.level(120));
        script.pass(length, Going::Saturated, &load(high));
        script.pass(pause, Going::Backup, &load(low));
    }
    script.want(Trouble::job(Resource::Io, from, script.at()));
    script.hourly = (6, 6);
    script.rest(HOUR);
    script.scene(
        "a database checkpoints for a minute every 5",
        "nothing, or two lines at notice",
    )
}

/// A RAID rebuilds for three hours; then io some stays at 15 to 30 % for eight.
fn rebuild(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let job = Job {
        going: Going::Saturated,
        io: 750,
        length: 3 * HOUR,
        pause: SECOND,
        times: 1,
    };
    job.run(&mut script);
    let load = Load {
        io: 80..=180,
        io_some: Some(150..=300),
        ..calm()
    };
    let length = script.vary(8 * HOUR);
    script.pass(length, Going::Backup, &load);
    script.hourly = (6, 6);
    script.rest(HOUR);
    script.scene(
        "a RAID rebuild for 3 hours, then io some 15–30 %",
        "a notice pair at most, end within 10 min",
    )
}

/// Eight readers at random: io full 85 to 95 % of half an hour, 190 requests a second.
fn nearly_full_queue(seed: u64) -> Scene {
    let job = Job {
        going: Going::Saturated,
        io: 900,
        length: 30 * MINUTE,
        ..COPYING
    };
    job.scene(seed, "random readers saturate a disk for 30 minutes")
}
