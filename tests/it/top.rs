//! The most-stalled cgroup is named, and nothing waits for it. The tree of cgroups is
//! one of plain files here, in which one stands out whatever else runs on this machine.

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use crate::support::*;
use crate::trace::Trace;

pub fn trials() -> Vec<Trial> {
    vec![
        trial("top::it_is_on_the_lines_of_an_episode", named),
        trial("top::it_is_searched_in_another_process", process),
        trial("top::without_a_rule_for_the_system_no_process", not_needed),
        trial("top::a_stopped_or_killed_search_delays_nothing", stopped),
        trial("top::a_file_that_hangs_delays_nothing", hanging),
        trial("top::few_calls_stand_before_a_begin", calls),
    ]
}

const RULE: &str = "cpu some 20%/2s for=2s clear=2s repeat=2s name=whole";
const AT_ONCE: &str = "cpu some 20%/2s for=0 clear=2s repeat=2s name=at-once";

/// Two cgroups, of which `a` is always stalled.
fn tree(scratch: &Scratch) -> String {
    for (name, avg10) in [("a", "100.00"), ("b", "0.00")] {
        let line = format!("avg10={avg10} avg60=0.00 avg300=0.00 total=0");
        fs::create_dir_all(scratch.0.join("root").join(name)).expect("a directory");
        scratch.file(
            &format!("root/{name}/cpu.pressure"),
            format!("some {line}\nfull {line}\n"),
        );
    }
    let root = scratch.0.join("root");
    root.to_str().expect("text").into()
}

/// The processes that have this one as their parent, zombies too.
fn children(parent: u32) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("proc").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let is_child = |pid: &u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(") ").map_or("", |(_, fields)| fields);
        fields.split(' ').nth(1) == Some(&parent.to_string())
    };
    pids.filter(is_child).collect()
}

pub fn one_child(daemon: &Psilogd) -> u32 {
    until("one child", || children(daemon.pid()).len() == 1);
    children(daemon.pid())[0]
}

/// Not even as a zombie that its new parent has not noticed yet.
fn is_gone(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.is_empty() || stat.contains(") Z ")
}

/// The next line with this event and rule.
fn wait(daemon: &mut Psilogd, event: &str, rule: &str) -> Line {
    let end = Instant::now() + DEADLINE;
    loop {
        let line = daemon.wait(event);
        if line.keys_or("rule") == rule {
            return line;
        }
        assert!(Instant::now() < end, "{:#?}", daemon.seen);
    }
}

fn wait_for_top(daemon: &mut Psilogd) -> Line {
    let end = Instant::now() + DEADLINE;
    loop {
        let line = daemon.wait("still");
        if line.has("top") {
            return line;
        }
        assert!(Instant::now() < end, "{:#?}", daemon.seen);
    }
}

fn named() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let root = tree(&scratch);
    let _cpus = exclusive();
    let mut daemon = Psilogd::start(&["-f", "/dev/null", "-C", &root, RULE]);
    let load = Load::everywhere(None);
    for event in ["begin", "still"] {
        let line = daemon.wait(event);
        assert_eq!(
            (line.keys_or("top"), line.keys_or("top_avg10")),
            ("/a", "100.00")
        );
    }
    let (_, rest, errors) = daemon.end("TERM");
    drop(load);
    let end = rest.iter().find(|line| line.event() == "end");
    assert_eq!(end.expect("an end").keys_or("top"), "/a");
    assert_eq!(errors, "");

    // a begin at once goes before the search
    let mut daemon = Psilogd::start(&["-f", "/dev/null", "-C", &root, AT_ONCE]);
    let _load = Load::everywhere(None);
    let begin = daemon.wait("begin");
    let still = wait_for_top(&mut daemon);
    assert_eq!(still.key("id"), begin.key("id"));
    done()
}

fn process() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let root = tree(&scratch);
    let daemon = Psilogd::start(&["-f", "/dev/null", "-C", &root, "memory full 90%/2s"]);
    let child = one_child(&daemon);
    let proc = |name: &str| format!("/proc/{child}/{name}");
    until("one descriptor", || {
        fs::read_dir(proc("fd")).is_ok_and(|fds| fds.count() == 1)
    });
    assert_eq!(fs::read_to_string(proc("comm"))?, "psilogd-top\n");
    let status = fs::read_to_string(proc("status"))?;
    let field = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.expect("a field").trim().to_string()
    };
    let effective = u64::from_str_radix(&field("CapEff:"), 16)?;
    assert_eq!(effective & !0b110, 0, "all but reading: {effective:x}");
    // who reloads or stops by name reaches both
    for name in ["HUP", "USR1", "INT", "TERM"] {
        signal(child, name);
    }
    assert!(!is_gone(child));
    assert_eq!(children(daemon.pid()), [child]);
    let (status, rest, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert_eq!(rest.last().map(Line::event), Some("stop"));
    until("the search ends with psilogd", || is_gone(child));

    // a daemon that is killed leaves none behind either
    let daemon = Psilogd::start(&["-f", "/dev/null", "-C", &root, "memory full 90%/2s"]);
    let child = one_child(&daemon);
    // stopped before it has asked for a signal at that end, it would get none
    let fds = || fs::read_dir(format!("/proc/{child}/fd"));
    until("one descriptor", || fds().is_ok_and(|fds| fds.count() == 1));
    signal(child, "STOP");
    drop(daemon);
    until("the search ends with psilogd", || is_gone(child));
    done()
}

