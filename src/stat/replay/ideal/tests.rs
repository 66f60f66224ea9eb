use super::*;
use crate::config::Config;
use crate::report::Report;
use crate::stat::replay::{self, Replay, Tally};

const SECOND: u64 = 1_000_000;

/// A recording of memory full: so many seconds at so many percent, one after another.
fn recording(stretches: &[(u64, u64)]) -> Recording {
    let mut text = String::from("psistat record 1\ngroup -\n1000000000 d0\n");
    for (seconds, percent) in stretches {
        let (length, stall) = (seconds * SECOND, seconds * percent * SECOND / 100);
        text.push_str(&format!("{length} d{stall}\n"));
    }
    Recording::parse(&text).unwrap()
}

/// When the trigger of this rule fires, polled at all times, in seconds.
fn events(stretches: &[(u64, u64)], rule: &str) -> Vec<f64> {
    let recording = recording(stretches);
    let (start, end) = recording.span().unwrap();
    let rule = Rule::parse(rule.split(' ')).unwrap();
    let mut ideal = Ideal::new(recording);
    let armed = ideal.arm(&rule, None, start).unwrap();
    let (mut now, mut found) = (start, Vec::new());
    loop {
        now = ideal.wait(&[armed.trigger], now, end);
        match ideal.take(armed.trigger, now) {
            true => found.push(now.since(start).0 as f64 / 1e6),
            false => return found,
        }
    }
}

#[test]
fn a_trigger_fires_when_a_window_has_the_stall() {
    let second = &[(100, 0), (1, 80), (100, 0)];
    assert_eq!(events(second, "memory full 10%/2s"), [100.25]);
    // 200 ms of any two seconds and not of two that begin together
    assert_eq!(events(second, "memory full 40%/2s"), [101.0]);
    assert_eq!(events(second, "memory full 801ms/2s"), [0.0; 0]);
    let bursts = &[(10, 0), (1, 30), (1, 0), (1, 30), (10, 0)];
    // the window of 2 s ends within the second burst, that of 3 s too
    assert_eq!(events(bursts, "memory full 300ms/2s"), [11.0, 13.0]);
    assert_eq!(events(bursts, "memory full 600ms/3s"), [13.0]);
    assert_eq!(events(bursts, "memory full 310ms/2s"), [0.0; 0]);
}

#[test]
fn a_window_has_one_event() {
    let found = events(&[(10, 0), (10, 100), (10, 0)], "memory full 10%/2s");
    let expected = [10.2, 12.2, 14.2, 16.2, 18.2];
    assert_eq!(found, expected);
}

/// The window of the second event still holds the burst that the first one was for.
#[test]
fn an_event_waits_until_something_stalls_again() {
    let bursts = &[(10, 0), (2, 100), (1, 0), (1, 50), (10, 0)];
    let found = events(bursts, "memory full 10%/2s");
    assert_eq!(found, [10.2, 13.000001]);
}

/// A second at 30 %, then 9 %: the window that begins with the burst has the most.
#[test]
fn the_fullest_window_may_end_between_two_readings() {
    let stretches = &[(10, 0), (1, 30), (10, 9), (10, 0)];
    let found = events(stretches, "memory full 350ms/2s");
    assert_eq!(found, [11.555556]);
}

/// The search skips what cannot hold an event; it is held against one that looks at
/// every millisecond.
#[test]
fn no_event_is_skipped() {
    let mut seed = 1u64;
    let mut next = |most: u64| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (seed >> 33) % most
    };
    for _ in 0..50 {
        let mut text = String::from("psistat record 1\ngroup -\n1000000 d0\n");
        for _ in 0..40 {
            let length = 1 + next(1_500);
            let stall = length * next(3) * next(60);
            text.push_str(&format!("{} d{stall}\n", length * 1000));
        }
        let recording = Recording::parse(&text).unwrap();
        let (start, end) = recording.span().unwrap();
        let rule = Rule::parse("memory full 10%/2s".split(' ')).unwrap();
        let mut ideal = Ideal::new(recording.clone());
        let trigger = ideal.arm(&rule, None, start).unwrap().trigger;
        let found = ideal.wait(&[trigger], start, end);
        let series = recording.groups[0].series(Resource::Memory, Kind::Full);
        let stalled = |at: Moment| {
            let from = (at - rule.window).max(start);
            series.grown(at) - series.grown(from)
        };
        let ticks = (0..).map(|tick| start + Micros::millis(tick));
        let first = ticks
            .take_while(|at| *at < end)
            .find(|at| stalled(*at) >= 200_000);
        match first {
            Some(first) => {
                assert!(
                    found <= first && first.since(found) < Micros::millis(1),
                    "{text}"
                );
                assert!(stalled(found) >= 200_000, "{text}");
            }
            None => assert!(end.since(found) < Micros::millis(1), "{text}"),
        }
    }
}

