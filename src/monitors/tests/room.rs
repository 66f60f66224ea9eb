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
    assert!(monitors.take_short().is_none() && monitors.admit().is_none());
    monitors.disarm(0);
    let alert = monitors.take_short().unwrap();
    assert_eq!(alert.cgroup(), Some(&b"/z"[..]));
    monitors.arm(alert, 0);
    assert!(monitors.admit().is_none());
    monitors.disarm(0);
    assert!(monitors.admit().is_some());
}
