//! What a line says held against the trace: lengths, stalled time, hits, worst and
//! mean, averages, identifiers, levels, and the distances of *still* lines.

use std::collections::BTreeMap;

use psilogd::rule::{REPEAT_MAX, Rule};
use psilogd::time::Moment;

use super::judge::{Fault, Finding};
use super::scene::Scene;
use super::verdicts::value;
use crate::averages::Averager;
use crate::drive::{Logged, Run};
use crate::kernel::{Rights, STOLEN};
use crate::trace::*;

/// `dur_s` has one decimal, and so much may be cut off.
const TENTH: u64 = SECOND / 10;
/// Shares have two decimals.
const HUNDREDTH: f64 = 0.01;
/// From the model's averages, in points.
const AVERAGES: f64 = 2.0;

/// Where events are stolen counters are read as often, and an onset is known as well.
const FALLBACK: u64 = 30 * SECOND;

/// An episode that has begun.
struct Open {
    /// When the newest line of it was written, and after how long the next is due.
    last: u64,
    pause: u64,
}

pub struct Figures<'a> {
    scene: &'a Scene,
    rules: &'a [Rule],
    run: &'a Run,
    /// An onset may have been noticed so much later.
    late: u64,
    /// When each rule's counter was read.
    reads: Vec<Vec<u64>>,
    open: BTreeMap<u64, Open>,
    newest: u64,
    found: Vec<Finding>,
}

/// Everything that lines say and that is not so.
pub fn judge(scene: &Scene, rules: &[Rule], rights: Rights, run: &Run) -> Vec<Finding> {
    let mut figures = Figures {
        scene,
        rules,
        run,
        late: match rights == STOLEN {
            true => FALLBACK,
            false => 0,
        },
        reads: vec![Vec::new(); rules.len()],
        open: BTreeMap::new(),
        newest: 0,
        found: Vec::new(),
    };
    for (rule, at) in &run.reads {
        figures.reads[*rule].push(*at);
    }
    for line in &run.logged {
        figures.line(line);
    }
    for id in figures.open.keys().copied().collect::<Vec<_>>() {
        figures.wrong(scene.trace.end().0, format!("episode {id} has no end"));
    }
    figures.found
}

