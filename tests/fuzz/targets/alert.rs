//! The alert: readings in any order and at any time, against what every episode and
//! every rate limit has to keep to.

use psilogd::alert::{Alert, Ids, RateLimit, Reading, Wake};
use psilogd::episode::{Figures, Phase, Sample};
use psilogd::evidence::{Cpu, DiskName, Evidence, Io, Memory};
use psilogd::pressure::{Averages, Percent, Resource};
use psilogd::report::{EndReason, EpisodeReport, Id, Report};
use psilogd::rule::{Rule, Threshold, WINDOW_MAX, WINDOW_MIN};
use psilogd::time::{Micros, Moment};

use super::bytes::Bytes;

const HOUR: u64 = 3_600_000_000;
const START: Moment = Moment(HOUR);
const RULES: [&str; 6] = [
    "memory full 10%/2s",
    "io some 20%/2s stuck=18s",
    "cpu some 93%/2s busy=93%",
    "memory full 40%/2s avail=25%",
    "irq full 1us/500ms",
    "cpu full 100%/10s cgroup=/a",
];

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rule = rule(&mut bytes);
    let privileged = bytes.flag();
    let lines = bytes.option(|bytes| 2 + u32::from(bytes.byte()) % 20);
    let mut world = World::new(rule, privileged, lines);
    let mut steps = 0;
    while !bytes.is_empty() && steps < 400 {
        steps += 1;
        world.step(&mut bytes);
    }
    world.calm_is_quiet();
    world.pressure_begins();
}

/// Any rule, with times that a run gets to the end of.
fn rule(bytes: &mut Bytes<'_>) -> Rule {
    let text = bytes.pick(&RULES);
    let mut rule = Rule::parse(text.split(' ')).unwrap();
    if bytes.flag() {
        let window = WINDOW_MIN.0 + bytes.small() * 200;
        rule.window = Micros(window).min(WINDOW_MAX);
        rule.threshold = match bytes.flag() {
            true => Threshold::Share(Percent(1 + bytes.small() as u32 % 10_000)),
            false => Threshold::Time(Micros(1 + bytes.number() % rule.window.0)),
        };
    }
    let least = if rule.asks_evidence() { 1 } else { 0 };
    rule.sustain = Micros((bytes.small() * 200_000).max(least));
    rule.clear = Micros(bytes.small() * 10_000);
    rule.repeat = Micros(bytes.small() * 100_000);
    rule
}

/// An episode by what was logged and what can be seen.
#[derive(Clone, Copy)]
struct Open {
    at: Moment,
    clear: u64,
    /// Its id, once the begin was logged.
    id: Option<Id>,
    /// When the last *still* was logged, and at least how long until the next.
    still: (Moment, u64),
    /// Whether nothing but stall was read since the begin.
    solid: bool,
}

struct World {
    alert: Alert,
    limit: RateLimit,
    ids: Ids,
    now: Moment,
    total: u64,
    /// Since the newest baseline: when that was, and all growth of the counter.
    since: Moment,
    grown: u64,
    open: Option<Open>,
    ended: Option<Moment>,
    relapses: u32,
    last_id: u64,
    /// What a line costs, and how much of an hour's worth is used up.
    price: u64,
    used: u64,
    paid: Moment,
    /// Begins that were suppressed and are in no summary yet.
    begins: u64,
    kills: u64,
}

impl World {
    fn new(rule: Rule, privileged: bool, lines: Option<u32>) -> World {
        let baseline = Sample {
            at: START,
            total: 0,
        };
        World {
            alert: Alert::new(rule.into(), None, baseline, privileged),
            limit: RateLimit::new(lines, START),
            ids: Ids::new(1),
            now: START,
            total: 0,
            since: START,
            grown: 0,
            open: None,
            ended: None,
            relapses: 0,
            last_id: 0,
            price: lines.map_or(0, |lines| HOUR / u64::from(lines)),
            used: 0,
            paid: START,
            begins: 0,
            kills: 0,
        }
    }

