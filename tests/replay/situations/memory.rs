//! Memory: thrash in all its shapes.

use std::ops::RangeInclusive;

use psilogd::pressure::Resource;
use psilogd::severity::Severity;

use super::disks::stuck;
use super::scene::*;
use crate::trace::*;

pub const ROWS: [fn(u64) -> Scene; 16] = [
    short,
    long,
    rare,
    rarer,
    then_steady,
    frozen,
    ramp,
    swapping,
    beside_a_dead_disk,
    booting,
    suspended,
    restarted,
    bursts,
    spikes,
    noise,
    limited,
];

const WARNING: Severity = Severity::WARNING;

/// The host thrashes, and reads its pages back from the disk.
fn thrash(memory: RangeInclusive<u64>) -> Load {
    let io = memory.start() * 6 / 10..=memory.end() * 7 / 10;
    Load {
        cpu: 50..=300,
        memory,
        io,
        io_some: None,
    }
}

fn trouble(from: u64, to: u64) -> Trouble {
    Trouble {
        end: 5 * MINUTE,
        ..Trouble::new(Resource::Memory, WARNING, from, to)
    }
}

/// Thrash of such a length every so often, for so long.
fn recurrent(script: &mut Script, length: u64, period: u64, whole: u64) -> Trouble {
    let (from, mut blocks) = (script.at(), Vec::new());
    let level = script.level(750);
    while script.at() < from + whole {
        let (start, length) = (script.at(), script.vary(length));
        script.pass(length, Going::Thrash, &thrash(level.clone()));
        blocks.push((start, script.at()));
        let pause = script.vary(period).saturating_sub(length).max(SECOND);
        script.pass(pause, Going::Idle, &calm());
    }
    let to = blocks[blocks.len() - 1].1;
    Trouble {
        // what recurs is damped, and may end late
        end: HOUR,
        blocks,
        ..trouble(from, to)
    }
}

fn short(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let whole = script.vary(30 * MINUTE);
    let mut wanted = recurrent(&mut script, 3 * SECOND, 10 * SECOND, whole);
    wanted.line = Some((WARNING, wanted.from + MINUTE));
    wanted.end = 10 * MINUTE;
    script.want(wanted);
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "thrash of 3 s every 10 s for 30 minutes",
        "one episode, warning within 1 min, end within 10",
    )
}

fn long(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let whole = script.vary(3 * HOUR);
    let wanted = recurrent(&mut script, 25 * SECOND, 100 * SECOND, whole);
    script.want(wanted);
    script.hourly = (6, 6);
    script.rest(2 * HOUR);
    script.scene(
        "thrash of 25 s every 100 s for 3 hours",
        "one incident, warning within 3 min, 6 lines per hour",
    )
}

/// Each of these is an incident of its own to whoever waits for ten minutes.
fn apart(seed: u64, length: u64, period: u64, name: &'static str) -> Scene {
    let mut script = Script::new(seed);
    let whole = script.vary(6 * HOUR);
    let mut wanted = recurrent(&mut script, length, period, whole);
    (wanted.once, wanted.blocks) = (false, Vec::new());
    script.want(wanted);
    script.rest(2 * HOUR);
    script.scene(
        name,
        "warning within 3 min, 10 lines in the first hour, then 6",
    )
}

fn rare(seed: u64) -> Scene {
    let name = "thrash of 40 s every 10 minutes";
    apart(seed, 40 * SECOND, 10 * MINUTE, name)
}

fn rarer(seed: u64) -> Scene {
    let name = "thrash of 60 s every 30 minutes";
    apart(seed, MINUTE, 30 * MINUTE, name)
}

/// Thrash for ten minutes, then 4 to 9 % for twelve hours.
fn then_steady(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length, level) = (script.at(), script.vary(10 * MINUTE), script.level(700));
    script.pass(length, Going::Thrash, &thrash(level));
    script.want(Trouble {
        crit: Some(from + 5 * MINUTE),
        end: 10 * MINUTE,
        ..trouble(from, script.at())
    });
    let length = script.vary(12 * HOUR);
    let load = Load {
        memory: 40..=90,
        ..calm()
    };
    script.pass(length, Going::Idle, &load);
    script.hourly = (6, 6);
    script.rest(HOUR);
    script.scene(
        "thrash for 10 minutes, then 4–9 % for 12 hours",
        "warning within 3 min, crit within 5, end within 10",
    )
}

/// A freeze that ends in an OOM kill.
fn frozen(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(15 * SECOND));
    let level = script.level(850);
    script.pass(length, Going::Thrash, &thrash(level));
    script.kill();
    script.want(Trouble {
        lines: 4,
        ..trouble(from, script.at())
    });
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "a freeze of 15 s that ends in an OOM kill",
        "a warning within 3 min, end within 5",
    )
}

/// A process leaks for hours, until it is killed. Nobody can say when that begins to be
/// trouble: a line is right from 6 % on, and wanted three minutes after 15 %.
fn ramp(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let step = 30 * SECOND;
    let steps = script.vary(4 * HOUR) / step;
    let most = script.random.within(650, 850);
    let crossed = |script: &Script, share: u64| script.at() + steps * step * share / most;
    let (from, warn, crit) = (
        crossed(&script, 60),
        crossed(&script, 150),
        crossed(&script, 600),
    );
    for index in 0..steps {
        let level = most * index / steps;
        let memory = level * 8 / 10..=(level * 12 / 10).min(980);
        script.pass(step, Going::Thrash, &thrash(memory));
    }
    let thrashing = script.vary(10 * MINUTE);
    script.pass(thrashing, Going::Thrash, &thrash(600..=900));
    script.kill();
    script.want(Trouble {
        line: Some((WARNING, warn + 3 * MINUTE)),
        crit: Some(crit + 3 * MINUTE),
        blocks: Vec::new(),
        ..trouble(from, script.at())
    });
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "a leak over 4 hours that ends in thrash",
        "one episode: warning by 15 %, crit by 60 %, end within 5 min",
    )
}

