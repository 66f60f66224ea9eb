//! One rule: what to watch and when to log it, in the grammar of psilogd.conf(5), which
//! the configuration file and the command line share. [`Rule::parse`] and Display are
//! inverse, so the output of `psilogd -n` can be read back.

mod display;
mod error;
mod parse;

pub use crate::pattern::CgroupPath;
use crate::pattern::Pattern;
use crate::pressure::{Kind, Percent, Resource};
use crate::severity::Severity;
use crate::time::Micros;

pub use error::{ParseError, Reason};

/// The kernel's shortest window on every version; from 6.12 on shorter ones are
/// accepted and cost a real-time thread that wakes every tick (WINDOW_MIN_US).
pub const WINDOW_MIN: Micros = Micros::millis(500);
/// The kernel's longest window (WINDOW_MAX_US in kernel/sched/psi.c).
pub const WINDOW_MAX: Micros = Micros::secs(10);
/// Without CAP_SYS_RESOURCE a window is a multiple of this, the period of the kernel's
/// averages (psi_trigger_create).
pub const WINDOW_STEP: Micros = Micros::secs(2);
/// The shortest `stuck=`: a healthy disk behind a starved host was seen to complete
/// nothing for 7 s.
pub const STUCK_MIN: Micros = Micros::secs(10);
/// The longest name of a rule, in bytes.
pub const NAME_MAX: usize = 32;
/// The longest time between two `still` lines, unless `repeat=` is longer.
pub const REPEAT_MAX: Micros = Micros::secs(6 * 3600);

/// The stall within a window that fires the trigger.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Threshold {
    /// A length of time: `150ms`.
    Time(Micros),
    /// A share of the window: `10%`.
    Share(Percent),
}

/// A rule: what to watch, and when and how to log it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Rule {
    /// What tasks wait for.
    pub resource: Resource,
    /// Whether some tasks wait, or all of them.
    pub kind: Kind,
    /// The stall within `window` that counts as pressure.
    pub threshold: Threshold,
    /// The window, 500 ms to 10 s.
    pub window: Micros,
    /// The severity of its lines.
    pub level: Severity,
    /// Its name in `rule=` of its lines; unique among the rules in force.
    pub name: String,
    /// `for=`: pressure is logged once the stall within so long has reached the
    /// threshold's share of it.
    pub sustain: Micros,
    /// `clear=`: how long no window may be met before the episode ends.
    pub clear: Micros,
    /// `repeat=`: the time from *begin* to the first *still*; zero means no *still*.
    pub repeat: Micros,
    /// `stuck=` (io): only while some disk has had requests in flight and completed none
    /// for so long.
    pub stuck: Option<Micros>,
    /// `busy=` (cpu): only if so much of the CPUs' time was busy over the last `for=`.
    pub busy: Option<Percent>,
    /// `avail=` (memory): only while less than this share of the memory is available.
    pub avail: Option<Percent>,
    /// `cgroup=`: the cgroups to watch, one or all that match; None is the whole system.
    pub cgroup: Option<Pattern>,
    /// `except=`: matching cgroups that are not watched.
    pub except: Vec<Pattern>,
}

/// What a line reports on, for its `cgroup=`.
#[derive(Clone, Copy, Debug)]
pub enum Scope<'a> {
    /// The whole system.
    System,
    /// The cgroup of this path.
    Cgroup(&'a [u8]),
    /// All cgroups that match.
    Pattern(&'a Pattern),
}

impl Rule {
    /// Whether an alarm needs the host's other counters to agree.
    pub fn asks_evidence(&self) -> bool {
        self.stuck.is_some() || self.busy.is_some() || self.avail.is_some()
    }

    /// The stall within the window that counts as pressure, in microseconds.
    pub fn stall(&self) -> Micros {
        match self.threshold {
            Threshold::Time(stall) => stall,
            // at most 10 s times 10000: far from the end of a u64
            Threshold::Share(share) => Micros(self.window.0 * u64::from(share.0) / 10_000),
        }
    }

    /// The same as a share of the window.
    pub fn threshold_share(&self) -> Percent {
        match self.threshold {
            // a window is never 0, and a stall no longer than its window
            Threshold::Time(stall) => Percent((stall.0 * 10_000 / self.window.0.max(1)) as u32),
            Threshold::Share(share) => share,
        }
    }

    /// Whether it watches all cgroups that match a pattern, rather than one.
    pub fn is_pattern(&self) -> bool {
        let pattern = self.cgroup.as_ref();
        pattern.is_some_and(Pattern::is_wild)
    }

    /// Whether the kernel accepts its window without CAP_SYS_RESOURCE.
    pub fn has_common_window(&self) -> bool {
        self.window.0 % WINDOW_STEP.0 == 0
    }

    /// Whether its triggers are opened with CAP_SYS_RESOURCE, where psilogd has it.
    /// On kernels in use that capability makes arming a cgroup's trigger a race against
    /// the cgroup's removal, which crashes the host (psilogd.conf(5), CAVEATS). So only
    /// a named cgroup whose window needs the capability is armed with it.
    pub fn wants_capability(&self) -> bool {
        self.cgroup.is_none() || (!self.is_pattern() && !self.has_common_window())
    }

    /// Whether it watches the cgroup of this path.
    pub fn covers(&self, path: &[u8]) -> bool {
        let pattern = self.cgroup.as_ref();
        pattern.is_some_and(|pattern| pattern.matches(path))
            && !self.except.iter().any(|except| except.matches(path))
    }

    /// Whether it can watch any cgroup below this path.
    pub fn reaches_below(&self, path: &[u8]) -> bool {
        let pattern = self.cgroup.as_ref();
        pattern.is_some_and(|pattern| pattern.reaches_below(path))
    }

    /// Whether the other rule differs at most in the cgroups that it watches, so that
    /// triggers armed for one serve the other.
    pub fn is_same_alarm(&self, other: &Rule) -> bool {
        self.name == other.name
            && (self.resource, self.kind, self.level) == (other.resource, other.kind, other.level)
            && (self.threshold, self.window) == (other.threshold, other.window)
            && (self.sustain, self.clear, self.repeat) == (other.sustain, other.clear, other.repeat)
            && (self.stuck, self.busy, self.avail) == (other.stuck, other.busy, other.avail)
    }

    /// What it watches, for the lines that are not about one cgroup.
    pub fn scope(&self) -> Scope<'_> {
        self.cgroup.as_ref().map_or(Scope::System, Scope::Pattern)
    }
}

#[cfg(test)]
mod tests;
