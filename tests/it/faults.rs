//! Calls of the system that fail under a running psilogd: strace(1) has the kernel's
//! answer replaced. Nothing of it may end psilogd, make it spin, or lose anything in
//! silence.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use psilogd::roots::Roots;

use crate::cgroups::{Subtree, armed};
use crate::support::*;
use crate::trace::{POLL, traced};

pub fn trials() -> Vec<Trial> {
    vec![
        trial(
            "faults::poll_that_fails_now_and_then_is_not_noticed",
            poll_once,
        ),
        trial(
            "faults::poll_that_fails_for_ever_is_replaced",
            poll_for_ever,
        ),
        trial("faults::a_read_that_fails_once_is_made_again", read_once),
        trial("faults::a_rule_of_the_whole_system_is_restored", restored),
        trial("faults::a_trigger_is_armed_at_the_second_attempt", arm_once),
        trial("faults::signals_that_can_not_be_read_are_taken", signals),
        trial("faults::a_reload_without_memory_is_made", no_memory),
        trial("faults::cgroups_that_are_mounted_late_are_watched", mounted),
        trial(
            "faults::unread_changes_of_cgroups_are_found",
            unread_changes,
        ),
        trial("faults::a_filter_of_capset_is_named", capset),
        trial("faults::mountinfo_is_read_again", mountinfo),
        trial("faults::who_asks_is_polled_with_the_capability", asked),
        trial("faults::fewer_descriptors_cost_the_newest_cgroups", fewer),
        trial("faults::a_file_at_its_limit_ends_nothing", full),
        trial("faults::the_last_lines_are_on_standard_error", unheard),
    ]
}

const QUIET: [&str; 2] = ["-f", "/dev/null"];
/// open(2), as musl and glibc have it.
const OPEN: &str = "?open,openat";

/// A tracer that has calls of a running psilogd fail.
struct Fault(Child);

impl Fault {
    /// `calls` fail as `how` says, in the words of strace's `inject=`. Why they can't, if
    /// so.
    fn start(daemon: &Psilogd, calls: &str, how: &str) -> Result<Fault, String> {
        Fault::of(daemon, calls, how, &[])
    }

    /// Only those that concern these files.
    fn of(daemon: &Psilogd, calls: &str, how: &str, files: &[&str]) -> Result<Fault, String> {
        let inject = format!("inject={calls}:{how}");
        let mut command = Command::new("strace");
        command
            .args(["-qq", "-o", "/dev/null", "-e", &format!("trace={calls}")])
            .args(["-e", &inject])
            .args(files.iter().flat_map(|file| ["-P", file]));
        traced(daemon, command).map(Fault)
    }

    /// Calls work again.
    fn end(mut self) {
        signal(self.0.id(), "INT");
        let _ = self.0.wait();
    }
}

impl Drop for Fault {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn events(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(Line::event).collect()
}

/// Every other poll fails, the first one too: an episode is as it would be otherwise.
fn poll_once() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=2s clear=2s");
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &rule]);
    let fault = match Fault::start(&daemon, POLL, "error=ENOMEM:when=1+2") {
        Ok(fault) => fault,
        Err(why) => return skip(why),
    };
    let load = Load::start(Some(&cgroup.path));
    daemon.wait("begin");
    drop(load);
    daemon.wait("end");
    let seen = daemon.seen.len();
    // while it still fails
    let (status, rest, errors) = daemon.end("TERM");
    drop(fault);
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert_eq!((seen, events(&rest)), (3, vec!["stop"]), "{rest:#?}");
    done()
}

/// No poll works: the counters are read, and signals taken, without an event.
fn poll_for_ever() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=2s clear=2s");
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &rule]);
    let fault = match Fault::start(&daemon, POLL, "error=EINVAL") {
        Ok(fault) => fault,
        Err(why) => return skip(why),
    };
    // the poll that it waits in has begun before
    daemon.signal("USR1");
    let lost = daemon.wait("lost");
    assert_eq!((lost.key("errno"), lost.key("hint")), ("EINVAL", "poll"));
    let ran = daemon.cpu_ticks();
    let load = Load::start(Some(&cgroup.path));
    daemon.wait("begin");
    drop(load);
    daemon.wait("end");
    let ran = daemon.cpu_ticks() - ran;
    assert!(ran < 50, "{ran} ticks");
    fault.end();
    daemon.wait("restored");
    let _fault = Fault::start(&daemon, POLL, "error=ENOMEM")?;
    let _load = Load::start(Some(&cgroup.path));
    daemon.wait("begin");
    let (status, rest, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    let last = events(&rest);
    assert_eq!(last[last.len() - 2..], ["end", "stop"], "{rest:#?}");
    done()
}

