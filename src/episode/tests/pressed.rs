//! Pressed: an open episode, its figures, and its end.

use super::*;

#[test]
fn pressure_that_lasts_begins_once_and_ends_once() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(2), 50);
    assert_eq!(m.cross(), None);
    // 2 s of 20 s are 10 %
    let begin = only(&m.secs(2, 50));
    let figures = Figures {
        duration: Micros::secs(4),
        stalled: Micros::secs(2),
        hits: 2,
        worst: Percent(5000),
    };
    assert_eq!(begin, Event::Begin(figures));
    assert_eq!(m.secs(56, 50), []);
    assert_eq!(m.secs(58, 0), []);
    let end = only(&m.secs(2, 0));
    let figures = Figures {
        duration: Micros::secs(60),
        stalled: Micros::secs(30),
        hits: 30,
        worst: Percent(5000),
    };
    assert_eq!(end, Event::End(figures));
    assert_eq!(figures.mean(), Percent(5000));
    assert_eq!(m.episode.phase(), Phase::Quiet);
    assert_eq!(m.episode.deadline(), None);
}

/// Neither the event nor the readings lie where pressure begins and ends.
#[test]
fn onset_and_end_are_found_within_their_windows() {
    let mut m = machine(RULE);
    // a reading long ago, and pressure 700 ms before the event
    m.pass(Micros::secs(3600), 0);
    m.pass(Micros::millis(700), 50);
    assert_eq!(m.cross(), None);
    assert_eq!(begins(&m.secs(30, 50)), 1);
    // it ends 500 ms into a window
    m.run(Micros::millis(500), 50);
    let Event::End(figures) = only(&m.secs(70, 0)) else {
        panic!("no end");
    };
    // of 350 ms stalled before the event, 200 fire it
    assert_eq!(figures.duration, Micros::millis(400 + 30_000 + 500));
    assert_eq!(figures.stalled, Micros::millis(200 + 15_000 + 250));
}

#[test]
fn pressure_that_wavers_around_the_threshold_is_one_episode() {
    let mut m = machine(RULE);
    m.cross();
    let mut events = m.secs(20, 12);
    for round in 0..500 {
        events.extend(m.secs(2, if round % 2 == 0 { 8 } else { 12 }));
    }
    assert_eq!(begins(&events), 1, "{events:?}");
    assert!(
        !events.iter().any(|e| matches!(e, Event::End(_))),
        "{events:?}"
    );
}

#[test]
fn calm_shorter_than_clear_is_the_same_episode() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    for _ in 0..5 {
        assert_eq!(m.secs(50, 0), []);
        assert_eq!(m.secs(10, 50), []);
    }
    let Event::End(figures) = only(&m.secs(60, 0)) else {
        panic!("no end");
    };
    assert_eq!(figures.duration, Micros::secs(20 + 5 * 60));
    assert_eq!(figures.stalled, Micros::secs(10 + 5 * 5));
}

#[test]
fn a_steady_state_under_the_threshold_ends() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    assert_eq!(m.secs(58, 9), []);
    let Event::End(figures) = only(&m.secs(2, 9)) else {
        panic!("no end");
    };
    // of the first window under it, what is pressure at the rate before
    assert_eq!(figures.duration, Micros::millis(20_360));
}

/// One window of three reaches the threshold, but their mean is under three quarters
/// of it.
#[test]
fn a_state_that_hovers_below_the_threshold_ends() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    let mut events = Vec::new();
    for _ in 0..20 {
        events.extend(m.secs(2, 12));
        events.extend(m.secs(4, 4));
    }
    assert!(matches!(only(&events), Event::End(_)), "{events:?}");
}

#[test]
fn still_lines_come_at_doubling_distances_up_to_six_hours() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(4, 50)), 1);
    let mut at = Vec::new();
    let begin = m.now;
    for _ in 0..(48 * 1800) {
        for event in m.secs(2, 50) {
            assert!(matches!(event, Event::Still(_)), "{event:?}");
            at.push(m.now.since(begin).0 / 60_000_000);
        }
    }
    assert_eq!(
        at,
        [10, 30, 70, 150, 310, 630, 990, 1350, 1710, 2070, 2430, 2790]
    );
}

