//! What the host's other counters say of one alert: whether they bear the alarm out,
//! and what a line shows of them. Pure.

use super::cpus::{Cpus, busy_enough, cpu_share};
use crate::episode::Verdict;
use crate::evidence::{Cpu, Evidence, Io, Memory};
use crate::pressure::Percent;
use crate::report::Findings;
use crate::rule::Rule;
use crate::time::{Micros, Moment};

/// An OOM kill on a host that never had less than this available is a cgroup's limit
/// at work, and /proc/vmstat counts those as well.
const SHORT: Percent = Percent(2500);

/// What was read so far, since pressure was noticed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub(super) enum Proof {
    /// Nothing.
    #[default]
    None,
    /// Of memory: the kills before, and the least that was available.
    Memory {
        kills: Option<u64>,
        lowest: Option<Percent>,
    },
    /// Of disks: requests that the one that matters completed per second.
    Io { iops: Option<u64> },
    /// Of CPUs.
    Cpu(Cpus),
    /// Of CPUs that were idle when pressure was last there: nothing but since when it
    /// can be there again.
    Idle(Cpus),
}

impl Proof {
    /// Pressure was noticed: what came before says nothing, but for how long CPUs can
    /// have been busy.
    pub fn restart(&mut self) {
        *self = match *self {
            Proof::Cpu(cpus) | Proof::Idle(cpus) if cpus.were_idle() => Proof::Idle(cpus),
            _ => Proof::None,
        };
    }

    /// Takes what was read with a counter.
    pub fn take(
        &mut self,
        rule: &Rule,
        cgroup: bool,
        at: Moment,
        evidence: Evidence,
    ) -> (Verdict, Findings) {
        match evidence {
            Evidence::Memory(memory) => self.memory(rule, cgroup, memory),
            Evidence::Cpu(cpu) => self.cpu(rule, cgroup, at, cpu),
            Evidence::Io(io) => (self.disks(rule, io), Findings::Io(io)),
            // what can't be read bears nothing out
            Evidence::None => {
                let agrees = !rule.asks_evidence();
                (
                    Verdict {
                        agrees,
                        ..Verdict::AGREED
                    },
                    Findings::None,
                )
            }
        }
    }

    /// A disk that completed less than half of what it did before may have died in
    /// between: that is looked at again as soon as it would show.
    fn disks(&mut self, rule: &Rule, io: Io) -> Verdict {
        let Some(stuck) = rule.stuck else {
            return Verdict::AGREED;
        };
        let (known, before) = match *self {
            Proof::Io { iops } => (true, iops),
            _ => (false, None),
        };
        *self = Proof::Io { iops: io.iops };
        let fell = |(before, now): (u64, u64)| now < before / 2;
        let wait = stuck - io.stuck;
        let absent = io.stuck == Micros::ZERO;
        Verdict {
            agrees: wait == Micros::ZERO,
            absent,
            // the first look at a disk doesn't show whether it is stuck
            began: (absent && known).then_some(Micros::ZERO),
            may_begin: before.zip(io.iops).is_some_and(fell),
            wait,
            ..Verdict::AGREED
        }
    }

    fn memory(&mut self, rule: &Rule, cgroup: bool, memory: Memory) -> (Verdict, Findings) {
        let (kills, lowest) = match *self {
            Proof::Memory { kills, lowest } => (kills, lowest),
            _ => (memory.oom_kills, None),
        };
        let lowest = lowest.into_iter().chain(memory.available).min();
        *self = Proof::Memory { kills, lowest };
        let since = kills.zip(memory.oom_kills);
        let since = since.map(|(before, now)| now.saturating_sub(before));
        let is_short = match rule.avail.or((!cgroup).then_some(SHORT)) {
            Some(least) => lowest.is_none_or(|lowest| lowest < least),
            None => true,
        };
        let is_under = |least| memory.available.is_some_and(|available| available < least);
        let verdict = Verdict {
            agrees: rule.avail.is_none_or(is_under),
            killed: is_short && since > Some(0),
            ..Verdict::AGREED
        };
        // of a cgroup only what it is asked for: the host's figures are not its own
        let shown = !cgroup || rule.avail.is_some();
        let findings = Findings::Memory {
            available: memory.available.filter(|_| shown),
            swap_free: memory.swap_free.filter(|_| shown),
            oom_kills: since,
        };
        (verdict, findings)
    }

