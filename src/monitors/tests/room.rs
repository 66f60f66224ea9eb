//! Who gets a trigger where there is no room for all.

use super::*;

#[test]
fn what_lacks_a_descriptor_is_tried_when_one_is_free() {
    let rules = ["io full 1%/2s cgroup=/* name=p", "io full 1%/2s cgroup=/z"];
    let mut monitors = monitors(9, &rules);
    for path in [b"/a", b"/b"] {
        created(&mut monitors, path);
    }
    let named = monitors.covering(b"/z").pop().unwrap();
    let hint = Some(Hint::Descriptors);
    let alert = Alert::new(named, Some(b"/z"), START, false);
    monitors.add_unarmed(alert, Failure { hint, ..FAILURE });
    monitors.run_short();
    created(&mut monitors, b"/c");
    assert_eq!(paths(&monitors), ["p/a", "p/b"]);
    monitors.recount(NOW, None);
    monitors.notify(NOW, true);
    let mut hints = Vec::new();
    while let Some(Task::Log(report)) = monitors.next_task() {
        if let Report::Capped { count, hint, .. } = report {
            hints.push((count, hint));
        }
    }
    assert_eq!(hints, [(1, Some(Hint::Descriptors))]);
    assert!(monitors.take_short().is_none());
    assert!(monitors.share_room().admitted.is_empty());
    monitors.disarm(0);
    let alert = monitors.take_short().unwrap();
    assert_eq!(alert.cgroup(), Some(&b"/z"[..]));
    monitors.arm(alert, 0);
    assert!(monitors.share_room().admitted.is_empty());
    monitors.disarm(0);
    assert_eq!(monitors.share_room().admitted.len(), 1);
}

/// As the daemon does; how many triggers were closed.
fn settle(monitors: &mut Monitors<u32>) -> usize {
    let mut closed = 0;
    loop {
        let Turnover { evicted, admitted } = monitors.share_room();
        closed += evicted.len();
        if admitted.is_empty() {
            return closed;
        }
        for (rule, path) in admitted {
            let alert = Alert::new(rule, Some(&path), START, false);
            monitors.arm(alert, path.len() as u32);
        }
    }
}

fn create(monitors: &mut Monitors<u32>, names: impl IntoIterator<Item = String>) {
    for name in names {
        created(monitors, name.as_bytes());
    }
}

/// How many below each of these are armed.
fn armed_below(monitors: &Monitors<u32>, above: &[&str]) -> Vec<usize> {
    let paths = paths(monitors);
    let below = |above: &&str| paths.iter().filter(|path| path.starts_with(*above)).count();
    above.iter().map(below).collect()
}

/// An operator wants every user's cgroups to be watched, whatever one of them does.
#[test]
fn the_room_is_shared_by_what_the_first_wildcard_matches() {
    let mut monitors = monitors(12, &["io full 1%/2s cgroup=/user.slice/** name=p"]);
    let users = ["p/user.slice/a/", "p/user.slice/b/", "p/user.slice/c/"];
    let of =
        |user: usize, count: usize| (0..count).map(move |n| format!("{}{n}", &users[user][1..]));
    create(&mut monitors, of(0, 300));
    assert_eq!(settle(&mut monitors), 0);
    assert_eq!(armed_below(&monitors, &users), [12, 0, 0]);
    create(&mut monitors, of(1, 300));
    assert_eq!(settle(&mut monitors), 6);
    create(&mut monitors, of(2, 2));
    assert_eq!(settle(&mut monitors), 2);
    assert_eq!(armed_below(&monitors, &users), [5, 5, 2]);
    // the oldest have stayed
    assert!(paths(&monitors).contains(&"p/user.slice/a/0".into()));
    // what is closed by others goes to the share with the fewest
    let index = monitors.len() - 1;
    monitors.disarm(index);
    assert_eq!(settle(&mut monitors), 0);
    assert_eq!(monitors.len(), 12);
    monitors.recount(NOW, None);
    monitors.notify(NOW, true);
    let Some(Task::Log(Report::Capped { count, .. })) = monitors.next_task() else {
        panic!("not capped");
    };
    assert_eq!(count, 300 + 300 + 2 - 12 - 1);
}

#[test]
fn no_open_episode_is_given_up_for_another() {
    let mut monitors = monitors(3, &["io full 10%/2s for=0 cgroup=/u/** name=p"]);
    create(&mut monitors, (0..3).map(|n| format!("/u/a/{n}")));
    // the newest first, if it is quiet
    let reading = Reading {
        at: at(1),
        averages: Averages {
            total: 900_000,
            ..Averages::default()
        },
        evidence: Evidence::None,
    };
    assert!(monitors.take(2, Wake::Crossed, reading).is_some());
    create(&mut monitors, ["/u/b/0".to_string()]);
    assert_eq!(settle(&mut monitors), 1);
    assert_eq!(paths(&monitors), ["p/u/a/0", "p/u/a/2", "p/u/b/0"]);
}

#[test]
fn what_restarts_finds_its_place_for_a_minute() {
    let mut monitors = monitors(16, &["io full 1%/2s cgroup=/s/* name=p"]);
    create(&mut monitors, (0..20).map(|n| format!("/s/{n}")));
    assert_eq!(settle(&mut monitors), 0);
    let restart = |monitors: &mut Monitors<u32>, seconds| {
        let (alert, _) = monitors.disarm(0);
        let path = alert.cgroup().unwrap().to_vec();
        monitors.keep(alert.rule(), &path, at(seconds));
        path
    };
    for second in 0..100 {
        let path = restart(&mut monitors, second);
        assert!(!monitors.give_up_places(at(second)));
        assert_eq!(settle(&mut monitors), 0);
        assert_eq!(monitors.len(), 15, "its place is kept");
        created(&mut monitors, &path);
        assert_eq!(monitors.len(), 16);
    }
    // what does not return leaves its place to those that wait
    restart(&mut monitors, 100);
    assert_eq!(monitors.deadline(), Some(at(160)));
    assert!(!monitors.give_up_places(at(159)) && monitors.give_up_places(at(160)));
    settle(&mut monitors);
    assert_eq!(monitors.len(), 16);
    // an eighth of the cap is kept at most
    (0..3).for_each(|_| drop(restart(&mut monitors, 200)));
    settle(&mut monitors);
    assert_eq!(monitors.len(), 14);
}

#[test]
fn what_waits_is_bounded_and_the_rest_is_counted() {
    let mut monitors = monitors(16, &["io full 1%/2s cgroup=/u/** name=p"]);
    create(&mut monitors, (0..100).map(|n| format!("/u/a/{n}")));
    create(&mut monitors, (0..5).map(|n| format!("/u/b/{n}")));
    let counted = |monitors: &Monitors<u32>| {
        let mut capped = 0;
        monitors.status(&|_| None, &mut |report| {
            if let Report::Tally { capped: count, .. } = report {
                capped = *count;
            }
        });
        capped
    };
    assert_eq!(counted(&monitors), 100 - 16 + 5);
    // one share leaves room for the paths of others
    settle(&mut monitors);
    assert_eq!(armed_below(&monitors, &["p/u/a/", "p/u/b/"]), [11, 5]);
    assert_eq!(counted(&monitors), 105 - 16);
    assert!(!monitors.lacks_paths());
    // one that was only counted is removed
    assert!(monitors.forget(b"/u/a/99"));
    assert_eq!(counted(&monitors), 104 - 16);
    (0..16).for_each(|_| drop(monitors.disarm(0)));
    settle(&mut monitors);
    assert_eq!(monitors.len(), 96 / 8 + 96 / 8 - 12);
    assert!(monitors.lacks_paths());
}
