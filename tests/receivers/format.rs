//! The line format as psilogd(8) documents it, for every event, with hostile
//! names and at every limit, read by a logfmt parser.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::net::UnixDatagram;

use libtest_mimic::Trial;

use psilogd::config::Settings;
use psilogd::episode::{Figures, Phase, Relapse};
use psilogd::evidence::{DiskName, Io};
use psilogd::pressure::{Averages, Percent};
use psilogd::report::{
    Counts, EndReason, EpisodeReport, Findings, Hint, Id, Report, StopSignal, Top, message_id,
};
use psilogd::rule::{Reason, Rule, Scope};
use psilogd::sink::Sink;
use psilogd::sys;
use psilogd::time::Micros;

use crate::sender::settings;
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("format::every_event_is_as_documented", documented),
        trial("format::levels_are_as_documented", levels),
        trial("format::a_limit_leaves_out_whole_keys", limits),
        trial("format::every_key_is_a_field_of_the_journal", fields),
    ]
}

/// The keys of every event, in their order, from the manual's `Keys:` lists.
fn manual() -> BTreeMap<String, Vec<String>> {
    let page = include_str!("../../man/psilogd.8");
    let (_, events) = page.split_once(".Ss Events\n").expect("Events");
    let (events, _) = events.split_once(".Ss Keys\n").expect("Keys");
    let mut keys = BTreeMap::new();
    for item in events.split(".It Cm ").skip(1) {
        let (name, text) = item.split_once('\n').expect("an item");
        let (_, list) = text.split_once("Keys: ").expect("Keys:");
        let mut depth = 0;
        let mut plain = String::new();
        // what a key means stands in parentheses; the list ends with a full stop
        for c in list.chars() {
            match c {
                '(' => depth += 1,
                ')' => depth -= 1,
                '.' if depth == 0 => break,
                c if depth == 0 => plain.push(c),
                _ => {}
            }
        }
        let list = plain.split(',').map(|key| key.trim().to_string()).collect();
        keys.insert(name.to_string(), list);
    }
    keys
}

const HOSTILE: &[u8] = b"/etc/a b\n\"c\"=%s\xff\0\x1b[0m\xc3\xa9: event=end level=info";

fn rules() -> Vec<Rule> {
    let escaped =
        |bytes: &[u8]| -> String { bytes.iter().map(|byte| format!("%{byte:02X}")).collect() };
    let printable = escaped(b" \"%=\n\xc3\xa9\xff:event=");
    let long = escaped(&[0xff; 255]);
    let paths = [
        String::new(),
        " cgroup=/system.slice/a.service".into(),
        format!(" cgroup=/{printable}"),
        format!(" cgroup=/{long}"),
        format!(" cgroup=/{}", vec!["c".repeat(255); 15].join("/")),
    ];
    let levels = ["emerg", "crit", "err", "warning", "notice", "info", "debug"];
    let mut rules = Vec::new();
    for (index, level) in levels.iter().enumerate() {
        let path = &paths[index % paths.len()];
        let name = "A.b_c-".repeat(5);
        let text = format!("irq full 10%/2s level={level} name={name}{index}{path}");
        rules.push(Rule::parse(text.split(' ')).expect("a rule"));
    }
    rules
}

/// What the host's other counters can say, at its longest, and nothing.
fn findings() -> [Findings; 4] {
    let all = Some(Percent(10_000));
    [
        Findings::None,
        Findings::Memory {
            available: all,
            swap_free: all,
            oom_kills: Some(u64::MAX),
        },
        Findings::Io(Io {
            disk: DiskName::new(&[0xff; 32]),
            stuck: Micros(u64::MAX),
            inflight: u64::MAX,
            iops: Some(u64::MAX),
            wait: Some(Micros(u64::MAX)),
        }),
        Findings::Cpu {
            idle: all,
            steal: all,
            throttled: all,
        },
    ]
}