/// What recurs is damped: each time within an hour of the last end clear= is four times
/// as long, an hour at most.
#[test]
fn a_relapse_ends_later_each_time() {
    let mut m = machine("memory full 10%/2s for=20s clear=2m");
    let mut relapses = Vec::new();
    for calm in [3000, 60, 3570, 3610, 0] {
        m.pass(Micros::secs(2), 50);
        m.cross();
        assert_eq!(begins(&m.secs(20, 50)), 1);
        let relapse = m.episode.relapse();
        relapses.push(relapse.map(|relapse| (relapse.count, relapse.clear.0 / 60_000_000)));
        let clear = relapse.map_or(Micros::secs(120), |relapse| relapse.clear);
        assert_eq!(m.run(clear - Micros::secs(2), 0), []);
        assert!(matches!(only(&m.secs(4, 0)), Event::End(_)));
        assert_eq!(m.episode.relapse(), None);
        m.pass(Micros::secs(calm), 0);
    }
    let expected = [None, Some((1, 8)), Some((2, 32)), Some((3, 60)), None];
    assert_eq!(relapses, expected);
}

#[test]
fn evidence_that_disagrees_for_clear_ends_it() {
    let mut m = machine("io some 50%/2s for=20s stuck=20s clear=1m repeat=2m");
    m.cross();
    assert_eq!(begins(&m.secs(20, 90)), 1);
    m.verdict.agrees = false;
    assert_eq!(m.secs(58, 90), []);
    let Event::End(figures) = only(&m.secs(2, 90)) else {
        panic!("no end");
    };
    // ten windows, and the one that fired
    assert_eq!(figures.hits, 11);
}

#[test]
fn a_repeat_longer_than_six_hours_is_kept() {
    let mut m = machine("memory full 10%/2s repeat=8h");
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    assert_eq!(m.secs(24 * 3600, 50).len(), 3);
}

#[test]
fn repeat_0_is_never_still() {
    let mut m = machine("memory full 10%/2s repeat=0");
    m.cross();
    assert_eq!(m.secs(24 * 3600, 50).len(), 1);
}

#[test]
fn still_waits_for_pressure_when_it_falls_due_in_calm() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    assert_eq!(m.secs(570, 50), []);
    // due at 600 s, in a calm that may yet become an end
    assert_eq!(m.secs(50, 0), []);
    assert!(matches!(only(&m.secs(4, 50)), Event::Still(_)));
}

#[test]
fn clear_0_ends_with_the_first_calm_window() {
    let mut m = machine("memory full 10%/2s for=0 clear=0");
    m.pass(Micros::secs(2), 50);
    assert!(m.cross().is_some());
    assert_eq!(m.secs(4, 50), []);
    let Event::End(figures) = only(&m.secs(2, 0)) else {
        panic!("no end");
    };
    assert_eq!(figures.duration, Micros::secs(5));
}

#[test]
fn a_late_reading_counts_its_whole_time() {
    // stopped for an hour with the pressure going on: one reading for all of it
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    m.pass(Micros::secs(3600), 50);
    let event = m.episode.expire(m.now, m.total, Verdict::AGREED);
    let Some(Event::Still(figures)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(figures.stalled, Micros::secs(1810));
    assert_eq!(figures.mean(), Percent(5000));
}

#[test]
fn a_late_reading_after_calm_ends_at_the_start_of_the_calm() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    m.pass(Micros::secs(3600), 0);
    let Some(Event::End(figures)) = m.episode.expire(m.now, m.total, Verdict::AGREED) else {
        panic!("no end");
    };
    assert_eq!(figures.duration, Micros::secs(20));
}

