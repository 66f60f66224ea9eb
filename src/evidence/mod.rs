//! The host's other counters, as texts of /proc and of a cgroup: what bears out that
//! pressure is an alarm, or shows that it isn't. A disk that completes nothing, CPUs
//! that are idle, memory that is available. Nothing here reads a file or panics, and what
//! takes a text allocates nothing: one that can't be read gives None.

mod disks;
mod text;

use crate::pressure::Percent;
use crate::time::{Micros, Moment};

use disks::Disks;
use text::{cpus, value, values};

pub use disks::{DISKS_MAX, DiskCounters, DiskName, NAME_MAX, whole_disks};
pub use text::share;

/// What was read with a reading of the pressure counter, by the rule's resource.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Evidence {
    /// Nothing: of interrupts, or where nothing could be read.
    #[default]
    None,
    /// For pressure on memory.
    Memory(Memory),
    /// For pressure on I/O.
    Io(Io),
    /// For pressure on CPUs.
    Cpu(Cpu),
}

/// /proc/meminfo and /proc/vmstat, or a cgroup's memory.events.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Memory {
    /// MemAvailable as a share of MemTotal.
    pub available: Option<Percent>,
    /// SwapFree as a share of SwapTotal; None without swap.
    pub swap_free: Option<Percent>,
    /// Processes killed for want of memory, a counter since boot or since the cgroup
    /// was made: `oom_kill` of /proc/vmstat, which counts kills within cgroups too, or
    /// of the cgroup's memory.events.
    pub oom_kills: Option<u64>,
}

/// /proc/diskstats (Documentation/admin-guide/iostats.rst).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Io {
    /// The disk that has been stuck for longest, else the busiest; None where no disk
    /// does anything, and then the rest is zero or None.
    pub disk: Option<DiskName>,
    /// How long it has completed nothing with something in flight; zero if it isn't
    /// stuck.
    pub stuck: Micros,
    /// Requests in flight on it.
    pub inflight: u64,
    /// Requests completed per second of late, rounded, but at least 1 if there was any;
    /// None before there were two readings at most a minute apart.
    pub iops: Option<u64>,
    /// Mean time that they took, queue included; None where `iops` is 0 or None.
    pub wait: Option<Micros>,
}

/// /proc/stat, and a cgroup's cpu.stat.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Cpu {
    /// Time that CPUs were idle or waited for I/O, summed over all of them: a counter
    /// since boot, which may fall a little (proc(5) on iowait).
    pub idle: Micros,
    /// Time that the hypervisor took, likewise.
    pub steal: Micros,
    /// CPUs online.
    pub cpus: u32,
    /// Of a cgroup: how often its quota stopped it.
    pub throttled: Option<Throttled>,
}

/// A cgroup's quota at work: counters since the cgroup was made.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Throttled {
    /// Periods of the quota in which it ran (`nr_periods`).
    pub periods: u64,
    /// Those in which it was stopped (`nr_throttled`).
    pub throttled: u64,
}

/// What the newest texts said, and what they said before: disks are followed from one
/// reading to the next.
#[derive(Clone, Debug)]
pub struct Host {
    memory: Memory,
    disks: Disks,
    cpu: Option<Cpu>,
}

impl Default for Host {
    fn default() -> Host {
        Host::new()
    }
}

impl Host {
    /// Nothing was read yet.
    pub fn new() -> Host {
        Host {
            memory: Memory {
                available: None,
                swap_free: None,
                oom_kills: None,
            },
            disks: Disks::new(),
            cpu: None,
        }
    }

    /// Takes the text of /proc/meminfo.
    pub fn meminfo(&mut self, text: &[u8]) {
        let [total, available, swap, free] = meminfo(text);
        self.memory.available = share(available, total);
        self.memory.swap_free = share(free, swap);
    }

    /// Takes the text of /proc/vmstat.
    pub fn vmstat(&mut self, text: &[u8]) {
        self.memory.oom_kills = value(text, b"oom_kill");
    }

    /// Takes the text of /proc/diskstats as it was at that moment.
    pub fn diskstats(&mut self, at: Moment, text: &[u8]) {
        self.disks.take(at, text);
    }

    /// Takes what /proc/diskstats said of every whole disk at that moment, as
    /// [`whole_disks`] reads it.
    pub fn disks(&mut self, at: Moment, disks: &[(DiskName, DiskCounters)]) {
        self.disks.take_counters(at, disks);
    }

    /// Takes the text of /proc/stat, from its first line to behind the last CPU's.
    pub fn stat(&mut self, text: &[u8]) {
        self.cpu = cpus(text);
    }

    /// Memory, of the host.
    pub fn memory(&self) -> Memory {
        self.memory
    }

    /// The disk that matters.
    pub fn io(&self) -> Io {
        self.disks.io()
    }

    /// Whether the newest text was one of /proc/diskstats, if only of a host without
    /// disks.
    pub fn knows_disks(&self) -> bool {
        self.disks.known()
    }

    /// CPUs, of the host; None where the text was none of /proc/stat.
    pub fn cpu(&self) -> Option<Cpu> {
        self.cpu
    }
}

/// MemTotal, MemAvailable, SwapTotal and SwapFree of the text of /proc/meminfo, in kB.
pub fn meminfo(text: &[u8]) -> [Option<u64>; 4] {
    let keys = [
        &b"MemTotal:"[..],
        b"MemAvailable:",
        b"SwapTotal:",
        b"SwapFree:",
    ];
    values(text, keys)
}

/// Processes killed in a cgroup, by the text of its memory.events.
pub fn oom_kills(memory_events: &[u8]) -> Option<u64> {
    value(memory_events, b"oom_kill")
}

/// A cgroup's quota at work, by the text of its cpu.stat; None without the cpu
/// controller.
pub fn throttled(cpu_stat: &[u8]) -> Option<Throttled> {
    let [periods, throttled] = values(cpu_stat, [b"nr_periods", b"nr_throttled"]);
    Some(Throttled {
        periods: periods?,
        throttled: throttled?,
    })
}

#[cfg(test)]
mod tests;