/// What a configuration logs over a record, in whole seconds.
fn logged(text: &str, config: &str) -> Vec<(u64, String)> {
    let recording = Recording::parse(text).unwrap();
    let (start, end) = recording.span().unwrap();
    let config = Config::parse(config.as_bytes()).unwrap();
    let mut lines = Vec::new();
    let mut log = |at: Moment, report: &Report<'_>| {
        let mut buffer = [0; 1000];
        let mut line = crate::line::Line::new(&mut buffer);
        report.write(&mut line);
        let text = String::from_utf8_lossy(line.bytes()).into_owned();
        let keys = ["event=", "rule=", "cgroup=", "reason="];
        let words = text
            .split(' ')
            .filter(|word| keys.iter().any(|key| word.starts_with(key)));
        let words = words.collect::<Vec<_>>().join(" ");
        lines.push((at.since(start).0 / SECOND, words));
    };
    let mut replay = Replay::new(Ideal::new(recording), &config, start, &mut log);
    replay.run(end, &mut log);
    lines
}

/// Cgroups come and go in a recording as on a host.
#[test]
fn patterns_watch_the_cgroups_of_the_recording() {
    let text = "psistat record 2\ngroup /a\n1000000000 d0\n10000000 d0\ngroup /b\n0:1 d0\n\
                5000000:1 d5000000\n1000000:1 -\n9000000 d9000000\n60000000 d0\n";
    let rule = "memory full 50%/2s for=0 clear=10s name=m cgroup=";
    let line = |at, words: &str| (at, words.to_string());
    assert_eq!(
        logged(text, &format!("grace 0\n{rule}/*\n")),
        [
            line(11, "event=begin rule=m cgroup=/b"),
            line(11, "event=begin rule=m cgroup=/a"),
            line(16, "event=end rule=m reason=gone cgroup=/b"),
            line(33, "event=end rule=m cgroup=/a"),
        ]
    );
    // one that a rule names is lost before it is there and after it
    assert_eq!(
        logged(text, &format!("grace 0\n{rule}/b\n")),
        [
            line(0, "event=lost rule=m cgroup=/b"),
            line(10, "event=restored rule=m cgroup=/b"),
            line(11, "event=begin rule=m cgroup=/b"),
            line(16, "event=end rule=m reason=gone cgroup=/b"),
            line(60, "event=lost rule=m cgroup=/b"),
        ]
    );
    let capped = format!("grace 0\nmax_triggers 1\n{rule}/*\n");
    let capped: Vec<_> = logged(text, &capped)
        .into_iter()
        .map(|line| line.1)
        .collect();
    assert_eq!(capped[0], "event=capped rule=m cgroup=/*");
    assert_eq!(capped[1], "event=begin rule=m cgroup=/a");
}

#[test]
fn settings_apply() {
    // pressed for 100 s, from 1000 s after boot on
    let text = "psistat record 1\ngroup -\n1000000000 d0\n100000000 d90000000\n99000000 d0\n";
    let rule = "memory full 50%/2s for=10s clear=10s name=m\n";
    let first = |settings: &str| logged(text, &format!("{settings}\n{rule}"))[0].0;
    assert!(first("") < 50, "{}", first(""));
    assert!(first("grace 1050s") > 50, "{}", first("grace 1050s"));
    let bursts = "d0\n1000000 d1000000\n9000000 ".repeat(100);
    let text = format!("psistat record 1\ngroup -\n1000000000 {bursts}d0\n");
    let rule = "memory full 50%/2s for=0 clear=0 name=m\n";
    let lines = |limit: &str| logged(&text, &format!("rate_limit {limit}\n{rule}")).len();
    assert_eq!(lines("none"), 200);
    assert!(lines("2") < 6, "{}", lines("2"));
}