#[test]
fn a_counter_that_leaps_adds_nothing() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    m.total += 3_600_000_000;
    m.secs(2, 50);
    let Event::End(figures) = only(&m.secs(60, 0)) else {
        panic!("no end");
    };
    assert_eq!(figures.stalled, Micros::secs(10), "the leap is not counted");
}

#[test]
fn a_counter_that_falls_is_no_pressure_and_loses_nothing() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    m.total = 17;
    assert_eq!(m.secs(2, 50), []);
    assert_eq!(m.secs(20, 50), []);
    let Event::End(figures) = only(&m.secs(60, 0)) else {
        panic!("no end");
    };
    assert_eq!(
        figures.stalled,
        Micros::secs(20),
        "but for the fall's own window"
    );
    assert_eq!(figures.worst, Percent(5000));
}

#[test]
fn a_reading_that_was_made_late_is_no_leap() {
    // the clock was sampled, then we lost the CPU for 1.5 s, then read: over 100 %
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 100)), 1);
    m.pass(Micros::secs(2), 100);
    assert_eq!(
        m.episode
            .expire(m.now, m.total + 1_500_000, Verdict::AGREED),
        None
    );
    let figures = m.episode.figures().expect("pressed");
    assert_eq!(figures.stalled, Micros(23_500_000));
    assert_eq!(figures.worst, Percent(10_000));
}

#[test]
fn an_event_while_pressed_changes_nothing() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    let before = m.episode.clone();
    m.pass(Micros::secs(1), 50);
    assert_eq!(m.cross(), None);
    assert_eq!(m.episode, before);
}

/// The kernel latches an event during an episode and delivers it with the next stall,
/// however small. With the capability a quarter of the threshold confirms an event, and
/// the calm windows at the end may hold nearly half of it.
#[test]
fn an_event_that_was_latched_meanwhile_begins_nothing() {
    let mut m = armed("io full 60%/2s for=0 clear=2s", true);
    m.pass(Micros::secs(2), 90);
    assert!(matches!(m.cross(), Some(Event::Begin(_))));
    assert_eq!(m.secs(2, 90), []);
    let end = only(&m.secs(2, 25));
    assert!(matches!(end, Event::End(_)));
    m.pass(Micros::millis(100), 60);
    assert_eq!(m.cross(), None);
    assert_eq!(m.secs(2, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

/// A stall shorter than the window that led up to the event is known by its threshold
/// alone, and by its mean.
#[test]
fn the_worst_window_is_never_better_than_the_mean() {
    let mut m = machine("io full 60%/2s for=0 clear=2s");
    m.pass(Micros::millis(1300), 100);
    let Some(Event::Begin(figures)) = m.cross() else {
        panic!("no begin");
    };
    assert!(figures.worst >= figures.mean(), "{figures:?}");
    let Event::End(figures) = only(&m.secs(2, 0)) else {
        panic!("no end");
    };
    assert!(figures.worst >= figures.mean(), "{figures:?}");
}

#[test]
fn a_still_line_is_logged_in_the_window_in_which_it_is_due() {
    let mut m = machine("memory full 10%/2s for=0 repeat=10m");
    m.pass(Micros::secs(2), 50);
    assert!(m.cross().is_some());
    assert_eq!(m.secs(598, 50), []);
    assert!(matches!(only(&m.secs(2, 50)), Event::Still(_)));
}

#[test]
fn a_begin_an_hour_after_an_end_is_no_relapse() {
    for (calm, relapses) in [(3600, 0), (3599, 1)] {
        let mut m = machine("memory full 10%/2s for=0 clear=2s");
        m.pass(Micros::secs(2), 50);
        assert!(m.cross().is_some());
        assert!(matches!(only(&m.secs(2, 0)), Event::End(_)));
        m.pass(Micros::secs(calm - 2), 0);
        m.pass(Micros::secs(2), 50);
        assert!(m.cross().is_some());
        let relapse = m.episode.relapse();
        assert_eq!(relapse.map_or(0, |relapse| relapse.count), relapses);
    }
}