    fn cpu(&mut self, rule: &Rule, cgroup: bool, at: Moment, cpu: Cpu) -> (Verdict, Findings) {
        let (mut cpus, is_first) = match *self {
            Proof::Cpu(cpus) => (cpus, false),
            Proof::Idle(cpus) if cpus.is_near(at) => (cpus, true),
            _ => (Cpus::new(at, cpu), true),
        };
        let grown = cpus.take(at, cpu, rule.sustain);
        if is_first {
            cpus.restart();
        }
        let max = rule.busy.map(|busy| Percent(10_000 - busy.0));
        let began = max.zip(grown.as_ref());
        let began = began.and_then(|(max, grown)| cpus.busy_for(grown.idle, cpu.cpus, max));
        *self = Proof::Cpu(cpus);
        let Some(grown) = grown.filter(|_| !is_first) else {
            // one reading shows no growth
            let verdict = Verdict {
                agrees: max.is_none(),
                began,
                ..Verdict::AGREED
            };
            return (verdict, Findings::None);
        };
        let mean = cpus.mean(rule.sustain, cpu.cpus);
        let verdict = max.map_or(Verdict::AGREED, |max| Verdict {
            began,
            ..busy_enough(rule.sustain, mean, max)
        });
        let shown = !cgroup || rule.busy.is_some();
        let of_cpus = |time| shown.then(|| cpu_share(time, cpu.cpus));
        let findings = Findings::Cpu {
            idle: of_cpus(grown.idle),
            steal: of_cpus(grown.steal),
            throttled: grown.throttled,
        };
        (verdict, findings)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Moment = Moment(1_000_000_000);

    fn rule(text: &str) -> Rule {
        Rule::parse(text.split(' ')).expect("a rule")
    }

    fn memory(oom_kills: u64) -> Evidence {
        Evidence::Memory(Memory {
            available: Some(Percent(4000)),
            swap_free: Some(Percent(500)),
            oom_kills: Some(oom_kills),
        })
    }

    fn cpu(idle: u64) -> Evidence {
        Evidence::Cpu(Cpu {
            idle: Micros::secs(idle),
            steal: Micros::ZERO,
            cpus: 1,
            throttled: None,
        })
    }

    #[test]
    fn kills_before_the_pressure_are_not_counted() {
        let rule = rule("memory full 10%/2s");
        let mut proof = Proof::None;
        proof.take(&rule, false, START, memory(7));
        proof.restart();
        let (_, findings) = proof.take(&rule, false, START, memory(9));
        let Findings::Memory { oom_kills, .. } = findings else {
            panic!("{findings:?}");
        };
        assert_eq!(oom_kills, Some(0));
    }

    #[test]
    fn a_disk_that_completes_less_than_half_of_before_may_get_stuck() {
        let rule = rule("io some 50%/2s stuck=20s");
        for (iops, may_begin) in [(49, true), (50, false), (60, false)] {
            let mut proof = Proof::None;
            let mut take = |iops| {
                let io = Io {
                    iops: Some(iops),
                    ..Io::default()
                };
                proof
                    .take(&rule, false, START, Evidence::Io(io))
                    .0
                    .may_begin
            };
            assert!(!take(100), "nothing is known of before");
            assert_eq!(take(iops), may_begin, "{iops}");
        }
    }

    #[test]
    fn disks_that_are_not_stuck_show_nothing_of_it() {
        let rule = rule("io some 50%/2s stuck=20s");
        for (stuck, absent, agrees) in [(0, true, false), (1, false, false), (20, false, true)] {
            let io = Io {
                stuck: Micros::secs(stuck),
                ..Io::default()
            };
            let (verdict, _) = Proof::None.take(&rule, false, START, Evidence::Io(io));
            assert_eq!((verdict.absent, verdict.agrees), (absent, agrees));
            assert_eq!(verdict.wait, Micros::secs(20 - stuck));
        }
    }

    #[test]
    fn a_disk_that_is_not_stuck_at_a_second_look_was_not_stuck_before() {
        let (rule, mut proof) = (rule("io some 50%/2s stuck=20s"), Proof::None);
        let looks = [0, 2, 0].map(|stuck| {
            let stuck = Micros::secs(stuck);
            let io = Io {
                stuck,
                ..Io::default()
            };
            proof.take(&rule, false, START, Evidence::Io(io)).0.began
        });
        assert_eq!(looks, [None, None, Some(Micros::ZERO)]);
    }

    #[test]
    fn of_the_host_a_cgroups_line_has_only_what_its_rule_asks_for() {
        for (text, cgroup, shown) in [
            ("memory full 10%/2s", false, true),
            ("memory full 10%/2s", true, false),
            ("memory full 10%/2s avail=25%", true, true),
        ] {
            let (_, findings) = Proof::None.take(&rule(text), cgroup, START, memory(0));
            let expected = Findings::Memory {
                available: shown.then_some(Percent(4000)),
                swap_free: shown.then_some(Percent(500)),
                oom_kills: Some(0),
            };
            assert_eq!(findings, expected, "{text} {cgroup}");
        }
        for (text, cgroup, shown) in [
            ("cpu some 10%/2s", false, true),
            ("cpu some 10%/2s", true, false),
            ("cpu some 10%/2s busy=25%", true, true),
        ] {
            let (rule, mut proof) = (rule(text), Proof::None);
            proof.take(&rule, cgroup, START, cpu(0));
            let (_, findings) = proof.take(&rule, cgroup, START + Micros::secs(2), cpu(1));
            let expected = Findings::Cpu {
                idle: shown.then_some(Percent(5000)),
                steal: shown.then_some(Percent(0)),
                throttled: None,
            };
            assert_eq!(findings, expected, "{text} {cgroup}");
        }
    }

    /// What readings show that are so many seconds apart, with so much idle time in
    /// between; after the first of them pressure goes, and the second notices it.
    fn began(readings: [(u64, u64); 3]) -> [Option<Micros>; 2] {
        let (rule, mut proof) = (rule("cpu some 10%/2s busy=90%"), Proof::None);
        let (mut at, mut idle) = (START, 0);
        proof.take(&rule, false, at, cpu(idle));
        let mut went = false;
        let found = readings.map(|(seconds, more)| {
            (at, idle) = (at + Micros::secs(seconds), idle + more);
            let (verdict, _) = proof.take(&rule, false, at, cpu(idle));
            if !went {
                proof.restart();
            }
            went = true;
            verdict.began
        });
        [found[1], found[2]]
    }

    #[test]
    fn cpus_that_were_idle_when_it_went_cannot_have_been_busy_for_long() {
        assert_eq!(
            began([(40, 36), (60, 45), (2, 0)]),
            [Some(Micros::secs(10)), Some(Micros::secs(2))]
        );
        assert_eq!(
            began([(40, 36), (60, 9), (2, 0)]),
            [Some(Micros::secs(50)), None]
        );
        // busy ones say nothing of what they did afterwards
        let afterwards = began([(40, 0), (60, 45), (2, 0)]);
        assert_eq!(afterwards, [None, None]);
        // nor does more than a minute of its end
        assert_eq!(began([(40, 36), (61, 45), (2, 0)]), [None, None]);
    }

    #[test]
    fn one_reading_of_cpus_agrees_with_no_busy() {
        for (text, agrees) in [
            ("cpu some 10%/2s", true),
            ("cpu some 10%/2s busy=25%", false),
        ] {
            let (rule, mut proof) = (rule(text), Proof::None);
            // a second one at the same moment shows no growth either
            for _ in 0..2 {
                let (verdict, findings) = proof.take(&rule, false, START, cpu(0));
                assert_eq!((verdict.agrees, findings), (agrees, Findings::None));
            }
        }
    }
}
