use super::super::tests::line;
use super::*;
use crate::config::Config;
use crate::pressure::Pressure;
use crate::rule::Rule;
use crate::stat::Reading;
use crate::time::Moment;

const PERIOD: Period<'_> = Period {
    from: "2026-01-01 00:00:00",
    to: "2026-01-02 00:00:00",
};

/// Feeds one reading every 2 s; each window of a resource adds `stalled` percent.
fn watch(windows: u64, stalled: impl Fn(Resource, u64) -> u64) -> Suggestion {
    let mut suggestion = Suggestion::new(None);
    let mut totals = [0; 4];
    for window in 0..=windows {
        let mut readings = [None; 4];
        for resource in Resource::ALL {
            let total = &mut totals[resource as usize];
            if window > 0 {
                *total += stalled(resource, window) * 20_000;
            }
            let at = Moment(7_000_000 + window * 2_000_000);
            let pressure = Pressure {
                some: (resource != Resource::Irq).then(|| line(*total)).flatten(),
                full: line(*total),
            };
            readings[resource as usize] = Some(Reading { at, pressure });
        }
        suggestion.feed(&readings);
    }
    suggestion
}

fn text(suggestion: &Suggestion) -> String {
    let mut out = Vec::new();
    suggestion.write(&mut out, Some(PERIOD));
    String::from_utf8(out).unwrap()
}

fn rules(suggestion: &Suggestion) -> Vec<(String, String)> {
    let config = Config::parse(text(suggestion).as_bytes()).unwrap();
    let rule = |rule: &Rule| (rule.name.clone(), rule.threshold.to_string());
    config.rules.iter().map(rule).collect()
}

fn pairs(expected: &[(&str, &str)]) -> Vec<(String, String)> {
    let own = |(name, threshold): &(&str, &str)| (name.to_string(), threshold.to_string());
    expected.iter().map(own).collect()
}

#[test]
fn an_idle_host_gets_the_floors() {
    let idle = watch(5_400, |_, _| 0);
    let expected = [
        ("memory", "10%"),
        ("memory-critical", "40%"),
        ("io", "60%"),
        ("cpu", "90%"),
        ("irq", "20%"),
        ("io-stuck", "20%"),
        ("io-dead", "20%"),
    ];
    assert_eq!(rules(&idle), pairs(&expected));
}

/// Usual pressure is not logged: here four hours of io at 65 % and one of memory at 25 %.
#[test]
fn usual_pressure_does_not_fire() {
    let busy = watch(10_800, |resource, window| match resource {
        Resource::Io if (1_800..9_000).contains(&window) => 65,
        Resource::Memory if (1_800..3_600).contains(&window) => 25,
        _ => 1,
    });
    let expected = [
        ("memory", "30%"),
        ("memory-critical", "60%"),
        ("io", "70%"),
        ("cpu", "90%"),
        ("irq", "20%"),
        ("io-stuck", "20%"),
        ("io-dead", "20%"),
    ];
    assert_eq!(rules(&busy), pairs(&expected));
}

/// An hour at 45 %: counted once at every threshold up to 40 %, with its length.
#[test]
fn the_figures_are_those_of_the_machine() {
    let host = watch(5_400, |resource, window| match resource {
        Resource::Memory if (1_800..3_600).contains(&window) => 45,
        _ => 0,
    });
    let text = text(&host);
    let block = text.split("\n\n").find(|block| block.contains("memory"));
    let block = block.expect("a measurement");
    let longest = block
        .lines()
        .find_map(|line| line.strip_prefix("# longest_s"));
    let longest: Vec<u64> = longest
        .into_iter()
        .flat_map(|row| row.split_whitespace().map(|word| word.parse().unwrap()))
        .collect();
    // within a window
    assert!(
        longest[..5]
            .iter()
            .all(|length| (3_598..=3_602).contains(length)),
        "{longest:?}"
    );
    assert_eq!(longest[5..], [0; 5]);
    let expected = "\
# memory full, for=90s
# pct        p50 0.0  p90 45.0  p99 45.0  p99.9 45.0  max 45.00
# threshold    5%   10%   20%   30%   40%   50%   60%   70%   80%   90%
# fired         1     1     1     1     1     0     0     0     0     0
";
    assert!(block.starts_with(expected), "{block}");
    assert!(
        block.contains("\nmemory full 50%/2s level=warning name=memory "),
        "{block}"
    );
}