fn not_needed() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let rule = cgroup.rule("cpu full 90%/2s");
    let daemon = Psilogd::start(&["-f", "/dev/null", &rule]);
    assert_eq!(children(daemon.pid()), [0; 0]);
    done()
}

fn stopped() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let root = tree(&scratch);
    let file = scratch.file("conf", RULE);
    let _cpus = exclusive();
    let mut daemon = Psilogd::start(&["-f", &file, "-C", &root]);
    let child = one_child(&daemon);
    let _load = Load::everywhere(None);
    let begin = daemon.wait("begin");
    assert_eq!(begin.keys_or("top"), "/a");

    signal(child, "STOP");
    scratch.file("conf", format!("{RULE}\n{AT_ONCE}\n{RULE}-2\n"));
    daemon.signal("HUP");
    daemon.wait("reload");
    for (event, rule) in [
        ("begin", "whole-2"),
        ("still", "whole"),
        ("still", "whole-2"),
    ] {
        let line = wait(&mut daemon, event, rule);
        assert!(!line.has("top"), "{}", line.text);
    }
    assert_eq!(children(daemon.pid()), [child]);
    signal(child, "CONT");
    assert_eq!(wait_for_top(&mut daemon).key("top"), "/a");

    signal(child, "KILL");
    until("no zombie", || children(daemon.pid()).is_empty());
    let ticks = daemon.cpu_ticks();
    let since = Instant::now();
    wait(&mut daemon, "still", "whole");
    let spent = daemon.cpu_ticks() - ticks;
    assert!(spent <= 5, "{spent} ticks in {:?}", since.elapsed());
    // a reload starts it again, and forgets what it had found
    daemon.signal("HUP");
    daemon.wait("reload");
    assert_ne!(one_child(&daemon), child);
    assert_eq!(wait_for_top(&mut daemon).key("top"), "/a");
    let (status, _, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    done()
}

/// A file system whose server never answers: to look a name up there waits for ever.
fn hanging() -> Outcome {
    let mount = "exec 9<>/dev/fuse && \
                 mount -i -t fuse -o fd=9,rootmode=40000,user_id=0,group_id=0 none \"$0/a\"";
    let scratch = Scratch::new();
    let root = tree(&scratch);
    if let Err(why) = works("unshare", &["-Urm", "sh", "-c", mount, &root]) {
        return skip(format!("no FUSE mount in a namespace: {why}"));
    }
    let script = format!("{mount} && exec \"$1\" -o stdout -f /dev/null -C \"$0\" \"$2\" \"$3\"");
    let psilogd = program();
    let args = ["-Urm", "sh", "-c", &script, &root, psilogd, RULE, AT_ONCE];
    let _cpus = exclusive();
    let mut daemon = Psilogd::spawn(Command::new("unshare").args(args));
    daemon.wait("start");
    let child = one_child(&daemon);
    // it holds the root open while it waits for what is below
    let hangs = || fs::read_dir(format!("/proc/{child}/fd")).is_ok_and(|fds| fds.count() == 2);
    until("the search hangs", hangs);
    let _load = Load::everywhere(None);
    for (event, rule) in [("begin", "at-once"), ("begin", "whole"), ("still", "whole")] {
        let line = wait(&mut daemon, event, rule);
        assert!(!line.has("top"), "{}", line.text);
    }
    assert!(hangs());
    let stop = Instant::now();
    let (status, rest, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert_eq!(rest.last().map(Line::event), Some("stop"));
    assert!(
        stop.elapsed() < Duration::from_secs(5),
        "{:?}",
        stop.elapsed()
    );
    until("the search ends with psilogd", || is_gone(child));
    done()
}

/// From the reading of the pressure file to the line.
fn calls() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let root = tree(&scratch);
    let file = scratch.file("conf", "memory full 99%/2s");
    let _cpus = exclusive();
    let mut daemon = Psilogd::start(&["-f", &file, "-C", &root]);
    let trace = match Trace::start(&daemon, &scratch, "all") {
        Ok(trace) => trace,
        Err(why) => return skip(why),
    };
    let _load = Load::everywhere(None);
    scratch.file("conf", format!("{RULE}\n{AT_ONCE}\n"));
    daemon.signal("HUP");
    let begins = ["at-once", "whole"].map(|rule| wait(&mut daemon, "begin", rule));
    let calls = trace.end();
    for begin in begins {
        let id = format!(" id={} ", begin.key("id"));
        let line = calls.iter().position(|call| call.contains(&id));
        let line = line.expect("a begin");
        let reading = calls[..line]
            .iter()
            .rposition(|call| call.contains("pread64("));
        let between = &calls[reading.expect("a reading") + 1..line];
        assert!(between.len() <= 3, "{between:#?}");
        let asks = |call: &String| call.contains("sendto(");
        assert!(
            !between.iter().any(asks) && calls.iter().any(asks),
            "{calls:#?}"
        );
    }
    done()
}
