//! A scene: what happens on a host, and what its operator wants to read about it. A
//! want is stated in the operator's terms: which resource is in trouble, from when to
//! when, how soon a line is wanted at which level, and how many lines are too many. It
//! knows nothing of rules.

use std::ops::RangeInclusive;

use psilogd::pressure::Resource;
use psilogd::severity::Severity;

use crate::trace::*;

/// What goes on beside the stall, in the words of the lab: each has a recording of the
/// host's counters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Going {
    Idle,
    DeadDisk,
    DeadDiskBusy,
    Saturated,
    Backup,
    Quota,
    Busy,
    Thrash,
    MemoryHigh,
}

/// Something that an operator calls one incident.
#[derive(Clone, Debug)]
pub struct Trouble {
    pub resource: Resource,
    pub from: u64,
    pub to: u64,
    /// By when a line is wanted, at this level or worse. None: a line may be written,
    /// but need not.
    pub line: Option<(Severity, u64)>,
    /// By when a line at `crit` or worse is wanted.
    pub crit: Option<u64>,
    /// The most severe line that is allowed.
    pub most: Severity,
    /// Lines about it, at most.
    pub lines: usize,
    /// Whether a second begin at the same level is one too many.
    pub once: bool,
    /// An end is wanted so long after `to`, at the latest.
    pub end: u64,
    /// Stretches of even trouble with sharp edges, by which lengths are judged; none
    /// where there are no edges.
    pub blocks: Vec<(u64, u64)>,
}

/// A host for a while.
#[derive(Debug)]
pub struct Scene {
    pub seed: u64,
    pub name: &'static str,
    /// What is wanted, as a table says it.
    pub wanted: &'static str,
    pub trace: Trace,
    /// From when on what goes on.
    pub going: Vec<(u64, Going)>,
    /// When the kernel killed a process for want of memory.
    pub kills: Vec<u64>,
    pub troubles: Vec<Trouble>,
    /// Lines in the first hour of lines, and in any other hour.
    pub hourly: (usize, usize),
    /// Lines in all.
    pub lines: usize,
}

/// Shares of time that are stalled, in tenths of a percent, from which every step
/// draws its own.
#[derive(Clone, Debug)]
pub struct Load {
    pub cpu: RangeInclusive<u64>,
    pub memory: RangeInclusive<u64>,
    pub io: RangeInclusive<u64>,
    /// `some` of I/O where it is not half as much again as `full`.
    pub io_some: Option<RangeInclusive<u64>>,
}

/// Somebody types now and then.
pub fn calm() -> Load {
    Load {
        cpu: 0..=120,
        memory: 0..=8,
        io: 0..=40,
        io_some: None,
    }
}

/// The length of a step within which rates are even.
const STEP: u64 = 2 * SECOND;
/// The daemon starts so long after the host.
const START: u64 = 20 * SECOND;

/// Writes a scene.
pub struct Script {
    seed: u64,
    pen: Pen,
    pub random: Random,
    going: Vec<(u64, Going)>,
    kills: Vec<u64>,
    troubles: Vec<Trouble>,
    pub hourly: (usize, usize),
    pub lines: usize,
    /// The step of a stretch, longer where a host is healthy for months.
    pub step: u64,
}

impl Script {
    /// A host that has been up for half an hour or more, and is calm.
    pub fn new(seed: u64) -> Script {
        let mut script = Script::boot(seed);
        let length = script.vary(45 * MINUTE);
        script.pass(length, Going::Idle, &calm());
        script
    }

    /// A host that boots.
    pub fn boot(seed: u64) -> Script {
        // neighbouring seeds begin with unlike numbers
        let mut random = Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        random.next();
        Script {
            seed,
            pen: Pen::default(),
            random,
            going: Vec::new(),
            kills: Vec::new(),
            troubles: Vec::new(),
            hourly: (10, 6),
            lines: usize::MAX,
            step: STEP,
        }
    }

    pub fn at(&self) -> u64 {
        self.pen.at()
    }

    /// Within 30 % of it, to the millisecond.
    pub fn vary(&mut self, nominal: u64) -> u64 {
        let thousandths = self.random.within(700, 1300);
        nominal / 1000 * thousandths / 1000 * 1000
    }

    /// A level within 30 % of it, in tenths of a percent, and noise of 5 % around that.
    pub fn level(&mut self, nominal: u64) -> RangeInclusive<u64> {
        let level = nominal * self.random.within(700, 1300) / 1000;
        (level * 95 / 100).min(1000)..=(level * 105 / 100).min(1000)
    }

    fn draw(&mut self, range: &RangeInclusive<u64>) -> u64 {
        self.random.within(*range.start(), *range.end())
    }

    /// So much time passes.
    pub fn pass(&mut self, length: u64, going: Going, load: &Load) {
        if self.going.last().is_none_or(|last| last.1 != going) {
            self.going.push((self.at(), going));
        }
        let end = self.at() + length;
        while self.at() < end {
            let (cpu, memory) = (self.draw(&load.cpu), self.draw(&load.memory));
            let io = self.draw(&load.io);
            let mut rates = rates(cpu, memory, io);
            if let Some(some) = &load.io_some {
                rates[IO - 1] = self.draw(some).max(io);
            }
            self.pen.pass(self.step.min(end - self.pen.at()), rates);
        }
    }

    /// It is over: an hour or two of calm.
    pub fn rest(&mut self, length: u64) {
        let length = self.vary(length);
        self.pass(length, Going::Idle, &calm());
    }

    /// The kernel kills a process now.
    pub fn kill(&mut self) {
        self.kills.push(self.at());
    }

    /// All counters are others from here on.
    pub fn jump(&mut self, change: impl Fn(u64) -> u64) {
        (0..STATES).for_each(|state| self.pen.jump(state, &change));
    }

    pub fn want(&mut self, trouble: Trouble) {
        self.troubles.push(trouble);
    }

    pub fn scene(self, name: &'static str, wanted: &'static str) -> Scene {
        let trace = self.pen.trace(name, START);
        Scene {
            seed: self.seed,
            name,
            wanted,
            trace,
            going: self.going,
            kills: self.kills,
            troubles: self.troubles,
            hourly: self.hourly,
            lines: self.lines,
        }
    }
}

impl Trouble {
    /// A line is wanted within three minutes, and an end within ten.
    pub fn new(resource: Resource, level: Severity, from: u64, to: u64) -> Trouble {
        Trouble {
            resource,
            from,
            to,
            line: Some((level, from + 3 * MINUTE)),
            crit: None,
            most: Severity::EMERG,
            lines: usize::MAX,
            once: true,
            end: 10 * MINUTE,
            blocks: vec![(from, to)],
        }
    }

    /// Work: nothing is wanted, and two lines at notice are allowed if it takes hours.
    pub fn job(resource: Resource, from: u64, to: u64) -> Trouble {
        Trouble {
            line: None,
            most: Severity::NOTICE,
            lines: if to - from >= HOUR { 2 } else { 0 },
            once: false,
            blocks: Vec::new(),
            ..Trouble::new(resource, Severity::NOTICE, from, to)
        }
    }
}
