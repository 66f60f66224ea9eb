//! Verifying: `for=` is above 0, and not enough has stalled within it.

use super::*;

/// 9 s within 90 s.
const SLOW: &str = "memory full 10%/2s for=90s clear=2m";

#[test]
fn severe_pressure_begins_sooner() {
    for (percent, seconds) in [(100, 9), (50, 18), (20, 45), (11, 82)] {
        let mut m = machine(SLOW);
        m.cross();
        let mut begin = None;
        for second in 1..=100 {
            if begins(&m.secs(1, percent)) > 0 {
                begin = Some(second);
            }
        }
        let late = begin.expect("a begin") - seconds;
        assert!((0..=2).contains(&late), "{percent} %: {begin:?}");
    }
}

#[test]
fn a_burst_of_long_ago_does_not_begin_anything() {
    let mut m = machine(SLOW);
    m.pass(Micros::secs(2), 100);
    m.cross();
    assert_eq!(m.secs(6, 100), []);
    // the mean over for= stays at 10 % or over, and so does what comes in trickles
    assert_eq!(m.secs(50, 0), []);
    assert_eq!(m.secs(20, 9), []);
    assert_eq!(m.secs(60, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn a_kill_begins_at_once() {
    let mut m = machine(SLOW);
    m.pass(Micros::secs(2), 60);
    m.cross();
    assert_eq!(m.secs(2, 60), []);
    m.verdict.killed = true;
    assert_eq!(begins(&m.secs(6, 5)), 1);
}

/// However much stalls, it is no alarm while the evidence disagrees, and it is one
/// with the first window in which it does.
#[test]
fn evidence_that_disagrees_is_waited_for() {
    let mut m = armed("io some 50%/2s for=20s stuck=20s", true);
    m.verdict = Verdict {
        agrees: false,
        absent: true,
        began: Some(Micros::ZERO),
        wait: Micros::secs(20),
        ..Verdict::AGREED
    };
    m.cross();
    let mut readings = 0;
    while m.now.since(START) < Micros::secs(3600) {
        let due = m.episode.deadline().expect("verifying");
        assert_eq!(m.run(due.since(m.now), 90), []);
        readings += 1;
    }
    // after 20 s, then every 21 windows
    assert_eq!(readings, 87);
    m.verdict = Verdict::AGREED;
    let Event::Begin(figures) = only(&m.secs(42, 90)) else {
        panic!("no begin");
    };
    // what stalled while the evidence showed nothing is no part of it
    assert_eq!(figures.duration, Micros::secs(42));
}

/// A backup for hours under a rule of hours is not looked at in every window.
#[test]
fn a_long_for_is_read_seldom_and_begins_in_time() {
    let mut m = machine("io full 50%/2s for=2h");
    m.cross();
    let mut readings = 0;
    let begin = loop {
        let due = m.episode.deadline().expect("a deadline");
        readings += 1;
        assert!(readings <= 30, "no begin");
        if begins(&m.run(due.since(m.now), 80)) > 0 {
            break m.now;
        }
    };
    let late = begin.since(START) - Micros::secs(4500);
    assert!(late <= Micros::secs(4), "{late}");
}

/// A false event, then pressure; the kernel passes over the next event as too
/// close, and shows it 4 s after the first.
#[test]
fn pressure_that_an_earlier_event_hid_counts_from_its_onset() {
    let mut m = machine("cpu some 20%/2s for=4s clear=4s");
    m.pass(Micros::secs(500), 0);
    m.cross();
    assert_eq!(m.run(Micros::millis(1800), 0), []);
    assert_eq!(m.run(Micros::millis(200), 100), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
    m.pass(Micros::secs(2), 100);
    m.cross();
    // with the 2 s that led up to the event, for= is over after one window
    assert_eq!(begins(&m.secs(2, 100)), 1);
    assert_eq!(m.secs(6, 100), []);
    let Event::End(figures) = only(&m.secs(4, 0)) else {
        panic!("no end");
    };
    assert_eq!(figures.duration, Micros::millis(10_200));
    assert_eq!(figures.stalled, Micros::millis(10_200));
}

#[test]
fn what_led_up_to_an_event_counts_for_half_of_for_at_most() {
    let mut m = machine("memory full 60%/2s for=4s");
    m.pass(Micros::secs(4), 100);
    m.cross();
    assert_eq!(m.secs(2, 19), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn a_crossing_whose_growth_does_not_hold_is_silent() {
    let mut m = machine(SLOW);
    m.pass(Micros::secs(2), 100);
    assert_eq!(m.cross(), None);
    assert_eq!(m.episode.phase(), Phase::Verifying);
    assert_eq!(m.secs(4, 100), []);
    assert_eq!(m.secs(80, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn verifying_is_over_once_the_mean_is_under_the_threshold() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(m.secs(2, 9), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn a_burst_that_is_over_does_not_begin_though_its_mean_would_do() {
    // half of what is missing when it is looked at, the rest just after, and then calm
    let mut m = machine("memory full 10%/2s for=40s");
    m.cross();
    m.run(Micros::millis(4100), 97);
    assert_eq!(m.secs(100, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn pressure_that_pauses_begins_when_it_is_back() {
    let mut m = machine(SLOW);
    m.cross();
    assert_eq!(m.secs(8, 100), []);
    assert_eq!(m.secs(20, 0), []);
    assert!(matches!(only(&m.secs(4, 60)), Event::Begin(_)));
}

#[test]
fn bursts_in_every_window_begin() {
    // 300 ms every 1.5 s: 20 %, no 2 s window without a burst
    let mut m = machine(RULE);
    m.cross();
    let mut events = Vec::new();
    for _ in 0..20 {
        events.extend(m.run(Micros::millis(300), 100));
        events.extend(m.run(Micros::millis(1200), 0));
    }
    assert!(matches!(only(&events), Event::Begin(_)));
}

#[test]
fn for_shorter_than_a_window_takes_one_reading() {
    let mut m = machine("memory full 10%/2s for=500ms");
    m.cross();
    assert_eq!(begins(&m.secs(2, 50)), 1);
}

#[test]
fn an_early_timer_is_no_reading() {
    let mut m = machine(RULE);
    m.cross();
    m.pass(Micros::millis(1999), 0);
    assert_eq!(m.episode.expire(m.now, m.total, Verdict::AGREED), None);
    assert_eq!(m.episode.phase(), Phase::Verifying);
}

#[test]
fn a_counter_that_leaps_is_not_pressure() {
    let mut m = machine(RULE);
    m.cross();
    m.total += 3_600_000_000;
    assert_eq!(m.secs(120, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

/// A cgroup at its quota for minutes, then CPUs that are really busy: what the idle time
/// between two readings shows of that.
#[test]
fn what_stalled_before_the_evidence_began_is_no_part_of_it() {
    let mut m = armed("cpu some 90%/2s for=30s busy=90% clear=10s", true);
    let idle = Verdict {
        agrees: false,
        began: Some(Micros::ZERO),
        wait: Micros::secs(30),
        ..Verdict::AGREED
    };
    m.verdict = idle;
    m.cross();
    assert_eq!(m.secs(180, 95), []);
    let due = m.episode.deadline().expect("verifying");
    m.run(due.since(m.now) - Micros::secs(12), 95);
    m.verdict = Verdict {
        began: Some(Micros::secs(12)),
        wait: Micros::secs(18),
        ..idle
    };
    assert_eq!(m.run(Micros::secs(12), 100), []);
    m.verdict = Verdict::AGREED;
    let Event::Begin(figures) = only(&m.secs(18, 100)) else {
        panic!("no begin");
    };
    assert_eq!(figures.duration, Micros::secs(30));
    assert_eq!(figures.stalled, figures.duration);
}

/// CPUs that were idle 5 s ago, and an event after a minute of stall.
#[test]
fn an_event_is_no_older_than_the_evidence() {
    for (began, seconds) in [(None, 30), (Some(Micros::secs(5)), 5)] {
        let mut m = machine("cpu some 50%/2s for=4s busy=90%");
        m.pass(Micros::secs(30), 0);
        assert_eq!(m.episode.checked(m.now, m.total), None);
        m.pass(Micros::secs(30), 100);
        m.verdict.began = began;
        m.cross();
        m.verdict = Verdict::AGREED;
        let Event::Begin(figures) = only(&m.secs(2, 100)) else {
            panic!("no begin");
        };
        assert_eq!(figures.duration, Micros::secs(seconds + 2), "{began:?}");
    }
}

/// 20 s with a fifth of them stalled, and 2 s more, before it is all.
#[test]
fn an_onset_by_a_calm_window_is_corrected_by_a_later_one() {
    let mut m = machine("memory full 10%/2s for=20s");
    m.pass(Micros::secs(30), 0);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    m.pass(Micros::secs(20), 20);
    m.cross();
    assert_eq!(m.secs(2, 20), []);
    let Event::Begin(figures) = only(&m.secs(2, 100)) else {
        panic!("no begin");
    };
    // 4 s at the rate of 2.4 s in 4
    assert_eq!(figures.duration.0 / 1000, 4000 + 6666);
    assert_eq!(figures.stalled, Micros::millis(4000 + 2400));
}
