use super::*;
use crate::line::{LINE_MAX, Line};

fn episode(rule: &Rule) -> EpisodeReport<'_> {
    EpisodeReport {
        rule,
        scope: Scope::System,
        id: Id {
            start: 0x6a2b_1c3d,
            number: 17,
        },
        averages: Some(Averages {
            avg10: Percent(4310),
            avg60: Percent(802),
            avg300: Percent(210),
            total: 123_456_789,
        }),
        figures: Figures {
            duration: Micros(677_200_000),
            stalled: Micros(333_999_999),
            hits: 66,
            worst: Percent(8120),
        },
        drill: false,
        top: None,
    }
}

fn written(report: Report<'_>) -> String {
    let mut buffer = [0; LINE_MAX];
    let mut line = Line::new(&mut buffer);
    report.write(&mut line);
    String::from_utf8_lossy(line.bytes()).into_owned()
}

#[test]
fn begin_still_and_end_as_documented() {
    let text = "memory full 40%/2s level=crit name=memory-critical";
    let rule = Rule::parse(text.split(' ')).expect("a rule");
    assert_eq!(
        written(Report::Begin(episode(&rule))),
        "memory pressure critical: event=begin level=crit rule=memory-critical res=memory \
         kind=full id=6a2b1c3d.17 avg10=43.10 cgroup=/ \
         avg60=8.02 avg300=2.10 total_us=123456789 threshold_pct=40.00"
    );
    assert_eq!(
        written(Report::Still(episode(&rule))),
        "memory pressure still critical: event=still level=crit rule=memory-critical \
         res=memory kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 \
         stalled_us=333999999 cgroup=/ avg60=8.02 avg300=2.10 total_us=123456789"
    );
    assert_eq!(
        written(Report::End(episode(&rule), Some(EndReason::Stop))),
        "memory pressure ended: event=end level=crit rule=memory-critical res=memory \
         kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 stalled_us=333999999 \
         mean_pct=49.32 worst_pct=81.20 reason=stop cgroup=/ avg60=8.02 avg300=2.10 \
         total_us=123456789"
    );
}

#[test]
fn what_was_not_read_is_left_out() {
    let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
    let episode = EpisodeReport {
        averages: None,
        scope: Scope::Cgroup(b"/gone"),
        ..episode(&rule)
    };
    assert_eq!(
        written(Report::End(episode, Some(EndReason::Gone))),
        "io pressure ended: event=end level=warning rule=io-full res=io kind=full \
         id=6a2b1c3d.17 dur_s=677.2 hits=66 stalled_us=333999999 mean_pct=49.32 \
         worst_pct=81.20 reason=gone cgroup=/gone"
    );
}

#[test]
fn the_most_stalled_cgroup_comes_late_and_its_path_is_escaped() {
    let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
    let episode = EpisodeReport {
        top: Some(Top {
            path: b"/a b/c",
            avg10: Percent(4190),
        }),
        ..episode(&rule)
    };
    let keys = " total_us=123456789 top=/a%20b/c top_avg10=41.90";
    let text = written(Report::Begin(episode));
    assert!(
        text.ends_with(&format!("{keys} threshold_pct=1.00")),
        "{text}"
    );
    let text = written(Report::Still(episode));
    assert!(text.ends_with(keys), "{text}");
    let text = written(Report::End(episode, None));
    assert!(text.ends_with(keys), "{text}");
}

#[test]
fn what_is_said_of_a_pattern() {
    let text = "io full 1%/2s name=svc cgroup=/a%20b/*.service";
    let rule = Rule::parse(text.split(' ')).expect("a rule");
    let lost = Report::Lost {
        rule: &rule,
        scope: Scope::Cgroup(b"/a b/x.service"),
        errno: libc::EMFILE,
        hint: Some(Hint::Descriptors),
        count: 7,
    };
    assert_eq!(
        written(lost),
        "trigger lost: event=lost level=err rule=svc res=io kind=full errno=EMFILE \
         hint=descriptors cgroup=/a%20b/x.service count=7"
    );
    let (count, max) = (12, 256);
    let rule = &rule;
    assert_eq!(
        written(Report::Capped { rule, count, max }),
        "cgroups left out: event=capped level=warning rule=svc res=io kind=full count=12 \
         max_triggers=256 cgroup=/a%20b/*.service"
    );
    let (quiet, capped) = (5, 12);
    let tally = Report::Tally {
        rule,
        quiet,
        capped,
    };
    assert_eq!(
        written(tally),
        "status: event=status level=info rule=svc res=io kind=full state=quiet \
         cgroup=/a%20b/*.service count=5 capped=12"
    );
}

#[test]
fn severities() {
    let rule = Rule::parse("io full 1%/2s level=crit".split(' ')).expect("a rule");
    let of = |report: Report<'_>| {
        let heading = report.heading();
        (heading.level.name(), heading.severity.name(), heading.class)
    };
    let episode = episode(&rule);
    assert_eq!(of(Report::Begin(episode)), ("crit", "crit", Class::Alarm));
    assert_eq!(of(Report::Still(episode)), ("crit", "crit", Class::Still));
    assert_eq!(
        of(Report::End(episode, None)),
        ("crit", "notice", Class::Alarm)
    );
    let stop = Report::Stop {
        signal: StopSignal::Term,
    };
    assert_eq!(of(stop), ("info", "notice", Class::Information));
    let dropped = Report::Dropped { count: 12 };
    assert_eq!(of(dropped), ("warning", "warning", Class::Alarm));
}

#[test]
fn the_cgroup_is_escaped_and_costs_no_figure() {
    let path = format!("/{}\n", "\u{e9}".repeat(120));
    let rule = Rule::parse("io full 1%/2s cgroup=/*".split(' ')).expect("a rule");
    let episode = EpisodeReport {
        scope: Scope::Cgroup(path.as_bytes()),
        ..episode(&rule)
    };
    let text = written(Report::End(episode, None));
    assert!(text.contains(" worst_pct=81.20 cgroup=/%C3%A9"), "{text}");
    assert!(text.contains("%0A avg60="), "{text}");
}