/// A second read is made at once, so that every other one may fail.
fn read_once() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=2s clear=2s");
    for error in ["ENOMEM", "EIO", "EINTR", "EAGAIN"] {
        // a new one, whose episode is no relapse
        let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &rule]);
        let fault = Fault::start(&daemon, "pread64", &format!("error={error}:when=1+2"));
        let fault = match fault {
            Ok(fault) => fault,
            Err(why) => return skip(why),
        };
        let load = Load::start(Some(&cgroup.path));
        let begin = daemon.next(DEADLINE).expect("a line");
        drop(load);
        let end = daemon.next(DEADLINE).expect("a line");
        fault.end();
        assert_eq!((begin.event(), end.event()), ("begin", "end"), "{error}");
        assert!(!end.has("reason"), "{}", end.text);
    }
    done()
}

/// No read works for more than a second: the rule is lost, and restored without a
/// reload.
fn restored() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let _cpus = exclusive();
    let rule = "cpu some 5%/2s for=2s name=whole";
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], rule]);
    let fault = match Fault::start(&daemon, "pread64", "error=EIO") {
        Ok(fault) => fault,
        Err(why) => return skip(why),
    };
    let _load = Load::everywhere(None);
    let lost = daemon.wait("lost");
    assert_eq!((lost.key("rule"), lost.key("errno")), ("whole", "EIO"));
    fault.end();
    daemon.wait("restored");
    daemon.wait("begin");
    let (status, rest, _) = daemon.end("TERM");
    assert!(status.success());
    assert_eq!(events(&rest), ["end", "stop"], "{rest:#?}");
    done()
}

/// A rule that a reload adds, while one open, read or write of its file fails, and while
/// every open does.
fn arm_once() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let rule = "memory full 90%/2s";
    let file = scratch.file("psilogd.conf", rule);
    let mut daemon = Psilogd::start(&["-f", &file]);
    let io = "/proc/pressure/io";
    for (call, error, when) in [
        (OPEN, "ENOMEM", ":when=1"),
        (OPEN, "EINTR", ":when=1"),
        ("pread64", "EIO", ":when=1"),
        ("write", "EAGAIN", ":when=1"),
        (OPEN, "ENFILE", ""),
    ] {
        let fault = match Fault::of(&daemon, call, &format!("error={error}{when}"), &[io]) {
            Ok(fault) => fault,
            Err(why) => return skip(why),
        };
        scratch.file("psilogd.conf", format!("{rule}\nio full 90%/2s\n"));
        daemon.signal("HUP");
        let first = daemon.next(DEADLINE).expect("a line");
        if when.is_empty() {
            assert_eq!(first.event(), "lost", "{}", first.text);
            assert_eq!(daemon.wait("reload").key("failed"), "1");
            fault.end();
            daemon.wait("restored");
            break;
        }
        assert_eq!(first.event(), "reload", "{error} of {call}: {}", first.text);
        assert_eq!(first.key("failed"), "0");
        fault.end();
        scratch.file("psilogd.conf", rule);
        daemon.signal("HUP");
        daemon.wait("reload");
    }
    assert_eq!(daemon.pressure_fds().len(), 2);
    done()
}

/// The signalfd can't be read: a signal that stays there would have every poll(2) return
/// at once.
fn signals() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    for error in ["EIO", "EINTR", "EAGAIN"] {
        let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], "memory full 90%/2s"]);
        let fault = match Fault::start(&daemon, "read", &format!("error={error}")) {
            Ok(fault) => fault,
            Err(why) => return skip(why),
        };
        let ran = daemon.cpu_ticks();
        daemon.signal("USR1");
        daemon.wait("alive");
        assert!(daemon.next(Duration::from_secs(2)).is_none());
        let ran = daemon.cpu_ticks() - ran;
        assert!(ran < 20, "{error}: {ran} ticks in 2 s");
        let (status, rest, _) = daemon.end("TERM");
        drop(fault);
        assert!(status.success(), "{error}");
        assert_eq!(events(&rest), ["stop"]);
    }
    done()
}