/// Memory and I/O at once: the disk is busy with swap, and well.
fn swapping(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(20 * MINUTE));
    let level = script.level(650);
    let load = Load {
        io: script.level(700),
        ..thrash(level)
    };
    script.pass(length, Going::Thrash, &load);
    script.want(Trouble {
        crit: Some(from + 5 * MINUTE),
        ..trouble(from, script.at())
    });
    script.want(Trouble::job(Resource::Io, from, script.at()));
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "thrash and swap I/O at once for 20 minutes",
        "one episode of memory: warning within 3 min, crit within 5; none of io",
    )
}

fn beside_a_dead_disk(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(15 * MINUTE));
    let load = Load {
        memory: script.level(700),
        ..stuck()
    };
    script.pass(length, Going::DeadDisk, &load);
    script.want(trouble(from, script.at()));
    script.want(Trouble::new(Resource::Io, WARNING, from, script.at()));
    script.rest(90 * MINUTE);
    script.scene(
        "memory and a dead disk at once for 15 minutes",
        "one episode each, warnings within 3 min",
    )
}

/// A boot that goes on past the grace of two minutes.
fn booting(seed: u64) -> Scene {
    let mut script = Script::boot(seed);
    let length = script.vary(10 * MINUTE);
    let load = Load {
        cpu: 700..=990,
        memory: script.level(450),
        io: 600..=950,
        io_some: None,
    };
    script.pass(length, Going::Thrash, &load);
    let (from, to) = (2 * MINUTE, script.at());
    script.want(trouble(from, to));
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "a storm at boot for 10 minutes",
        "nothing for 2 min, then a warning within 3, end within 5",
    )
}

/// A laptop that sleeps in calm, after which pages come back, and in thrash.
fn suspended(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let leap = |total: u64| total + 8 * HOUR;
    let wakes = Load {
        memory: 40..=120,
        io: 200..=900,
        ..calm()
    };
    for _ in 0..3 {
        script.jump(leap);
        let length = script.vary(8 * SECOND);
        script.pass(length, Going::Backup, &wakes);
        script.rest(HOUR);
    }
    let (from, level) = (script.at(), script.level(350));
    let (before, after) = (script.vary(3 * MINUTE), script.vary(3 * MINUTE));
    script.pass(before, Going::Thrash, &thrash(level.clone()));
    script.jump(leap);
    script.pass(after, Going::Thrash, &thrash(level));
    script.want(trouble(from, script.at()));
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "suspend in calm and in thrash",
        "one episode of the thrash, warning within 3 min",
    )
}

/// Counters that start again at 0, as those of a cgroup that is made anew.
fn restarted(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    script.jump(|_| 0);
    script.rest(HOUR);
    let (from, level) = (script.at(), script.level(300));
    for _ in 0..3 {
        let length = script.vary(4 * MINUTE);
        script.pass(length, Going::Thrash, &thrash(level.clone()));
        script.jump(|_| 0);
    }
    let length = script.vary(MINUTE);
    script.pass(length, Going::Thrash, &thrash(level));
    script.want(trouble(from, script.at()));
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "counters that restart in 13 minutes of thrash",
        "one episode, warning within 3 min",
    )
}

/// 300 ms of every 1.5 s for an hour: 20 % on average.
fn bursts(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, until) = (script.at(), script.at() + HOUR);
    let all = Load {
        memory: 950..=1000,
        ..calm()
    };
    let mut blocks = Vec::new();
    while script.at() < until {
        let (start, length) = (script.at(), script.vary(300_000));
        script.pass(length, Going::Thrash, &all);
        blocks.push((start, script.at()));
        let pause = script.vary(1_200_000);
        script.pass(pause, Going::Thrash, &calm());
    }
    script.want(Trouble {
        blocks,
        ..trouble(from, script.at())
    });
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "spikes of 300 ms every 1.5 s for an hour",
        "one episode, warning within 3 min",
    )
}

/// The same twice a minute is nothing, though a window of it is over 10 %.
fn spikes(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let until = script.at() + 6 * HOUR;
    let all = Load {
        memory: 950..=1000,
        ..calm()
    };
    while script.at() < until {
        let (length, pause) = (script.vary(300_000), script.vary(30 * SECOND));
        script.pass(length, Going::Idle, &all);
        script.pass(pause, Going::Idle, &calm());
    }
    script.rest(HOUR);
    script.scene("spikes of 300 ms every 30 s for 6 hours", "nothing")
}

/// Twelve hours at 10 %, every window by up to 30 % another.
fn noise(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(12 * HOUR));
    let load = Load {
        memory: 70..=130,
        ..calm()
    };
    script.pass(length, Going::Thrash, &load);
    script.want(Trouble {
        line: None,
        end: 10 * MINUTE,
        blocks: Vec::new(),
        ..trouble(from, script.at())
    });
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "memory 7–13 % for 12 hours",
        "one episode at most, end within 10 min",
    )
}

/// A cgroup at its memory.high: the host's memory full is 80 %, with two thirds of the
/// memory available.
fn limited(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(2 * HOUR));
    let load = Load {
        cpu: 20..=150,
        memory: 780..=880,
        io: 0..=60,
        io_some: None,
    };
    script.pass(length, Going::MemoryHigh, &load);
    script.want(Trouble {
        line: None,
        // somebody does wait for memory; the host does not want for it
        most: Severity::WARNING,
        end: 10 * MINUTE,
        ..trouble(from, script.at())
    });
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "a cgroup at its memory.high for 2 hours",
        "no crit; one warning episode at most",
    )
}
