//! Lines of any report: whatever is in it, always one clean line within the limit.

use psilogd::episode::{Figures, Phase, Relapse};
use psilogd::evidence::{DiskName, Io};
use psilogd::line::{LINE_MAX, Line, whole_keys};
use psilogd::pressure::{Averages, Percent};
use psilogd::report::{EndReason, EpisodeReport, Findings, Hint, Id, Report, StopSignal, Top};
use psilogd::rule::{Reason, Rule, Scope};
use psilogd::time::Micros;

use super::bytes::Bytes;
use super::clean;

/// More than any report needs.
const ROOM: usize = 8192;

pub fn run(data: &[u8]) {
    let mut bytes = Bytes(data);
    let rule = rule(&mut bytes);
    let path = [b"/", bytes.name(255)].concat();
    let limit = (usize::from(bytes.byte()) * 4).min(LINE_MAX);
    let report = report(&mut bytes, &rule, &path);

    let mut room = [0; ROOM];
    let whole = written(&report, &mut room);
    let pairs = clean::line(whole);
    for (key, value) in &pairs {
        if matches!(*key, "cgroup" | "top" | "file" | "word" | "disk") {
            unescaped(value);
        }
    }
    let mut room = [0; LINE_MAX];
    for limit in [limit, LINE_MAX] {
        let cut = written(&report, &mut room[..limit]);
        assert!(cut.len() <= limit && whole.starts_with(cut));
        // a limit is never so small that the sentence, event and level don't fit
        if limit < 100 {
            continue;
        }
        assert!(matches!(whole.get(cut.len()), None | Some(b' ')));
        if let Some(shorter) = whole_keys(cut, limit / 2) {
            assert!(shorter.len() <= limit / 2 && cut.starts_with(shorter));
            clean::line(shorter);
        }
    }
    let heading = report.heading();
    assert_eq!(pairs[0].1, heading.event);
    assert_eq!(pairs[1].1, heading.level.name());
}

fn written<'a>(report: &Report<'_>, buffer: &'a mut [u8]) -> &'a [u8] {
    let length = {
        let mut line = Line::new(buffer);
        report.write(&mut line);
        line.len()
    };
    &buffer[..length]
}

fn unescaped(value: &str) {
    let mut rest = value.as_bytes();
    while let Some((first, behind)) = rest.split_first() {
        rest = behind;
        if *first == b'%' {
            assert!(behind[..2].iter().all(u8::is_ascii_hexdigit), "{value}");
            rest = &behind[2..];
        }
    }
}

fn rule(bytes: &mut Bytes<'_>) -> Rule {
    let start = bytes.pick(&[
        "io full 10%/2s",
        "memory some 1us/10s level=emerg",
        "irq full 99%/2s level=debug",
    ]);
    let mut words: Vec<String> = start.split(' ').map(str::to_string).collect();
    if bytes.flag() {
        let escaped = |byte: &u8| match byte {
            b'*' | b'/' | b'a'..=b'z' => char::from(*byte).to_string(),
            other => format!("%{other:02X}"),
        };
        let pattern: String = bytes.name(64).iter().map(escaped).collect();
        words.push(format!("cgroup=/{pattern}"));
    }
    let rule = Rule::parse(words.iter().map(String::as_str));
    rule.unwrap_or_else(|_| Rule::parse(start.split(' ')).unwrap())
}

fn scope<'a>(bytes: &mut Bytes<'_>, rule: &'a Rule, path: &'a [u8]) -> Scope<'a> {
    match bytes.below(3) {
        0 => Scope::System,
        1 => Scope::Cgroup(path),
        _ => rule.scope(),
    }
}

fn report<'a>(bytes: &mut Bytes<'a>, rule: &'a Rule, path: &'a [u8]) -> Report<'a> {
    match bytes.below(7) {
        0 => Report::Begin(episode(bytes, rule, path)),
        1 => Report::Still(episode(bytes, rule, path)),
        2 => {
            let reasons = [
                EndReason::Gone,
                EndReason::Reload,
                EndReason::Capped,
                EndReason::Stop,
            ];
            let reason = bytes.option(|bytes| bytes.pick(&reasons));
            Report::End(episode(bytes, rule, path), reason)
        }
        3 => coverage(bytes, rule, path),
        4 => status(bytes, rule, path),
        5 => configuration(bytes, rule),
        _ => process(bytes, rule),
    }
}

fn coverage<'a>(bytes: &mut Bytes<'a>, rule: &'a Rule, path: &'a [u8]) -> Report<'a> {
    let hint = bytes.option(|bytes| bytes.pick(&[Hint::Psi, Hint::NoCgroup, Hint::Descriptors]));
    let count = bytes.number() as usize;
    match bytes.below(3) {
        0 => Report::Lost {
            rule,
            scope: scope(bytes, rule, path),
            errno: bytes.number() as i32,
            hint,
            count,
        },
        1 => Report::Restored(rule),
        _ => Report::Capped {
            rule,
            count,
            max: bytes.number() as usize,
            hint,
        },
    }
}

