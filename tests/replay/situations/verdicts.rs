//! Every way to alert over every scene.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::LazyLock;

use psilogd::config::Config;
use psilogd::pressure::Resource;
use psilogd::severity::Severity;
use psilogd::time::Moment;

use super::counters::Counters;
use super::figures;
use super::judge::{Event, Fault, Finding, Note, judge};
use super::recording::{self, Recording};
use super::scene::{Going, Scene};
use super::witness::Witness;
use crate::drive::{Logged, Run, replay_with};
use crate::kernel::{Rights, STOLEN, UNPRIVILEGED};
use crate::trace::*;

/// psilogd's, by the rights that it has.
pub const OURS: [(&str, Rights); 3] = [
    ("privileged", Rights::Privileged),
    ("unprivileged", UNPRIVILEGED),
    ("stolen", STOLEN),
];

/// What a way to alert came to in one scene.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    pub lines: usize,
    /// Begins at warning or worse.
    pub begins: usize,
    pub found: Vec<Finding>,
    /// Of all windows of 2 s, those in which psilogd read a counter.
    pub read: Option<f64>,
}

impl Outcome {
    pub fn is_right(&self) -> bool {
        self.found.is_empty()
    }

    /// How often each fault was found.
    pub fn faults(&self) -> BTreeMap<Fault, usize> {
        let mut faults = BTreeMap::new();
        for finding in &self.found {
            *faults.entry(finding.fault).or_default() += 1;
        }
        faults
    }
}

/// `key=` of a line.
pub fn value<'a>(text: &'a str, key: &str) -> Option<&'a str> {
    let mut words = text.split(' ').filter_map(|word| word.split_once('='));
    words.find(|(name, _)| *name == key).map(|(_, value)| value)
}

/// A line of psilogd's; None of a line that is about no resource.
fn note(logged: &Logged) -> Option<Note> {
    let event = match logged.event.as_str() {
        "begin" => Event::Begin,
        "still" => Event::Still,
        "end" => Event::End,
        _ => Event::Other,
    };
    Some(Note {
        at: logged.at,
        event,
        resource: value(&logged.text, "res").and_then(Resource::parse)?,
        level: value(&logged.text, "level").and_then(Severity::parse)?,
        id: logged.id,
    })
}

pub fn notes(run: &Run) -> Vec<Note> {
    run.logged.iter().filter_map(note).collect()
}

/// What others write, by the same measure.
pub fn outcome(scene: &Scene, notes: &[Note]) -> Outcome {
    let warning = Severity::WARNING.number();
    let is_alarm = |note: &&Note| note.event == Event::Begin && note.level.number() <= warning;
    Outcome {
        lines: notes.len(),
        begins: notes.iter().filter(is_alarm).count(),
        found: judge(scene, notes),
        read: None,
    }
}

pub fn ours(scene: &Scene, config: &Config, rights: Rights) -> Outcome {
    static RECORDINGS: LazyLock<BTreeMap<Going, Vec<Recording>>> = LazyLock::new(recording::all);
    let mut counters = Counters::new(scene, &RECORDINGS);
    let mut evidence = |resource, at: Moment| counters.evidence(resource, at.0);
    let run = replay_with(&scene.trace, config, rights, &mut evidence);
    let windows = scene.trace.end().since(scene.trace.start).0 / (2 * SECOND);
    let read: BTreeSet<u64> = run.reads.iter().map(|(_, at)| at / (2 * SECOND)).collect();
    let mut outcome = outcome(scene, &notes(&run));
    let wrong = figures::judge(scene, &config.rules, rights, &run);
    outcome.found.extend(wrong);
    let witness = Witness {
        scene,
        recordings: &RECORDINGS,
        run: &run,
    };
    outcome.found.extend(witness.judge());
    outcome.read = Some(read.len() as f64 / windows as f64);
    outcome
}