/// Every variant, with every key that it can have, and without.
fn reports(rules: &[Rule]) -> Vec<Report<'_>> {
    let averages = Averages {
        avg10: Percent(10_000),
        avg60: Percent(1),
        avg300: Percent(0),
        total: u64::MAX,
    };
    let figures = Figures {
        duration: Micros(u64::MAX),
        stalled: Micros(u64::MAX),
        hits: u32::MAX,
        worst: Percent(10_000),
    };
    let id = Id {
        start: u64::MAX,
        number: u64::MAX,
    };
    let every: Vec<u8> = (0..=255).collect();
    let every: &'static [u8] = every.leak();
    let mut reports = Vec::new();
    for rule in rules {
        let path = rule.cgroup.as_ref().and_then(|pattern| pattern.plain());
        let scope = match path {
            Some(path) => Scope::Cgroup(path.leak()),
            None => rule.scope(),
        };
        for drill in [false, true] {
            let episode = EpisodeReport {
                rule,
                scope,
                id,
                averages: Some(averages),
                figures,
                findings: Findings::None,
                // not with the long top=, which leaves no room for it
                relapse: (!drill).then_some(Relapse {
                    count: u32::MAX,
                    clear: Micros(u64::MAX),
                }),
                drill,
                top: drill.then_some(Top {
                    path: every,
                    avg10: Percent(10_000),
                }),
            };
            for findings in findings() {
                let episode = EpisodeReport {
                    findings,
                    ..episode
                };
                reports.push(Report::Begin(episode));
                reports.push(Report::Still(episode));
                reports.push(Report::End(episode, None));
            }
            reports.push(Report::End(episode, Some(EndReason::Reload)));
            let unread = EpisodeReport {
                averages: None,
                ..episode
            };
            reports.push(Report::End(unread, Some(EndReason::Gone)));
        }
        for hint in [None, Some(Hint::CgroupPressure)] {
            let errno = if hint.is_some() { 2 } else { -99 };
            reports.push(Report::Lost {
                rule,
                scope,
                errno,
                hint,
                count: usize::MAX,
            });
        }
        reports.push(Report::Restored(rule));
        for count in [0, usize::MAX] {
            let max = usize::MAX;
            reports.push(Report::Capped {
                rule,
                count,
                max,
                hint: Some(Hint::Descriptors),
            });
        }
        reports.push(Report::Tally {
            rule,
            unmounted: false,
            quiet: usize::MAX,
            capped: usize::MAX,
        });
        reports.push(Report::Suppressed {
            rule,
            count: u64::MAX,
            begins: 1,
            since: Micros(u64::MAX),
        });
        reports.push(Report::WindowConflict {
            short: rule,
            long: &rules[0],
        });
        for phase in [None, Some(Phase::Pressed)] {
            reports.push(Report::Status {
                rule,
                scope,
                phase,
                id: phase.map(|_| id),
                averages: phase.map(|_| averages),
                figures: phase.map(|_| figures),
            });
        }
        let total = u64::MAX;
        reports.push(Report::Crossing { rule, scope, total });
        reports.push(Report::Reading {
            rule,
            scope,
            total,
            phase: Phase::Rechecking,
        });
    }
    for (file, line, word) in [(HOSTILE, 7, every), (&b"/etc/psilogd.conf"[..], 0, b"")] {
        reports.push(Report::ReloadFailed {
            file,
            line,
            reason: Reason::DuplicateName,
            word,
        });
    }
    reports.extend([
        Report::Reload {
            triggers: usize::MAX,
            added: 0,
            removed: 1,
            failed: 2,
        },
        Report::Dropped { count: u64::MAX },
        Report::Alive(Counts {
            triggers: usize::MAX,
            failed: usize::MAX,
            crossings: u64::MAX,
            episodes: u64::MAX,
            suppressed: u64::MAX,
            dropped: u64::MAX,
        }),
        Report::Stop {
            signal: Some(StopSignal::Term),
        },
    ]);
    let polls = [None, Some(Micros::secs(30))];
    for (poll, mlock) in polls.into_iter().zip([None, Some(libc::ENOMEM)]) {
        reports.push(Report::Start {
            version: "0.1.0",
            triggers: 4,
            failed: 0,
            poll,
            mlock,
            sandbox: "landlock7,seccomp",
        });
    }
    reports
}

/// A sink on a socket that the test reads.
struct Wire {
    socket: UnixDatagram,
    sink: Sink,
    settings: Settings,
    _scratch: Scratch,
}

