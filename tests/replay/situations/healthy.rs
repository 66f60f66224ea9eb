//! Five healthy hosts for a month each. Nothing in them is worth a warning; a job of
//! hours may have two lines at notice.

use psilogd::pressure::Resource;

use super::scene::*;
use crate::trace::*;

pub const HOSTS: [fn(u64, u64) -> Scene; 5] = [idle, database, ci, board, laptop];
pub const DAYS: u64 = 30;

const WANTED: &str = "no warning in 30 days";

/// What happens on a host now and then: once in so many steps on average, for so long.
struct Event {
    once_in: u64,
    length: (u64, u64),
    going: Going,
    load: Load,
}

/// What happens every day at an hour, give or take half of one.
struct Daily {
    hour: u64,
    length: u64,
    going: Going,
    load: Load,
}

/// How a host spends its days.
struct Life {
    usual: (Going, Load),
    daily: Vec<Daily>,
    events: Vec<Event>,
}

fn load(cpu: (u64, u64), memory: (u64, u64), io: (u64, u64)) -> Load {
    Load {
        cpu: cpu.0..=cpu.1,
        memory: memory.0..=memory.1,
        io: io.0..=io.1,
        io_some: None,
    }
}

/// A boot of a minute or two.
fn booted(seed: u64) -> Script {
    let mut script = Script::boot(seed);
    let length = script.vary(80 * SECOND);
    let storm = load((500, 900), (0, 30), (400, 800));
    script.pass(length, Going::Backup, &storm);
    script.step = 10 * SECOND;
    script
}

/// Does a job, which a line at notice may be about if it takes an hour.
fn job(script: &mut Script, length: u64, going: Going, load: &Load) {
    let from = script.at();
    script.pass(length, going, load);
    if length >= HOUR {
        script.want(Trouble::job(Resource::Io, from, script.at()));
        script.want(Trouble::job(Resource::Cpu, from, script.at()));
    }
}

impl Life {
    fn live(&self, script: &mut Script, days: u64) {
        (0..days).for_each(|day| self.day(script, day));
    }

    /// The rest of a day.
    fn day(&self, script: &mut Script, day: u64) {
        let usual = &self.usual;
        let mut due: Vec<(u64, &Daily)> = Vec::new();
        for daily in &self.daily {
            let at = day * DAY + daily.hour * HOUR;
            due.push((at + script.random.within(0, 1800) * SECOND, daily));
        }
        due.sort_by_key(|(at, _)| *at);
        let mut due = due.into_iter().peekable();
        while script.at() < (day + 1) * DAY {
            if let Some((_, daily)) = due.next_if(|(at, _)| *at <= script.at()) {
                let length = script.vary(daily.length);
                job(script, length, daily.going, &daily.load);
            } else if let Some(event) = self.happens(&mut script.random) {
                let (least, most) = event.length;
                let length = script.random.within(least / 1000, most / 1000) * 1000;
                job(script, length, event.going, &event.load);
            } else {
                script.pass(script.step, usual.0, &usual.1);
            }
        }
    }

    fn happens(&self, random: &mut Random) -> Option<&Event> {
        let mut events = self.events.iter();
        events.find(|event| random.within(1, event.once_in) == 1)
    }
}

/// Reclaim for 2 to 8 s, a few times a day.
fn reclaim(once_in: u64) -> Event {
    Event {
        once_in,
        length: (2 * SECOND, 8 * SECOND),
        going: Going::Backup,
        load: load((0, 120), (50, 350), (0, 200)),
    }
}

fn idle(seed: u64, days: u64) -> Scene {
    let mut script = booted(seed);
    let life = Life {
        usual: (Going::Idle, load((0, 120), (0, 8), (0, 40))),
        daily: vec![
            Daily {
                hour: 3,
                length: 40 * MINUTE,
                going: Going::Backup,
                load: load((100, 450), (0, 40), (400, 850)),
            },
            Daily {
                hour: 0,
                length: 2 * MINUTE,
                going: Going::Backup,
                load: load((600, 980), (0, 10), (150, 400)),
            },
        ],
        events: vec![
            Event {
                once_in: 360,
                length: (10 * SECOND, 60 * SECOND),
                going: Going::Busy,
                load: load((400, 950), (0, 10), (0, 60)),
            },
            reclaim(2880),
        ],
    };
    life.live(&mut script, days);
    script.scene("an idle server with a daily backup", WANTED)
}

