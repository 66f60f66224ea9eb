//! Quiet: what an event and a fallback reading are worth.

use super::*;

#[test]
fn quiet_wants_no_timer() {
    assert_eq!(machine(RULE).episode.deadline(), None);
}

#[test]
fn a_sliver_of_a_window_is_no_reading() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(1), 50);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    m.pass(Micros::secs(1), 50);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    // held against the baseline, not against the sliver
    assert_eq!(m.episode.phase(), Phase::Verifying);
}

#[test]
fn a_false_first_event_is_silent() {
    // 1.99s/2s fired with 209 us of growth on a real kernel
    for rule in [
        "memory full 1990ms/2s for=0",
        "memory full 1990ms/2s for=20s",
    ] {
        let mut m = machine(rule);
        m.pass(Micros::secs(2), 0);
        m.total += 209;
        assert_eq!(m.cross(), None, "{rule}");
        assert_eq!(m.secs(120, 0), [], "{rule}");
        assert_eq!(m.episode.phase(), Phase::Quiet, "{rule}");
    }
}

#[test]
fn a_stale_event_right_after_an_end_is_silent() {
    let mut m = machine("memory full 10%/2s for=0 clear=10s");
    m.pass(Micros::secs(2), 50);
    assert!(matches!(m.cross(), Some(Event::Begin(_))));
    assert!(matches!(only(&m.secs(12, 0)), Event::End(_)));
    // the latch of the episode's own events, delivered with the next stall
    m.total += 50;
    assert_eq!(m.cross(), None);
    assert_eq!(m.secs(3, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

/// Seen on 6.12: 93 ms of 200 at the event, the rest a moment later.
#[test]
fn the_event_of_a_privileged_trigger_may_be_ahead_of_the_counter() {
    for (millis, begins) in [(93, true), (50, true), (49, false)] {
        let mut m = armed("memory full 10%/2s for=0", true);
        m.pass(Micros::millis(millis), 100);
        assert_eq!(m.cross().is_some(), begins, "{millis}");
    }
}

#[test]
fn a_stale_event_hours_later_is_silent() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(3 * 3600), 1);
    assert_eq!(m.cross(), None);
    assert_eq!(m.secs(300, 1), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn for_0_begins_at_the_crossing() {
    let mut m = machine("cpu some 5%/2s for=0");
    m.pass(Micros::secs(2), 5);
    assert!(matches!(m.cross(), Some(Event::Begin(_))));
}

#[test]
fn for_0_counts_the_window_that_fired_with_its_threshold() {
    let mut m = machine("cpu some 5%/2s for=0 clear=4s");
    m.pass(Micros::secs(3600), 1);
    m.pass(Micros::secs(2), 5);
    m.cross();
    let Event::End(figures) = only(&m.secs(4, 0)) else {
        panic!("no end");
    };
    let expected = Figures {
        duration: Micros::secs(2),
        stalled: Micros::millis(100),
        hits: 1,
        worst: Percent(500),
    };
    assert_eq!(figures, expected);
}

#[test]
fn for_0_counts_growth_from_before_a_fallback_reading_in_the_same_window() {
    let mut m = machine("cpu some 10%/2s for=0");
    m.pass(Micros::secs(29), 0);
    m.pass(Micros::millis(900), 12);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    m.pass(Micros::millis(900), 12);
    assert!(matches!(m.cross(), Some(Event::Begin(_))));
}

#[test]
fn a_fallback_reading_stands_in_for_a_stolen_event() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(30), 11);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    assert_eq!(m.episode.phase(), Phase::Verifying);
    assert_eq!(begins(&m.secs(20, 11)), 1);
}

#[test]
fn for_0_begins_at_a_fallback_reading() {
    let mut m = machine("memory full 10%/2s for=0");
    m.pass(Micros::secs(30), 11);
    assert!(matches!(
        m.episode.checked(m.now, m.total),
        Some(Event::Begin(_))
    ));
}

#[test]
fn a_fallback_reading_under_the_threshold_is_silent() {
    let mut m = machine("memory full 10%/2s for=0");
    for _ in 0..100 {
        assert_eq!(m.secs(30, 9), []);
        assert_eq!(m.episode.phase(), Phase::Quiet);
        assert_eq!(m.episode.checked(m.now, m.total), None);
    }
    assert_eq!(m.secs(2, 9), []);
    // nor does a sliver of a window with a stall in it say anything
    m.pass(Micros(100), 100);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    assert_eq!(m.episode.deadline(), None);
}

/// Where a reading has taken the end of a window, the kernel compares the growth within
/// two of them with the threshold of one. A rule of an hour can wait for the next event.
#[test]
fn an_event_that_the_mean_belies_verifies_no_long_for() {
    let phase = |rule: &str, privileged, percent| {
        let mut m = armed(rule, privileged);
        m.pass(Micros::secs(4), percent);
        assert_eq!(m.cross(), None);
        m.episode.phase()
    };
    let long = "cpu some 90%/2s for=1h";
    assert_eq!(phase(long, false, 60), Phase::Quiet);
    assert_eq!(phase(long, false, 90), Phase::Verifying);
    assert_eq!(phase(long, true, 60), Phase::Verifying);
    assert_eq!(phase("cpu some 90%/2s for=2m", false, 60), Phase::Verifying);
}

/// Pressure that lasts crosses the threshold again, from the reading in between on.
#[test]
fn an_event_that_the_mean_belies_is_a_reading() {
    let mut m = machine("cpu some 90%/2s for=1h");
    m.pass(Micros::secs(20), 0);
    m.pass(Micros::secs(2), 100);
    assert_eq!(m.cross(), None);
    assert_eq!(m.episode.phase(), Phase::Quiet);
    m.pass(Micros::secs(2), 100);
    assert_eq!(m.cross(), None);
    assert_eq!(m.episode.phase(), Phase::Verifying);
    let Event::Begin(figures) = only(&m.secs(3600, 100)) else {
        panic!("no begin");
    };
    assert!(figures.duration >= Micros::secs(3000), "{figures:?}");
}

#[test]
fn a_fallback_reading_verifies_a_long_for_once_its_mean_is_at_the_threshold() {
    for (percent, phase) in [(89, Phase::Quiet), (90, Phase::Verifying)] {
        let mut m = machine("cpu some 90%/2s for=1h");
        m.pass(Micros::secs(30), percent);
        assert_eq!(m.episode.checked(m.now, m.total), None);
        assert_eq!(m.episode.phase(), phase, "{percent}");
    }
}

#[test]
fn for_0_counts_from_a_fallback_reading_that_is_a_window_ago() {
    let mut m = machine("cpu some 10%/2s for=0");
    m.pass(Micros::secs(29), 0);
    m.pass(Micros::secs(1), 15);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    m.pass(Micros::secs(2), 5);
    assert_eq!(m.cross(), None);
}

#[test]
fn a_fallback_reading_of_the_stall_itself_is_verified() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(28), 0);
    m.pass(Micros::secs(2), 10);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    assert_eq!(m.episode.phase(), Phase::Verifying);
}

#[test]
fn another_trigger_starts_over() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(2), 50);
    m.cross();
    let (at, total) = (m.now, m.total);
    m.episode.rearm(Sample { at, total }, true);
    assert_eq!(m.episode.phase(), Phase::Quiet);
    assert!(m.episode.is_privileged());
}