#[test]
fn pressure_that_never_ends_gets_no_rule() {
    let pressed = watch(43_200, |resource, window| match resource {
        // on for ten minutes, off for ten: more than an episode per day, though damped
        Resource::Memory => window / 300 % 2 * 99,
        _ => 0,
    });
    let names: Vec<_> = rules(&pressed).into_iter().map(|rule| rule.0).collect();
    assert_eq!(names, ["io", "cpu", "irq", "io-stuck", "io-dead"]);
    assert!(text(&pressed).contains("No rule"));
}

/// One episode per day is allowed once a day was measured, but not to crit.
#[test]
fn a_nightly_backup_is_news_once_a_day() {
    let host = |windows| {
        watch(windows, |resource, window| match resource {
            Resource::Io if (3_600..10_800).contains(&window) => 65,
            _ => 0,
        })
    };
    let threshold = |suggestion: &Suggestion| {
        let mut rules = rules(suggestion).into_iter();
        rules.find(|rule| rule.0 == "io").map(|rule| rule.1)
    };
    assert_eq!(threshold(&host(43_200)), Some("60%".into()));
    assert_eq!(threshold(&host(20_000)), Some("70%".into()));
}

/// From too little nothing is proposed, and what cannot have fired did not fire 0 times.
#[test]
fn too_little_gets_no_rule() {
    let short = watch(
        600,
        |resource, _| if resource == Resource::Io { 90 } else { 0 },
    );
    assert_eq!(rules(&short), []);
    let text = text(&short);
    let io = text
        .split("\n\n")
        .find(|block| block.contains("# io"))
        .unwrap();
    assert!(io.contains("# fired         -     -"), "{io}");
    assert!(io.contains("# longest_s     -     -"), "{io}");
    assert!(io.contains("# No rule: measure for 3h at least."), "{io}");
    let memory = text.split("\n\n").find(|block| block.contains("# memory"));
    assert!(
        memory.unwrap().contains("# fired         0     0"),
        "{text}"
    );
}

/// One episode per day may be logged; its lines are shown with the rule.
#[test]
fn a_proposal_comes_with_its_lines() {
    let text = text(&watch(43_200, |resource, window| match resource {
        Resource::Memory if (3_600..3_900).contains(&window) => 45,
        _ => 0,
    }));
    let block = text
        .split("\n\n")
        .find(|block| block.contains("memory"))
        .unwrap();
    let proposed = block.split("\n# [").skip(1).collect::<Vec<_>>();
    assert!(
        proposed[0].contains("event=begin level=warning rule=memory "),
        "{block}"
    );
    let end = proposed.last().unwrap();
    assert!(end.contains("event=end"), "{block}");
    let mut behind = end.lines().skip(1);
    assert!(
        behind.next().unwrap().starts_with("memory full 10%/2s "),
        "{block}"
    );
    // that of level crit has never fired
    assert!(
        behind
            .next()
            .unwrap()
            .starts_with("memory full 50%/2s level=crit "),
        "{block}"
    );
    let seconds: f64 = proposed[0]
        .split(']')
        .next()
        .unwrap()
        .trim()
        .parse()
        .unwrap();
    assert!((7_200.0..7_330.0).contains(&seconds), "{block}");
}

#[test]
fn no_measurement_is_reported_and_reads_back() {
    for windows in [None, Some(0)] {
        let suggestion = match windows {
            None => Suggestion::new(None),
            Some(windows) => watch(windows, |_, _| 0),
        };
        assert!(text(&suggestion).starts_with("# Nothing was measured"));
        assert_eq!(rules(&suggestion), []);
    }
}

