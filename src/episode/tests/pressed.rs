//! Pressed: an open episode, its figures, and its end.

use super::*;

#[test]
fn pressure_that_lasts_begins_once_and_ends_once() {
    let mut m = machine(RULE);
    m.pass(Micros::secs(2), 50);
    assert_eq!(m.cross(), None);
    assert_eq!(m.secs(16, 50), []);
    let begin = only(&m.secs(2, 50));
    // 18 s from the event on, and the two that led up to it
    let figures = Figures {
        duration: Micros::secs(20),
        stalled: Micros::secs(10),
        hits: 10,
        worst: Percent(5000),
    };
    assert_eq!(begin, Event::Begin(figures));
    assert_eq!(m.secs(40, 50), []);
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
        assert_eq!(m.secs(56, 0), []);
        assert_eq!(m.secs(4, 50), []);
    }
    let Event::End(figures) = only(&m.secs(60, 0)) else {
        panic!("no end");
    };
    assert_eq!(figures.duration, Micros::secs(20 + 5 * 60));
    assert_eq!(figures.stalled, Micros::secs(10 + 5 * 2));
}

#[test]
fn a_clear_that_never_comes_costs_a_still_every_six_hours() {
    // steady at 6 %: under the threshold of 10 %, never under half of it
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    let mut at = Vec::new();
    let begin = m.now;
    for _ in 0..(48 * 1800) {
        for event in m.secs(2, 6) {
            assert!(matches!(event, Event::Still(_)), "{event:?}");
            at.push(m.now.since(begin).0 / 60_000_000);
        }
    }
    assert_eq!(
        at,
        [10, 30, 70, 150, 310, 630, 990, 1350, 1710, 2070, 2430, 2790]
    );
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
    assert!(matches!(only(&m.secs(2, 50)), Event::Still(_)));
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
    let event = m.episode.expire(m.now, m.total);
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
    let Some(Event::End(figures)) = m.episode.expire(m.now, m.total) else {
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
    assert_eq!(m.episode.expire(m.now, m.total + 1_500_000), None);
    let figures = m.episode.figures().expect("pressed");
    assert_eq!(figures.stalled, Micros(23_500_000));
    assert_eq!(figures.worst, Percent(10_000));
}

#[test]
fn an_event_while_pressed_changes_nothing() {
    let mut m = machine(RULE);
    m.cross();
    assert_eq!(begins(&m.secs(20, 50)), 1);
    let before = m.episode;
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
