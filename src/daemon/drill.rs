//! `--drill`: a begin and an end on the way that real ones take.

use super::Daemon;
use crate::config::OutputSpec;
use crate::episode::Figures;
use crate::greeting;
use crate::line::{LINE_MAX, Line};
use crate::pressure::{Averages, Percent};
use crate::report::{EpisodeReport, Findings, Id, Report};
use crate::sink::Delivery;
use crate::sys;
use crate::time::Micros;

/// The outcome of a drill.
pub struct Drill {
    /// What was sent, and what became of it for each output.
    pub text: String,
    /// Whether any output took it.
    pub taken: bool,
    /// Whether standard output is one of the outputs: what reads it expects lines
    /// and nothing else.
    pub on_stdout: bool,
}

impl Daemon {
    /// A begin and an end of the most severe rule, marked `drill=1`. None where there
    /// is no rule.
    pub fn drill(&mut self) -> Option<Drill> {
        self.sink.set_for_drill(&self.config.settings, sys::now());
        let rules = self.config.rules.iter();
        let rule = rules.min_by_key(|rule| rule.level.number())?;
        let episode = EpisodeReport {
            rule,
            scope: rule.scope(),
            id: Id {
                start: sys::wall().0 / 1_000_000,
                number: 0,
            },
            averages: Some(Averages::default()),
            figures: Figures {
                duration: rule.sustain,
                stalled: Micros::ZERO,
                hits: 0,
                worst: Percent(0),
            },
            findings: Findings::None,
            relapse: None,
            drill: true,
            top: None,
        };
        let reports = [Report::Begin(episode), Report::End(episode, None)];
        reports.iter().for_each(|report| self.sink.log(report));
        let outputs = self.sink.deliver();
        Some(Drill {
            text: greeting::drill(&reports.map(text), &outputs),
            taken: outputs
                .iter()
                .any(|(_, delivery)| !matches!(delivery, Delivery::Failed(_))),
            on_stdout: outputs
                .iter()
                .any(|(output, _)| *output == OutputSpec::Stdout),
        })
    }
}

/// A line without its header.
fn text(report: Report<'_>) -> String {
    let mut body = [0; LINE_MAX];
    let mut line = Line::new(&mut body);
    report.write(&mut line);
    String::from_utf8_lossy(line.bytes()).into_owned()
}