/// prlimit(1) leaves psilogd the memory that it has, and a reload takes more.
fn no_memory() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if !has_tool("prlimit") {
        return skip("prlimit is not installed");
    }
    let scratch = Scratch::new();
    let file = scratch.file("conf", "memory full 90%/2s name=old");
    let mut daemon = Psilogd::start(&["-f", &file]);
    let comment = "# comment\n".repeat(20_000);
    scratch.file("conf", format!("{comment}memory full 91%/2s name=new"));
    works("prlimit", &["--pid", &daemon.pid().to_string(), "--as=1"])?;
    for _ in 0..3 {
        daemon.signal("HUP");
        daemon.wait("reload");
    }
    daemon.signal("USR1");
    assert_eq!(daemon.wait("status").key("rule"), "new");
    assert!(daemon.end("TERM").0.success());
    done()
}

/// inotify can't be read once: nothing is logged. It can't be read for long: that is logged,
/// and what has changed meanwhile is found.
fn unread_changes() -> Outcome {
    let Some(subtree) = Subtree::new() else {
        return skip(NO_CGROUP);
    };
    let rule = subtree.rule("memory full 99%/2s", "*");
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &rule]);
    let is_armed = |daemon: &Psilogd, name: &str| armed(daemon, &subtree).contains(name);
    let fault = match Fault::start(&daemon, "read", "error=EIO:when=1") {
        Ok(fault) => fault,
        Err(why) => return skip(why),
    };
    subtree.make("once");
    until("a trigger", || is_armed(&daemon, "once"));
    fault.end();
    // as if poll(2) had been wrong
    let fault = Fault::start(&daemon, "read", "error=EAGAIN")?;
    let ran = daemon.cpu_ticks();
    subtree.make("long");
    let lost = daemon.next(DEADLINE).expect("a line");
    assert_eq!((lost.event(), lost.key("hint")), ("lost", "inotify"));
    fault.end();
    daemon.wait("restored");
    let ran = daemon.cpu_ticks() - ran;
    assert!(ran < 50, "{ran} ticks");
    until("a trigger", || is_armed(&daemon, "long"));
    done()
}

/// In a user namespace, where every process has CAP_SYS_RESOURCE: a psilogd with a rule that
/// needs it, and its first line. Why it can't be, if so.
fn capable(args: &[&str]) -> Result<(Psilogd, Line), String> {
    works("unshare", &["-Ur", "true"])
        .map_err(|why| format!("no user namespace can be created: {why}"))?;
    let mut command = Command::new("unshare");
    command.args(["-Ur", program(), "-o", "stdout"]);
    let mut daemon = Psilogd::spawn(command.args(args));
    let line = daemon.next(DEADLINE).expect("a line");
    match line.event() {
        "lost" => Err(format!("no capability in a user namespace: {}", line.text)),
        _ => Ok((daemon, line)),
    }
}

/// A filter that forbids what arming a cgroup needs is named, with what allows it. A rule
/// with a short window keeps the capability.
fn capset() -> Outcome {
    let Some(subtree) = Subtree::new() else {
        return skip(NO_CGROUP);
    };
    let rule = subtree.rule("cpu full 99%/2s name=many", "*");
    let short = "memory full 99%/500ms name=short";
    let mut daemon = match capable(&[QUIET[0], QUIET[1], &rule, short]) {
        Ok((daemon, _)) => daemon,
        Err(why) => return skip(why),
    };
    let fault = match Fault::start(&daemon, "capset", "error=EPERM") {
        Ok(fault) => fault,
        Err(why) => return skip(why),
    };
    subtree.make("a");
    let lost = daemon.wait("lost");
    let keys = (lost.key("rule"), lost.key("errno"), lost.key("hint"));
    assert_eq!(keys, ("many", "EPERM", "capset"), "{}", lost.text);
    assert!(armed(&daemon, &subtree).is_empty());
    fault.end();
    // a filter stays, so that it is not tried again by itself
    daemon.signal("HUP");
    daemon.wait("restored");
    until("a trigger", || armed(&daemon, &subtree).contains("a"));
    done()
}

