mod faults;
mod limit;
mod room;

use super::*;
use crate::alert::{FallbackPoll, Ids, Reading, Wake};
use crate::episode::{Phase, Sample};
use crate::evidence::Evidence;
use crate::pressure::Averages;

const NOW: Moment = Moment(1_000_000_000);
const START: Sample = Sample { at: NOW, total: 0 };
const FAILURE: Failure = Failure {
    errno: libc::EMFILE,
    hint: None,
};

fn rule(text: &str) -> Rule {
    Rule::parse(text.split(' ')).unwrap()
}

fn empty(up: Micros) -> Monitors<u32> {
    let fallback = FallbackPoll::new(up, Micros::secs(120), NOW);
    Monitors::new(Ids::new(7), fallback)
}

fn monitors(max: usize, rules: &[&str]) -> Monitors<u32> {
    let mut monitors = empty(Micros::secs(3600));
    let rules: Vec<Rule> = rules.iter().map(|text| rule(text)).collect();
    monitors.set_rules(&rules, max, None, NOW);
    monitors
}

/// As the daemon does, with the path's length for a trigger.
fn created(monitors: &mut Monitors<u32>, path: &[u8]) {
    for rule in monitors.covering(path) {
        let kept = monitors.take_place(&rule, path);
        if rule.is_pattern() && !kept && !monitors.has_room() {
            monitors.wait(&rule, path);
            continue;
        }
        let alert = Alert::new(rule, Some(path), START, false);
        monitors.arm(alert, path.len() as u32);
    }
}

/// A rule of the whole system, armed.
fn armed(monitors: &mut Monitors<u32>, privileged: bool) {
    for rule in monitors.rules().cloned().collect::<Vec<_>>() {
        monitors.arm(Alert::new(rule, None, START, privileged), 0);
    }
    monitors.recount(NOW, None);
}

fn paths(monitors: &Monitors<u32>) -> Vec<String> {
    let cgroup = |index| {
        let alert = monitors.alert(index);
        let path = String::from_utf8_lossy(alert.cgroup().unwrap_or(b"/")).into_owned();
        format!("{}{path}", alert.rule().name)
    };
    (0..monitors.len()).map(cgroup).collect()
}

/// The tasks of a step, each as a word, none carried out.
fn tasks(monitors: &mut Monitors<u32>) -> Vec<String> {
    let mut tasks = Vec::new();
    while let Some(task) = monitors.next_task() {
        tasks.push(match task {
            Task::Read(index, wake) => format!("{wake:?} {index}"),
            Task::Close(index, reason) => format!("close {index} {}", reason.token()),
            Task::Rearm(index, errno) => format!("rearm {index} {errno}"),
            Task::Rescan => "rescan".into(),
            Task::Retry => "retry".into(),
            Task::Log(report) => report.heading().event.into(),
        });
    }
    tasks
}

fn take(
    monitors: &mut Monitors<u32>,
    wake: Wake,
    seconds: u64,
    total: u64,
) -> Option<&'static str> {
    let averages = Averages {
        total,
        ..Averages::default()
    };
    let reading = Reading {
        at: at(seconds),
        averages,
        evidence: Evidence::None,
    };
    let report = monitors.take(0, wake, reading);
    report.map(|report| report.heading().event)
}

fn at(seconds: u64) -> Moment {
    NOW + Micros::secs(seconds)
}

#[test]
fn what_waits_gets_the_room_and_a_named_cgroup_needs_none() {
    let rules = ["io full 1%/2s cgroup=/* name=p", "io full 1%/2s cgroup=/z"];
    let mut monitors = monitors(2, &rules);
    for path in [&b"/a"[..], b"/b", b"/c", b"/d", b"/z"] {
        created(&mut monitors, path);
    }
    assert_eq!(paths(&monitors), ["p/a", "p/b", "io-full/z"]);
    assert!(monitors.share_room().admitted.is_empty());
    assert!(monitors.forget(b"/c") && !monitors.forget(b"/c"));
    monitors.disarm(0);
    monitors.disarm(0);
    let admitted = monitors.share_room().admitted;
    let admitted: Vec<_> = admitted.iter().map(|(_, path)| &**path).collect();
    assert_eq!(admitted, [b"/d"]);
}

#[test]
fn a_cgroup_that_is_noticed_twice_waits_once() {
    let mut monitors = monitors(1, &["io full 1%/2s cgroup=/*"]);
    for path in [b"/a", b"/b", b"/b"] {
        created(&mut monitors, path);
    }
    monitors.recount(NOW, None);
    monitors.notify(NOW, true);
    let Some(Task::Log(Report::Capped { count, .. })) = monitors.next_task() else {
        panic!("not capped");
    };
    assert_eq!(count, 1);
}