/// Checkpoints, a nightly vacuum, and readers at any time.
fn database(seed: u64, days: u64) -> Scene {
    let mut script = booted(seed);
    let life = Life {
        usual: (Going::Backup, load((250, 600), (0, 20), (100, 380))),
        daily: vec![Daily {
            hour: 2,
            length: 90 * MINUTE,
            going: Going::Saturated,
            load: load((200, 600), (0, 40), (450, 850)),
        }],
        events: vec![
            Event {
                once_in: 30,
                length: (30 * SECOND, 90 * SECOND),
                going: Going::Saturated,
                load: load((300, 700), (0, 30), (350, 650)),
            },
            Event {
                once_in: 3000,
                length: (2 * MINUTE, 12 * MINUTE),
                going: Going::Busy,
                load: load((700, 970), (0, 30), (200, 500)),
            },
            reclaim(1400),
        ],
    };
    life.live(&mut script, days);
    script.scene("a busy database", WANTED)
}

/// Builds at any time, each in a cgroup with a quota, so that some CPUs are idle; what
/// is unpacked before them; every night an hour of tests without one.
fn ci(seed: u64, days: u64) -> Scene {
    let mut script = booted(seed);
    let life = Life {
        usual: (Going::Idle, load((0, 200), (0, 8), (0, 60))),
        daily: vec![Daily {
            hour: 1,
            length: 50 * MINUTE,
            going: Going::Busy,
            load: load((850, 990), (0, 30), (50, 300)),
        }],
        events: vec![
            Event {
                once_in: 90,
                length: (3 * MINUTE, 20 * MINUTE),
                going: Going::Quota,
                load: load((800, 980), (0, 20), (20, 250)),
            },
            Event {
                once_in: 180,
                length: (MINUTE, 4 * MINUTE),
                going: Going::Saturated,
                load: load((300, 900), (0, 30), (400, 900)),
            },
            Event {
                once_in: 400,
                length: (2 * MINUTE, 12 * MINUTE),
                going: Going::Busy,
                load: load((880, 990), (0, 30), (50, 300)),
            },
            reclaim(700),
        ],
    };
    life.live(&mut script, days);
    script.scene("a CI host with quotas", WANTED)
}

/// One slow card: whatever is written, everybody waits.
fn board(seed: u64, days: u64) -> Scene {
    let mut script = booted(seed);
    let life = Life {
        usual: (Going::Idle, load((20, 250), (0, 15), (0, 80))),
        daily: vec![Daily {
            hour: 6,
            length: 10 * MINUTE,
            going: Going::Saturated,
            load: load((200, 700), (0, 60), (600, 950)),
        }],
        events: vec![
            Event {
                once_in: 40,
                length: (4 * SECOND, 60 * SECOND),
                going: Going::Saturated,
                load: load((50, 300), (0, 30), (500, 980)),
            },
            Event {
                once_in: 1500,
                length: (10 * SECOND, 3 * MINUTE),
                going: Going::Busy,
                load: load((600, 980), (0, 30), (0, 200)),
            },
            reclaim(1000),
        ],
    };
    life.live(&mut script, days);
    script.scene("a small board on a slow card", WANTED)
}

/// Sleeps several times a day, half of them with counters that go on; wakes with its
/// pages swapped out.
fn laptop(seed: u64, days: u64) -> Scene {
    let mut script = booted(seed);
    let life = Life {
        usual: (Going::Idle, load((10, 200), (0, 8), (0, 60))),
        daily: vec![Daily {
            hour: 12,
            length: 15 * MINUTE,
            going: Going::Backup,
            load: load((100, 500), (0, 30), (400, 800)),
        }],
        events: vec![
            Event {
                once_in: 600,
                length: (20 * SECOND, 4 * MINUTE),
                going: Going::Busy,
                load: load((600, 980), (0, 20), (0, 200)),
            },
            reclaim(900),
        ],
    };
    let wakes = load((200, 700), (40, 300), (300, 900));
    for day in 0..days {
        life.day(&mut script, day);
        for _ in 0..script.random.within(1, 4) {
            if script.random.within(0, 1) == 1 {
                script.jump(|total| total + 8 * HOUR);
            }
            let length = script.vary(6 * SECOND);
            script.step = 2 * SECOND;
            script.pass(length, Going::Backup, &wakes);
            script.step = 10 * SECOND;
            let awake = script.vary(HOUR);
            script.pass(awake, life.usual.0, &life.usual.1);
        }
    }
    script.scene("a laptop that sleeps", WANTED)
}
