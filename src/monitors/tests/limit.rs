//! What a rule may write, and what it may not.

use super::*;

/// A reading of 900 ms of stall.
fn crossing(seconds: u64) -> Reading {
    let averages = Averages {
        total: 900_000,
        ..Averages::default()
    };
    Reading {
        at: at(seconds),
        averages,
        evidence: Evidence::None,
    }
}

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
        let total = (2 * round + 1) * 900_000;
        for (wake, seconds) in [(Wake::Crossed, 1), (Wake::Expired, 3)] {
            events.extend(take(&mut monitors, wake, 10 * round + seconds, total));
        }
    }
    assert_eq!(events, ["begin", "end"]);
    let other = monitors.take(1, Wake::Crossed, crossing(31));
    assert_eq!(other.map(|report| report.heading().event), Some("begin"));
    monitors.wake(at(11 + 59));
    assert_eq!(tasks(&mut monitors), ["Expired 1"]);
    monitors.wake(at(11 + 60));
    assert_eq!(tasks(&mut monitors), ["Expired 1", "suppressed"]);
}

/// Two episodes of a rule whose limit has room for the first one.
fn two_episodes() -> Monitors<u32> {
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
    monitors
}

#[test]
fn the_end_sums_up_what_was_suppressed() {
    let mut monitors = two_episodes();
    monitors.stop(at(20));
    assert_eq!(tasks(&mut monitors), ["close 0 stop", "suppressed"]);
    assert_eq!(tasks(&mut monitors), [""; 0]);
}

/// An operator wants to read of the host's trouble, whatever a user's cgroups do.
#[test]
fn ten_begins_of_a_pattern_suppress_no_warning_of_the_host() {
    let mut monitors = empty(Micros::secs(3600));
    let rules = [
        rule("memory full 10%/2s for=0 name=many cgroup=/user.slice/**"),
        rule("memory full 10%/2s for=0 name=host"),
    ];
    monitors.set_rules(&rules, 99, Some(12), NOW);
    for user in 0..10 {
        created(&mut monitors, format!("/user.slice/{user}").as_bytes());
    }
    let host = monitors.rules().last().cloned().unwrap();
    monitors.arm(Alert::new(host, None, START, true), 0);
    let begun = |monitors: &mut Monitors<u32>, index| {
        let report = monitors.take(index, Wake::Crossed, crossing(1));
        report.is_some_and(|report| report.heading().event == "begin")
    };
    let logged = (0..10).filter(|user| begun(&mut monitors, *user)).count();
    // a begin and its end are two of twelve lines
    assert!(logged == 6 && begun(&mut monitors, 10), "{logged}");
    let mut sums = Vec::new();
    for seconds in [60, 61, 62] {
        monitors.wake(at(seconds));
        while let Some(task) = monitors.next_task() {
            if let Task::Log(Report::Suppressed { count, begins, .. }) = task {
                sums.push((seconds, count, begins));
            }
        }
    }
    // each of the four is still pressed, and its begin is late
    assert_eq!(sums, [(61, 4, 4)]);
}

/// However they came about, and when their rule is no more.
#[test]
fn a_sign_of_life_counts_crossings_episodes_and_suppressed_lines() {
    let mut monitors = two_episodes();
    let counts = |triggers, suppressed| Counts {
        triggers,
        crossings: 2,
        episodes: 2,
        suppressed,
        ..Counts::default()
    };
    // the second begin and its end, not summed up yet, and then summed up
    assert_eq!(monitors.counts(), counts(1, 2));
    monitors.wake(at(11 + 60));
    while monitors.next_task().is_some() {}
    assert_eq!(monitors.counts(), counts(1, 2));
    monitors.rules[0].limit.suppress(at(80), 3, 1);
    assert_eq!(monitors.counts(), counts(1, 5));
    monitors.set_rules(&[], 9, Some(2), at(90));
    monitors.retire(at(90), EndReason::Reload);
    while monitors.next_task().is_some() {}
    monitors.remove_retired();
    assert_eq!(monitors.counts(), counts(0, 5));
}