    fn step(&mut self, bytes: &mut Bytes<'_>) {
        let window = self.alert.rule().window.0;
        let wake = match bytes.below(10) {
            0..=3 => {
                let due = self.alert.deadline().map(|due| due.since(self.now).0);
                self.pass(bytes, due.unwrap_or(window));
                Wake::Expired
            }
            4 | 5 => {
                let part = u64::from(bytes.byte()) * window / 64;
                self.pass(bytes, part);
                Wake::Crossed
            }
            6 => {
                let pause = bytes.small() * 1000;
                self.pass(bytes, pause);
                bytes.pick(&[Wake::Checked, Wake::Checked, Wake::Expired])
            }
            7 => {
                self.stall(bytes.small() * 1_000_000, 0);
                Wake::Checked
            }
            8 => return self.restart(bytes),
            _ => return self.leap(bytes),
        };
        let evidence = match self.alert.wants_evidence(wake) {
            true => self.evidence(bytes),
            false => Evidence::None,
        };
        self.read(wake, evidence);
    }

    /// Time passes, a share of it stalled.
    fn pass(&mut self, bytes: &mut Bytes<'_>, us: u64) {
        let share = match bytes.byte() {
            share @ 0..=100 => u64::from(share),
            101..=180 => 0,
            _ => 100,
        };
        self.stall(us, share);
    }

    fn stall(&mut self, us: u64, percent: u64) {
        self.now = self.now + Micros(us);
        self.grow(us * percent / 100);
        if let Some(open) = &mut self.open {
            open.solid &= percent == 100;
        }
    }

    fn grow(&mut self, us: u64) {
        self.total += us;
        self.grown += us;
    }

    /// The counter is another one.
    fn leap(&mut self, bytes: &mut Bytes<'_>) {
        match bytes.flag() {
            true => self.total = 0,
            false => self.grow(bytes.small() * 1000),
        }
        if let Some(open) = &mut self.open {
            open.solid = false;
        }
    }

    /// Closed, armed again, or summed up.
    fn restart(&mut self, bytes: &mut Bytes<'_>) {
        let averages = Averages {
            total: self.total,
            ..Averages::default()
        };
        match bytes.below(3) {
            0 => return self.sum_up(),
            1 => {
                let averages = bytes.option(|_| averages);
                let reason = EndReason::Gone;
                let report = self
                    .alert
                    .close(self.now, averages, reason, &mut self.limit);
                let id = self.open.take().and_then(|open| open.id);
                match report {
                    Some(Report::End(end, Some(_))) => {
                        assert_eq!(id, Some(end.id));
                        figures(&end.figures);
                    }
                    report => assert!(report.is_none() && id.is_none()),
                }
            }
            _ if self.open.is_some() => return,
            _ => {}
        }
        let (at, total) = (self.now, self.total);
        self.alert.rearm(Sample { at, total }, bytes.flag());
        assert!(self.alert.is_quiet());
        (self.since, self.grown) = (at, 0);
    }

    fn sum_up(&mut self) {
        let due = self.limit.deadline();
        let summary = self.limit.summary(self.now);
        assert_eq!(summary.is_some(), due.is_some_and(|due| due <= self.now));
        if let Some(summary) = summary {
            assert!(summary.count >= summary.begins && summary.count > 0);
            assert!(summary.since <= self.now);
            assert_eq!(summary.begins, std::mem::take(&mut self.begins));
        }
    }

    fn evidence(&mut self, bytes: &mut Bytes<'_>) -> Evidence {
        match bytes.below(4) {
            0 => return Evidence::None,
            1 => return self.agreeing(),
            _ => {}
        }
        let percent = |bytes: &mut Bytes<'_>| Percent(bytes.small() as u32 % 10_001);
        match self.alert.rule().resource {
            Resource::Irq => Evidence::None,
            Resource::Memory => {
                self.kills += u64::from(bytes.byte() == 255);
                Evidence::Memory(Memory {
                    available: bytes.option(percent),
                    swap_free: bytes.option(percent),
                    oom_kills: bytes.option(|_| self.kills),
                })
            }
            Resource::Io => Evidence::Io(Io {
                disk: DiskName::new(b"sda"),
                stuck: Micros(bytes.small() * 1000),
                inflight: bytes.number(),
                iops: bytes.option(Bytes::number),
                wait: None,
            }),
            Resource::Cpu => Evidence::Cpu(Cpu {
                idle: Micros(bytes.number()),
                steal: Micros(bytes.number()),
                cpus: 1 + u32::from(bytes.byte()),
                throttled: None,
            }),
        }
    }