#[test]
fn rules_of_a_cgroup_name_it() {
    let mut suggestion = Suggestion::new(Some(b"/a b".to_vec()));
    for second in (0..=3_600).step_by(2) {
        let at = Moment(second * 1_000_000);
        let pressure = Pressure {
            some: line(0),
            full: line(0),
        };
        suggestion.feed(&[None, Some(Reading { at, pressure }), None, None]);
    }
    let config = Config::parse(text(&suggestion).as_bytes()).unwrap();
    let paths: Vec<_> = config
        .rules
        .iter()
        .map(|rule| {
            rule.cgroup
                .as_ref()
                .and_then(crate::pattern::Pattern::plain)
        })
        .collect();
    assert_eq!(paths, [Some(b"/a b".to_vec()), Some(b"/a b".to_vec())]);
}

#[test]
fn percentiles_are_ranks() {
    let host = watch(1000, |resource, window| match resource {
        // 1 to 100 percent, ten windows each
        Resource::Cpu => (window - 1) / 10 + 1,
        _ => 0,
    });
    let text = text(&host);
    assert!(
        text.contains("p50 50.0  p90 90.0  p99 99.0  p99.9 100.0  max 100.00"),
        "{text}"
    );
}

/// The rows of memory: episodes, and the longest in seconds, at every threshold.
fn figures(suggestion: &Suggestion) -> [Vec<u64>; 2] {
    let text = text(suggestion);
    let block = text.split("\n\n").find(|block| block.contains("# memory"));
    ["# fired", "# longest_s"].map(|head| {
        let row = block.and_then(|block| block.lines().find_map(|line| line.strip_prefix(head)));
        let row = row.unwrap_or_default().split_whitespace();
        row.map(|figure| figure.parse().unwrap()).collect()
    })
}

/// Soon after the start, too: a boot is not what is measured.
#[test]
fn episodes_are_counted_whether_they_have_ended_or_not() {
    for (end, seconds, rungs) in [(40, 40, 3), (201, 362, 5)] {
        let host = watch(200, |resource, window| match resource {
            Resource::Memory if (20..end).contains(&window) => 45,
            _ => 0,
        });
        let [fired, longest] = figures(&host);
        let expected = |at| u64::from(at < rungs);
        assert_eq!(fired, (0..10).map(expected).collect::<Vec<_>>());
        // within a window
        let near = |length: &u64| (seconds - 2..=seconds).contains(length);
        assert!(longest[..rungs].iter().all(near), "{longest:?}");
        assert!(longest[rungs..].iter().all(|length| *length == 0));
    }
}

#[test]
fn a_window_of_the_past_is_kept_and_no_more() {
    let mut host = watch(100, |_, _| 50);
    let replay = host.replay.as_mut().unwrap();
    let series = replay.source().recording().groups[0].series(Resource::Memory, Kind::Full);
    let first = series.next_knot(Moment(0)).unwrap();
    let age = Moment(207_000_000).since(first);
    assert!((WINDOW_MAX..=WINDOW_MAX + WINDOW).contains(&age), "{age}");
}

/// What has been there for a shorter time than for= is proposed no rule.
#[test]
fn a_resource_is_watched_for_its_for_at_least() {
    let of_irq = |suggestion: &Suggestion| {
        let irq = suggestion.measured.iter();
        let irq = irq.filter(|one| one.candidate.resource == Resource::Irq);
        irq.map(Measured::sustain).next().unwrap()
    };
    let windows = of_irq(&Suggestion::new(None)).0 / WINDOW.0;
    for (missing, proposed) in [(0, true), (1, false)] {
        let mut host = Suggestion::new(None);
        for window in 0..=1_800 {
            let at = Moment(7_000_000 + window * 2_000_000);
            let pressure = Pressure {
                some: None,
                full: line(0),
            };
            let mut readings = [None; 4];
            readings[1] = Some(Reading { at, pressure });
            if window + windows >= 1_800 + missing {
                readings[Resource::Irq as usize] = readings[1];
            }
            host.feed(&readings);
        }
        let names: Vec<_> = rules(&host).into_iter().map(|rule| rule.0).collect();
        assert_eq!(names.contains(&"irq".into()), proposed, "{names:?}");
    }
}

