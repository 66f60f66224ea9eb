//! What a sign of life counts.

use crate::line::Line;

/// What is armed now, and what has happened since the start.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Counts {
    /// Triggers that are armed.
    pub triggers: usize,
    /// Rules and cgroups that are not.
    pub failed: usize,
    /// Events of triggers.
    pub crossings: u64,
    /// Episodes that have begun.
    pub episodes: u64,
    /// Lines that rate limits suppressed.
    pub suppressed: u64,
    /// Lines that outputs lost.
    pub dropped: u64,
}

impl Counts {
    /// Writes one key per count.
    pub(super) fn write(&self, line: &mut Line<'_>) {
        line.number("triggers", self.triggers as u64);
        line.number("failed", self.failed as u64);
        line.number("crossings", self.crossings);
        line.number("episodes", self.episodes);
        line.number("suppressed", self.suppressed);
        line.number("dropped", self.dropped);
    }
}