    /// What bears any alarm out.
    fn agreeing(&self) -> Evidence {
        match self.alert.rule().resource {
            Resource::Irq => Evidence::None,
            Resource::Memory => Evidence::Memory(Memory {
                available: Some(Percent(0)),
                ..Memory::default()
            }),
            Resource::Io => Evidence::Io(Io {
                stuck: Micros(HOUR),
                inflight: 1,
                ..Io::default()
            }),
            Resource::Cpu => Evidence::Cpu(Cpu {
                cpus: 1,
                ..Cpu::default()
            }),
        }
    }

    fn read(&mut self, wake: Wake, evidence: Evidence) {
        let before = self.alert.phase();
        let due = self.alert.deadline().is_some_and(|due| due <= self.now);
        let averages = Averages {
            total: self.total,
            ..Averages::default()
        };
        let reading = Reading {
            at: self.now,
            averages,
            evidence,
        };
        let report = self
            .alert
            .take(wake, reading, &mut self.limit, &mut self.ids);
        let report = report.map(|report| seen(&report));
        let after = self.alert.phase();
        let deadline = self.alert.deadline();
        assert_eq!(deadline.is_none(), after == Phase::Quiet);
        if wake == Wake::Expired && due {
            assert!(deadline.is_none_or(|due| due > self.now), "spins");
        }
        match (before, after) {
            (Phase::Pressed, Phase::Pressed) => self.went_on(report),
            (_, Phase::Pressed) => self.began(report),
            (Phase::Pressed, _) => self.ended(report),
            _ => assert!(report.is_none()),
        }
    }

    fn began(&mut self, report: Option<Seen>) {
        let rule = self.alert.rule();
        let stall = rule.stall().0;
        let wanted = match (rule.sustain, self.alert.is_privileged()) {
            (Micros::ZERO, true) => stall / 4,
            (Micros::ZERO, false) => stall,
            (sustain, _) => {
                (u128::from(stall) * u128::from(sustain.0) / u128::from(rule.window.0)) as u64
            }
        };
        // parts of windows are rounded up
        assert!(
            self.kills > 0 || self.grown + 4 >= wanted,
            "{} of {wanted}",
            self.grown
        );

        let soon = self.ended.is_some_and(|end| self.now.since(end).0 < HOUR);
        self.relapses = if soon { self.relapses + 1 } else { 0 };
        let factor = 4u64.saturating_pow(self.relapses);
        let damped = rule.clear.0.saturating_mul(factor).min(HOUR);
        let open = Open {
            at: self.now,
            clear: rule.clear.0.max(damped),
            id: None,
            still: (self.now, rule.repeat.0),
            solid: true,
        };
        self.open = Some(open);
        self.last_id += 1;
        let paid = self.pay(2);
        match report {
            Some(Seen::Begin(begin)) => {
                assert!(paid, "over the limit");
                self.logged(&begin);
            }
            report => {
                assert!(report.is_none() && !paid, "suppressed without a reason");
                self.begins += 1;
            }
        }
    }

    /// The begin is in the log, at once or late.
    fn logged(&mut self, begin: &Line) {
        let open = self.open.as_mut().unwrap();
        assert!(open.id.is_none() && begin.id.number == self.last_id);
        open.id = Some(begin.id);
        self.check(begin);
    }

    fn went_on(&mut self, report: Option<Seen>) {
        match report {
            None => {}
            Some(Seen::Begin(begin)) => {
                assert!(self.pay(2), "over the limit");
                self.begins = self.begins.saturating_sub(1);
                self.logged(&begin);
            }
            Some(Seen::Still(still)) => {
                assert!(self.pay(1), "over the limit");
                let repeat = self.alert.rule().repeat.0;
                let open = self.open.as_mut().unwrap();
                assert!(repeat > 0 && open.id == Some(still.id));
                let (last, pause) = open.still;
                assert!(self.now.since(last).0 >= pause, "still too soon");
                open.still = (self.now, (2 * repeat).min(6 * HOUR).max(repeat));
                self.check(&still);
            }
            Some(Seen::End(_)) => panic!("an end, and still pressed"),
        }
    }