impl Wire {
    fn new() -> Wire {
        let scratch = Scratch::new();
        let path = scratch.0.join("log");
        let socket = UnixDatagram::bind(&path).expect("a socket");
        socket.set_read_timeout(Some(DEADLINE)).expect("a time-out");
        let settings = settings(&[&format!("syslog:{}", path.display())]);
        Wire {
            socket,
            sink: Sink::new(&settings, sys::now()),
            settings,
            _scratch: scratch,
        }
    }

    fn limit(&mut self, bytes: usize) {
        self.settings.max_line = bytes;
        self.sink.set(&self.settings, sys::now());
    }

    /// What arrives of it: the whole datagram, and the text behind the header.
    fn send(&mut self, report: &Report<'_>) -> (usize, String) {
        self.sink.log(report);
        let mut buffer = [0; 4096];
        let length = uninterrupted(|| self.socket.recv(&mut buffer)).expect("a datagram");
        let text = String::from_utf8(buffer[..length].to_vec()).expect("ASCII");
        let tag = format!(" psilogd[{}]: ", std::process::id());
        let (header, body) = text.split_once(&tag).expect("the tag");
        assert!(header.starts_with('<') && header.ends_with(|c: char| c.is_ascii_digit()));
        (length, body.to_string())
    }
}

/// Keys and values, as the logfmt parser reads them, after a check of what holds
/// for every line.
fn parsed(text: &str) -> Vec<(String, String)> {
    let printable = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
    assert!(text.bytes().all(printable), "{text}");
    let (sentence, keys) = text.split_once(": ").expect("a sentence");
    let plain = |byte: u8| byte == b' ' || byte.is_ascii_lowercase();
    assert!(
        !sentence.is_empty() && sentence.bytes().all(plain),
        "{text}"
    );
    let pairs: Vec<(String, String)> = logfmt::parse(keys)
        .into_iter()
        .map(|pair| (pair.key, pair.val.expect(keys)))
        .collect();
    let again: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    assert_eq!(again.join(" "), keys, "read otherwise than written");
    for (key, value) in &pairs {
        let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        assert!(!key.is_empty() && key.bytes().all(plain), "{text}");
        assert!(!value.is_empty() && !value.contains(['"', '=']), "{text}");
        // a percent sign stands in front of two digits
        let whole = value.split('%').skip(1).all(|rest| {
            let digits = rest.as_bytes().iter().take(2);
            digits.filter(|byte| byte.is_ascii_hexdigit()).count() == 2
        });
        assert!(whole, "{text}");
    }
    let names: Vec<&str> = pairs.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(names.get(..2), Some(&["event", "level"][..]), "{text}");
    assert_eq!(
        names.iter().collect::<BTreeSet<_>>().len(),
        names.len(),
        "{text}"
    );
    pairs
}

fn documented() -> Outcome {
    let manual = manual();
    let rules = rules();
    let mut wire = Wire::new();
    let mut seen: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for report in reports(&rules) {
        let (length, text) = wire.send(&report);
        assert!(length <= 1000, "{length}: {text}");
        let pairs = parsed(&text);
        assert_eq!(pairs[0].1, report.heading().event);
        assert_eq!(pairs[1].1, report.heading().level.name());
        let keys = manual
            .get(report.heading().event)
            .expect("a documented event");
        let mut rest = keys.iter();
        for (key, _) in &pairs[2..] {
            // documented, and in the documented order
            let last = key == "drill" && text.ends_with(" drill=1");
            assert!(
                last || rest.any(|documented| documented == key),
                "{key} in {text}"
            );
        }
        let names = pairs[2..].iter().map(|(key, _)| key.clone());
        seen.entry(report.heading().event.into())
            .or_default()
            .extend(names);
    }
    for (event, keys) in &manual {
        let seen = seen
            .get(event)
            .unwrap_or_else(|| panic!("no line of {event}"));
        let missing: Vec<&String> = keys.iter().filter(|key| !seen.contains(*key)).collect();
        assert!(missing.is_empty(), "{event} never has {missing:?}");
    }
    assert_eq!(manual.len(), seen.len());
    done()
}

