//! What arrives is what was sent: facility, severity, name, pid, local time, and
//! the text to its last byte.

use std::process::{Command, Stdio};

use libtest_mimic::Trial;

use psilogd::config::Settings;
use psilogd::line::{LINE_MAX, Line};
use psilogd::report::{Report, StopSignal};
use psilogd::rule::{Reason, Rule};
use psilogd::sink::Sink;
use psilogd::sys;

use crate::receiver::{Kind, Message, Receiver};
use crate::sender::{begin, settings};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    type Test = (&'static str, fn(Kind) -> Outcome);
    let tests: [Test; 4] = [
        ("a_drill_arrives_as_sent_in_local_time", drill),
        ("start_and_stop_of_the_daemon_arrive", daemon),
        ("lines_up_to_the_limit_arrive_whole", limits),
        ("hostile_bytes_stay_in_one_line", hostile),
    ];
    let of_kind = |kind: Kind| {
        tests.into_iter().map(move |(name, test)| {
            let name = format!("arrival::{}::{name}", kind.name());
            Trial::ignorable_test(name, move || test(kind))
        })
    };
    Kind::ALL.into_iter().flat_map(of_kind).collect()
}

/// Starts one, or says why not.
macro_rules! started {
    ($kind:expr, $scratch:expr) => {
        match Receiver::new($kind, $scratch.0.clone()) {
            Ok(mut receiver) => {
                receiver.start();
                receiver
            }
            Err(why) => return skip(why),
        }
    };
}

/// Waits until so many messages were filed.
fn filed(receiver: &Receiver, count: usize) -> Vec<Message> {
    until(&format!("{count} messages"), || {
        receiver.messages().len() >= count
    });
    receiver.messages()
}

/// Half an hour off any whole zone.
const ZONE: &str = "XYZ-5:30";

fn date() -> String {
    let output = Command::new("date")
        .env("TZ", ZONE)
        .env("LC_ALL", "C")
        .arg("+%b %e %H:%M")
        .output();
    let output = output.expect("date runs");
    String::from_utf8_lossy(&output.stdout).trim_end().into()
}

fn drill(kind: Kind) -> Outcome {
    let scratch = Scratch::new();
    let receiver = started!(kind, scratch);
    let file = scratch.file("psilogd.conf", "facility local5\n");
    let before = date();
    let child = binary()
        .env("TZ", ZONE)
        .args(["--drill", "-f", &file, "-o", &receiver.output()])
        .stdout(Stdio::null())
        .spawn()?;
    let pid = child.id().to_string();
    assert!(child.wait_with_output()?.status.success());
    let messages = filed(&receiver, 2);
    let after = date();
    assert_eq!(messages.len(), 2, "{messages:#?}");
    // crit, then notice
    for (message, severity) in messages.iter().zip(["2", "5"]) {
        assert_eq!(message.facility, "21", "{message:#?}");
        assert_eq!(message.severity, severity, "{message:#?}");
        assert_eq!(message.ident, "psilogd", "{message:#?}");
        assert_eq!(message.pid, pid, "{message:#?}");
        if kind.honours_time() {
            let as_sent = [&before, &after]
                .into_iter()
                .any(|minute| message.time.starts_with(minute.as_str()));
            assert!(as_sent, "{before} {after} {message:#?}");
        }
        assert!(message.text.ends_with(" drill=1"), "{message:#?}");
    }
    let begin = "memory pressure critical: event=begin level=crit rule=memory-critical ";
    let end = "memory pressure ended: event=end level=crit rule=memory-critical ";
    assert!(messages[0].text.starts_with(begin), "{messages:#?}");
    assert!(messages[1].text.starts_with(end), "{messages:#?}");
    done()
}