    fn ended(&mut self, report: Option<Seen>) {
        let open = self.open.unwrap();
        assert_eq!(self.alert.phase(), Phase::Quiet);
        assert!(self.now.since(open.at).0 >= open.clear, "ended too soon");
        let asks = self.alert.rule().asks_evidence();
        assert!(asks || !open.solid, "ended under pressure");
        match (report, open.id) {
            (Some(Seen::End(end)), Some(id)) => {
                assert_eq!(end.id, id);
                self.check(&end);
            }
            (report, id) => assert!(report.is_none() && id.is_none(), "no end of {id:?}"),
        }
        self.open = None;
        self.ended = Some(self.now);
        (self.since, self.grown) = (self.now, 0);
    }

    /// What holds of every line's figures.
    fn check(&self, line: &Line) {
        let rule = self.alert.rule();
        figures(&line.figures);
        let lasted = self.now.since(self.since).0 + 2 * rule.window.0;
        assert!(line.figures.duration.0 <= lasted, "{:?}", line.figures);
        // a window before the first reading is known by its event alone
        let grown = self.grown + rule.stall().0;
        assert!(line.figures.stalled.0 <= grown, "{:?}", line.figures);
        let open = self.open.unwrap();
        match (self.relapses, line.relapse) {
            (0, relapse) => assert!(relapse.is_none()),
            (count, relapse) => assert_eq!(relapse, Some((count, open.clear))),
        }
    }

    /// An hour's worth of lines, which time gives back.
    fn pay(&mut self, lines: u64) -> bool {
        if self.price == 0 {
            return true;
        }
        self.used = self.used.saturating_sub(self.now.since(self.paid).0);
        self.paid = self.now;
        let fits = self.used + lines * self.price <= HOUR;
        self.used += if fits { lines * self.price } else { 0 };
        fits
    }

    /// Without pressure everything ends, and not later than it has to.
    fn calm_is_quiet(&mut self) {
        let rule = self.alert.rule().clone();
        let settled = 2 * rule.sustain.0 + 64 * rule.window.0;
        let start = self.now;
        while let Some(due) = self.alert.deadline() {
            // what was verified may begin yet
            let clear = self.open.map_or(0, |open| open.clear);
            let latest = start + Micros(2 * settled + clear);
            assert!(self.now <= latest, "{:?} for ever", self.alert.phase());
            let pause = due.since(self.now).0.max((settled + clear) / 64);
            self.stall(pause, 0);
            self.read(Wake::Expired, Evidence::None);
        }
    }

    /// Pressure and evidence of it begin an episode, and not later than they have to.
    fn pressure_begins(&mut self) {
        let rule = self.alert.rule().clone();
        for _ in 0..2 {
            self.stall(rule.window.0, 100);
            let evidence = self.agreeing();
            self.read(Wake::Crossed, evidence);
        }
        let end = self.now + Micros(2 * rule.sustain.0 + 64 * rule.window.0);
        while self.alert.phase() != Phase::Pressed {
            let due = self.alert.deadline().unwrap_or(Moment(0));
            assert!(self.now <= end, "deaf");
            self.stall(due.since(self.now).0.max(rule.window.0), 100);
            let evidence = self.agreeing();
            self.read(Wake::Expired, evidence);
        }
    }
}

/// What is checked of a line.
struct Line {
    id: Id,
    figures: Figures,
    relapse: Option<(u32, u64)>,
}

enum Seen {
    Begin(Line),
    Still(Line),
    End(Line),
}

fn seen(report: &Report<'_>) -> Seen {
    let line = |episode: &EpisodeReport<'_>| Line {
        id: episode.id,
        figures: episode.figures,
        relapse: episode
            .relapse
            .map(|relapse| (relapse.count, relapse.clear.0)),
    };
    match report {
        Report::Begin(begin) => Seen::Begin(line(begin)),
        Report::Still(still) => Seen::Still(line(still)),
        Report::End(end, None) => Seen::End(line(end)),
        other => panic!("{other:?}"),
    }
}

fn figures(figures: &Figures) {
    assert!(figures.mean() <= figures.worst, "{figures:?}");
    assert!(figures.worst <= Percent(10_000), "{figures:?}");
}
