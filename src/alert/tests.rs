use super::*;
use crate::evidence::{Cpu, Io, Memory, Throttled};
use crate::pressure::Percent;
use crate::time::Micros;

const START: Moment = Moment(1_000_000_000);

struct Run {
    alert: Alert,
    limit: RateLimit,
    ids: Ids,
    now: Moment,
    total: u64,
    logged: Vec<String>,
}

fn run(rule: &str, lines_per_hour: Option<u32>) -> Run {
    let rule = Rule::parse(rule.split_whitespace()).expect("a rule");
    let baseline = Sample {
        at: START,
        total: 0,
    };
    Run {
        alert: Alert::new(rule.into(), None, baseline, false),
        limit: RateLimit::new(lines_per_hour, START),
        ids: Ids::new(0xabc),
        now: START,
        total: 0,
        logged: Vec::new(),
    }
}

impl Run {
    fn wake(&mut self, wake: Wake) {
        self.read(wake, Evidence::None, text);
    }

    fn read(&mut self, wake: Wake, evidence: Evidence, text: impl Fn(Report<'_>) -> String) {
        let averages = Averages {
            total: self.total,
            ..Averages::default()
        };
        let reading = Reading {
            at: self.now,
            averages,
            evidence,
        };
        let report = self
            .alert
            .take(wake, reading, &mut self.limit, &mut self.ids);
        self.logged.extend(report.map(text));
    }

    fn close(&mut self) {
        let averages = Some(Averages::default());
        let report = self
            .alert
            .close(self.now, averages, EndReason::Stop, &mut self.limit);
        self.logged.extend(report.map(text));
    }

    /// `windows` of 2 s, `percent` of each stalled.
    fn pass(&mut self, windows: u64, percent: u64) {
        for _ in 0..windows {
            self.now = self.now + Micros::secs(2);
            self.total += 20_000 * percent;
            match self.alert.deadline() {
                Some(_) => self.wake(Wake::Expired),
                None if percent >= 10 => self.wake(Wake::Crossed),
                None => {}
            }
        }
    }

    fn take_logged(&mut self) -> Vec<String> {
        std::mem::take(&mut self.logged)
    }
}

fn text(report: Report<'_>) -> String {
    let event = report.heading().event;
    match report {
        Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) => {
            format!("{event} {}", episode.id.number)
        }
        _ => event.into(),
    }
}

/// With `clear=0` what recurs is not damped.
const RULE: &str = "memory full 10%/2s for=0 clear=0 repeat=10s level=crit";

#[test]
fn episodes_are_numbered_without_gaps() {
    let mut run = run(RULE, None);
    for _ in 0..3 {
        run.pass(2, 50);
        run.pass(2, 0);
    }
    assert_eq!(
        run.logged,
        ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]
    );
}

#[test]
fn what_the_rate_limit_suppresses_is_whole_episodes() {
    let mut run = run(RULE, Some(4));
    for _ in 0..10 {
        run.pass(2, 50);
        run.pass(2, 0);
    }
    assert_eq!(run.logged, ["begin 1", "end 1", "begin 2", "end 2"]);
    let suppressed = run.limit.last_summary().map(|sum| (sum.count, sum.begins));
    assert_eq!(suppressed, Some((16, 8)));
}

#[test]
fn a_suppressed_begin_is_logged_when_there_is_room_and_so_is_its_end() {
    let mut run = run(RULE, Some(4));
    for _ in 0..2 {
        run.pass(2, 50);
        run.pass(2, 0);
    }
    run.take_logged();
    run.pass(3600 / 2, 50);
    let logged = run.take_logged();
    assert_eq!(logged.first().map(String::as_str), Some("begin 3"));
    run.pass(2, 0);
    assert_eq!(run.logged, ["end 3"]);
}

