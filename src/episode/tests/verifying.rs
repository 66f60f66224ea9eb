//! Verifying: `for=` is above 0, and pressure has not lasted for it.

use super::*;

#[test]
fn a_burst_of_long_ago_does_not_begin_anything() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(2), 100);
    m.cross();
    // the mean since the onset stays over 10 %, the pressure does not
    assert_eq!(m.secs(12, 100), []);
    assert_eq!(m.secs(50, 0), []);
    assert_eq!(m.secs(4, 6), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
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
fn what_led_up_to_an_event_does_not_help_the_mean() {
    let mut m = machine("memory full 10%/2s for=4s");
    m.pass(Micros::secs(2), 100);
    m.cross();
    assert_eq!(m.secs(2, 9), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn a_crossing_whose_growth_does_not_hold_is_silent() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(2), 100);
    assert_eq!(m.cross(), None);
    assert_eq!(m.episode.phase(), Phase::Verifying);
    assert_eq!(m.secs(4, 100), []);
    assert_eq!(m.secs(60, 0), []);
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
    // 3 s of 100 % are 15 % of 20 s, but at 20 s nothing is wrong any more
    let mut m = machine(RULE);
    m.cross();
    m.run(Micros::secs(3), 100);
    assert_eq!(m.secs(100, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn pressure_that_pauses_at_the_end_of_for_begins_when_it_is_back() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(m.secs(17, 60), []);
    assert_eq!(m.secs(5, 0), []);
    assert!(matches!(only(&m.secs(2, 60)), Event::Begin(_)));
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
    assert_eq!(m.episode.expire(m.now, m.total), None);
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
