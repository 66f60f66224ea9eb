//! Alarms held against what was wanted.

use psilogd::rule::Rule;
use psilogd::time::Moment;

use super::drive::Run;
use super::trace::*;

/// An alarm from its begin to its end.
#[derive(Clone, Debug)]
pub struct Alarm {
    pub rule: String,
    pub begin: u64,
    pub end: Option<u64>,
    /// Its duration and, where that is told, its stalled time.
    pub figures: Option<(u64, Option<u64>)>,
}

/// From an end to the next begin: nearer is a flap.
const FLAP: u64 = 5 * MINUTE;

#[derive(Clone, Default, Debug)]
pub struct Verdict {
    pub wanted: usize,
    /// Wanted and told.
    pub right: usize,
    /// Told, and not wanted or wanted once only.
    pub wrong: usize,
    pub missed: usize,
    /// Told later than `for=` and two windows behind the onset.
    pub late: usize,
    /// Ended later than `clear=` and two windows behind the end, or not at all.
    pub late_ends: usize,
    pub missing_ends: usize,
    pub flaps: usize,
    pub lines: u64,
    pub hours: f64,
    /// The worst error of a duration, in microseconds, and of stalled time, as a
    /// share. None where nothing was told.
    pub duration: Option<u64>,
    pub stalled: Option<f64>,
}

/// Begins and ends of a replay, and all of its lines.
pub fn alarms(run: &Run) -> (Vec<Alarm>, u64) {
    let mut alarms: Vec<(u64, Alarm)> = Vec::new();
    for line in &run.logged {
        match line.event.as_str() {
            "begin" => {
                let (rule, begin) = (line.rule.clone(), line.at);
                alarms.push((
                    line.id,
                    Alarm {
                        rule,
                        begin,
                        end: None,
                        figures: None,
                    },
                ));
            }
            "end" => {
                let open = alarms.iter_mut().rev().find(|(id, _)| *id == line.id);
                let (_, alarm) = open.expect("an end without a begin");
                alarm.end = Some(line.at);
                alarm.figures = Some((line.duration, Some(line.stalled)));
            }
            _ => {}
        }
    }
    let lines = run.logged.len() as u64;
    (alarms.into_iter().map(|(_, alarm)| alarm).collect(), lines)
}

pub fn judge(trace: &Trace, rules: &[Rule], (alarms, lines): (Vec<Alarm>, u64)) -> Verdict {
    let mut verdict = Verdict {
        lines,
        hours: trace.hours(),
        ..Verdict::default()
    };
    for rule in rules {
        let wants = trace.wants.iter().filter(|want| want.rule == rule.name);
        let mut wants: Vec<(&Want, bool)> = wants.map(|want| (want, false)).collect();
        verdict.wanted += wants.len();
        let patience = 2 * rule.window.0;
        let mut ended: Option<u64> = None;
        for alarm in alarms.iter().filter(|alarm| alarm.rule == rule.name) {
            if ended.is_some_and(|ended| alarm.begin - ended <= FLAP) {
                verdict.flaps += 1;
            }
            ended = alarm.end;
            let want = wants.iter_mut().find(|(want, _)| {
                let from = (want.onset - want.slack.0).0;
                (from..=want.end.0 + patience).contains(&alarm.begin)
            });
            let Some((want, told)) = want else {
                verdict.wrong += 1;
                continue;
            };
            if std::mem::replace(told, true) {
                verdict.wrong += 1;
                continue;
            }
            verdict.right += 1;
            let latest = (want.onset + want.slack.1 + rule.sustain).0 + patience;
            verdict.late += usize::from(alarm.begin > latest);
            match alarm.end {
                None => verdict.missing_ends += 1,
                Some(end) if end > (want.end + rule.clear).0 + patience => verdict.late_ends += 1,
                Some(_) => {}
            }
            verdict.errors(trace, state(rule.resource, rule.kind), want, alarm);
        }
        verdict.missed += wants.iter().filter(|(_, told)| !told).count();
    }
    verdict
}

impl Verdict {
    /// Figures may be those of any onset within the slack.
    fn errors(&mut self, trace: &Trace, state: usize, want: &Want, alarm: &Alarm) {
        let Some((duration, stalled)) = alarm.figures else {
            return;
        };
        let off = |value: u64, least: u64, most: u64| {
            least.saturating_sub(value).max(value.saturating_sub(most))
        };
        let (early, late) = (want.onset - want.slack.0, want.onset + want.slack.1);
        let error = off(duration, want.end.since(late).0, want.end.since(early).0);
        self.duration = self.duration.max(Some(error));
        if let Some(stalled) = stalled {
            let grown = |from: Moment| trace.stalled(state, from, want.end);
            let (least, most) = (grown(late), grown(early));
            let share = off(stalled, least, most) as f64 / least as f64;
            self.stalled = Some(self.stalled.unwrap_or(0.0).max(share));
        }
    }
}
