//! What evidence is worth to an episode.

use crate::time::Micros;

/// What the host's other counters say of a reading.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether they are as the rule asks.
    pub agrees: bool,
    /// Whether a process was killed for want of memory since the pressure was noticed.
    pub killed: bool,
    /// Whether they show nothing at all of it: it has not begun yet.
    pub absent: bool,
    /// Whether it may be about to begin nevertheless.
    pub may_begin: bool,
    /// Where they were not as asked before: for how long they have been at most, since
    /// the reading before this one. None where that is not known.
    pub began: Option<Micros>,
    /// They will disagree for so long at least; zero if they agree, or if it is unknown.
    pub wait: Micros,
}

impl Verdict {
    /// Of a rule that asks for nothing.
    pub const AGREED: Verdict = Verdict {
        agrees: true,
        killed: false,
        absent: false,
        may_begin: false,
        began: None,
        wait: Micros::ZERO,
    };
}