#[test]
fn new_rules_keep_what_they_cover_in_the_same_way() {
    let before = [
        "io full 1%/2s cgroup=/*/* name=p",
        "io full 2%/2s cgroup=/a/x name=q",
    ];
    let mut monitors = monitors(9, &before);
    for path in [b"/a/x", b"/a/y", b"/b/x"] {
        created(&mut monitors, path);
    }
    let after = [
        rule("io full 1%/2s cgroup=/a/** name=p except=/a/y"),
        rule("io full 3%/2s cgroup=/a/x name=q"),
    ];
    let changes = monitors.set_rules(&after, 9, None, NOW);
    assert_eq!(
        changes,
        Reloaded {
            added: 2,
            removed: 2
        }
    );
    monitors.retire(NOW, EndReason::Reload);
    let closed = tasks(&mut monitors);
    assert_eq!(
        closed,
        ["close 3 reload", "close 2 reload", "close 1 reload"]
    );
    assert_eq!(monitors.remove_retired(), [4, 4, 4]);
    assert_eq!(paths(&monitors), ["p/a/x"]);
    let kept = monitors.rules().next().cloned().unwrap();
    assert_eq!(monitors.find(&kept, Some(b"/a/x")), Some(Found::Armed(0)));
    let changes = monitors.set_rules(&after, 9, None, NOW);
    assert_eq!(
        changes,
        Reloaded {
            added: 0,
            removed: 0
        }
    );
    assert_eq!(monitors.remove_retired(), [0; 0]);
}

#[test]
fn a_lower_cap_retires_the_newest_cgroups_of_patterns_alone() {
    let rules = [
        "io full 1%/2s cgroup=/* name=p",
        "io full 1%/2s cgroup=/z name=z",
    ];
    let mut monitors = monitors(9, &rules);
    for path in [b"/a", b"/b", b"/z"] {
        created(&mut monitors, path);
    }
    assert_eq!(paths(&monitors), ["p/a", "p/b", "p/z", "z/z"]);
    let rules: Vec<Rule> = rules.iter().map(|text| rule(text)).collect();
    monitors.set_rules(&rules, 3, None, NOW);
    assert_eq!(monitors.remove_retired(), [2]);
    assert_eq!(paths(&monitors), ["p/a", "p/b", "z/z"]);
}

#[test]
fn what_is_lost_is_logged_by_rule() {
    let rules = ["io full 1%/2s cgroup=/* name=p", "io full 1%/2s name=whole"];
    let mut monitors = monitors(9, &rules);
    for path in [b"/a", b"/b"] {
        created(&mut monitors, path);
    }
    let (alert, _) = monitors.disarm(1);
    monitors.add_unarmed(alert, FAILURE);
    monitors.recount(NOW, None);
    assert_eq!(monitors.deadline(), Some(NOW + rules::SETTLE));
    monitors.notify(NOW, false);
    assert_eq!(tasks(&mut monitors), [""; 0]);
    monitors.notify(at(1), false);
    let Some(Task::Log(Report::Lost {
        rule, errno, count, ..
    })) = monitors.next_task()
    else {
        panic!("not lost");
    };
    assert_eq!((rule.name.as_str(), errno, count), ("p", libc::EMFILE, 1));
    monitors.forget(b"/b");
    assert_eq!(monitors.unarmed(), 0);
    monitors.recount(at(2), None);
    monitors.notify(at(2), false);
    assert_eq!(tasks(&mut monitors), ["restored"]);
}

#[test]
fn a_pattern_that_sees_nothing_is_lost_and_looks_again() {
    let rules = ["io full 1%/2s cgroup=/* name=p", "io full 1%/2s name=whole"];
    let mut monitors = monitors(9, &rules);
    monitors.recount(NOW, Some(FAILURE));
    monitors.notify(NOW, true);
    assert_eq!(tasks(&mut monitors), ["lost"]);
    monitors.wake(at(30));
    assert_eq!(tasks(&mut monitors), ["rescan"]);
    monitors.recount(at(30), None);
    monitors.notify(at(30), true);
    assert_eq!(tasks(&mut monitors), ["restored"]);
    monitors.wake(at(90));
    assert_eq!(tasks(&mut monitors), [""; 0]);
}

#[test]
fn an_event_is_read_once_and_a_dead_file_is_armed_again() {
    let mut monitors = monitors(9, &["io full 1%/2s name=a", "io full 2%/2s name=b"]);
    armed(&mut monitors, true);
    monitors.fired(0);
    monitors.died(1, libc::ENODEV);
    monitors.wake(NOW);
    let rearm = format!("rearm 1 {}", libc::ENODEV);
    assert_eq!(tasks(&mut monitors), [rearm.as_str(), "Crossed 0"]);
    monitors.wake(NOW);
    assert_eq!(tasks(&mut monitors), [""; 0]);
}