#[test]
fn a_suppressed_begin_is_not_logged_in_calm() {
    let mut run = run("memory full 10%/2s for=0 clear=2h level=crit", Some(4));
    assert!(run.limit.begin(run.now) && run.limit.begin(run.now));
    run.pass(2, 50);
    run.pass(3599, 0);
    assert_eq!(run.logged, [""; 0]);
    run.pass(1, 50);
    assert_eq!(run.logged, ["begin 1"]);
}

#[test]
fn a_suppressed_still_line_is_counted() {
    let mut run = run(RULE, Some(2));
    run.pass(20, 50);
    assert_eq!(run.logged, ["begin 1"]);
    let suppressed = run
        .limit
        .last_summary()
        .map(|sum| (sum.count > 0, sum.begins));
    assert_eq!(suppressed, Some((true, 0)));
}

#[test]
fn closing_ends_what_was_logged_and_nothing_else() {
    let mut run = run(RULE, None);
    run.close();
    assert_eq!(run.logged, [""; 0]);
    run.pass(2, 50);
    run.close();
    run.close();
    assert_eq!(run.logged, ["begin 1", "end 1"]);
    assert_eq!(run.alert.phase(), Phase::Quiet);
}

/// `seconds` of pressure of `percent` with what is read each time, and its keys.
fn findings(run: &mut Run, seconds: u64, percent: u64, evidence: impl Fn(u64) -> Evidence) {
    let end = run.now + Micros::secs(seconds);
    while run.now < end {
        run.now = run.now + Micros::secs(2);
        run.total += 20_000 * percent;
        let wake = match run.alert.deadline() {
            Some(due) if due > run.now => continue,
            Some(_) => Wake::Expired,
            None => Wake::Crossed,
        };
        let passed = run.now.since(START).0 / 1_000_000;
        run.read(wake, evidence(passed), |report| match report {
            Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _) => {
                format!("{:?}", episode.findings)
            }
            _ => String::new(),
        });
    }
}

fn memory(available: u32, kills: u64) -> Evidence {
    Evidence::Memory(Memory {
        available: Some(Percent(available * 100)),
        swap_free: None,
        oom_kills: Some(kills),
    })
}

/// A freeze of a few seconds on a host that runs out of memory, and a kill.
#[test]
fn a_kill_on_a_short_host_begins_and_is_counted_from_the_onset() {
    let mut run = run("memory full 10%/2s for=5m", None);
    findings(&mut run, 10, 90, |at| {
        memory(4, if at < 10 { 7 } else { 8 })
    });
    assert_eq!(run.logged.len(), 0);
    findings(&mut run, 20, 30, |_| memory(60, 8));
    assert_eq!(run.logged.len(), 1, "{:?}", run.logged);
    assert!(
        run.logged[0].contains("oom_kills: Some(1)"),
        "{:?}",
        run.logged
    );
}

/// /proc/vmstat counts the kills of a cgroup's limit as well.
#[test]
fn a_kill_on_a_host_with_memory_to_spare_begins_nothing() {
    for (rule, available) in [
        ("memory full 10%/2s for=5m", 25),
        ("memory full 10%/2s for=5m avail=10%", 10),
    ] {
        let mut run = run(rule, None);
        findings(&mut run, 10, 90, |_| memory(available, 7));
        findings(&mut run, 16, 30, |_| memory(available, 8));
        assert_eq!(run.logged, [""; 0], "{rule}");
        findings(&mut run, 30, 60, |_| memory(available - 1, 9));
        assert_eq!(run.logged.len(), 1, "{rule}");
    }
}

#[test]
fn avail_is_what_is_there_now() {
    let mut run = run("memory full 40%/2s for=20s avail=25%", None);
    findings(&mut run, 120, 90, |_| memory(25, 0));
    assert_eq!(run.logged, [""; 0]);
    findings(&mut run, 22, 90, |_| memory(24, 0));
    assert_eq!(run.logged.len(), 1);
}

fn cpu(idle: u64, steal: u64) -> Evidence {
    Evidence::Cpu(Cpu {
        idle: Micros::millis(idle),
        steal: Micros::millis(steal),
        cpus: 4,
        throttled: None,
    })
}