#[test]
fn what_was_not_watched_says_so() {
    let mut suggestion = Suggestion::new(None);
    for second in [0, 2] {
        let at = Moment(second * 1_000_000);
        let pressure = Pressure {
            some: line(0),
            full: line(0),
        };
        suggestion.feed(&[None, Some(Reading { at, pressure }), None, None]);
    }
    let text = text(&suggestion);
    assert!(
        text.contains("\n# io full: not watched, or not known"),
        "{text}"
    );
    assert!(!text.contains("# memory full: not watched"), "{text}");
}

#[test]
fn the_heading_warns_of_a_short_measurement() {
    for (watched, short) in [(SHORT, false), (SHORT - Micros(1), true)] {
        let mut out = Vec::new();
        heading(&mut out, None, 9, watched).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert!(text.starts_with("# Suggested by psistat "), "{text}");
        assert!(text.contains("\n# Recorded for 4"), "{text}");
        assert_eq!(text.contains("That is short"), short, "{text}");
    }
}

/// From the first whole day on.
#[test]
fn an_episode_per_day_is_news() {
    let day = Micros::secs(24 * 3600);
    let mut host = Suggestion::new(None);
    let measured = &mut host.measured[0];
    measured.rungs_mut().for_each(|rung| rung.fired = 1);
    for (watched, proposed) in [(day, true), (day - Micros(1), false)] {
        let mut out = Vec::new();
        measured.rules(&mut out, watched).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.contains("No rule"), !proposed, "{text}");
    }
}

#[test]
fn a_recording_is_measured_in_windows() {
    let mut record = String::from("psistat record 1\ngroup -\n5000000 d0\n");
    for second in 1..=200 {
        let stall = if (40..80).contains(&second) {
            450_000
        } else {
            0
        };
        record.push_str(&format!("1000000 d{stall}\n"));
    }
    let suggestion = Suggestion::of(Recording::parse(&record).unwrap());
    let text = text(&suggestion);
    assert!(text.contains(": 100 windows of 2s.\n"), "{text}");
    assert!(text.contains("p50 0.0  p90 45.0"), "{text}");
    assert!(text.contains("\n# io full: not watched"), "{text}");
    assert_eq!(figures(&suggestion)[0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_figure_needs_a_measurement_of_for() {
    let mut host = Suggestion::new(None);
    let measured = &mut host.measured[0];
    for (missing, shown) in [(Micros::ZERO, true), (Micros(1), false)] {
        measured.watched = measured.sustain() - missing;
        let mut out = Vec::new();
        measured.row(&mut out, "figure", |_| 7).unwrap();
        assert_eq!(out.contains(&b'7'), shown);
        assert_eq!(out.contains(&b'-'), !shown);
    }
}

/// What the rate limit suppressed is one of a rule's lines, too.
#[test]
fn a_proposal_shows_twenty_lines_and_counts_the_rest() {
    for (lines, more) in [(1, None), (20, None), (22, Some("\n# and 2 more lines\n"))] {
        let mut host = Suggestion::new(None);
        let mut rungs = host.measured[0].rungs_mut();
        let (rung, other) = (rungs.next().unwrap(), rungs.next().unwrap());
        let rule = rung.rule.clone();
        let report = Report::Suppressed {
            rule: &rule,
            count: 1,
            begins: 0,
            since: Micros::ZERO,
        };
        assert!(rung.is_about(&report) && !other.is_about(&report));
        (0..lines).for_each(|_| rung.add(Micros::ZERO, &report));
        let mut out = Vec::new();
        rung.propose(&mut out).unwrap();
        let text = String::from_utf8(out).unwrap();
        assert_eq!(text.matches("# [").count(), lines.min(20), "{text}");
        assert!(more.is_none_or(|more| text.contains(more)), "{text}");
        assert_eq!(text.contains(" more lines"), more.is_some(), "{text}");
    }
}
