//! The tokens of a line that stand for a cause: each is spelled here and nowhere
//! else. psilogd(8), DIAGNOSTICS lists them.

/// What would help where a rule can't be armed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Hint {
    /// PSI is off or not built in.
    Psi,
    /// /proc shows processes only.
    ProcSubset,
    /// The kernel keeps no irq pressure.
    Irq,
    /// Opening for writing needs CAP_SYS_RESOURCE.
    Capability,
    /// Without CAP_SYS_RESOURCE, windows are multiples of 2 s.
    Window,
    /// CAP_SYS_RESOURCE can't be set aside, so no cgroup's trigger is opened.
    Capset,
    /// There is no cgroup2 mount.
    Cgroup2,
    /// There is no such cgroup.
    NoCgroup,
    /// The cgroup's pressure files are switched off.
    CgroupPressure,
    /// The cgroup's files belong to another user.
    Owner,
    /// The files are mounted read-only.
    ReadOnly,
    /// The root of a cgroup namespace can't be watched from inside.
    Namespace,
    /// No descriptors are left.
    Descriptors,
    /// No inotify watches are left.
    Inotify,
    /// More directories than `max_triggers` allows to watch.
    MaxTriggers,
    /// The counters that the rule asks for can't be read.
    NoEvidence,
    /// poll(2) fails.
    Poll,
}

impl Hint {
    /// The token for `hint=`.
    pub const fn token(self) -> &'static str {
        match self {
            Hint::Psi => "psi_off",
            Hint::ProcSubset => "proc_hidden",
            Hint::Irq => "no_irq_pressure",
            Hint::Capability => "capability",
            Hint::Window => "window_2s",
            Hint::Capset => "capset",
            Hint::Cgroup2 => "no_cgroup2",
            Hint::NoCgroup => "no_cgroup",
            Hint::CgroupPressure => "cgroup_pressure_off",
            Hint::Owner => "not_owner",
            Hint::ReadOnly => "read_only",
            Hint::Namespace => "namespace_root",
            Hint::Descriptors => "descriptors",
            Hint::Inotify => "inotify",
            Hint::MaxTriggers => "max_triggers",
            Hint::NoEvidence => "no_evidence",
            Hint::Poll => "poll",
        }
    }

    /// The same for a person: what is wrong and what would help.
    pub const fn sentence(self) -> &'static str {
        match self {
            Hint::Psi => {
                "the kernel records no pressure: boot with psi=1 (Linux 5.2 or later, CONFIG_PSI)"
            }
            Hint::ProcSubset => {
                "/proc shows only processes: unset ProcSubset=pid in the systemd unit, or add \
                 BindPaths=/proc/pressure:/run/pressure"
            }
            Hint::Irq => "the kernel records no irq pressure (CONFIG_IRQ_TIME_ACCOUNTING)",
            Hint::Capability => {
                "this kernel arms triggers only with CAP_SYS_RESOURCE: run as root, or set \
                 AmbientCapabilities=CAP_SYS_RESOURCE in the systemd unit"
            }
            Hint::Window => {
                "without CAP_SYS_RESOURCE a window must be a multiple of 2s: change the window, \
                 or grant the capability"
            }
            Hint::Capset => {
                "a filter forbids capset(2), without which no cgroup is armed: set \
                 SystemCallFilter=capset and ProtectControlGroups=no in the systemd unit"
            }
            Hint::Cgroup2 => "no cgroup2 hierarchy is mounted",
            Hint::NoCgroup => "the cgroup does not exist yet; it is armed when it is created",
            Hint::CgroupPressure => {
                "the cgroup has no pressure files: set its cgroup.pressure to 1, or boot with psi=1"
            }
            Hint::Owner => "another user owns the cgroup: run as root or with CAP_DAC_OVERRIDE",
            Hint::ReadOnly => "it is mounted read-only: unset systemd's ProtectControlGroups=yes",
            Hint::Namespace => "a cgroup namespace can't watch its root: name a cgroup below it",
            Hint::Descriptors => "too many files are open: raise the limit (ulimit -n)",
            Hint::Inotify => "new cgroups are noticed late: raise fs.inotify.max_user_watches",
            Hint::MaxTriggers => "new cgroups are noticed late: raise max_triggers",
            Hint::NoEvidence => {
                "a key of the rule needs it: unset ProcSubset=pid, or bind the file"
            }
            Hint::Poll => "poll(2) fails: counters are read every 2 s instead",
        }
    }
}

/// Why an episode ended though pressure may be there still.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EndReason {
    /// Its cgroup was removed, or its pressure file can't be read any more.
    Gone,
    /// Its rule is no longer in the configuration.
    Reload,
    /// Its trigger was given up: the system allows fewer descriptors than before.
    Capped,
    /// psilogd stops.
    Stop,
}

impl EndReason {
    /// The token for `reason=` of an *end*.
    pub const fn token(self) -> &'static str {
        match self {
            EndReason::Gone => "gone",
            EndReason::Reload => "reload",
            EndReason::Capped => "capped",
            EndReason::Stop => "stop",
        }
    }
}

/// The signal that stops psilogd.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum StopSignal {
    /// SIGTERM.
    Term,
    /// SIGINT.
    Int,
}

impl StopSignal {
    /// The token for `signal=`.
    pub const fn token(self) -> &'static str {
        match self {
            StopSignal::Term => "TERM",
            StopSignal::Int => "INT",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_hint_has_a_token_and_a_sentence_of_its_own() {
        let hints = [
            Hint::Psi,
            Hint::ProcSubset,
            Hint::Irq,
            Hint::Capability,
            Hint::Window,
            Hint::Capset,
            Hint::Cgroup2,
            Hint::NoCgroup,
            Hint::CgroupPressure,
            Hint::Owner,
            Hint::ReadOnly,
            Hint::Namespace,
            Hint::Descriptors,
            Hint::Inotify,
            Hint::MaxTriggers,
            Hint::NoEvidence,
            Hint::Poll,
        ];
        let tokens: BTreeSet<_> = hints.map(Hint::token).into();
        let sentences: BTreeSet<_> = hints.map(Hint::sentence).into();
        assert_eq!((tokens.len(), sentences.len()), (hints.len(), hints.len()));
    }
}
