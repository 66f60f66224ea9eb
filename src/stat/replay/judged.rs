//! What a replay came to, and which rules a recording says nothing about.

use std::fmt;

use crate::pattern::{CgroupPath, Pattern};
use crate::pressure::{Kind, Resource};
use crate::report::Report;
use crate::rule::Rule;
use crate::stat::recording::Recording;

/// Why a rule can't be judged by a recording.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum NotJudged {
    /// The recording has no pressure of the whole system.
    NoSystem,
    /// It doesn't have this cgroup.
    NoCgroup(CgroupPath),
    /// It has no cgroup that this matches.
    NoMatch(String),
    /// It doesn't have this counter.
    NoCounter(Resource, Kind),
    /// The rule asks for the host's other counters of this resource, which it doesn't have.
    NoEvidence(Resource),
}

impl fmt::Display for NotJudged {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotJudged::NoSystem => f.write_str("the recording has cgroups only"),
            NotJudged::NoCgroup(path) => write!(f, "the recording does not have {path}"),
            NotJudged::NoMatch(text) => {
                write!(f, "the recording has no cgroup that matches {text}")
            }
            NotJudged::NoCounter(resource, kind) => write!(
                f,
                "the recording does not have {} {}",
                resource.name(),
                kind.name()
            ),
            NotJudged::NoEvidence(resource) => {
                let (key, missing) = match resource {
                    Resource::Memory => ("avail=", "available memory"),
                    Resource::Io => ("stuck=", "counters of disks"),
                    Resource::Cpu | Resource::Irq => ("busy=", "idle time of CPUs"),
                };
                write!(f, "it has {key}, and the recording has no {missing}")
            }
        }
    }
}

/// Those of the rules that a recording can judge, and the names of the others.
pub fn judged(recording: &Recording, rules: &[Rule]) -> (Vec<Rule>, Vec<(String, NotJudged)>) {
    let mut others = Vec::new();
    let mut judged = Vec::new();
    for rule in rules {
        match obstacle(recording, rule) {
            Some(why) => others.push((rule.name.clone(), why)),
            None => judged.push(rule.clone()),
        }
    }
    (judged, others)
}

fn obstacle(recording: &Recording, rule: &Rule) -> Option<NotJudged> {
    let plain = rule.cgroup.as_ref().map(Pattern::plain);
    let watched: Vec<_> = recording
        .groups
        .iter()
        .filter(|group| match &group.path {
            None => rule.cgroup.is_none(),
            Some(path) => rule.covers(path),
        })
        .collect();
    if watched.is_empty() {
        return Some(match (&rule.cgroup, plain) {
            (Some(_), Some(Some(path))) => NotJudged::NoCgroup(CgroupPath::of(path)),
            (Some(pattern), _) => NotJudged::NoMatch(pattern.text().into()),
            (None, _) => NotJudged::NoSystem,
        });
    }
    let known =
        |group: &&crate::stat::recording::Track| !group.series(rule.resource, rule.kind).is_empty();
    if !watched.iter().any(known) {
        return Some(NotJudged::NoCounter(rule.resource, rule.kind));
    }
    let asks = rule.asks_evidence() && !recording.has_evidence(rule.resource);
    asks.then_some(NotJudged::NoEvidence(rule.resource))
}

/// How much was logged.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Tally {
    /// All lines.
    pub lines: u64,
    /// Episodes whose begin was logged.
    pub begins: u64,
    /// Those of them whose end was not.
    pub open: u64,
}

impl Tally {
    /// Counts a line.
    pub fn add(&mut self, report: &Report<'_>) {
        self.lines += 1;
        match report {
            Report::Begin(_) => (self.begins, self.open) = (self.begins + 1, self.open + 1),
            Report::End(..) => self.open = self.open.saturating_sub(1),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Why a recording can't judge a rule; empty if it can.
    fn why(record: &str, rule: &str) -> String {
        let recording = Recording::parse(record).unwrap();
        let rule = Rule::parse(rule.split(' ')).unwrap();
        let (judged, others) = judged(&recording, std::slice::from_ref(&rule));
        assert_eq!(judged.len() + others.len(), 1);
        others.first().map_or(String::new(), |(name, why)| {
            assert_eq!(*name, rule.name);
            why.to_string()
        })
    }

    #[test]
    fn a_rule_is_judged_by_what_was_recorded() {
        let system = "psistat record 2\ngroup -\n5 d0\n10 d0\n";
        let cgroup = "psistat record 2\ngroup /a\n5 d0\n10 d0\n";
        let host = "psistat record 2\ngroup -\n5 d0\n0:host m9 a1\n";
        for (record, keys, expected) in [
            (system, "", ""),
            (system, " cgroup=/a", "the recording does not have /a"),
            (
                system,
                " cgroup=/a/*",
                "the recording has no cgroup that matches /a/*",
            ),
            (
                system,
                " avail=25%",
                "it has avail=, and the recording has no available memory",
            ),
            (host, " avail=25%", ""),
            (host, "", ""),
            (cgroup, "", "the recording has cgroups only"),
            (cgroup, " cgroup=/a", ""),
            (cgroup, " cgroup=/*", ""),
        ] {
            let rule = format!("memory full 10%/2s{keys}");
            assert_eq!(why(record, &rule), expected, "{record}{rule}");
        }
        let missing = "the recording does not have io full";
        assert_eq!(why(system, "io full 10%/2s"), missing);
    }
}