fn status<'a>(bytes: &mut Bytes<'a>, rule: &'a Rule, path: &'a [u8]) -> Report<'a> {
    let phases = [
        Phase::Quiet,
        Phase::Verifying,
        Phase::Rechecking,
        Phase::Pressed,
    ];
    let (total, phase) = (bytes.number(), bytes.pick(&phases));
    let scope = scope(bytes, rule, path);
    match bytes.below(4) {
        0 => Report::Status {
            rule,
            scope,
            phase: bytes.option(|_| phase),
            id: bytes.option(id),
            averages: bytes.option(averages),
            figures: bytes.option(figures),
        },
        1 => Report::Tally {
            rule,
            unmounted: bytes.flag(),
            quiet: bytes.number() as usize,
            capped: bytes.number() as usize,
        },
        2 => Report::Crossing { rule, scope, total },
        _ => Report::Reading {
            rule,
            scope,
            total,
            phase,
        },
    }
}

fn configuration<'a>(bytes: &mut Bytes<'a>, rule: &'a Rule) -> Report<'a> {
    match bytes.below(3) {
        0 => Report::Reload {
            triggers: bytes.number() as usize,
            added: bytes.number() as usize,
            removed: bytes.number() as usize,
            failed: bytes.number() as usize,
        },
        1 => Report::ReloadFailed {
            file: bytes.name(255),
            line: bytes.small() as usize,
            reason: bytes.pick(&[Reason::BadWord, Reason::NotText, Reason::Empty]),
            word: if bytes.flag() { bytes.name(255) } else { b"" },
        },
        _ => Report::WindowConflict {
            short: rule,
            long: rule,
        },
    }
}

fn process<'a>(bytes: &mut Bytes<'a>, rule: &'a Rule) -> Report<'a> {
    match bytes.below(4) {
        0 => Report::Start {
            version: "0.1.0",
            triggers: bytes.number() as usize,
            failed: bytes.number() as usize,
            poll: bytes.option(|bytes| Micros(bytes.number())),
            mlock: bytes.option(|bytes| bytes.number() as i32),
            sandbox: bytes.pick(&["off", "landlock,seccomp"]),
        },
        1 => Report::Stop {
            signal: bytes.option(|bytes| bytes.pick(&[StopSignal::Term, StopSignal::Int])),
        },
        2 => Report::Dropped {
            count: bytes.number(),
        },
        _ => Report::Suppressed {
            rule,
            count: bytes.number(),
            begins: bytes.number(),
            since: Micros(bytes.number()),
        },
    }
}

fn episode<'a>(bytes: &mut Bytes<'a>, rule: &'a Rule, path: &'a [u8]) -> EpisodeReport<'a> {
    EpisodeReport {
        rule,
        scope: scope(bytes, rule, path),
        id: id(bytes),
        averages: bytes.option(averages),
        figures: figures(bytes),
        findings: findings(bytes),
        relapse: bytes.option(|bytes| Relapse {
            count: bytes.number() as u32,
            clear: Micros(bytes.number()),
        }),
        drill: bytes.flag(),
        top: bytes.option(|bytes| Top {
            path: bytes.name(255),
            avg10: percent(bytes),
        }),
    }
}

fn percent(bytes: &mut Bytes<'_>) -> Percent {
    Percent(bytes.number() as u32)
}

fn id(bytes: &mut Bytes<'_>) -> Id {
    let (start, number) = (bytes.number(), bytes.number());
    Id { start, number }
}

fn averages(bytes: &mut Bytes<'_>) -> Averages {
    Averages {
        avg10: percent(bytes),
        avg60: percent(bytes),
        avg300: percent(bytes),
        total: bytes.number(),
    }
}

fn figures(bytes: &mut Bytes<'_>) -> Figures {
    Figures {
        duration: Micros(bytes.number()),
        stalled: Micros(bytes.number()),
        hits: bytes.number() as u32,
        worst: percent(bytes),
    }
}

fn findings(bytes: &mut Bytes<'_>) -> Findings {
    match bytes.below(4) {
        0 => Findings::None,
        1 => Findings::Memory {
            available: bytes.option(percent),
            swap_free: bytes.option(percent),
            oom_kills: bytes.option(Bytes::number),
        },
        2 => Findings::Io(Io {
            disk: bytes
                .option(|bytes| DiskName::new(bytes.name(32)))
                .flatten(),
            stuck: Micros(bytes.number()),
            inflight: bytes.number(),
            iops: bytes.option(Bytes::number),
            wait: bytes.option(|bytes| Micros(bytes.number())),
        }),
        _ => Findings::Cpu {
            idle: bytes.option(percent),
            steal: bytes.option(percent),
            throttled: bytes.option(percent),
        },
    }
}