/// `Level` of every event as the manual has it, and of the events at notice.
fn levels() -> Outcome {
    let page = include_str!("../../man/psilogd.8");
    let (rest, events) = page.split_once(".Ss Events\n").expect("Events");
    let (_, notices) = rest
        .rsplit_once("severity of the line is the same")
        .expect("severity");
    let notice: BTreeSet<&str> = notices
        .split(|c: char| !c.is_ascii_lowercase())
        .filter(|word| events.contains(&format!(".It Cm {word}\n")))
        .collect();
    assert_eq!(notice.len(), 6, "{notice:?}");
    for report in reports(&rules()) {
        let heading = report.heading();
        let (event, level) = (heading.event, heading.level.name());
        let (_, item) = events
            .split_once(&format!(".It Cm {event}\n"))
            .expect("an item");
        let item = item.split(".It Cm ").next().unwrap_or_default();
        let documented = match (&report, item.split_once("Level ")) {
            (Report::Begin(episode) | Report::Still(episode) | Report::End(episode, _), None) => {
                episode.rule.level.name()
            }
            // "Level warning; info when there are none any more."
            (Report::Capped { count: 0, .. }, Some((_, text))) => {
                let (_, text) = text.split_once("; ").expect("two levels");
                text.split(' ').next().unwrap_or_default()
            }
            (_, Some((_, text))) => text.split(['.', ';']).next().unwrap_or_default(),
            (_, None) => panic!("{event} has no level"),
        };
        assert_eq!(level, documented, "{event}");
        let severity = match notice.contains(event) {
            true => "notice",
            false => level,
        };
        assert_eq!(heading.severity.name(), severity, "{event}");
    }
    done()
}

fn limits() -> Outcome {
    let rules = rules();
    let reports = reports(&rules);
    let mut wire = Wire::new();
    let mut whole: Vec<String> = Vec::new();
    for report in &reports {
        whole.push(wire.send(report).1);
    }
    let mut cut = 0;
    for limit in (200..=1000).step_by(7) {
        wire.limit(limit);
        for (report, whole) in reports.iter().zip(&whole) {
            let (length, text) = wire.send(report);
            assert!(length <= limit, "{length} > {limit}: {text}");
            parsed(&text);
            let rest = whole.strip_prefix(&text).expect("a beginning of the line");
            assert!(rest.is_empty() || rest.starts_with(' '), "{text}|{rest}");
            // no key is left out that would have had room
            if let Some(next) = rest.get(1..) {
                let next = next.split(' ').next().unwrap_or_default();
                assert!(length + 1 + next.len() > limit, "{limit}: {text}|{next}");
                cut += 1;
            }
        }
    }
    assert!(cut > 1000, "{cut}");
    done()
}

/// Each event as a datagram for journald: its keys, its MESSAGE_ID, and no more of them
/// than the line has.
fn fields() -> Outcome {
    let scratch = Scratch::new();
    let path = scratch.0.join("journal");
    let socket = UnixDatagram::bind(&path)?;
    socket.set_read_timeout(Some(DEADLINE))?;
    let settings = settings(&[&format!("journal:{}", path.display())]);
    let mut sink = Sink::new(&settings, sys::now());
    let rules = rules();
    let mut longest = (0, 0);
    for report in reports(&rules) {
        sink.log(&report);
        let mut buffer = [0; 8192];
        let length = uninterrupted(|| socket.recv(&mut buffer)).expect("a datagram");
        let datagram = std::str::from_utf8(&buffer[..length]).expect("ASCII");
        let fields: Vec<(&str, &str)> = datagram
            .lines()
            .map(|field| field.split_once('=').expect("a field"))
            .collect();
        let value = |name: &str| {
            let found = fields.iter().find(|(other, _)| *other == name);
            found.map_or("", |(_, value)| *value)
        };
        let message = value("MESSAGE");
        let sent = fields.iter().filter_map(|(name, value)| {
            let key = name.strip_prefix("PSI_")?;
            Some((key.to_ascii_lowercase(), value.to_string()))
        });
        assert_eq!(sent.collect::<Vec<_>>(), parsed(message), "{datagram}");
        let id = message_id(
            report.heading().event.as_bytes(),
            value("PSI_RES").as_bytes(),
        );
        assert_eq!(Some(value("MESSAGE_ID")), id, "{datagram}");
        let severity = report.heading().severity.number().to_string();
        assert_eq!(value("PRIORITY"), severity);
        longest = longest.max((length, message.len()));
    }
    let (bytes, line) = longest;
    println!("journal: the longest datagram has {bytes} bytes, for a line of {line}");
    done()
}
