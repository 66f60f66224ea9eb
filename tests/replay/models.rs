//! Generated traces, each from a model that its comment states, with a fixed
//! seed, and the episodes that a careful operator would want to hear of. What
//! the models say was decided before the rules were held against them.

use super::trace::*;

/// Every model once.
pub fn all() -> Vec<Trace> {
    vec![
        healthy(30, 1),
        boot(100),
        boot(600),
        leak(2),
        hovering(3),
        bursts(),
        jumps(),
        suspend(),
        plateaus(4),
    ]
}

/// A healthy host from its boot on. 90 s of boot: io full 40–80 %, cpu some
/// 50–90 %. After that cpu some 0–12 %, io full 0–4 %, memory full under 1 %, in
/// steps of 10 s, and
/// - once an hour on average a request that needs 10–60 s of cpu some 40–95 %;
/// - about three times a day memory is reclaimed for 2–8 s, memory full 5–35 %;
/// - at midnight log rotation, 1–3 minutes of cpu some 60–98 % and io full
///   15–40 %;
/// - at 3:00 a backup reads for 15–25 minutes: io full 40–85 %, cpu some
///   10–45 %, memory full 0–4 %.
///
/// Nothing in it is worth a line.
pub fn healthy(days: u64, seed: u64) -> Trace {
    let mut random = Random(seed);
    let mut pen = Pen::default();
    while pen.at() < 90 * SECOND {
        let rates = rates(
            random.within(500, 900),
            random.within(0, 30),
            random.within(400, 800),
        );
        pen.pass(2 * SECOND, rates);
    }
    for day in 0..days {
        let rotation = Some(day * DAY).filter(|_| day > 0);
        let backup = day * DAY + 3 * HOUR;
        let (rotated, saved) = (random.within(6, 18), random.within(90, 150));
        while pen.at() < (day + 1) * DAY {
            let at = pen.at();
            let within = |from: u64, tens: u64| (from..from + tens * 10 * SECOND).contains(&at);
            if rotation.is_some_and(|from| within(from, rotated)) {
                let rates = rates(
                    random.within(600, 980),
                    random.within(0, 10),
                    random.within(150, 400),
                );
                pen.pass(10 * SECOND, rates);
            } else if within(backup, saved) {
                let rates = rates(
                    random.within(100, 450),
                    random.within(0, 40),
                    random.within(400, 850),
                );
                pen.pass(10 * SECOND, rates);
            } else if random.within(1, 360) == 1 {
                let rates = rates(
                    random.within(400, 950),
                    random.within(0, 10),
                    random.within(0, 60),
                );
                pen.pass(random.within(10, 60) * SECOND, rates);
            } else if random.within(1, 2880) == 1 {
                let rates = rates(
                    random.within(0, 120),
                    random.within(50, 350),
                    random.within(0, 200),
                );
                pen.pass(random.within(2, 8) * SECOND, rates);
            } else {
                // most of the time nobody waits for memory
                let memory = random.within(0, 40).saturating_sub(30);
                pen.pass(
                    10 * SECOND,
                    rates(random.within(0, 120), memory, random.within(0, 40)),
                );
            }
        }
    }
    pen.trace("healthy, 30 days", 20 * SECOND)
}

/// A small machine that swaps while it boots, for so many seconds: memory full
/// 30–60 %, io full 60–95 %, cpu some 70–99 %. Nothing of that is wanted while the
/// grace of two minutes lasts; of what goes on behind it, memory is.
pub fn boot(seconds: u64) -> Trace {
    let mut random = Random(seconds);
    let mut pen = Pen::default();
    while pen.at() < seconds * SECOND {
        let rates = rates(
            random.within(700, 990),
            random.within(300, 600),
            random.within(600, 950),
        );
        pen.pass(2 * SECOND, rates);
    }
    if seconds > 120 {
        for rule in ["memory", "memory-critical"] {
            pen.want(rule, 120 * SECOND, seconds * SECOND, (0, 0));
        }
    }
    pen.pass(HOUR, rates(20, 0, 5));
    let name = match seconds {
        ..=120 => "a heavy boot",
        _ => "a boot that goes on for ten minutes",
    };
    pen.trace(name, 5 * SECOND)
}

