use super::*;
use crate::evidence::DiskName;
use crate::line::{LINE_MAX, Line};

mod lines;

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
        findings: Findings::None,
        relapse: None,
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
         kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 \
         stalled_us=333999999 mean_pct=49.32 worst_pct=81.20 cgroup=/ avg60=8.02 avg300=2.10 total_us=123456789 threshold_pct=40.00"
    );
    assert_eq!(
        written(Report::Still(episode(&rule))),
        "memory pressure still critical: event=still level=crit rule=memory-critical \
         res=memory kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 \
         stalled_us=333999999 mean_pct=49.32 worst_pct=81.20 cgroup=/ avg60=8.02 avg300=2.10 total_us=123456789"
    );
    assert_eq!(
        written(Report::End(episode(&rule), Some(EndReason::Stop))),
        "memory pressure ended: event=end level=crit rule=memory-critical res=memory \
         kind=full id=6a2b1c3d.17 avg10=43.10 dur_s=677.2 hits=66 stalled_us=333999999 \
         mean_pct=49.32 worst_pct=81.20 reason=stop cgroup=/ avg60=8.02 avg300=2.10 \
         total_us=123456789"
    );
}

/// The lines that the manual and README.md show, as they are written. A line that ends
/// with dots there is whole up to its averages.
#[test]
fn the_examples_of_the_manual_are_lines() {
    let rule = |text: &str| Rule::parse(text.split(' ')).expect("a rule");
    let memory = rule("memory full 40%/2s level=crit name=memory-critical");
    let io = rule("io some 10%/2s level=crit name=io-dead stuck=3m");
    let of = |rule, avg10, figures: (u64, u32, u64, u32), findings| {
        let (duration, hits, stalled, worst) = figures;
        let mut episode = episode(rule);
        episode.averages.as_mut().expect("read").avg10 = Percent(avg10);
        episode.figures = Figures {
            duration: Micros::millis(duration),
            stalled: Micros(stalled),
            hits,
            worst: Percent(worst),
        };
        EpisodeReport {
            findings,
            ..episode
        }
    };
    let found = |available, swap_free, kills| Findings::Memory {
        available: Some(Percent(available)),
        swap_free: Some(Percent(swap_free)),
        oom_kills: Some(kills),
    };
    let figures = [
        (12_100, 6, 8_213_450, 8120),
        (3_612_400, 1502, 1_902_876_543, 9640),
        (3_677_200, 1528, 1_933_999_999, 9640),
    ];
    let begin = of(&memory, 4310, figures[0], found(412, 0, 0));
    let still = of(&memory, 5177, figures[1], found(387, 0, 0));
    let end = of(&memory, 81, figures[2], found(3150, 1204, 1));
    let stuck = Io {
        disk: DiskName::new(b"sda"),
        stuck: Micros::millis(180_200),
        inflight: 3,
        iops: Some(0),
        wait: None,
    };
    let figures = (182_300, 91, 180_113_004, 10_000);
    let mut dead = of(&io, 9710, figures, Findings::Io(stuck));
    dead.id.number = 18;
    let read_me = include_str!("../../README.md");
    let manual = include_str!("../../man/psilogd.8").replace("\n  ", " ");
    let shown = |text: &str, report| {
        let line = written(report);
        let (start, _) = line.split_once("avg60=").expect("averages");
        let whole = text.contains(&format!("{line}\n"));
        assert!(whole || text.contains(&format!("{start}...\n")), "{line}");
    };
    for text in [read_me, &manual] {
        shown(text, Report::Begin(begin));
        shown(text, Report::End(end, None));
    }
    shown(read_me, Report::Still(still));
    shown(&manual, Report::Begin(dead));
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
fn evidence_stands_before_the_cgroup_and_what_is_unknown_is_left_out() {
    let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
    let keys = |findings| {
        let text = written(Report::Begin(EpisodeReport {
            findings,
            ..episode(&rule)
        }));
        let (_, after) = text.split_once(" worst_pct=81.20 ").expect("figures");
        after.split_once("cgroup=").expect("a cgroup").0.to_owned()
    };
    let memory = |available, swap_free, oom_kills| Findings::Memory {
        available,
        swap_free,
        oom_kills,
    };
    assert_eq!(
        keys(memory(Some(Percent(412)), Some(Percent(0)), Some(1))),
        "avail_pct=4.12 swap_free_pct=0.00 oom_kills=1 "
    );
    assert_eq!(keys(memory(None, None, Some(0))), "oom_kills=0 ");
    let mut io = Io {
        disk: None,
        stuck: Micros::ZERO,
        inflight: 3,
        iops: Some(0),
        wait: None,
    };
    assert_eq!(keys(Findings::Io(io)), "");
    io.disk = DiskName::new(b"sd a");
    io.stuck = Micros::millis(21_300);
    assert_eq!(
        keys(Findings::Io(io)),
        "disk=sd%20a stuck_s=21.3 inflight=3 iops=0 "
    );
    (io.stuck, io.iops, io.wait) = (Micros::ZERO, Some(87), Some(Micros(18_900)));
    assert_eq!(
        keys(Findings::Io(io)),
        "disk=sd%20a inflight=3 iops=87 await_ms=18 "
    );
    let cpu = |idle, steal, throttled| Findings::Cpu {
        idle,
        steal,
        throttled,
    };
    assert_eq!(
        keys(cpu(Some(Percent(50)), Some(Percent(0)), None)),
        "idle_pct=0.50 steal_pct=0.00 "
    );
    assert_eq!(
        keys(cpu(None, None, Some(Percent(10_000)))),
        "throttled_pct=100.00 "
    );
    assert_eq!(keys(Findings::None), "");
}

#[test]
fn a_relapse_names_how_it_is_damped() {
    let rule = Rule::parse("io full 1%/2s".split(' ')).expect("a rule");
    let episode = EpisodeReport {
        relapse: Some(Relapse {
            count: 2,
            clear: Micros::secs(480),
        }),
        ..episode(&rule)
    };
    for report in [
        Report::Begin(episode),
        Report::Still(episode),
        Report::End(episode, None),
    ] {
        let text = written(report);
        assert!(text.ends_with(" clear_s=480.0 relapse=2"), "{text}");
    }
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
    let (rule, count, max) = (&rule, 12, 256);
    for (hint, token) in [(None, ""), (Some(Hint::Descriptors), " hint=descriptors")] {
        let capped = Report::Capped {
            rule,
            count,
            max,
            hint,
        };
        let expected = format!(
            "cgroups left out: event=capped level=warning rule=svc res=io kind=full count=12 \
             max_triggers=256{token} cgroup=/a%20b/*.service"
        );
        assert_eq!(written(capped), expected);
    }
    let (quiet, capped) = (5, 12);
    let tally = Report::Tally {
        rule,
        unmounted: false,
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
        signal: Some(StopSignal::Term),
    };
    assert_eq!(of(stop), ("info", "notice", Class::Information));
    let dropped = Report::Dropped { count: 12 };
    assert_eq!(of(dropped), ("warning", "warning", Class::Alarm));
    let rule = Rule::parse("io full 1%/2s level=info".split(' ')).expect("a rule");
    let begin = Report::Begin(self::episode(&rule));
    assert_eq!(of(begin), ("info", "info", Class::Alarm));
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
