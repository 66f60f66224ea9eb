//! CPUs: overloaded, at work, and at a quota.

use psilogd::pressure::Resource;
use psilogd::severity::Severity;

use super::scene::*;
use crate::trace::*;

pub const ROWS: [fn(u64) -> Scene; 3] = [builds, overload, quota];

/// A build of 6 minutes every 15, for 8 hours.
fn builds(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, until) = (script.at(), script.at() + 8 * HOUR);
    let load = Load {
        cpu: 920..=980,
        memory: 0..=10,
        io: 20..=150,
        io_some: None,
    };
    while script.at() < until {
        let length = script.vary(6 * MINUTE);
        script.pass(length, Going::Busy, &load);
        let pause = script.vary(9 * MINUTE);
        script.pass(pause, Going::Idle, &calm());
    }
    script.want(Trouble {
        lines: 4,
        end: HOUR,
        ..Trouble::job(Resource::Cpu, from, script.at())
    });
    script.lines = 4;
    script.rest(2 * HOUR);
    script.scene(
        "a build of 6 minutes every 15 for 8 hours",
        "nothing, or 4 lines at notice",
    )
}

/// Twice as many tasks as CPUs.
fn overload(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let (from, length) = (script.at(), script.vary(5 * HOUR));
    let load = Load {
        cpu: 930..=990,
        memory: 0..=10,
        io: 0..=80,
        io_some: None,
    };
    script.pass(length, Going::Busy, &load);
    script.want(Trouble {
        line: Some((Severity::NOTICE, from + HOUR)),
        most: Severity::NOTICE,
        ..Trouble::new(Resource::Cpu, Severity::NOTICE, from, script.at())
    });
    script.hourly = (6, 6);
    script.rest(90 * MINUTE);
    script.scene(
        "CPUs are overloaded for 5 hours",
        "notice within the hour, end within 10 min",
    )
}

/// A cgroup at its quota: its tasks wait, the CPUs are idle.
fn quota(seed: u64) -> Scene {
    let mut script = Script::new(seed);
    let length = script.vary(6 * HOUR);
    let cpu = script.random.within(800, 960);
    let load = Load {
        cpu: cpu - 30..=cpu + 40,
        memory: 0..=10,
        io: 0..=40,
        io_some: None,
    };
    script.pass(length, Going::Quota, &load);
    script.rest(HOUR);
    script.scene("a cgroup at its CPU quota for 6 hours", "nothing")
}
