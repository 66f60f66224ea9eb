//! A rule that may be proposed, at one threshold, and what it would have logged.

use std::io::{self, Write};

use super::{Candidate, WINDOW};
use crate::pattern::{CgroupPath, Pattern};
use crate::pressure::Percent;
use crate::report::Report;
use crate::rule::{Rule, Threshold};
use crate::stat::replay;
use crate::time::Micros;

/// So many lines are kept for the proposal; a rule with more is hardly proposed.
const LINES_MAX: usize = 20;

/// A candidate at one threshold of the ladder.
pub(super) struct Rung {
    pub rule: Rule,
    pub percent: u32,
    /// Episodes that it logged.
    pub fired: u32,
    pub longest: Micros,
    lines: Vec<Vec<u8>>,
    /// Lines beyond those.
    more: u64,
}

impl Rung {
    /// None is an error in the candidate, which a test would find.
    pub fn new(
        candidate: &Candidate,
        percent: u32,
        keys: &str,
        cgroup: &Option<CgroupPath>,
    ) -> Option<Rung> {
        let head = [candidate.resource.name(), candidate.kind.name(), "1%/2s"];
        let mut rule = Rule::parse(head.into_iter().chain(keys.split(' '))).ok()?;
        rule.threshold = Threshold::Share(Percent(percent * 100));
        rule.window = WINDOW;
        rule.cgroup = cgroup.as_ref().map(Pattern::path);
        Some(Rung {
            rule,
            percent,
            fired: 0,
            longest: Micros::ZERO,
            lines: Vec::new(),
            more: 0,
        })
    }

    /// Whether its rule has logged this.
    pub fn is_about(&self, report: &Report<'_>) -> bool {
        match report {
            Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) => {
                *episode.rule == self.rule
            }
            Report::Suppressed { rule, .. } => **rule == self.rule,
            _ => false,
        }
    }

    /// Takes what it has logged.
    pub fn add(&mut self, at: Micros, report: &Report<'_>) {
        if let Report::Begin(_) = report {
            self.fired = self.fired.saturating_add(1);
        }
        if let Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) = report {
            self.longest = self.longest.max(episode.figures.duration);
        }
        if self.lines.len() == LINES_MAX {
            self.more += 1;
            return;
        }
        let mut text = Vec::new();
        replay::line(&mut text, at, report);
        self.lines.push(text);
    }

    /// Its lines as comments, and the rule.
    pub fn propose(&self, out: &mut Vec<u8>) -> io::Result<()> {
        for line in &self.lines {
            out.extend_from_slice(b"# ");
            out.extend_from_slice(line);
        }
        if self.more > 0 {
            writeln!(out, "# and {} more lines", self.more)?;
        }
        writeln!(out, "{}", self.rule)
    }
}