/// The kernel's averages of a steady stall approach it as documented for loads: by
/// 1 - 1/e in their own time.
#[test]
fn averages_are_those_of_the_kernel() {
    let recording = recording(&[(300, 0), (600, 80), (100, 0)]);
    let (start, _) = recording.span().unwrap();
    let rule = Rule::parse("memory full 10%/2s".split(' ')).unwrap();
    let mut ideal = Ideal::new(recording);
    let mut averages = |seconds| ideal.averages(0, &rule, start + Micros::secs(seconds));
    let near = |percent: Percent, expected: f64| {
        let found = f64::from(percent.0) / 100.0;
        assert!((found - expected).abs() < 1.0, "{found}, {expected}");
    };
    assert_eq!(averages(300), [Percent(0); 3]);
    let rise = 1.0 - (-1.0f64).exp();
    near(averages(310)[0], 80.0 * rise);
    near(averages(360)[1], 80.0 * rise);
    near(averages(600)[2], 80.0 * rise);
    near(averages(900)[0], 80.0);
    near(averages(910)[0], 80.0 * (1.0 - rise));
}

/// A disk with requests in flight that completes none is stuck from the reading on
/// that found it so.
#[test]
fn evidence_is_the_newest_reading() {
    let mut text = String::from("psistat record 2\ngroup -\n1000000000 f0\n");
    text.push_str("0/sda c100 q0 b5 w7\n0:host m1000 a250 s0 f0 k1 n2 i400 t3\n");
    for second in 1..=30 {
        text.push_str("1000000 f900000\n");
        match second {
            5 => text.push_str("0/sda c3 q2\n"),
            20 => text.push_str("0/sda -\n"),
            _ => {}
        }
        text.push_str("0:host i1\n");
    }
    let recording = Recording::parse(&text).unwrap();
    let (start, _) = recording.span().unwrap();
    let mut ideal = Ideal::new(recording);
    let alert = |rule: &str| {
        let rule = Rule::parse(rule.split(' ')).unwrap();
        let sample = crate::episode::Sample {
            at: start,
            total: 0,
        };
        Alert::new(rule.into(), None, sample, true)
    };
    let (io, cpu) = (alert("io full 10%/2s"), alert("cpu some 10%/2s"));
    let memory = alert("memory full 10%/2s");
    let mut stuck = |second| match ideal.evidence(&io, start + Micros::secs(second)) {
        Evidence::Io(io) => (io.disk.map(|name| name.as_bytes().to_vec()), io.stuck),
        other => panic!("{other:?}"),
    };
    assert_eq!(stuck(2), (None, Micros::ZERO));
    let sda = Some(b"sda".to_vec());
    assert_eq!(stuck(6), (sda.clone(), Micros::ZERO));
    assert_eq!(stuck(16), (sda, Micros::secs(10)));
    assert_eq!(stuck(25), (None, Micros::ZERO));
    let Evidence::Cpu(cpu) = ideal.evidence(&cpu, start + Micros::secs(25)) else {
        panic!("no evidence");
    };
    assert_eq!((cpu.idle, cpu.cpus), (Micros::millis(4_250), 2));
    let Evidence::Memory(memory) = ideal.evidence(&memory, start + Micros::secs(25)) else {
        panic!("no evidence");
    };
    assert_eq!(memory.available, Some(Percent(2_500)));
    assert_eq!((memory.swap_free, memory.oom_kills), (None, Some(1)));
}

/// A steady stall is its average in the end, to the last bit: what rises is rounded up.
#[test]
fn averages_arrive() {
    let recording = recording(&[(6000, 100), (6000, 0)]);
    let (start, _) = recording.span().unwrap();
    let rule = Rule::parse("memory full 10%/2s".split(' ')).unwrap();
    let mut ideal = Ideal::new(recording);
    for (seconds, percent) in [(5990, 100), (5992, 100), (11_990, 0)] {
        ideal.averages(0, &rule, start + Micros::secs(seconds));
        assert_eq!(ideal.damped[0].averages, [percent * FIXED; 3], "{seconds}");
    }
}

