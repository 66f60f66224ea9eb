//! The lines that are not an episode's, and what all lines have in common.

use super::*;

fn rule(text: &str) -> Rule {
    Rule::parse(text.split(' ')).expect("a rule")
}

#[test]
fn what_is_armed_and_configured_as_documented() {
    let (rule, long) = (
        &rule("io full 10%/2s name=disk"),
        &rule("io some 1s/4s name=slow"),
    );
    assert_eq!(
        written(Report::Restored(rule)),
        "trigger restored: event=restored level=info rule=disk res=io kind=full cgroup=/"
    );
    let reload = Report::Reload {
        triggers: 5,
        added: 3,
        removed: 2,
        failed: 1,
    };
    assert_eq!(
        written(reload),
        "configuration reloaded: event=reload level=info triggers=5 added=3 removed=2 failed=1"
    );
    assert_eq!(
        written(Report::WindowConflict { short: rule, long }),
        "windows differ: event=window_conflict level=warning rule=disk window_us=2000000 \
         blinds=slow blinds_window_us=4000000 cgroup=/"
    );
}

#[test]
fn the_sign_of_life_as_documented() {
    let counts = Counts {
        triggers: 6,
        failed: 1,
        crossings: 12,
        episodes: 3,
        suppressed: 4,
        dropped: 5,
    };
    assert_eq!(
        written(Report::Alive(counts)),
        "psilogd alive: event=alive level=info triggers=6 failed=1 crossings=12 episodes=3 \
         suppressed=4 dropped=5"
    );
}

#[test]
fn start_stop_and_what_was_not_logged_as_documented() {
    let start = Report::Start {
        version: "1.2.3",
        triggers: 4,
        failed: 1,
        poll: Some(Micros::secs(30)),
        mlock: Some(libc::ENOMEM),
        sandbox: "landlock7,seccomp",
    };
    assert_eq!(
        written(start),
        "psilogd started: event=start level=info version=1.2.3 triggers=4 failed=1 poll_s=30.0 \
         mlock=ENOMEM sandbox=landlock7,seccomp"
    );
    let signal = Some(StopSignal::Int);
    assert_eq!(
        written(Report::Stop { signal }),
        "psilogd stopping: event=stop level=info signal=INT"
    );
    assert_eq!(
        written(Report::Dropped { count: 12 }),
        "lines dropped: event=dropped level=warning count=12"
    );
    let suppressed = Report::Suppressed {
        rule: &rule("io full 10%/2s name=disk"),
        count: 9,
        begins: 2,
        since: Micros::secs(3600),
    };
    assert_eq!(
        written(suppressed),
        "lines suppressed: event=suppressed level=warning rule=disk res=io kind=full count=9 \
         begins=2 since_s=3600.0"
    );
}

#[test]
fn what_verbose_adds_as_documented() {
    let (rule, scope) = (&rule("io full 10%/2s name=disk"), Scope::Cgroup(b"/a"));
    let (total, phase) = (77, Phase::Verifying);
    assert_eq!(
        written(Report::Crossing { rule, scope, total }),
        "trigger fired: event=crossing level=debug rule=disk res=io kind=full total_us=77 \
         cgroup=/a"
    );
    let reading = Report::Reading {
        rule,
        scope,
        total,
        phase,
    };
    assert_eq!(
        written(reading),
        "counter read: event=reading level=debug rule=disk res=io kind=full state=verifying \
         total_us=77 cgroup=/a"
    );
}

#[test]
fn a_status_line_has_what_is_known() {
    let rule = Rule::parse("io full 10%/2s name=disk".split(' ')).expect("a rule");
    let (rule, scope) = (&rule, Scope::System);
    let open = episode(rule);
    let status = |phase, id, averages, figures| {
        written(Report::Status {
            rule,
            scope,
            phase,
            id,
            averages,
            figures,
        })
    };
    let head = "status: event=status level=info rule=disk res=io kind=full";
    assert_eq!(
        status(
            Some(Phase::Pressed),
            Some(open.id),
            open.averages,
            Some(open.figures)
        ),
        format!(
            "{head} state=pressed id=6a2b1c3d.17 dur_s=677.2 hits=66 stalled_us=333999999 \
             avg10=43.10 cgroup=/ avg60=8.02 avg300=2.10 total_us=123456789"
        )
    );
    assert_eq!(
        status(None, None, None, None),
        format!("{head} state=lost cgroup=/")
    );
}

#[test]
fn a_rejected_file_is_named_with_line_and_word_where_they_are_known() {
    let (file, reason) = (&b"/etc/a b"[..], Reason::BadKey);
    let rejected = |line, word| {
        written(Report::ReloadFailed {
            file,
            line,
            reason,
            word,
        })
    };
    let head = "configuration rejected: event=reload_failed level=err file=/etc/a%20b";
    assert_eq!(
        rejected(1, b"x=1"),
        format!("{head} line=1 reason=bad_key word=x%3D1")
    );
    assert_eq!(rejected(0, b""), format!("{head} reason=bad_key"));
}

#[test]
fn the_sentence_says_how_bad_it_is() {
    for (level, word) in [
        ("emerg", "extreme"),
        ("alert", "extreme"),
        ("crit", "critical"),
        ("err", "severe"),
        ("warning", "high"),
        ("notice", "raised"),
        ("info", "present"),
        ("debug", "present"),
    ] {
        let text = format!("io full 1%/2s level={level}");
        let rule = Rule::parse(text.split(' ')).expect("a rule");
        let text = written(Report::Begin(episode(&rule)));
        assert!(text.starts_with(&format!("io pressure {word}: ")), "{text}");
    }
}

#[test]
fn one_cgroup_that_is_lost_is_not_counted() {
    let rule = Rule::parse("io full 1%/2s name=svc".split(' ')).expect("a rule");
    let lost = |errno, hint, count| {
        written(Report::Lost {
            rule: &rule,
            scope: Scope::System,
            errno,
            hint,
            count,
        })
    };
    let head = "trigger lost: event=lost level=err rule=svc res=io kind=full errno=";
    let (missing, hint) = (libc::ENOENT, Some(Hint::Psi));
    assert_eq!(
        lost(missing, hint, 1),
        format!("{head}ENOENT hint=psi_off cgroup=/")
    );
    assert_eq!(lost(-9999, None, 2), format!("{head}9999 cgroup=/ count=2"));
}

#[test]
fn a_drill_says_so_last() {
    let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
    let episode = EpisodeReport {
        drill: true,
        ..episode(&rule)
    };
    let text = written(Report::Begin(episode));
    assert!(text.ends_with(" threshold_pct=1.00 drill=1"), "{text}");
}
