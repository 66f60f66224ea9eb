//! Three other ways to tell of pressure, over the same traces and with the
//! thresholds of the same rules.

use psilogd::rule::Rule;

use super::kernel::{Kernel, Rights};
use super::trace::*;
use super::verdict::Alarm;

fn share(rule: &Rule) -> f64 {
    rule.stall().0 as f64 / rule.window.0 as f64
}

/// What the kernel tells becomes a line. There is no end.
pub fn forwarded(trace: &Trace, rules: &[Rule]) -> (Vec<Alarm>, u64) {
    let rights = Rights::Privileged;
    let mut kernel = Kernel::new(trace, rules, rights, trace.start.0);
    let polled = vec![true; rules.len()];
    let (mut alarms, mut now) = (Vec::new(), trace.start.0);
    while let Some(at) = kernel.run(now, trace.end().0, &polled) {
        now = at;
        for (index, rule) in rules.iter().enumerate() {
            if kernel.take(index) {
                alarms.push(Alarm {
                    rule: rule.name.clone(),
                    begin: at,
                    end: None,
                    figures: None,
                });
            }
        }
    }
    let lines = alarms.len() as u64;
    (alarms, lines)
}

/// avg10 every 5 s: over the rule's threshold it begins, 5 points under it ends.
pub fn averaged(trace: &Trace, rules: &[Rule]) -> (Vec<Alarm>, u64) {
    // as the kernel damps: a step of 2 s keeps e^(-2/10) of what was
    const KEPT: f64 = 0.818_730_753;
    let checked = |rule: &Rule| {
        let (state, limit) = (state(rule.resource, rule.kind), share(rule));
        let mut cursor = Cursor::new(trace);
        let (mut at, mut avg10) = (trace.start.0, 0.0);
        let mut total = cursor.total(state, at);
        let (mut due, mut changes, mut over) = (at, Vec::new(), false);
        while at < trace.end().0 {
            at += 2 * SECOND;
            let now = cursor.total(state, at);
            let grown = (now.saturating_sub(total) as f64 / 2e6).min(1.0);
            avg10 = avg10 * KEPT + grown * (1.0 - KEPT);
            total = now;
            if at >= due {
                due += 5 * SECOND;
                let turn = if over {
                    avg10 < limit - 0.05
                } else {
                    avg10 > limit
                };
                if turn {
                    over = !over;
                    changes.push(at);
                }
            }
        }
        changes
    };
    alarms(rules, checked)
}

/// The rate over two minutes every 30 s: over the threshold for two minutes it
/// begins, at the first check under it ends.
pub fn rated(trace: &Trace, rules: &[Rule]) -> (Vec<Alarm>, u64) {
    let checked = |rule: &Rule| {
        let (state, limit) = (state(rule.resource, rule.kind), share(rule));
        let mut cursor = Cursor::new(trace);
        let mut at = trace.start.0;
        // the samples of 30 s that make two minutes
        let mut samples = vec![cursor.total(state, at)];
        let (mut since, mut over, mut changes) = (None, false, Vec::new());
        while at < trace.end().0 {
            at += 30 * SECOND;
            samples.push(cursor.total(state, at));
            if samples.len() > 5 {
                samples.remove(0);
            }
            // a counter that falls is taken for one that started anew
            let grown: u64 = samples
                .windows(2)
                .map(|pair| {
                    if pair[1] < pair[0] {
                        pair[1]
                    } else {
                        pair[1] - pair[0]
                    }
                })
                .sum();
            let rate = grown as f64 / ((samples.len() - 1) as f64 * 30e6);
            if rate <= limit {
                since = None;
                if std::mem::take(&mut over) {
                    changes.push(at);
                }
            } else if !over && at >= *since.get_or_insert(at) + 2 * MINUTE {
                over = true;
                changes.push(at);
            }
        }
        changes
    };
    alarms(rules, checked)
}

/// Moments of begins and ends in turn become alarms, two lines each.
fn alarms(rules: &[Rule], checked: impl Fn(&Rule) -> Vec<u64>) -> (Vec<Alarm>, u64) {
    let (mut alarms, mut lines) = (Vec::new(), 0);
    for rule in rules {
        let changes = checked(rule);
        lines += changes.len() as u64;
        for pair in changes.chunks(2) {
            let end = pair.get(1).copied();
            let figures = end.map(|end| (end - pair[0], None));
            alarms.push(Alarm {
                rule: rule.name.clone(),
                begin: pair[0],
                end,
                figures,
            });
        }
    }
    (alarms, lines)
}