impl Figures<'_> {
    fn wrong(&mut self, at: u64, what: String) {
        let fault = Fault::Line;
        self.found.push(Finding { fault, at, what });
    }

    /// A figure that is not within what it may be.
    fn within(&mut self, line: &Logged, key: &str, value: f64, least: f64, most: f64) {
        if !(least..=most).contains(&value) {
            let (event, rule) = (&line.event, &line.rule);
            let what = format!("{event} of {rule}: {key}={value} is not {least:.2} to {most:.2}");
            self.wrong(line.at, what);
        }
    }

    fn line(&mut self, line: &Logged) {
        let Some(place) = self.rules.iter().position(|rule| rule.name == line.rule) else {
            let what = format!("no such rule: {}", line.text);
            return self.wrong(line.at, what);
        };
        if !["begin", "still", "end"].contains(&line.event.as_str()) {
            return;
        }
        let rule = &self.rules[place];
        self.identity(line, rule);
        self.averages(line, rule);
        self.order(line, rule);
        if line.text.contains(" dur_s=") {
            self.lengths(line, rule);
            self.windows(line, rule, place);
        }
    }

    /// Words that the rule gives, each key once.
    fn identity(&mut self, line: &Logged, rule: &Rule) {
        let resource = rule.resource.name();
        let words = [
            ("res", resource),
            ("kind", rule.kind.name()),
            ("level", rule.level.name()),
            ("cgroup", "/"),
        ];
        for (key, word) in words {
            if value(&line.text, key) != Some(word) {
                let what = format!("{key} is not {word}: {}", line.text);
                self.wrong(line.at, what);
            }
        }
        if !line.text.starts_with(resource) {
            self.wrong(line.at, format!("not about {resource}: {}", line.text));
        }
        let mut keys: Vec<&str> = line
            .text
            .split(' ')
            .filter_map(|word| Some(word.split_once('=')?.0))
            .collect();
        let count = keys.len();
        keys.sort_unstable();
        keys.dedup();
        if keys.len() < count {
            self.wrong(line.at, format!("a key twice: {}", line.text));
        }
    }

    fn averages(&mut self, line: &Logged, rule: &Rule) {
        let state = state(rule.resource, rule.kind);
        let averages = Averager::new(&self.scene.trace, state).at(line.at);
        for (key, average) in ["avg10", "avg60", "avg300"].into_iter().zip(averages) {
            match number(line, key) {
                Some(value) => {
                    self.within(line, key, value, average - AVERAGES, average + AVERAGES);
                }
                None => self.wrong(line.at, format!("no {key}: {}", line.text)),
            }
        }
        let total = self.scene.trace.total(state, Moment(line.at)) as f64;
        let found = number(line, "total_us").unwrap_or(-1.0);
        self.within(line, "total_us", found, total, total);
    }

    /// Begin, then still at doubling distances, then end; identifiers rise.
    fn order(&mut self, line: &Logged, rule: &Rule) {
        let (id, at) = (line.id, line.at);
        match line.event.as_str() {
            "begin" => {
                if id <= self.newest {
                    self.wrong(at, format!("identifier {id} after {}", self.newest));
                }
                self.newest = id;
                let (last, pause) = (at, rule.repeat.0);
                self.open.insert(id, Open { last, pause });
            }
            "still" => {
                let Some(open) = self.open.get_mut(&id) else {
                    return self.wrong(at, format!("still of {id}, which is not open"));
                };
                let (gap, pause) = (at - open.last, open.pause);
                open.last = at;
                open.pause = (2 * pause).min(REPEAT_MAX.0.max(rule.repeat.0));
                let late = match self.is_steady(rule, at) {
                    true => pause + 3 * rule.window.0,
                    false => u64::MAX,
                };
                self.within(line, "distance", gap as f64, pause as f64, late as f64);
            }
            _ => match self.open.remove(&id) {
                None => self.wrong(at, format!("end of {id}, which is not open")),
                Some(open) => self.overdue(line, rule, &open),
            },
        }
    }

    /// A still that was due while the trouble was steadily there.
    fn overdue(&mut self, line: &Logged, rule: &Rule, open: &Open) {
        let due = open.last + open.pause + 3 * rule.window.0;
        let suppressed = self
            .run
            .logged
            .iter()
            .any(|line| line.event == "suppressed");
        if open.pause > 0 && !suppressed && self.is_steady(rule, due) {
            let what = format!("no still of {} at {:.1} s", line.rule, due as f64 / 1e6);
            self.wrong(line.at, what);
        }
    }

    /// Stretches with sharp edges of which a rule sees all.
    fn blocks(&self, rule: &Rule) -> Option<&[(u64, u64)]> {
        let (state, limit) = (state(rule.resource, rule.kind), 1.25 * threshold(rule));
        let mut troubles = self.scene.troubles.iter();
        let trouble = troubles.find(|trouble| trouble.resource == rule.resource)?;
        let sees = |&(from, to): &(u64, u64)| {
            let stalled = self.scene.trace.stalled(state, Moment(from), Moment(to));
            stalled as f64 > limit * (to - from) as f64
        };
        let seen = !trouble.blocks.is_empty() && trouble.blocks.iter().all(sees);
        seen.then_some(&trouble.blocks)
    }

    fn is_steady(&self, rule: &Rule, at: u64) -> bool {
        let blocks = self.blocks(rule);
        blocks.is_some_and(|blocks| blocks.len() == 1 && (blocks[0].0..blocks[0].1).contains(&at))
    }

    /// `dur_s` within a window, `stalled_us` within 2 %, and their quotient.
    fn lengths(&mut self, line: &Logged, rule: &Rule) {
        let (window, at) = (rule.window.0, line.at);
        let whole = |key| number(line, key);
        if let Some(mean) = whole("mean_pct") {
            let of = |length: u64| 100.0 * line.stalled as f64 / length.max(1) as f64;
            let (least, most) = (of(line.duration + TENTH), of(line.duration).min(100.0));
            let worst = whole("worst_pct").unwrap_or(mean);
            self.within(
                line,
                "mean_pct",
                mean,
                least.min(100.0) - HUNDREDTH,
                most + HUNDREDTH,
            );
            self.within(line, "worst_pct", worst, mean, 100.0);
        }
        let begun = self.begin(line.id).map_or(at, |begin| begin.at);
        let mut spans = self.spans(rule, line, begun);
        if spans.is_empty() && line.event != "end" {
            spans.push((at.saturating_sub(line.duration), at));
        }
        let nearest = |&(from, to): &(u64, u64)| (to - from).abs_diff(line.duration);
        let Some((from, to)) = spans.into_iter().min_by_key(nearest) else {
            return;
        };
        let seconds = |us: u64| us as f64 / 1e6;
        // where trouble comes and goes, neither edge lies in a window that is full of it
        let off = match self.blocks(rule) {
            Some(blocks) if blocks.len() > 1 => 2 * window,
            _ => window,
        };
        let least = seconds((to - from).saturating_sub(off + TENTH + self.late));
        let most = seconds(to - from + off);
        self.within(line, "dur_s", seconds(line.duration), least, most);
        let state = state(rule.resource, rule.kind);
        let stalled = |from| self.scene.trace.stalled(state, Moment(from), Moment(to)) as f64;
        // where there is no edge, the onset is known to a window
        let slack = match self.blocks(rule) {
            Some(_) => 0,
            None => window,
        };
        let lost = self.jumps(from, to) * window;
        let least = 0.98 * stalled((from + slack + self.late).min(to)) - lost as f64;
        let most = 1.02 * stalled(from.saturating_sub(slack));
        self.within(line, "stalled_us", line.stalled as f64, least, most);
    }

    /// What the line may be about: from an edge to now, or to the last edge.
    fn spans(&self, rule: &Rule, line: &Logged, begun: u64) -> Vec<(u64, u64)> {
        let blocks = self.blocks(rule).unwrap_or_default();
        // the edges behind the begin are of the same episode, not its onset
        let onsets = blocks
            .iter()
            .map(|block| block.0)
            .filter(|&from| from < begun);
        let ends = blocks
            .iter()
            .map(|block| block.1)
            .filter(|&to| to <= line.at);
        let to = match line.event.as_str() {
            "end" if value(&line.text, "reason").is_none() => ends.max(),
            "end" => None,
            _ => Some(line.at),
        };
        let to = to.unwrap_or(0);
        let whole = onsets.filter(|&from| from < to).map(|from| (from, to));
        whole.collect()
    }

    fn begin(&self, id: u64) -> Option<&Logged> {
        let mut begins = self.run.logged.iter().rev();
        begins.find(|line| line.event == "begin" && line.id == id)
    }

    fn jumps(&self, from: u64, to: u64) -> u64 {
        let knots = &self.scene.trace.knots;
        let first = knots.partition_point(|knot| knot.at < from);
        let last = knots.partition_point(|knot| knot.at <= to);
        let leap = |pair: &&[Knot]| pair[0].at == pair[1].at && pair[0] != pair[1];
        knots[first..last].windows(2).filter(leap).count() as u64
    }

    /// `hits` and `worst_pct` by the windows that were read.
    fn windows(&mut self, line: &Logged, rule: &Rule, place: usize) {
        let window = rule.window.0;
        let from = line
            .at
            .saturating_sub(line.duration + 2 * (rule.clear.0 + HOUR));
        let windows = self.read(rule, place, from, line.at);
        let limit = threshold(rule);
        // the onset is what the begin says, or lies so long before the last window that
        // was met, which an end is about, or at most before the end itself
        let met = windows.iter().rev().find(|one| one.1 >= limit);
        let begin = self
            .begin(line.id)
            .filter(|begin| begin.text.contains(" dur_s="));
        let (first, last) = match (begin, line.event.as_str()) {
            (Some(begin), _) => {
                let onset = begin.at.saturating_sub(begin.duration);
                (onset, onset)
            }
            (None, "end") => {
                let met = met.map_or(line.at, |one| one.0);
                let onset = |to: u64| to.saturating_sub(line.duration);
                (onset(met), onset(line.at))
            }
            (None, _) => {
                let onset = line.at.saturating_sub(line.duration);
                (onset, onset)
            }
        };
        let hits = |onset: u64| {
            // an end leaves out what was no more part of it
            let to = onset + line.duration + TENTH + window;
            let within = windows.iter().filter(|one| one.0 > onset && one.0 <= to);
            let met = within.filter(|one| one.1 >= limit);
            // of a reading that was begun before the onset, what is behind that
            let count = |one: &(u64, f64, u64)| one.2.min(((one.0 - onset) / window).max(1));
            met.map(count).sum::<u64>() as f64
        };
        let whole = windows.iter().filter(|one| one.0 >= last + window);
        let whole = whole.filter(|one| one.0 <= first + line.duration);
        let least = whole.map(|one| 100.0 * one.1).fold(0.0, f64::max);
        if let Some(found) = number(line, "hits") {
            let (least, most) = (hits(last) - 3.0, hits(first) + 3.0);
            self.within(line, "hits", found, least.max(1.0), most);
        }
        if let Some(found) = number(line, "worst_pct") {
            let state = state(rule.resource, rule.kind);
            let from = first.saturating_sub(2 * window);
            let most = 1.1 * self.worst(state, from, line.at, window);
            let least = least.min(100.0) - 0.1;
            self.within(line, "worst_pct", found, least, most.min(100.0));
        }
    }

    /// The windows that were read of a rule, newest last: when each was over, and which
    /// share of it was stalled. A reading of several windows stands for all of them.
    fn read(&self, rule: &Rule, place: usize, from: u64, to: u64) -> Vec<(u64, f64, u64)> {
        let state = state(rule.resource, rule.kind);
        let reads = &self.reads[place];
        let first = reads.partition_point(|&at| at < from);
        let reads = &reads[first..reads.partition_point(|&at| at <= to)];
        let pairs = reads.windows(2).map(|pair| (pair[0], pair[1]));
        let pairs = pairs.filter(|(from, to)| from < to);
        let share = |(from, to)| {
            let stalled = self.scene.trace.stalled(state, Moment(from), Moment(to));
            let windows = ((to - from) / rule.window.0).max(1);
            (to, stalled as f64 / (to - from) as f64, windows)
        };
        pairs.map(share).collect()
    }

    /// The worst window that begins or ends at a knot, in percent: none is worse.
    fn worst(&self, state: usize, from: u64, to: u64, window: u64) -> f64 {
        let trace = &self.scene.trace;
        let first = trace.knots.partition_point(|knot| knot.at < from);
        let knots = trace.knots[first..].iter().take_while(|knot| knot.at <= to);
        let starts = knots.flat_map(|knot| [knot.at, knot.at.saturating_sub(window)]);
        let share = |start: u64| {
            let stalled = trace.stalled(state, Moment(start), Moment(start + window));
            100.0 * stalled as f64 / window as f64
        };
        starts.map(share).fold(share(from), f64::max).min(100.0)
    }
}

fn threshold(rule: &Rule) -> f64 {
    rule.stall().0 as f64 / rule.window.0 as f64
}

fn number(line: &Logged, key: &str) -> Option<f64> {
    value(&line.text, key)?.parse().ok()
}
