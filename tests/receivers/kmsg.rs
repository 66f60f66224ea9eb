//! The kernel's log, written and read back.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use libtest_mimic::Trial;

use psilogd::pressure::Percent;
use psilogd::report::{EpisodeReport, Findings, Report};
use psilogd::rule::Rule;
use psilogd::sink::Sink;
use psilogd::sys::{self, Slot};
use psilogd::time::Micros;

use crate::sender::{begin, rule, settings};
use crate::support::*;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("kmsg::a_drill_arrives_with_its_facility", drill),
        trial("kmsg::a_burst_over_the_rate_limit_arrives_whole", burst),
    ]
}

/// The kernel's log from here on.
struct Log(File);

impl Log {
    /// None where it can't be written and read.
    fn open() -> Option<Log> {
        OpenOptions::new().write(true).open("/dev/kmsg").ok()?;
        let mut file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NONBLOCK)
            .open("/dev/kmsg")
            .ok()?;
        file.seek(SeekFrom::End(0)).ok()?;
        Some(Log(file))
    }

    /// New records of this process: priority and text. One read is one record,
    /// `PRIORITY,SEQUENCE,TIME,FLAGS;TEXT` and a newline.
    fn of(&mut self, pid: u32) -> Vec<(u32, String)> {
        let tag = format!("psilogd[{pid}]: ");
        let mut records = Vec::new();
        let mut buffer = [0; 8192];
        while let Ok(length) = self.0.read(&mut buffer) {
            let record = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let (head, text) = record.split_once(';').expect("a record");
            let priority = head
                .split(',')
                .next()
                .and_then(|number| number.parse().ok());
            let text = text.lines().next().unwrap_or_default();
            if let Some(text) = text.strip_prefix(&tag) {
                records.push((priority.expect("a priority"), text.to_string()));
            }
        }
        records
    }
}

const NO_KMSG: &str = "/dev/kmsg can't be written and read: it takes root";

fn drill() -> Outcome {
    let Some(mut log) = Log::open() else {
        return skip(NO_KMSG);
    };
    let child = binary()
        .args(["--drill", "-f", "/dev/null", "-o", "kmsg"])
        .spawn()?;
    let pid = child.id();
    assert!(child.wait_with_output()?.status.success());
    let records = log.of(pid);
    let priorities: Vec<u32> = records.iter().map(|(priority, _)| *priority).collect();
    // daemon.crit, daemon.notice
    assert_eq!(priorities, [26, 29], "{records:#?}");
    assert!(
        records[0]
            .1
            .starts_with("memory pressure critical: event=begin level=crit ")
    );
    assert!(records[1].1.ends_with(" drill=1"), "{records:#?}");
    done()
}

fn burst() -> Outcome {
    const LINES: u64 = 15;
    let Some(mut log) = Log::open() else {
        return skip(NO_KMSG);
    };
    // a record of the kernel's is at most 1024 bytes long
    let path = vec!["c".repeat(250); 15].join("/");
    let text = format!("memory full 40%/2s level=crit name=m cgroup=/{path}");
    let long = Rule::parse(text.split(' '))?;
    let text = format!(
        "memory full 40%/2s level=crit name=m cgroup=/{}",
        &path[..750]
    );
    let fits = Rule::parse(text.split(' '))?;
    let short = rule();
    let findings = Findings::Memory {
        available: Some(Percent(412)),
        swap_free: Some(Percent(0)),
        oom_kills: Some(1),
    };
    let mut sink = Sink::new(&settings(&["kmsg"]), sys::now());
    for number in 1..=LINES {
        let rule = match number {
            3 => &long,
            4 => &fits,
            _ => &short,
        };
        sink.log(&match begin(rule, number) {
            Report::Begin(episode) if number == 3 => Report::Begin(EpisodeReport {
                findings,
                ..episode
            }),
            report => report,
        });
    }
    let mut seen = Vec::new();
    let mut slots = [Slot::IDLE];
    let end = sys::now() + Micros::secs(60);
    while seen.len() < LINES as usize {
        let now = sys::now();
        assert!(now < end, "{seen:#?}");
        sink.arm(&mut slots);
        let due = sink
            .deadline()
            .unwrap_or(end)
            .min(now + Micros::millis(100));
        sys::poll(&mut slots, Some(due.since(now)))?;
        sink.ready(&slots, sys::now());
        sink.expire(sys::now());
        seen.extend(log.of(std::process::id()));
    }
    assert!(seen.iter().all(|(priority, _)| *priority == 26));
    let numbers: Vec<u64> = seen
        .iter()
        .map(|(_, text)| {
            Line::new(text)
                .key("id")
                .split_once('.')
                .expect("an id")
                .1
                .parse()
        })
        .collect::<Result<_, _>>()?;
    assert_eq!(numbers, (1..=LINES).collect::<Vec<_>>(), "{seen:#?}");
    // what is cut off is the cgroup, not what an operator reads first
    let kept = " worst_pct=0.00 avail_pct=4.12 swap_free_pct=0.00 oom_kills=1";
    assert!(seen[2].1.ends_with(kept), "{}", seen[2].1);
    assert!(seen[3].1.len() > 900, "{}", seen[3].1);
    done()
}
