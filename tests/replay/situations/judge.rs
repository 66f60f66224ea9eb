//! Lines held against what an operator wanted: by resource and level alone, so that it
//! is all the same which rule wrote them, or which program.

use std::collections::BTreeMap;
use std::fmt;

use psilogd::pressure::Resource;
use psilogd::severity::Severity;

use super::scene::{Scene, Trouble};
use crate::trace::*;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Event {
    /// An alarm.
    Begin,
    /// It goes on.
    Still,
    End,
    /// Anything else, which is only counted.
    Other,
}

/// A line, as far as an operator's wants go.
#[derive(Clone, Debug)]
pub struct Note {
    pub at: u64,
    pub event: Event,
    pub resource: Resource,
    pub level: Severity,
    /// What begin and end have in common.
    pub id: u64,
}

/// What can be wrong.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Fault {
    Missed,
    Late,
    False,
    Noisy,
    /// Late, missing, or before the trouble was over.
    End,
    /// A second begin of one trouble.
    Split,
    /// A line says what is not so.
    Line,
}

impl Fault {
    pub const ALL: [Fault; 7] = [
        Fault::Missed,
        Fault::Late,
        Fault::False,
        Fault::Noisy,
        Fault::End,
        Fault::Split,
        Fault::Line,
    ];

    pub const fn name(self) -> &'static str {
        match self {
            Fault::Missed => "missed",
            Fault::Late => "late",
            Fault::False => "false",
            Fault::Noisy => "noisy",
            Fault::End => "end wrong",
            Fault::Split => "split",
            Fault::Line => "line wrong",
        }
    }
}

/// A fault, when, and in which words.
#[derive(Clone, Debug)]
pub struct Finding {
    pub fault: Fault,
    pub at: u64,
    pub what: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (at, name) = (self.at as f64 / 1e6, self.fault.name());
        write!(f, "[{at:10.1}] {name}: {}", self.what)
    }
}

/// A begin may come so much later than its trouble: it was there a moment ago.
const BEHIND: u64 = 10 * SECOND;

fn is_as_bad(level: Severity, wanted: Severity) -> bool {
    level.number() <= wanted.number()
}

/// Everything that an operator would complain about.
pub fn judge(scene: &Scene, notes: &[Note]) -> Vec<Finding> {
    let mut judge = Judge {
        found: Vec::new(),
        end: scene.trace.end().0,
    };
    let mut of: BTreeMap<usize, Vec<&Note>> = BTreeMap::new();
    let mut begun: BTreeMap<u64, usize> = BTreeMap::new();
    for note in notes {
        let place = match note.event {
            Event::Begin => place(scene, note),
            _ => begun.get(&note.id).copied(),
        };
        match place {
            Some(place) => {
                begun.insert(note.id, place);
                of.entry(place).or_default().push(note);
            }
            None if note.event == Event::Begin => {
                let (resource, level) = (note.resource.name(), note.level.name());
                let what = format!("{resource} at {level}, and there is no such trouble");
                judge.find(Fault::False, note.at, what);
            }
            None => {}
        }
    }
    for (place, trouble) in scene.troubles.iter().enumerate() {
        let notes = of.remove(&place).unwrap_or_default();
        judge.heard(trouble, &notes);
        judge.ended(trouble, &notes);
        judge.counted(trouble, &notes);
    }
    judge.noise(scene, notes);
    judge.found.sort_by_key(|finding| finding.at);
    judge.found
}

/// The trouble that a begin is about.
fn place(scene: &Scene, note: &Note) -> Option<usize> {
    let is_about = |trouble: &Trouble| {
        trouble.resource == note.resource
            && (trouble.from..=trouble.to + BEHIND).contains(&note.at)
            && is_as_bad(trouble.most, note.level)
            && trouble.lines > 0
    };
    scene.troubles.iter().position(is_about)
}

struct Judge {
    found: Vec<Finding>,
    /// Of the trace.
    end: u64,
}

