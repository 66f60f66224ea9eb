//! Rechecking: `for=0`, and the counter did not confirm the event.

use super::*;

/// Seen on 6.12: the first stall of new pressure brings a latched event of the last
/// one, and the kernel then holds back the true one for a window.
#[test]
fn pressure_behind_a_stale_event_begins_within_its_window() {
    for privileged in [true, false] {
        let mut m = armed("memory full 10%/2s for=0 clear=0", privileged);
        m.pass(Micros::secs(60), 0);
        m.pass(Micros::millis(20), 100);
        assert_eq!(m.cross(), None);
        assert_eq!(m.run(Micros::millis(240), 80), []);
        // 250 ms to the threshold, and no longer than that again until it is seen
        let Event::Begin(figures) = only(&m.run(Micros::millis(260), 80)) else {
            panic!("no begin");
        };
        assert!(figures.stalled < Micros::millis(400));
        assert_eq!(begins(&m.secs(60, 80)), 0);
    }
}

#[test]
fn a_stale_event_costs_eight_rechecks() {
    let mut m = armed("memory full 10%/2s for=0", true);
    m.pass(Micros::secs(60), 0);
    assert_eq!(m.cross(), None);
    // 9 % are under the threshold, however often the counter is read
    let mut rechecks = 0;
    while let Some(due) = m.episode.deadline() {
        m.pass(due.since(m.now), 9);
        assert_eq!(m.episode.expire(m.now, m.total, Verdict::AGREED), None);
        rechecks += 1;
        assert!(rechecks <= 8);
    }
    assert_eq!(rechecks, 8);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

#[test]
fn pressure_that_began_shortly_before_a_fallback_reading_begins_a_window_later() {
    // 5 s of the 30 s: the mean of the whole period is far from the threshold
    let rules = [("cpu some 80%/2s for=0", 1), ("cpu some 80%/2s for=4s", 3)];
    for (rule, hits) in rules {
        let mut m = machine(rule);
        m.pass(Micros::secs(25), 0);
        m.pass(Micros::secs(5), 100);
        assert_eq!(m.episode.checked(m.now, m.total), None);
        // half of for=4s is what led up to it
        let events = m.secs(2, 100);
        let Event::Begin(figures) = only(&events) else {
            panic!("{events:?}");
        };
        assert_eq!(figures.hits, hits);
        assert_eq!(figures.worst, Percent(10_000));
    }
}

#[test]
fn pressure_that_was_over_before_the_fallback_reading_is_silent() {
    let mut m = machine("cpu some 80%/2s for=0");
    m.pass(Micros::secs(5), 100);
    m.pass(Micros::secs(25), 0);
    assert_eq!(m.episode.checked(m.now, m.total), None);
    assert_eq!(m.secs(60, 0), []);
    assert_eq!(m.episode.phase(), Phase::Quiet);
}

/// The descriptor stays polled: the kernel's next event may be the true one.
#[test]
fn an_event_while_rechecking_begins_if_the_counter_confirms_it() {
    let mut m = armed("memory full 10%/2s for=0", true);
    m.pass(Micros::secs(60), 0);
    assert_eq!(m.cross(), None);
    assert_eq!(m.run(Micros::millis(200), 0), []);
    m.pass(Micros::millis(49), 100);
    assert_eq!(m.cross(), None);
    m.pass(Micros::millis(1), 100);
    let Some(Event::Begin(figures)) = m.cross() else {
        panic!("no begin");
    };
    assert_eq!(figures.stalled, Micros::millis(50));
}

#[test]
fn an_early_recheck_is_no_reading() {
    let mut m = machine("memory full 10%/2s for=0");
    m.pass(Micros::secs(60), 0);
    assert_eq!(m.cross(), None);
    let due = m.episode.deadline().expect("rechecking");
    m.total += 200_000;
    let early = m.episode.expire(due - Micros(1), m.total, Verdict::AGREED);
    assert_eq!(early, None);
    assert!(m.episode.expire(due, m.total, Verdict::AGREED).is_some());
}

/// Seen on 6.12: 68 ms of stall behind an end brought an event of the episode before,
/// and a quarter of the threshold confirmed it.
#[test]
fn the_first_event_behind_an_end_has_to_bring_the_whole_threshold() {
    let ended = |millis| {
        let mut m = armed("memory full 10%/2s for=0 clear=4s", true);
        m.pass(Micros::secs(60), 0);
        m.pass(Micros::millis(200), 100);
        assert!(m.cross().is_some());
        only(&m.secs(6, 0));
        assert_eq!(m.episode.phase(), Phase::Quiet);
        m.pass(Micros::secs(20), 0);
        m.pass(Micros::millis(millis), 100);
        m
    };
    assert!(ended(200).cross().is_some());
    assert_eq!(ended(199).cross(), None);
    let mut m = ended(68);
    assert_eq!(m.cross(), None);
    assert_eq!(m.secs(10, 0), []);
    // the one behind it is as any other
    m.pass(Micros::millis(68), 100);
    assert!(m.cross().is_some());
    // a true one is there as soon as the file has the rest of it
    let mut m = ended(68);
    assert_eq!(m.cross(), None);
    let Event::Begin(figures) = only(&m.run(Micros::millis(300), 100)) else {
        panic!("no begin");
    };
    assert!(
        (200..=320).contains(&(figures.stalled.0 / 1000)),
        "{figures:?}"
    );
    assert_eq!(figures.duration, figures.stalled);
}