fn daemon(kind: Kind) -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let receiver = started!(kind, scratch);
    let output = receiver.output();
    let rule = "cpu some 90%/2s";
    let daemon = Psilogd::spawn(binary().args(["-f", "/dev/null", "-o", &output, rule]));
    let pid = daemon.pid().to_string();
    filed(&receiver, 1);
    let (status, _, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    let messages = filed(&receiver, 2);
    assert_eq!(messages.len(), 2, "{messages:#?}");
    for message in &messages {
        // daemon.notice
        assert_eq!(
            (message.facility.as_str(), message.severity.as_str()),
            ("3", "5")
        );
        assert_eq!((&message.ident, &message.pid), (&"psilogd".into(), &pid));
    }
    let start = "psilogd started: event=start level=info version=";
    assert!(messages[0].text.starts_with(start), "{messages:#?}");
    let stop = "psilogd stopping: event=stop level=info signal=TERM";
    assert_eq!(messages[1].text, stop);
    done()
}

fn written(report: &Report<'_>) -> String {
    let mut buffer = [0; LINE_MAX];
    let mut line = Line::new(&mut buffer);
    report.write(&mut line);
    String::from_utf8_lossy(line.bytes()).into_owned()
}

/// Lines of exactly the limit, and of one byte more, for which a key has to go.
fn limits(kind: Kind) -> Outcome {
    let scratch = Scratch::new();
    let receiver = started!(kind, scratch);
    let header = format!("<26>Nov 22 20:00:00 psilogd[{}]: ", std::process::id()).len();
    let with_path = |length: usize| {
        let path = format!("/{}", "p".repeat(length));
        let text = format!("memory full 40%/2s level=crit name=m cgroup={path}");
        Rule::parse(text.split(' ')).expect("a rule")
    };
    let shortest = written(&begin(&with_path(1), 1)).len();
    let mut expected = Vec::new();
    for limit in [255, 480, LINE_MAX] {
        let settings = Settings {
            max_line: limit,
            ..settings(&[&receiver.output()])
        };
        let mut sink = Sink::new(&settings, sys::now());
        for extra in [0, 1] {
            // a component of a path is at most 255 bytes long
            let mut rule = with_path(1);
            if let Some(length) = (limit - header + 1 + extra).checked_sub(shortest) {
                let components = vec!["p".repeat(200); length / 201 + 1].join("/");
                let path = &components[..length.max(1)];
                let text = format!("memory full 40%/2s level=crit name=m cgroup=/{path}");
                rule = Rule::parse(text.split(' ')).expect("a rule");
            }
            let report = begin(&rule, 1);
            let text = written(&report);
            let kept = match text.get(..=limit - header) {
                // one key too many
                Some(over) => &text[..over.rfind(' ').expect("a key")],
                None => &text,
            };
            if extra == 0 && limit > 255 {
                assert_eq!(header + kept.len(), limit);
            }
            expected.push(kept.to_string());
            sink.log(&report);
        }
        assert!(sink.finish());
        // another connection, which a receiver of streams may read first
        filed(&receiver, expected.len());
    }
    let messages = receiver.messages();
    let texts: Vec<&str> = messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(texts, expected);
    done()
}

fn hostile(kind: Kind) -> Outcome {
    let scratch = Scratch::new();
    let receiver = started!(kind, scratch);
    let every: Vec<u8> = (0..=255).collect();
    let (file, word) = (
        b"/etc/a b\n<0>Nov 22 20:00:00 evil[1]: \"c\"=%s\xff",
        &every[..],
    );
    let report = Report::ReloadFailed {
        file,
        line: 7,
        reason: Reason::BadWord,
        word,
    };
    let mut sink = Sink::new(&settings(&[&receiver.output()]), sys::now());
    sink.log(&report);
    sink.log(&Report::Stop {
        signal: Some(StopSignal::Term),
    });
    assert!(sink.finish());
    let messages = filed(&receiver, 2);
    let texts: Vec<&str> = messages
        .iter()
        .map(|message| message.text.as_str())
        .collect();
    assert_eq!(
        texts,
        [
            written(&report),
            written(&Report::Stop {
                signal: Some(StopSignal::Term)
            })
        ]
    );
    assert!(
        texts[0].contains(" file=/etc/a%20b%0A<0>Nov%20"),
        "{texts:#?}"
    );
    assert!(texts[0].ends_with("%FE%FF"), "{texts:#?}");
    assert!(messages.iter().all(|message| message.ident == "psilogd"));
    done()
}
