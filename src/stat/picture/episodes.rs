//! The episodes of a replay: from when to when, and when the begin was logged.

use std::io::{self, Write};

use super::curve::Scale;
use super::{HIGH, escaped};
use crate::pressure::Resource;
use crate::report::{EpisodeReport, Report};
use crate::rule::Scope;
use crate::severity::Severity;
use crate::time::{Micros, Moment};

/// One episode.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Episode {
    number: u64,
    pub(super) rule: String,
    pub(super) resource: Resource,
    /// None is the whole system.
    pub(super) cgroup: Option<Vec<u8>>,
    critical: bool,
    onset: Moment,
    /// When its begin was logged.
    pub(super) begun: Moment,
    /// From the onset to the calm; None if it is open at the end of the recording.
    length: Option<Micros>,
}

/// All episodes, in the order of their begins.
#[derive(Default, Debug)]
pub struct Episodes {
    pub(super) all: Vec<Episode>,
}

impl Episodes {
    /// Takes a line that was logged at that moment.
    pub fn add(&mut self, at: Moment, report: &Report<'_>) {
        match report {
            Report::Begin(begin) => self.all.push(Episode::begun(at, begin)),
            Report::End(end, _) => {
                let mut newest = self.all.iter_mut().rev();
                if let Some(open) = newest.find(|episode| episode.number == end.id.number) {
                    open.length = Some(end.figures.duration);
                }
            }
            _ => {}
        }
    }
}

impl Episode {
    fn begun(at: Moment, begin: &EpisodeReport<'_>) -> Episode {
        Episode {
            number: begin.id.number,
            rule: begin.rule.name.clone(),
            resource: begin.rule.resource,
            cgroup: match begin.scope {
                Scope::Cgroup(path) => Some(path.to_vec()),
                Scope::System | Scope::Pattern(_) => None,
            },
            critical: begin.rule.level.number() <= Severity::CRIT.number(),
            onset: at - begin.figures.duration,
            begun: at,
            length: None,
        }
    }

    /// Shades its time in a plot.
    pub(super) fn shade(&self, out: &mut dyn Write, scale: &Scale, top: u64) -> io::Result<()> {
        let class = if self.critical { "critical" } else { "high" };
        let from = scale.x(self.onset);
        let to = self
            .length
            .map_or(scale.end(), |length| self.onset + length);
        let width = scale.x(to).saturating_sub(from).max(1);
        let seconds = |at: Moment| at.since(scale.start).0 / 1_000_000;
        let (name, first, begun) = (
            escaped(&self.rule),
            seconds(self.onset),
            seconds(self.begun),
        );
        let end = match self.length {
            Some(_) => format!("{} s", seconds(to)),
            None => "the end of the recording".into(),
        };
        writeln!(
            out,
            "<rect class=\"{class}\" x=\"{from}\" y=\"{top}\" width=\"{width}\" \
             height=\"{HIGH}\"><title>{name}: {first} s to {end}, logged at {begun} \
             s</title></rect>"
        )
    }
}
