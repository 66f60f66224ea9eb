//! What holds over any trace whatever.

use proptest::prelude::*;

use psilogd::config::Config;
use psilogd::episode::Phase;
use psilogd::time::Moment;

use super::drive::{Run, replay};
use super::kernel::{Rights, UNPRIVILEGED};
use super::trace::*;

const CALM: u64 = 10 * MINUTE;
/// Behind the last stretch: damping makes an hour of clear= at most.
const CALM_BEHIND: u64 = HOUR + 10 * MINUTE;

/// Stretches of 50 ms to a minute at any rate, sudden and drawn-out, with calm
/// before and behind.
fn traces() -> impl Strategy<Value = Trace> {
    let rate = prop_oneof![3 => Just(0u64), 2 => 0..=1000u64, 2 => 60..=260u64];
    let length = prop_oneof![50..=3_000u64, 3_000..=60_000u64];
    prop::collection::vec((length, rate), 1..120).prop_map(|stretches| {
        let mut pen = Pen::default();
        pen.pass(CALM, rates(0, 0, 0));
        for (millis, rate) in stretches {
            pen.pass(millis * 1000, rates(0, rate, 0));
        }
        pen.pass(CALM_BEHIND, rates(0, 0, 0));
        pen.trace("random", 5 * MINUTE)
    })
}

fn rights() -> impl Strategy<Value = Rights> {
    prop_oneof![
        Just(Rights::Privileged),
        Just(UNPRIVILEGED),
        (10..5_000u64, 4..1000u64).prop_map(|(reader, late)| Rights::Unprivileged {
            late: late * 1000,
            reader: Some(reader * 1000),
        }),
    ]
}

fn rules() -> impl Strategy<Value = Config> {
    let share = 5..=60u64;
    let sustain = prop_oneof![Just(0u64), 1..=60u64];
    let limit = prop_oneof![
        Just("none".to_owned()),
        (2..40u64).prop_map(|n| n.to_string())
    ];
    (share, sustain, 0..=120u64, 0..=60u64, limit).prop_map(
        |(share, sustain, clear, repeat, limit)| {
            let rule = format!(
                "rate_limit {limit}\nmemory full {share}%/2s name=m \
             for={sustain}s clear={clear}s repeat={repeat}s\n"
            );
            Config::parse(rule.as_bytes()).unwrap()
        },
    )
}

fn check_lines(run: &Run, config: &Config) -> Result<(), TestCaseError> {
    let mut open = None;
    let mut last = 0;
    for line in &run.logged {
        match line.event.as_str() {
            "begin" => {
                prop_assert!(open.is_none(), "a begin in an open episode");
                prop_assert!(line.id > last, "ids go up");
                if config.settings.rate_limit.is_none() {
                    prop_assert_eq!(line.id, last + 1, "a gap");
                }
                (open, last) = (Some(line.id), line.id);
            }
            "still" => prop_assert_eq!(open, Some(line.id)),
            "end" => prop_assert_eq!(open.take(), Some(line.id), "an end without a begin"),
            other => prop_assert_eq!(other, "suppressed"),
        }
    }
    prop_assert_eq!(open, None, "an episode without an end");
    if let Some(limit) = config.settings.rate_limit {
        // An hour's worth at once, then an hour's worth an hour; an end is paid for
        // an hour before at most, and the summary is free.
        let at: Vec<_> = run
            .logged
            .iter()
            .filter(|t| t.event == "begin")
            .map(|t| t.at)
            .collect();
        for (index, from) in at.iter().enumerate() {
            let within = at[index..].iter().filter(|&&at| at <= from + HOUR).count();
            prop_assert!(
                within * 2 <= 2 * limit as usize,
                "{within} begins in an hour"
            );
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn lines_are_whole(trace in traces(), config in rules(), rights in rights()) {
        let run = replay(&trace, &config, rights);
        check_lines(&run, &config)?;
        prop_assert_eq!(&run.phases, &[Phase::Quiet]);
    }

    #[test]
    fn a_begin_has_a_reason(trace in traces(), config in rules(), rights in rights()) {
        let rule = &config.rules[0];
        let run = replay(&trace, &config, rights);
        // one that was suppressed is logged whenever the limit allows it
        prop_assume!(config.settings.rate_limit.is_none());
        let wanted = rule.stall().0 * rule.sustain.0 / rule.window.0;
        for line in run.logged.iter().filter(|line| line.event == "begin") {
            // looked at once a window, so the stall may lie a window further back
            let since = |ago: u64| {
                let from = Moment((line.at - ago).saturating_sub(50_000));
                trace.stalled(MEMORY, from, Moment(line.at))
            };
            let grown = since(rule.sustain.0 + rule.window.0);
            prop_assert!(grown * 100 >= wanted / 2 * 98, "{grown} of {wanted}, of late");
            // the mean takes the stall of twice for= to be even, and an event may be
            // about what stalled since the fallback reading before it
            let grown = since(2 * rule.sustain.0 + 20 * rule.window.0);
            prop_assert!(grown * 100 >= wanted * 98, "{grown} of {wanted}");
        }
    }

    #[test]
    fn a_plateau_is_logged_in_time_and_as_it_was(
        millis in 0..4000u64, percent in 12..100u64, length in 60..900u64, privileged: bool,
    ) {
        let mut pen = Pen::default();
        pen.pass(CALM + millis * 1000, rates(0, 0, 0));
        let from = pen.at();
        pen.pass(length * SECOND, rates(0, percent * 10, 0));
        let to = pen.at();
        pen.pass(CALM, rates(0, 0, 0));
        let trace = pen.trace("a plateau", 5 * MINUTE);
        let rights = match privileged {
            true => Rights::Privileged,
            false => UNPRIVILEGED,
        };
        let config = Config::parse(b"memory full 10%/2s for=20s name=m").unwrap();
        let rule = &config.rules[0];
        let logged = replay(&trace, &config, rights).logged;
        let of = |event| logged.iter().filter(move |line| line.event == event);
        prop_assert_eq!((of("begin").count(), of("end").count()), (1, 1));
        let (begin, end) = (of("begin").next().unwrap(), of("end").next().unwrap());
        // the higher it is, the sooner 10 % of for= has stalled
        let enough = from + rule.sustain.0 * 10 / percent;
        let latest = enough + 2 * rule.window.0 + 100_000;
        prop_assert!((enough..=latest).contains(&begin.at), "{} of {enough}", begin.at);
        let duration = end.duration;
        prop_assert!(duration.abs_diff(to - from) <= rule.window.0 + 100_000, "{duration}");
        let grown = trace.stalled(MEMORY, Moment(from), Moment(to)) as f64;
        let stalled = end.stalled as f64;
        prop_assert!((stalled / grown - 1.0).abs() <= 0.05, "{stalled} of {grown}");
    }
}