/// In a mount namespace of its own: no hierarchy at the start, then one, none, and one
/// again, without a reload.
fn mounted() -> Outcome {
    if Cgroup::new().is_none() {
        return skip(NO_CGROUP);
    }
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    // where this host has it: the sandbox allows no other place
    let mount = Roots::find().cgroup.expect("a mount");
    let mount = mount.to_str().expect("text");
    let hide = "umount -a -l -t cgroup2";
    let script = format!("{hide} && mount -t cgroup2 none {mount}");
    if let Err(why) = works("unshare", &["-m", "sh", "-c", &script]) {
        return skip(format!("no hierarchy can be mounted: {why}"));
    }
    let mut command = Command::new("unshare");
    let script = format!("{hide} && exec \"$@\"");
    let binary = program();
    command.args(["-m", "sh", "-c", &script, "sh", binary, "-o", "stdout"]);
    let whole = "memory full 90%/2s name=whole";
    command.args([
        QUIET[0],
        QUIET[1],
        "cpu some 90%/2s name=p cgroup=/*",
        whole,
    ]);
    let mut daemon = Psilogd::spawn(&mut command);
    let lost = daemon.wait("lost");
    assert_eq!((lost.key("rule"), lost.key("hint")), ("p", "no_cgroup2"));
    let start = daemon.wait("start");
    assert_eq!((start.key("triggers"), start.key("failed")), ("1", "1"));
    let pid = daemon.pid().to_string();
    let inside = |words: &[&str]| works("nsenter", &[&["-m", "-t", &pid], words].concat());
    inside(&["mount", "-t", "cgroup2", "none", mount])?;
    daemon.wait("restored");
    let state = |daemon: &mut Psilogd| {
        daemon.signal("USR1");
        let line = std::iter::repeat_with(|| daemon.wait("status"));
        let mut tally = line.filter(|line| line.key("rule") == "p" && line.has("capped"));
        tally.next().expect("a line").key("state").to_string()
    };
    assert_eq!(state(&mut daemon), "quiet");
    for (words, expected) in [
        (&["umount", "-l", mount][..], "lost"),
        (&["mount", "-t", "cgroup2", "none", mount], "quiet"),
    ] {
        inside(words)?;
        let end = Instant::now() + DEADLINE;
        while state(&mut daemon) != expected {
            assert!(Instant::now() < end, "not {expected} after {words:?}");
        }
    }
    // what is created now is noticed
    let cgroup = Cgroup::new().expect("a cgroup");
    let armed = || {
        let files = daemon.pressure_fds().into_values();
        let mut names = files.filter_map(|file| file.to_str().map(String::from));
        names.any(|file| file.contains(&cgroup.name))
    };
    until("the cgroup armed", armed);
    done()
}

/// Two attempts at the start fail: the next ones are those of the fallback reading.
fn mountinfo() -> Outcome {
    if Cgroup::new().is_none() {
        return skip(NO_CGROUP);
    }
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if let Err(why) = works("strace", &["-qq", "-D", "-o", "/dev/null", "true"]) {
        return skip(format!("no call can be made to fail: {why}"));
    }
    let mut command = Command::new("strace");
    command.args(["-D", "-qq", "-o", "/dev/null", "-e", "trace=openat"]);
    command.args(["-e", "inject=openat:error=EMFILE:when=1..2"]);
    command.args(["-P", "/proc/self/mountinfo", program()]);
    let whole = "memory full 90%/2s name=whole";
    command.args([QUIET[0], QUIET[1], "-o", "stdout", whole]);
    let mut daemon = Psilogd::spawn(command.arg("cpu some 90%/2s name=p cgroup=/*"));
    let lost = daemon.wait("lost");
    let keys = (lost.key("rule"), lost.key("errno"), lost.key("hint"));
    assert_eq!(keys, ("p", "EMFILE", "no_cgroup2"), "{}", lost.text);
    assert_eq!(daemon.wait("start").key("failed"), "1");
    assert_eq!(daemon.wait("restored").key("rule"), "p");
    daemon.signal("TERM");
    daemon.wait("stop");
    done()
}

fn asked() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let start = |text: &str| {
        let file = scratch.file("psilogd.conf", format!("{text}\nmemory full 90%/1s\n"));
        capable(&["-v", "-f", &file])
    };
    let line = match start("poll auto") {
        Ok((_, line)) => line,
        Err(why) => return skip(why),
    };
    assert!(!line.has("poll_s"), "{}", line.text);
    let (mut daemon, line) = start("poll 2s")?;
    assert_eq!((line.event(), line.key("poll_s")), ("start", "2.0"));
    for _ in 0..3 {
        assert_eq!(daemon.wait("reading").key("state"), "quiet");
    }
    // read without an event
    assert!(
        !daemon
            .seen
            .iter()
            .any(|line| line.contains("event=crossing"))
    );
    done()
}