impl Judge {
    fn find(&mut self, fault: Fault, at: u64, what: String) {
        self.found.push(Finding { fault, at, what });
    }

    /// In time, and as bad as it was.
    fn heard(&mut self, trouble: &Trouble, notes: &[&Note]) {
        let wanted = trouble.line;
        let crit = trouble.crit.map(|by| (Severity::CRIT, by));
        let crit = crit.filter(|(_, by)| *by < trouble.to);
        for (level, by) in wanted.into_iter().chain(crit) {
            let heard = |note: &&&Note| note.event != Event::End && is_as_bad(note.level, level);
            let (resource, level) = (trouble.resource.name(), level.name());
            match notes.iter().find(heard) {
                None => {
                    let what = format!("{resource} at {level}");
                    self.find(Fault::Missed, by, what);
                }
                Some(note) if note.at > by => {
                    let behind = (note.at - by) as f64 / 1e6;
                    let what = format!("{resource} at {level}, by {behind:.1} s");
                    self.find(Fault::Late, note.at, what);
                }
                Some(_) => {}
            }
        }
    }

    /// Every begin has its end, when it is over and soon.
    fn ended(&mut self, trouble: &Trouble, notes: &[&Note]) {
        let latest = trouble.to + trouble.end;
        for begin in notes.iter().filter(|note| note.event == Event::Begin) {
            let is_its_end = |note: &&&Note| note.event == Event::End && note.id == begin.id;
            let end = notes.iter().find(is_its_end).map(|end| end.at);
            let name = format!("{} at {}", begin.resource.name(), begin.level.name());
            let early = |end: u64| trouble.blocks.len() == 1 && end < trouble.to;
            match end {
                _ if latest > self.end => {}
                Some(end) if early(end) => {
                    let what = format!("{name}, before it was over");
                    self.find(Fault::End, end, what);
                }
                Some(end) if end <= latest => {}
                Some(end) => {
                    let behind = (end - trouble.to) as f64 / 1e6;
                    let what = format!("{name}, {behind:.1} s behind it");
                    self.find(Fault::End, end, what);
                }
                None => self.find(Fault::End, latest, format!("{name}, no end")),
            }
        }
    }

    /// One trouble is one incident.
    fn counted(&mut self, trouble: &Trouble, notes: &[&Note]) {
        let mut levels: BTreeMap<u8, usize> = BTreeMap::new();
        for begin in notes.iter().filter(|note| note.event == Event::Begin) {
            let count = levels.entry(begin.level.number()).or_default();
            *count += 1;
            if trouble.once && *count > 1 {
                let level = begin.level.name();
                let what = format!("begin {count} at {level}");
                self.find(Fault::Split, begin.at, what);
            }
        }
        if notes.len() > trouble.lines {
            let (count, most) = (notes.len(), trouble.lines);
            let what = format!("{count} lines about it, at most {most} are wanted");
            self.find(Fault::Noisy, trouble.from, what);
        }
    }

    /// Lines in the first hour, and in any other.
    fn noise(&mut self, scene: &Scene, notes: &[Note]) {
        let (first, other) = scene.hourly;
        let Some(start) = notes.first().map(|note| note.at) else {
            return;
        };
        for (index, note) in notes.iter().enumerate() {
            let most = match note.at {
                at if at == start => first,
                at if at < start + HOUR => first.max(other),
                _ => other,
            };
            let hour = notes[index..].partition_point(|other| other.at < note.at + HOUR);
            if hour > most {
                let what = format!("{hour} lines in an hour, at most {most} are wanted");
                self.find(Fault::Noisy, note.at, what);
                break;
            }
        }
        if notes.len() > scene.lines {
            let (count, most) = (notes.len(), scene.lines);
            let what = format!("{count} lines in all, at most {most} are wanted");
            self.find(Fault::Noisy, start, what);
        }
    }
}