/// Nothing is latched.
#[test]
fn an_event_that_was_not_waited_for_is_gone() {
    let recording = recording(&[(10, 0), (1, 100), (50, 0)]);
    let (start, end) = recording.span().unwrap();
    let rule = Rule::parse("memory full 10%/2s".split(' ')).unwrap();
    let mut ideal = Ideal::new(recording);
    let trigger = ideal.arm(&rule, None, start).unwrap().trigger;
    let event = ideal.wait(&[trigger], start, end);
    assert_eq!(event.since(start), Micros::millis(10_200));
    let later = ideal.wait(&[], event, start + Micros::secs(50));
    assert_eq!(ideal.wait(&[trigger], later, end), end);
    assert!(!ideal.take(trigger, end));
}

#[test]
fn every_group_and_kind_has_its_own_figures() {
    let text = "psistat record 1\ngroup /a\n1000000000 c0 d0\ngroup /b\n0:1 d0\n\
                100000000 c100000000 d50000000\n0:1 d10000000\n";
    let recording = Recording::parse(text).unwrap();
    let (start, end) = recording.span().unwrap();
    let mut ideal = Ideal::new(recording);
    assert_eq!(ideal.recording().groups.len(), 2);
    let mut read = |kind: &str, path: &[u8]| {
        let rule = Rule::parse(["memory", kind, "10%/2s"]).unwrap();
        let (at, total) = (start, 0);
        let baseline = crate::episode::Sample { at, total };
        let alert = Alert::new(rule.into(), Some(path), baseline, true);
        let averages = ideal.read(&alert, end);
        (averages.total / SECOND, averages.avg10.0 / 100)
    };
    assert_eq!(read("some", b"/a"), (100, 99));
    assert_eq!(read("full", b"/a"), (50, 49));
    assert_eq!(read("full", b"/b"), (10, 10));
}

#[test]
fn a_replay_counts_its_turns_and_ends_what_is_open() {
    let recording = recording(&[(10, 0), (10, 100)]);
    let (start, end) = recording.span().unwrap();
    let text = "grace 0\nmemory full 50%/2s for=0 name=m\n";
    let config = Config::parse(text.as_bytes()).unwrap();
    let (mut events, mut tally) = (Vec::new(), Tally::default());
    let mut log = |_: Moment, report: &Report<'_>| {
        tally.add(report);
        events.push((
            report.heading().event,
            tally.lines,
            tally.begins,
            tally.open,
        ));
    };
    let mut replay = Replay::new(Ideal::new(recording), &config, start, &mut log);
    // the event at 11 s, and four windows
    assert_eq!(replay.run(end, &mut log), 5);
    replay.stop(end, &mut log);
    assert_eq!(events, [("begin", 1, 1, 1), ("end", 2, 1, 0)]);
}

/// As dmesg(1) shows it.
#[test]
fn a_line_is_led_by_its_time() {
    let mut out = Vec::new();
    let report = Report::Dropped { count: 1 };
    replay::line(&mut out, Micros(1_802_345_678), &report);
    let text = String::from_utf8(out).unwrap();
    let expected = "[ 1802.3] lines dropped: event=dropped level=warning count=1\n";
    assert_eq!(text, expected);
}

#[test]
fn a_cgroup_that_waits_and_is_removed_is_left_out_no_longer() {
    let text = "psistat record 2\ngroup /a\n1000000000 d0\ngroup /b\n0:1 d0\n\
                5000000:1 -\n100000000 d0\n";
    let config = "grace 0\nmax_triggers 1\nmemory full 50%/2s name=m cgroup=/*\n";
    let events: Vec<_> = logged(text, config);
    let capped = "event=capped rule=m cgroup=/*".to_string();
    let expected = [(0, capped.clone()), (5, capped)];
    assert_eq!(events, expected);
}