/// Six hours in which a process leaks. Memory full creeps from 0 to 4 %, with
/// noise of a third, then doubles every 150 s up to 70 %, stays at 60–80 % for 20
/// minutes while io full is at 20–45 % for swap, and falls to nothing when the
/// process is killed. Wanted: `memory` from 10 %, `memory-critical` from 40 % on,
/// both until the kill. The noise lets them be crossed a doubling early or late.
pub fn leak(seed: u64) -> Trace {
    const CREEP: u64 = 5 * HOUR;
    let mut random = Random(seed);
    let mut pen = Pen::default();
    let noise = |random: &mut Random, rate: u64| rate * random.within(67, 133) / 100;
    while pen.at() < CREEP {
        let memory = noise(&mut random, 40 * pen.at() / CREEP);
        pen.pass(
            2 * SECOND,
            rates(random.within(0, 150), memory, random.within(0, 60)),
        );
    }
    let (mut warning, mut critical) = (None, None);
    let mut rate = 40.0f64;
    while rate < 700.0 {
        if rate >= 100.0 && warning.is_none() {
            warning = Some(pen.at());
        }
        if rate >= 400.0 && critical.is_none() {
            critical = Some(pen.at());
        }
        let memory = noise(&mut random, rate as u64).min(950);
        pen.pass(
            2 * SECOND,
            rates(random.within(50, 300), memory, random.within(50, 300)),
        );
        rate *= 2f64.powf(2.0 / 150.0);
    }
    let thrash = pen.at() + 20 * MINUTE;
    while pen.at() < thrash {
        let rates = rates(
            random.within(100, 400),
            random.within(600, 800),
            random.within(200, 450),
        );
        pen.pass(2 * SECOND, rates);
    }
    let killed = pen.at();
    pen.pass(HOUR, rates(20, 0, 5));
    let slack = (150 * SECOND, 150 * SECOND);
    pen.want("memory", warning.unwrap(), killed, slack);
    pen.want("memory-critical", critical.unwrap(), killed, slack);
    pen.trace("a leak that ends in thrash", 10 * MINUTE)
}

/// A day in which memory full, io full and cpu some walk at random between 0.9
/// and 1.1 of their rules' thresholds (10, 50, 90 %; cpu up to 99 %), one step of
/// up to 2 % of the threshold every 10 s, turned back at the edges; calm before
/// and behind. Wanted: one episode each. A walk can begin below the threshold, so
/// the onset may be told at any time of its first eight hours.
pub fn hovering(seed: u64) -> Trace {
    let mut random = Random(seed);
    let mut pen = Pen::default();
    pen.pass(HOUR, rates(20, 0, 5));
    let from = pen.at();
    let mut levels = [100u64; 3];
    while pen.at() < from + DAY {
        for level in &mut levels {
            *level = (*level + random.within(0, 4))
                .saturating_sub(2)
                .clamp(90, 110);
        }
        let [cpu, memory, io] = levels;
        pen.pass(10 * SECOND, rates((9 * cpu).min(990), memory, 5 * io));
    }
    let to = pen.at();
    pen.pass(HOUR, rates(20, 0, 5));
    for rule in ["memory", "io", "cpu"] {
        pen.want(rule, from, to, (0, 8 * HOUR));
    }
    pen.trace("hovering for a day", 10 * MINUTE)
}

/// An hour of memory full for 300 ms of every 1.5 s: 20 % on average, and wanted
/// as one episode.
pub fn bursts() -> Trace {
    let mut pen = Pen::default();
    pen.pass(HOUR, rates(0, 0, 0));
    let from = pen.at();
    for _ in 0..2400 {
        pen.pass(300_000, rates(0, 1000, 0));
        pen.pass(1_200_000, rates(0, 0, 0));
    }
    let to = pen.at() - 1_200_000;
    pen.pass(HOUR, rates(0, 0, 0));
    pen.want("memory", from, to, (0, 0));
    pen.trace("bursts of 300 ms every 1.5 s", 10 * MINUTE)
}

