//! Lines that are broken on purpose: the judge sees each.

use psilogd::config::Config;

use super::judge::{Fault, judge};
use super::scene::Scene;
use super::verdicts::{Outcome, notes, ours, value};
use super::{disks, figures, memory};
use crate::drive::{Run, replay};
use crate::kernel::Rights;

const RULE: &[u8] = b"memory full 10%/2s for=20s clear=1m repeat=3m level=warning name=memory\n";

/// Thrash for ten minutes, and the lines of a simple rule about it.
fn run() -> (Scene, Config, Run) {
    let scene = memory::ROWS[7](1);
    let config = Config::parse(RULE).unwrap();
    let run = replay(&scene.trace, &config, Rights::Privileged);
    (scene, config, run)
}

/// With this done to the lines, so many faults of lines are found.
fn faults(break_it: impl Fn(&mut Run)) -> usize {
    let (scene, config, mut run) = run();
    break_it(&mut run);
    for line in &mut run.logged {
        *line = crate::drive::parse(line.at, &line.text.clone());
    }
    figures::judge(&scene, &config.rules, Rights::Privileged, &run).len()
}

/// Replaces the value of a key in each line that has it.
fn set(run: &mut Run, key: &str, change: impl Fn(f64) -> f64) {
    for line in &mut run.logged {
        let Some(old) = value(&line.text, key) else {
            continue;
        };
        let decimals = old
            .split_once('.')
            .map_or(0, |(_, decimals)| decimals.len());
        let new = change(old.parse().unwrap());
        let (old, new) = (format!(" {key}={old}"), format!(" {key}={new:.decimals$}"));
        line.text = line.text.replace(&old, &new);
    }
}

#[test]
fn figures_that_are_wrong_are_seen() {
    assert_eq!(faults(|_| {}), 0);
    type Change = fn(f64) -> f64;
    let changes: [(&str, Change); 9] = [
        ("dur_s", |value| value + 2.5),
        ("stalled_us", |value| value * 1.03),
        ("hits", |value| value * 2.0),
        ("hits", |_| 1.0),
        ("mean_pct", |value| value + 0.5),
        ("worst_pct", |value| value / 2.0),
        ("worst_pct", |_| 100.0),
        ("avg10", |value| value / 2.0),
        ("total_us", |value| value + 1.0),
    ];
    for (key, change) in changes {
        assert!(faults(|run| set(run, key, change)) > 0, "{key}");
    }
}

#[test]
fn lines_that_are_out_of_order_are_seen() {
    let without =
        |event: &'static str| faults(move |run| run.logged.retain(|line| line.event != event));
    for event in ["begin", "still", "end"] {
        assert!(without(event) > 0, "no {event}");
    }
    let twice = faults(|run| {
        let end = run.logged[run.logged.len() - 1].clone();
        run.logged.push(end);
    });
    assert!(twice > 0, "two ends");
    let again = faults(|run| {
        let begin = run.logged[0].clone();
        run.logged.insert(1, begin);
    });
    assert!(again > 0, "an identifier twice");
    let level = |run: &mut Run| {
        for line in &mut run.logged {
            line.text = line.text.replace("level=warning", "level=crit");
        }
    };
    assert!(faults(level) > 0, "level");
}

/// By the operator's wants: each of these is another fault.
#[test]
fn what_an_operator_did_not_want_is_seen() {
    let (scene, config, run) = run();
    let lines = notes(&run);
    let found = |change: &dyn Fn(&mut Vec<super::judge::Note>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        let found = judge(&scene, &lines);
        found
            .into_iter()
            .map(|finding| finding.fault)
            .collect::<Vec<_>>()
    };
    let crit_is_missed = [Fault::Missed];
    assert_eq!(found(&|_| {}), crit_is_missed);
    assert!(found(&|lines| lines.clear()).len() == 2);
    assert!(found(&|lines| lines[0].at += 4 * crate::trace::MINUTE).contains(&Fault::Late));
    assert!(found(&|lines| lines.truncate(1)).contains(&Fault::End));
    assert!(found(&|lines| lines[0].at = 60_000_000).contains(&Fault::False));
    let copy = |lines: &mut Vec<super::judge::Note>| {
        let mut begin = lines[0].clone();
        (begin.id, begin.at) = (9, begin.at + 1);
        lines.insert(1, begin);
    };
    assert!(found(&copy).contains(&Fault::Split));
    let many = |lines: &mut Vec<super::judge::Note>| {
        let still = lines[0].clone();
        lines.splice(
            1..1,
            (0..9).map(|_| super::judge::Note {
                event: super::judge::Event::Still,
                ..still.clone()
            }),
        );
    };
    assert!(found(&many).contains(&Fault::Noisy));
    let Outcome { found, .. } = ours(&disks::ROWS[0](1), &config, Rights::Privileged);
    assert!(found.iter().any(|finding| finding.fault == Fault::Missed));
}
