//! The system fails: what is given up, what is logged, what is read instead.

use super::*;

#[test]
fn the_newest_of_patterns_are_given_up_first_and_wait() {
    let rules = [
        "io full 1%/2s cgroup=/* name=p",
        "io full 1%/2s cgroup=/z name=z",
        "io full 1%/2s name=s",
    ];
    let mut monitors = monitors(9, &rules);
    for path in [&b"/a"[..], b"/b"] {
        created(&mut monitors, path);
    }
    for (at, path) in [(1, Some(&b"/z"[..])), (2, None)] {
        let rule = monitors.rules().nth(at).cloned().unwrap();
        monitors.arm(Alert::new(rule, path, START, false), 7);
    }
    assert_eq!(paths(&monitors), ["p/a", "p/b", "z/z", "s/"]);
    assert_eq!(monitors.give_up(1), 1);
    monitors.retire(NOW, EndReason::Capped);
    assert_eq!(tasks(&mut monitors), ["close 1 capped"]);
    assert_eq!(monitors.remove_given_up(), [2]);
    assert_eq!(paths(&monitors), ["p/a", "s/", "z/z"]);
    // it waits, and there is no room
    assert!(!monitors.has_room() && monitors.forget(b"/b"));
    // more than there are: a rule of the whole system is never given up
    assert_eq!(monitors.give_up(9), 2);
    monitors.retire(NOW, EndReason::Capped);
    assert_eq!(tasks(&mut monitors), ["close 2 capped", "close 0 capped"]);
    assert_eq!(monitors.remove_given_up(), [7, 2]);
    assert_eq!(paths(&monitors), ["s/"]);
    assert_eq!(monitors.unarmed_cgroups().collect::<Vec<_>>(), [b"/z"]);
    assert!(!monitors.has_room() && monitors.forget(b"/a"));
}

#[test]
fn where_poll_fails_every_rule_is_lost_and_read_without_events() {
    let mut monitors = monitors(9, &["io full 1%/2s name=a", "cpu some 1%/2s name=b"]);
    armed(&mut monitors, true);
    assert_eq!(monitors.deadline(), None);
    assert!(monitors.set_poll_error(NOW, Some(FAILURE)));
    assert!(!monitors.set_poll_error(NOW, Some(FAILURE)));
    monitors.recount(NOW, None);
    monitors.wake(at(2));
    assert_eq!(tasks(&mut monitors), ["Checked 1", "Checked 0"]);
    monitors.notify(at(2), false);
    assert_eq!(tasks(&mut monitors), ["lost", "lost"]);
    assert!(monitors.set_poll_error(at(3), None));
    monitors.recount(at(3), None);
    monitors.notify(at(3), false);
    assert_eq!(tasks(&mut monitors), ["restored", "restored"]);
    assert_eq!(monitors.deadline(), None);
}

#[test]
fn what_may_pass_is_tried_again_with_the_fallback_reading() {
    for (errno, again) in [
        (libc::EMFILE, true),
        (libc::EIO, true),
        (libc::EINVAL, false),
    ] {
        let mut monitors = monitors(9, &["io full 1%/2s"]);
        let rule = monitors.rules().next().cloned().unwrap();
        let failure = Failure { errno, hint: None };
        monitors.add_unarmed(Alert::new(rule, None, START, false), failure);
        monitors.recount(NOW, None);
        // the lost line is due sooner
        monitors.notify(NOW, true);
        assert_eq!(tasks(&mut monitors), ["lost"]);
        assert_eq!(monitors.deadline(), again.then_some(at(30)));
        monitors.wake(at(30));
        let expected: &[&str] = if again { &["retry"] } else { &[] };
        assert_eq!(tasks(&mut monitors), expected, "{errno}");
    }
}
