//! What a rule may write, and what it may not.

use super::*;

#[test]
fn the_noise_of_one_rule_silences_no_other() {
    let mut monitors = empty(Micros::secs(3600));
    let rules = [
        rule("io full 10%/2s for=0 clear=0 name=noisy"),
        rule("memory full 10%/2s for=0 clear=0 name=other"),
    ];
    monitors.set_rules(&rules, 9, Some(2), NOW);
    armed(&mut monitors, true);
    let mut events = Vec::new();
    for round in 0..3 {
        let seconds = 10 * round;
        events.extend(take(
            &mut monitors,
            Wake::Crossed,
            seconds + 1,
            (2 * round + 1) * 900_000,
        ));
        events.extend(take(
            &mut monitors,
            Wake::Expired,
            seconds + 3,
            (2 * round + 1) * 900_000,
        ));
    }
    assert_eq!(events, ["begin", "end"]);
    let averages = Averages {
        total: 900_000,
        ..Averages::default()
    };
    let reading = Reading {
        at: at(31),
        averages,
        evidence: Evidence::None,
    };
    let other = monitors.take(1, Wake::Crossed, reading);
    assert_eq!(other.map(|report| report.heading().event), Some("begin"));
    monitors.wake(at(3600 + 13));
    let rest = tasks(&mut monitors);
    assert_eq!(rest, ["Expired 1", "suppressed"]);
}

#[test]
fn the_end_sums_up_what_was_suppressed() {
    let mut monitors = empty(Micros::secs(3600));
    monitors.set_rules(&[rule("io full 10%/2s for=0 clear=0")], 9, Some(2), NOW);
    armed(&mut monitors, true);
    for (wake, seconds, total) in [
        (Wake::Crossed, 1, 900_000),
        (Wake::Expired, 3, 900_000),
        (Wake::Crossed, 11, 1_800_000),
        (Wake::Expired, 13, 1_800_000),
    ] {
        take(&mut monitors, wake, seconds, total);
    }
    monitors.stop(at(20));
    assert_eq!(tasks(&mut monitors), ["close 0 stop", "suppressed"]);
    assert_eq!(tasks(&mut monitors), [""; 0]);
}