/// The last monitor takes the place of one that is disarmed while the pass is at it.
#[test]
fn disarming_on_the_way_passes_none_over() {
    let rules = [
        "io full 1%/2s name=a",
        "io full 2%/2s name=b",
        "io full 3%/2s name=c",
    ];
    let mut monitors = monitors(9, &rules);
    armed(&mut monitors, true);
    (0..3).for_each(|index| monitors.fired(index));
    monitors.wake(NOW);
    let mut read = Vec::new();
    while let Some(task) = monitors.next_task() {
        let Task::Read(index, Wake::Crossed) = task else {
            panic!("{task:?}");
        };
        read.push(monitors.alert(index).rule().name.clone());
        if index == 1 {
            monitors.disarm(1);
        }
    }
    assert_eq!(read, ["c", "b", "a"]);
}

#[test]
fn the_grace_ends_with_a_new_baseline_and_only_then_anything_is_polled() {
    let mut monitors = empty(Micros::secs(110));
    monitors.set_rules(&[rule("io full 10%/2s for=0")], 9, None, NOW);
    armed(&mut monitors, true);
    assert_eq!(monitors.polled().flatten().count(), 0);
    assert_eq!(monitors.deadline(), Some(at(10)));
    monitors.wake(at(10));
    assert_eq!(tasks(&mut monitors), ["GraceOver 0"]);
    assert_eq!(monitors.polled().flatten().count(), 1);
    // what was stalled before counts no more
    assert_eq!(take(&mut monitors, Wake::GraceOver, 10, 5_000_000), None);
    assert_eq!(take(&mut monitors, Wake::Crossed, 13, 5_010_000), None);
    assert_eq!(monitors.alert(0).phase(), Phase::Rechecking);
}

#[test]
fn an_open_episode_is_read_once_a_window_and_its_trigger_is_not_polled() {
    let mut monitors = monitors(9, &["io full 10%/2s for=0 clear=0"]);
    armed(&mut monitors, true);
    assert_eq!(monitors.deadline(), None);
    assert_eq!(
        take(&mut monitors, Wake::Crossed, 1, 900_000),
        Some("begin")
    );
    assert_eq!(monitors.polled().flatten().count(), 0);
    assert_eq!(monitors.deadline(), Some(at(3)));
    monitors.wake(at(2));
    assert_eq!(tasks(&mut monitors), [""; 0]);
    monitors.wake(at(3));
    assert_eq!(tasks(&mut monitors), ["Expired 0"]);
    assert_eq!(take(&mut monitors, Wake::Expired, 3, 900_000), Some("end"));
    assert_eq!(monitors.polled().flatten().count(), 1);
}

#[test]
fn quiet_counters_are_read_now_and_then_where_events_can_be_stolen() {
    let mut monitors = monitors(9, &["io full 10%/2s"]);
    armed(&mut monitors, false);
    assert_eq!(monitors.fallback_period(), Some(Micros::secs(30)));
    monitors.wake(at(29));
    assert_eq!(tasks(&mut monitors), [""; 0]);
    monitors.wake(at(30));
    assert_eq!(tasks(&mut monitors), ["Checked 0"]);
    assert_eq!(monitors.deadline(), Some(at(60)));
}

#[test]
fn what_is_lost_is_logged_in_the_order_of_the_rules() {
    let rules = ["a", "b", "c"].map(|name| format!("io full 1%/2s cgroup=/* name={name}"));
    let rules: Vec<&str> = rules.iter().map(String::as_str).collect();
    let mut monitors = monitors(9, &rules);
    monitors.recount(NOW, Some(FAILURE));
    monitors.notify(NOW, true);
    let mut names = Vec::new();
    while let Some(Task::Log(Report::Lost { rule, .. })) = monitors.next_task() {
        names.push(rule.name.clone());
    }
    assert_eq!(names, ["a", "b", "c"]);
}

/// What was found to be due is found anew after whatever may bring it forward.
#[test]
fn a_turn_visits_what_is_due_although_nothing_was_when_it_waited() {
    let mut monitors = monitors(9, &["io full 10%/2s for=0 clear=0"]);
    armed(&mut monitors, false);
    assert_eq!(monitors.deadline(), Some(at(30)));
    monitors.wake(at(29));
    assert_eq!(tasks(&mut monitors), [""; 0]);
    monitors.has_read_cgroups();
    monitors.wake(at(29));
    assert_eq!(tasks(&mut monitors), ["Checked 0"]);
    assert_eq!(monitors.deadline(), Some(at(59)));
    monitors.fired(0);
    monitors.wake(at(31));
    assert_eq!(tasks(&mut monitors), ["Crossed 0"]);
    let event = take(&mut monitors, Wake::Crossed, 31, 900_000);
    assert_eq!(event, Some("begin"));
    monitors.wake(at(33));
    assert_eq!(tasks(&mut monitors), ["Expired 0"]);
    assert_eq!(monitors.deadline(), Some(at(33)));
    monitors.set_poll_error(at(33), Some(FAILURE));
    monitors.recount(at(33), None);
    monitors.notify(at(33), false);
    assert_eq!(tasks(&mut monitors), [""; 0]);
    monitors.notify(at(34), false);
    assert_eq!(tasks(&mut monitors), ["lost"]);
}
