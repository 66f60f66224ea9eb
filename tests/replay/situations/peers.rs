//! Three other ways to alert on the same counters: every event of the kernel a line;
//! avg10 with a hysteresis; the rate over some minutes for some minutes. They have the
//! resources, thresholds and levels that suit them, and what else can be set about them
//! was chosen over the situations, with other seeds than they are judged by: see
//! `choose`.

use psilogd::config::Config;
use psilogd::pressure::Resource;
use psilogd::rule::Rule;
use psilogd::severity::Severity;

use super::judge::{Event, Note};
use super::scene::Scene;
use crate::kernel::{Kernel, Rights};
use crate::trace::*;

mod choose;

/// By the names of the table's columns. Each was the best, or one of several that were
/// as good, of those that `choose` tried over 111 scenes.
pub const PEERS: [(&str, Way); 3] = [
    // 6 right; with 2 s 2, with 500 ms none
    ("one line per event", Way::Forwarded("10s")),
    // 69 right; with 1 hour in place of 3 60, with 10 minutes 41 at most
    (
        "avg10",
        Way::Averaged(Terms {
            memory: 30 * SECOND,
            other: 3 * HOUR,
            low: 0.5,
            keep: 0,
        }),
    ),
    // 69 right; without `keep` 67, with 1 hour in place of 3 57 at most
    (
        "rate",
        Way::Rated(
            MINUTE,
            Terms {
                memory: 2 * MINUTE,
                other: 3 * HOUR,
                low: 1.0,
                keep: MINUTE,
            },
        ),
    ),
];

/// When an alarm begins and ends.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    /// Over the threshold for so long, in a rule of memory.
    memory: u64,
    /// In any other rule.
    other: u64,
    /// It ends below this share of the threshold.
    low: f64,
    /// After so long.
    keep: u64,
}

#[derive(Clone, Copy, Debug)]
pub enum Way {
    /// Each event of the kernel is a line, and none has an end. The window of the
    /// triggers.
    Forwarded(&'static str),
    /// avg10, read every 5 s.
    Averaged(Terms),
    /// The rate over so long, every 30 s.
    Rated(u64, Terms),
}

/// Each has this list of rules, at its window.
fn rules(window: &str) -> Vec<Rule> {
    let text = format!(
        "memory full 10%/{window} level=warning name=memory\n\
         memory full 40%/{window} level=crit name=memory-crit\n\
         io full 50%/{window} level=warning name=io\n\
         cpu some 90%/{window} level=notice name=cpu\n"
    );
    Config::parse(text.as_bytes()).unwrap().rules
}

/// Notes in the making.
#[derive(Default)]
struct Log {
    notes: Vec<Note>,
    begun: u64,
}

impl Log {
    fn begin(&mut self, rule: &Rule, at: u64) -> u64 {
        self.begun += 1;
        self.push(rule, at, Event::Begin, self.begun);
        self.begun
    }

    fn push(&mut self, rule: &Rule, at: u64, event: Event, id: u64) {
        let (resource, level): (Resource, Severity) = (rule.resource, rule.level);
        self.notes.push(Note {
            at,
            event,
            resource,
            level,
            id,
        });
    }
}

impl Way {
    /// What it writes over a scene.
    pub fn notes(self, scene: &Scene) -> Vec<Note> {
        let mut log = Log::default();
        match self {
            Way::Forwarded(window) => forwarded(&scene.trace, &rules(window), &mut log),
            Way::Averaged(terms) => rules("2s").iter().for_each(|rule| {
                let mut alarm = Alarm::new(rule, terms);
                averaged(&scene.trace, rule, |at, share| {
                    alarm.take(at, share, &mut log);
                });
            }),
            Way::Rated(length, terms) => rules("2s").iter().for_each(|rule| {
                let mut alarm = Alarm::new(rule, terms);
                rated(&scene.trace, rule, length, |at, share| {
                    alarm.take(at, share, &mut log);
                });
            }),
        }
        log.notes.sort_by_key(|note| note.at);
        log.notes
    }
}

fn forwarded(trace: &Trace, rules: &[Rule], log: &mut Log) {
    let mut now = trace.start.0;
    let mut kernel = Kernel::new(trace, rules, Rights::Privileged, now);
    let polled = vec![true; rules.len()];
    while let Some(at) = kernel.run(now, trace.end().0, &polled) {
        now = at;
        for (index, rule) in rules.iter().enumerate() {
            if kernel.take(index) {
                log.begin(rule, at);
            }
        }
    }
}

/// An alarm of one rule that goes by shares of time.
struct Alarm<'a> {
    rule: &'a Rule,
    terms: Terms,
    threshold: f64,
    /// Since when the share has been over the threshold, or low again.
    since: Option<u64>,
    open: Option<u64>,
}

impl Alarm<'_> {
    fn new(rule: &Rule, terms: Terms) -> Alarm<'_> {
        Alarm {
            rule,
            terms,
            threshold: rule.stall().0 as f64 / rule.window.0 as f64,
            since: None,
            open: None,
        }
    }

    fn take(&mut self, at: u64, share: f64, log: &mut Log) {
        let sustain = match self.rule.resource {
            Resource::Memory => self.terms.memory,
            _ => self.terms.other,
        };
        let (turns, patience) = match self.open {
            None => (share > self.threshold, sustain),
            Some(_) => (share <= self.terms.low * self.threshold, self.terms.keep),
        };
        if !turns {
            self.since = None;
        } else if at >= *self.since.get_or_insert(at) + patience {
            self.since = None;
            match self.open.take() {
                None => self.open = Some(log.begin(self.rule, at)),
                Some(id) => log.push(self.rule, at, Event::End, id),
            }
        }
    }
}

/// avg10 every 5 s, as far as it is read at a multiple of the kernel's 2 s.
fn averaged(trace: &Trace, rule: &Rule, mut take: impl FnMut(u64, f64)) {
    // as the kernel damps: a step of 2 s keeps e^(-2/10) of what was
    const KEPT: f64 = 0.818_730_753;
    let (state, mut at) = (state(rule.resource, rule.kind), trace.start.0);
    let (mut cursor, mut due, mut avg10) = (Cursor::new(trace), at, 0.0);
    let mut total = cursor.total(state, at);
    while at < trace.end().0 {
        at += 2 * SECOND;
        let now = cursor.total(state, at);
        let grown = (now.saturating_sub(total) as f64 / 2e6).min(1.0);
        avg10 = avg10 * KEPT + grown * (1.0 - KEPT);
        total = now;
        if at >= due {
            due += 5 * SECOND;
            take(at, avg10);
        }
    }
}

/// The growth of the last readings over their time. A counter that falls is taken for
/// one that started anew.
fn rated(trace: &Trace, rule: &Rule, length: u64, mut take: impl FnMut(u64, f64)) {
    const EVERY: u64 = 30 * SECOND;
    let (state, mut at) = (state(rule.resource, rule.kind), trace.start.0);
    let mut cursor = Cursor::new(trace);
    let mut samples = vec![cursor.total(state, at)];
    while at < trace.end().0 {
        at += EVERY;
        samples.push(cursor.total(state, at));
        if samples.len() as u64 > length / EVERY + 1 {
            samples.remove(0);
        }
        let grown = samples.windows(2).map(|pair| match pair[1] < pair[0] {
            true => pair[1],
            false => pair[1] - pair[0],
        });
        let grown: u64 = grown.sum();
        let elapsed = EVERY * (samples.len() as u64 - 1);
        take(at, grown as f64 / elapsed as f64);
    }
}