/// Of four CPUs, one that is idle is 25 %.
#[test]
fn busy_is_of_wall_time_and_all_cpus_over_for() {
    for (idle_ms, begins) in [(1001, 0), (1000, 1)] {
        let mut run = run("cpu some 90%/2s for=1m busy=75%", None);
        findings(&mut run, 110, 100, |at| {
            cpu(5_000_000 + at * idle_ms, at * 100)
        });
        assert_eq!(run.logged.len(), begins, "{idle_ms}");
        if let Some(text) = run.logged.first() {
            let expected =
                "Cpu { idle: Some(Percent(2500)), steal: Some(Percent(250)), throttled: None }";
            assert_eq!(text, expected);
        }
    }
}

#[test]
fn a_quota_is_shown_since_the_reading_before() {
    let cgroup = Some(&b"/a"[..]);
    let rule = Rule::parse("cpu some 90%/2s for=2s cgroup=/a".split(' ')).unwrap();
    let baseline = Sample {
        at: START,
        total: 0,
    };
    let mut run = run(RULE, None);
    run.alert = Alert::new(rule.into(), cgroup, baseline, false);
    findings(&mut run, 6, 100, |at| {
        Evidence::Cpu(Cpu {
            idle: Micros::ZERO,
            steal: Micros::ZERO,
            cpus: 2,
            throttled: Some(Throttled {
                periods: 90 + at * 10,
                throttled: at * 5,
            }),
        })
    });
    let expected = "Cpu { idle: None, steal: None, throttled: Some(Percent(5000)) }";
    assert_eq!(run.logged, [expected]);
}

/// A disk that was seen stuck for long enough, and pressure that says somebody waits.
#[test]
fn stuck_is_the_disks_not_the_pressures() {
    let mut run = run("io some 50%/2s for=20s stuck=20s", None);
    let io = |stuck| {
        Evidence::Io(Io {
            stuck: Micros::secs(stuck),
            ..Io::default()
        })
    };
    findings(&mut run, 600, 90, |_| io(19));
    assert_eq!(run.logged, [""; 0]);
    findings(&mut run, 4, 90, |_| io(20));
    assert_eq!(run.logged.len(), 1);
}

#[test]
fn what_can_not_be_read_bears_nothing_out() {
    let mut run = run("io some 50%/2s for=20s stuck=20s", None);
    findings(&mut run, 600, 90, |_| Evidence::None);
    assert_eq!(run.logged, [""; 0]);
}

#[test]
fn an_open_episode_is_lulled_by_a_calm_window() {
    let mut run = run("memory full 10%/2s for=0 clear=1m", None);
    assert!(!run.alert.is_lulled());
    run.pass(2, 50);
    assert!(!run.alert.is_lulled());
    run.pass(1, 0);
    assert!(run.alert.is_lulled());
}

#[test]
fn evidence_goes_with_events_and_timers() {
    let run = run(RULE, None);
    for (wake, wants) in [
        (Wake::Crossed, true),
        (Wake::Expired, true),
        (Wake::Checked, false),
        (Wake::GraceOver, false),
    ] {
        assert_eq!(run.alert.wants_evidence(wake), wants, "{wake:?}");
    }
}

#[test]
fn another_trigger_starts_over() {
    let mut run = run("memory full 10%/2s for=20s", None);
    run.pass(1, 50);
    assert_eq!(run.alert.phase(), Phase::Verifying);
    let (at, total) = (run.now, run.total);
    run.alert.rearm(Sample { at, total }, true);
    assert_eq!(run.alert.phase(), Phase::Quiet);
    assert!(run.alert.is_privileged());
}

#[test]
fn a_suppressed_begin_needs_no_still_line_to_be_logged() {
    let mut run = run("memory full 10%/2s for=0 repeat=0", Some(2));
    assert!(run.limit.begin(run.now));
    run.pass(1799, 50);
    assert_eq!(run.logged, [""; 0]);
    run.pass(1, 50);
    assert_eq!(run.logged, ["begin 1"]);
}
