//! No allocation after start on the way from a crossing to its line: the real
//! loop on the real kernel, with a counting allocator.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::ffi::OsString;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};

use psilogd::daemon::Daemon;
use psilogd::options::CommandLine;

#[path = "it/support.rs"]
#[allow(dead_code)]
mod support;

use support::{Cgroup, Load, NO_CGROUP, Outcome, Scratch, done, skip, trial};

fn main() {
    let args = libtest_mimic::Arguments::from_args();
    let trials = vec![trial(
        "alloc::none_from_crossing_to_line",
        none_from_crossing_to_line,
    )];
    libtest_mimic::run(&args, trials).exit();
}

fn none_from_crossing_to_line() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let scratch = Scratch::new();
    let receiver = UnixDatagram::bind(scratch.0.join("log"))?;
    receiver.set_nonblocking(true)?;
    let output = format!("syslog:{}/log", scratch.0.display());
    let journal = UnixDatagram::bind(scratch.0.join("journal"))?;
    journal.set_nonblocking(true)?;
    let second = format!("journal:{}/journal", scratch.0.display());
    let rule = cgroup.rule("cpu some 20%/2s for=2s clear=2s repeat=2s");
    // the most-stalled cgroup is searched for it
    let whole = "cpu some 20%/2s for=2s clear=2s repeat=2s name=whole";
    let outputs = ["-o", &output, "-o", &second];
    let args = [&["-v", "-f", "/dev/null"], &outputs[..], &[&rule, whole]].concat();
    let mut line = CommandLine::parse(args.iter().map(OsString::from))?;
    let loaded = line.source.load().expect("a configuration");
    let mut daemon = Daemon::new(line, loaded.config)?;
    assert_eq!(daemon.arm().len(), 0);
    daemon.log_start();

    let mut load = Some(Load::everywhere(Some(&cgroup.path)));
    let end = Instant::now() + Duration::from_secs(60);
    let (mut seen, mut fields) = (Vec::new(), Vec::new());
    let ended = |line: &String| line.contains("event=end") && line.contains("rule=cpu-some");
    while !seen.iter().any(ended) {
        assert!(Instant::now() < end, "{seen:#?}");
        let counted = allocation_counter::measure(|| {
            assert!(daemon.turn().is_none());
        });
        let mut buffer = [0; 2048];
        while let Ok(length) = receiver.recv(&mut buffer) {
            seen.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        while let Ok(length) = journal.recv(&mut buffer) {
            fields.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
        }
        assert_eq!(
            counted.count_total, 0,
            "allocations in one turn: {counted:?}; {seen:#?}"
        );
        let still = |line: &String| line.contains("event=still") && line.contains("rule=cpu-some");
        if seen.iter().any(still) {
            load = None;
        }
    }
    assert!(load.is_none());
    for event in ["start", "crossing", "reading", "begin", "still", "end"] {
        let wanted = format!("\nPSI_EVENT={event}\n");
        let has = fields.iter().any(|datagram| datagram.contains(&wanted));
        assert!(has, "{event}: {fields:#?}");
        let wanted = format!(" event={event} ");
        assert!(
            seen.iter().any(|line| line.contains(&wanted)),
            "{event}: {seen:#?}"
        );
    }
    let whole = |line: &String| line.contains("event=begin") && line.contains("rule=whole");
    assert!(seen.iter().any(whole), "{seen:#?}");
    done()
}