/// prlimit(1) lowers the limit below the poll array's length. The rule of the whole
/// system and the oldest cgroups stay, and what is given up is logged.
fn fewer() -> Outcome {
    let Some(parent) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    if !has_tool("prlimit") {
        return skip("prlimit is not installed");
    }
    for index in 0..40 {
        fs::create_dir(parent.path.join(index.to_string()))?;
    }
    let pattern = format!("io full 90%/2s name=p cgroup={}/*", parent.cgroup());
    let whole = "memory full 90%/2s name=whole";
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &pattern, whole]);
    let pid = daemon.pid().to_string();
    let limit = |limits: &str| {
        let limits = format!("--nofile={limits}");
        works("prlimit", &["--pid", &pid, &limits])
    };
    assert_eq!(daemon.pressure_fds().len(), 41);
    // the soft limit alone is raised again, and nothing is logged
    limit("30:")?;
    daemon.signal("USR1");
    daemon.wait("status");
    until("the limit raised", || {
        let limits = fs::read_to_string(format!("/proc/{}/limits", daemon.pid()));
        let limits = limits.expect("alive");
        let files = limits
            .lines()
            .find(|line| line.starts_with("Max open files"));
        files.is_some_and(|line| line.split_whitespace().nth(3) != Some("30"))
    });
    assert_eq!(daemon.pressure_fds().len(), 41);
    limit("30:30")?;
    daemon.signal("USR1");
    let capped = daemon.wait("capped");
    let left = 41 - capped.number("count") as usize;
    assert!((20..30).contains(&left), "{}", capped.text);
    assert_eq!(daemon.pressure_fds().len(), left);
    let whole = daemon.pressure_fds().into_values();
    assert_eq!(whole.filter(|path| path.starts_with("/proc")).count(), 1);
    daemon.signal("USR1");
    while daemon.wait("status").key("rule") != "whole" {}
    daemon.wait("alive");
    let (status, rest, errors) = daemon.end("TERM");
    assert_eq!((status.code(), errors.as_str()), (Some(0), ""));
    assert_eq!(events(&rest), ["stop"]);
    done()
}

/// A log that has reached RLIMIT_FSIZE: the kernel's SIGXFSZ would end psilogd.
fn full() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let scratch = Scratch::new();
    let file = scratch.file("log", "");
    let limited = format!("ulimit -f 0 && exec \"$0\" \"$@\" 2> {file}");
    let mut command = Command::new("sh");
    command.args(["-c", &limited, program()]);
    command.args(["-o", "stderr", "-o", "stdout"]).args(QUIET);
    let mut daemon = Psilogd::spawn(command.arg("memory full 90%/2s"));
    daemon.wait("start");
    daemon.signal("USR1");
    daemon.wait("status");
    let (status, _, _) = daemon.end("TERM");
    assert!(status.success(), "{status}");
    assert_eq!(fs::read_to_string(&file)?, "");
    done()
}

/// The only output is closed while an episode is open.
fn unheard() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let scratch = Scratch::new();
    let pipe = scratch.0.join("pipe");
    assert!(Command::new("mkfifo").arg(&pipe).status()?.success());
    let rule = cgroup.rule("cpu some 20%/2s for=0");
    let script = format!("exec \"$@\" > {}", pipe.display());
    let child = Command::new("sh")
        .args(["-c", &script, "sh", program()])
        .args([QUIET[0], QUIET[1], "-o", "stdout", &rule])
        .stderr(Stdio::piped())
        .spawn()?;
    let mut lines = std::io::BufRead::lines(std::io::BufReader::new(fs::File::open(&pipe)?));
    let mut wait = |event: &str| {
        let line = lines.by_ref().map_while(Result::ok);
        line.map(|line| Line::new(&line))
            .find(|line| line.event() == event)
            .expect("a line")
    };
    wait("start");
    let load = Load::start(Some(&cgroup.path));
    let begin = wait("begin");
    drop(lines);
    signal(child.id(), "USR1");
    let output = child.wait_with_output()?;
    drop(load);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8_lossy(&output.stderr);
    let last: Vec<Line> = errors.lines().map(Line::new).collect();
    assert_eq!(events(&last), ["end", "stop"], "{errors}");
    assert_eq!(last[0].key("id"), begin.key("id"));
    assert!(!last[1].has("signal"), "{errors}");
    done()
}