/// Counters that leap by an hour and fall to zero, in calm, and in ten minutes of
/// memory full 25 %, which are all that is wanted.
pub fn jumps() -> Trace {
    let mut pen = Pen::default();
    let calm = rates(30, 2, 5);
    pen.pass(HOUR, calm);
    for state in [MEMORY, IO, CPU] {
        pen.jump(state, |total| total + HOUR);
        pen.pass(20 * MINUTE + 700_000, calm);
        pen.jump(state, |_| 0);
        pen.pass(20 * MINUTE + 300_000, calm);
    }
    let from = pen.at();
    pen.pass(4 * MINUTE, rates(30, 250, 50));
    pen.jump(MEMORY, |total| total + HOUR);
    pen.pass(3 * MINUTE, rates(30, 250, 50));
    pen.jump(MEMORY, |_| 0);
    pen.pass(3 * MINUTE, rates(30, 250, 50));
    let to = pen.at();
    pen.pass(HOUR, calm);
    pen.want("memory", from, to, (0, 0));
    pen.trace("counters that jump", 10 * MINUTE)
}

/// A laptop that sleeps three times: in calm; with a task stalled, on a kernel
/// whose scheduler clock goes on in suspend, so that all counters leap by eight
/// hours while CLOCK_MONOTONIC stands still; and so in the middle of six minutes
/// of memory full 30 %, which are all that is wanted.
pub fn suspend() -> Trace {
    let mut pen = Pen::default();
    let leap = |pen: &mut Pen| (0..STATES).for_each(|state| pen.jump(state, |t| t + 8 * HOUR));
    pen.pass(2 * HOUR, rates(50, 0, 10));
    pen.pass(2 * HOUR, rates(40, 1, 10));
    leap(&mut pen);
    // what was swapped out comes back
    pen.pass(6 * SECOND, rates(300, 80, 300));
    pen.pass(2 * HOUR, rates(40, 1, 10));
    let from = pen.at();
    pen.pass(3 * MINUTE, rates(100, 300, 100));
    leap(&mut pen);
    pen.pass(3 * MINUTE, rates(100, 300, 100));
    let to = pen.at();
    pen.pass(HOUR, rates(20, 0, 5));
    pen.want("memory", from, to, (0, 0));
    pen.trace("suspend", 10 * MINUTE)
}

/// Two hundred plateaus with sharp edges, 20–60 minutes apart, each of one
/// resource, 1.2 to 2 times as high as its rule's threshold: memory for 30 to
/// 80 s, cpu for 7.5 to 20 minutes, io for 45 minutes to 2 hours. All are wanted.
pub fn plateaus(seed: u64) -> Trace {
    let mut random = Random(seed);
    let mut pen = Pen::default();
    for _ in 0..200 {
        pen.pass(
            random.within(20 * 60_000, 60 * 60_000) * 1000,
            rates(10, 1, 4),
        );
        let from = pen.at();
        let (name, rates, unit) = match random.within(0, 3) {
            0 => ("memory", rates(30, random.within(120, 200), 40), 20),
            1 => (
                "memory-critical",
                rates(30, random.within(480, 800), 40),
                20,
            ),
            2 => ("io", rates(30, 2, random.within(600, 1000)), 1800),
            _ => ("cpu", rates(random.within(950, 1000), 2, 40), 300),
        };
        pen.pass(random.within(unit * 1500, unit * 4000) * 1000, rates);
        let to = pen.at();
        pen.want(name, from, to, (0, 0));
        if name == "memory-critical" {
            pen.want("memory", from, to, (0, 0));
        }
    }
    pen.pass(HOUR, rates(10, 1, 4));
    pen.trace("200 plateaus", 10 * MINUTE)
}
