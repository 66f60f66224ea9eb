//! Episodes under real pressure, held against counters that the test reads
//! itself; and silence where there is none.

use std::ffi::CString;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;

use psilogd::config::BUILT_IN;
use psilogd::roots::Roots;
use psilogd::rule::Rule;
use psilogd::sys;
use psilogd::trigger::Trigger;

use crate::support::*;
use crate::trace::{POLL, Trace};

pub fn trials() -> Vec<Trial> {
    vec![
        trial("kernel::an_episode_of_the_whole_system", whole_system),
        trial("kernel::an_episode_of_a_cgroup", of_cgroup),
        trial("kernel::for_0_takes_the_kernel_at_its_word", for_0),
        trial("kernel::silence_while_idle", silence),
        trial("kernel::idle_costs_two_wakeups_a_minute", wakeups),
        trial(
            "kernel::pressure_shorter_than_for_is_silent",
            shorter_than_for,
        ),
        trial("kernel::grace_after_boot", grace),
        trial("kernel::the_rate_limit_suppresses_and_sums_up", rate_limit),
        trial("kernel::a_cgroup_that_goes_and_comes_back", gone),
        trial("kernel::rules_that_can_not_be_armed", not_armed),
        trial("kernel::no_pressure_files", no_psi),
        trial("kernel::verbose_logs_crossings_and_readings", verbose),
        trial("kernel::a_trigger_is_closed_on_exec", closed_on_exec),
    ]
}

const QUIET: [&str; 2] = ["-f", "/dev/null"];
const WINDOW: f64 = 2.0;

/// Loads a CPU for a while and holds begin, still and end against the file, as the
/// test itself reads it. The cgroup is new, so that all of its pressure is ours.
fn hold_against(file: &Path, rule: &str, cgroup: &Path) {
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], rule]);
    // Only one reading before the begin: each could steal the event of an
    // unprivileged trigger. Later on the daemon reads by its own timer.
    let mut samples = vec![(Instant::now(), total(file, "some"))];
    let load = Load::start(Some(cgroup));
    load.spins();
    let spins = samples[0].0.elapsed().as_secs_f64();
    let begin = daemon.wait("begin");
    assert!(
        begin
            .text
            .contains(": event=begin level=crit rule=test res=cpu kind=some id=")
    );
    assert_eq!(begin.key("threshold_pct"), "20.00");
    let behind = total(file, "some") as f64 - begin.number("total_us");
    assert!(
        (0.0..1_000_000.0).contains(&behind),
        "total_us is {behind} us behind the file"
    );
    let still = daemon.wait("still");
    assert_eq!(still.key("id"), begin.key("id"));
    // RULE's repeat=, in tenths of a second that are cut off
    let between = still.number("dur_s") - begin.number("dur_s");
    assert!(between >= 5.9, "{}, {}", begin.text, still.text);
    samples.push((Instant::now(), total(file, "some")));
    drop(load);
    let end = loop {
        samples.push((Instant::now(), total(file, "some")));
        match daemon.next(Duration::from_millis(50)) {
            Some(line) if line.event() == "end" => break line,
            _ => assert!(samples[0].0.elapsed() < DEADLINE * 5, "{:?}", daemon.seen),
        }
    };
    assert_eq!(end.key("id"), begin.key("id"));
    let (lasted, stalled) = until_calm(&samples);
    let (dur, logged) = (end.number("dur_s"), end.number("stalled_us"));
    // the onset is between the first sample and the time at which all spun
    let off = WINDOW + 0.05 * lasted;
    assert!(
        (lasted - spins - off..=lasted + off).contains(&dur),
        "{dur} s, {lasted} s by the clock, {spins} s until all spun: {:#?} {samples:?}",
        daemon.seen
    );
    let allowed = WINDOW * 1e6 + 0.05 * stalled;
    assert!(
        (logged - stalled).abs() <= allowed,
        "{logged} us, {stalled} us by the file"
    );
    let mean = logged / dur / 1e4;
    assert!((end.number("mean_pct") - mean).abs() < 1.0, "{}", end.text);
    assert!(
        end.number("worst_pct") + 0.01 >= end.number("mean_pct"),
        "{}",
        end.text
    );
    let (status, rest, _) = daemon.end("TERM");
    assert!(status.success());
    assert_eq!(rest.last().map(Line::event), Some("stop"));
}

/// Seconds and stalled microseconds from the first sample to the one behind which
/// no window reaches RULE's threshold.
fn until_calm(samples: &[(Instant, u64)]) -> (f64, f64) {
    let reached = |from: &(Instant, u64)| {
        let window = samples
            .iter()
            .find(|(at, _)| at.duration_since(from.0).as_secs_f64() >= WINDOW);
        window.is_some_and(|(_, total)| total - from.1 >= 400_000)
    };
    let calm = samples.iter().rposition(reached).map_or(1, |last| {
        // the pressed window's own end
        let from = samples[last].0;
        let inside = |(at, _): &(Instant, u64)| at.duration_since(from).as_secs_f64() < WINDOW;
        last + samples[last..]
            .iter()
            .take_while(|sample| inside(sample))
            .count()
    });
    let (first, calm) = (samples[0], samples[calm.min(samples.len() - 1)]);
    (
        calm.0.duration_since(first.0).as_secs_f64(),
        (calm.1 - first.1) as f64,
    )
}

const RULE: &str = "cpu some 20%/2s for=4s clear=4s repeat=6s level=crit name=test";

/// Whatever else runs here adds to the pressure: so the figures lie between what the
/// file grew by since before the daemon started, and since the begin was seen.
fn whole_system() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let _cpus = exclusive();
    let file = Path::new("/proc/pressure/cpu");
    let started = (Instant::now(), total(file, "some"));
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], RULE]);
    let load = Load::everywhere(None);
    let begin = daemon.wait("begin");
    let begun = (Instant::now(), total(file, "some"));
    let behind = begun.1 as f64 - begin.number("total_us");
    assert!((0.0..1_000_000.0).contains(&behind), "{behind} us behind");
    let still = daemon.wait("still");
    assert_eq!(still.key("id"), begin.key("id"));
    let (status, rest, _) = daemon.end("TERM");
    let grown = total(file, "some");
    drop(load);
    assert!(status.success());
    let [end, stop] = &rest[..] else {
        panic!("{rest:#?}");
    };
    assert_eq!((end.event(), stop.event()), ("end", "stop"));
    assert_eq!(
        (end.key("id"), end.key("reason")),
        (begin.key("id"), "stop")
    );
    let most = started.0.elapsed().as_secs_f64() + WINDOW;
    let dur = end.number("dur_s");
    assert!((still.number("dur_s")..most).contains(&dur), "{}", end.text);
    let logged = end.number("stalled_us");
    assert!(
        (still.number("stalled_us")..=(grown - started.1) as f64).contains(&logged),
        "{logged} us, {} by the file",
        grown - started.1
    );
    done()
}

fn of_cgroup() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let file = cgroup.path.join("cpu.pressure");
    hold_against(&file, &cgroup.rule(RULE), &cgroup.path);
    done()
}

fn for_0() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=0 clear=2s");
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &rule]);
    let load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    assert_eq!(begin.key("cgroup"), format!("/{}", cgroup.name));
    assert_eq!(begin.key("level"), "warning");
    assert_eq!(begin.key("rule"), "cpu-some");
    drop(load);
    let end = daemon.wait("end");
    assert!(end.number("stalled_us") >= 400_000.0, "{}", end.text);
    done()
}

/// The first events of an unprivileged trigger are false: its window starts from
/// another counter, so once a group has stalled for two seconds in its life, the
/// least stall fires one for a threshold of 99.5 %. No line may come of it. Where
/// neighbours leave the group no CPU for two seconds, a line is true, and the counter
/// shows it.
fn silence() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = exclusive();
    let load = Load::start(Some(&cgroup.path));
    let file = cgroup.path.join("cpu.pressure");
    until("2.5 s of stall", || total(&file, "some") > 2_500_000);
    drop(load);
    let _load = Load::light(Some(&cgroup.path));
    let rules = [
        cgroup.rule("cpu some 1990ms/2s for=0 name=some"),
        cgroup.rule("cpu full 1990ms/2s for=0 name=full"),
        cgroup.rule("memory some 1990ms/2s for=0 name=memory"),
        cgroup.rule("io full 1990ms/2s for=0 name=io"),
    ];
    let args: Vec<&str> = QUIET
        .into_iter()
        .chain(rules.iter().map(String::as_str))
        .collect();
    let before = rules.each_ref().map(|rule| stalled(&cgroup, rule));
    let mut watcher = Psilogd::start(&args);
    let mut built_in = Psilogd::start(&QUIET);
    if let Some(line) = watcher.next(Duration::from_secs(12)) {
        assert_eq!(line.event(), "begin", "{line:?}");
        let named = |rule: &String| rule.contains(&format!("name={} ", line.key("rule")));
        let rule = rules.iter().position(named).expect("its rule");
        let grown = line.number("total_us") - before[rule] as f64;
        assert!(grown >= 1_990_000.0, "{grown} us: {line:?}");
    }
    let line = built_in.next(Duration::ZERO);
    assert!(line.is_none(), "{line:?}");
    for daemon in [watcher, built_in] {
        let (status, rest, errors) = daemon.end("TERM");
        assert!(status.success());
        let last = rest.last().map(Line::event);
        assert_eq!((last, errors.as_str()), (Some("stop"), ""));
        let lost = rest.iter().find(|line| line.event() == "lost");
        assert!(lost.is_none(), "{lost:?}");
    }
    done()
}

/// The counter of a rule on a cgroup.
fn stalled(cgroup: &Cgroup, rule: &str) -> u64 {
    let mut words = rule.split(' ');
    let (resource, kind) = (words.next().expect("cpu"), words.next().expect("some"));
    total(&cgroup.path.join(format!("{resource}.pressure")), kind)
}

/// By the returns of poll(2). The kernel also wakes a process inside of it, as context
/// switches show, where another one closes a trigger of the same file: that daemon of
/// another test may have a pattern.
fn wakeups() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let rules = [
        cgroup.rule("cpu some 10%/2s name=a"),
        cgroup.rule("memory full 10%/2s name=b"),
        cgroup.rule("io full 10%/2s name=c"),
    ];
    let args: Vec<&str> = QUIET
        .into_iter()
        .chain(rules.iter().map(String::as_str))
        .collect();
    let mut daemon = Psilogd::start(&args);
    // past the false first events of unprivileged triggers
    assert!(daemon.next(Duration::from_secs(8)).is_none());
    let scratch = Scratch::new();
    let polls = format!("{POLL},/^pread");
    let trace = match Trace::start(&daemon, &scratch, &polls) {
        Ok(trace) => trace,
        Err(why) => return skip(why),
    };
    let allowed = match sys::has_sys_resource() {
        true => 0,
        false => {
            // from this fallback reading, the next one but one is a minute away
            until("a wake-up", || trace.text().contains("pread"));
            1
        }
    };
    assert!(daemon.next(Duration::from_secs(55)).is_none());
    let calls = trace.end();
    // what somebody else mounts wakes whoever watches cgroups (mounts_poll)
    let woken = calls
        .iter()
        .filter(|call| call.contains("poll") && call.contains(" = "))
        .filter(|call| !call.contains("revents=POLLPRI|POLLERR"));
    let woken = woken.count();
    assert!(woken <= allowed, "{woken} wake-ups: {calls:#?}");
    done()
}

fn shorter_than_for() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=14s clear=2s");
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], "-v", &rule]);
    let load = Load::start(Some(&cgroup.path));
    let state = |daemon: &mut Psilogd, state: &str| {
        while daemon.wait("reading").key("state") != state {}
    };
    state(&mut daemon, "verifying");
    drop(load);
    state(&mut daemon, "quiet");
    let (_, rest, _) = daemon.end("TERM");
    assert!(!rest.iter().any(|line| line.event() == "begin"), "{rest:?}");
    done()
}

/// Grace runs out while the pressure lasts: the begin comes then, not before.
fn grace() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let uptime = std::fs::read_to_string("/proc/uptime")?;
    let uptime: f64 = uptime
        .split(' ')
        .next()
        .and_then(|up| up.parse().ok())
        .expect("a number");
    let scratch = Scratch::new();
    let grace = uptime as u64 + 12;
    let rule = cgroup.rule("cpu some 20%/2s for=0 clear=2s");
    let file = scratch.file("psilogd.conf", format!("grace {grace}s\n{rule}\n"));
    let mut daemon = Psilogd::start(&["-f", &file]);
    let _load = Load::start(Some(&cgroup.path));
    daemon.wait("begin");
    let now = std::fs::read_to_string("/proc/uptime")?;
    let now: f64 = now
        .split(' ')
        .next()
        .and_then(|up| up.parse().ok())
        .expect("a number");
    assert!(
        now >= grace as f64,
        "begin at {now} s of uptime, in the grace of {grace} s"
    );
    done()
}

fn rate_limit() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let scratch = Scratch::new();
    let rule = cgroup.rule("cpu some 20%/2s for=0 clear=0");
    let file = scratch.file("psilogd.conf", format!("rate_limit 2\n{rule}\n"));
    let mut daemon = Psilogd::start(&["-f", &file, "-v"]);
    let state = |daemon: &mut Psilogd, state: &str| {
        while daemon.wait("reading").key("state") != state {}
    };
    for _ in 0..2 {
        let load = Load::start(Some(&cgroup.path));
        state(&mut daemon, "pressed");
        drop(load);
        state(&mut daemon, "quiet");
    }
    let seen = daemon.seen.clone();
    let (_, rest, _) = daemon.end("TERM");
    let count = |event: &str| seen.iter().filter(|line| line.contains(event)).count();
    // two lines: one begin and its end
    assert_eq!(
        (count("event=begin"), count("event=end")),
        (1, 1),
        "{seen:#?}"
    );
    let suppressed = rest
        .iter()
        .find(|line| line.event() == "suppressed")
        .expect("a summary");
    let keys = " res=cpu kind=some count=2 begins=1 since_s=";
    assert!(suppressed.text.contains(keys), "{suppressed:?}");
    done()
}

/// The directories that are created and removed in one.
struct Changes(File);

impl Changes {
    fn beside(path: &Path) -> io::Result<Changes> {
        let above = path.parent().expect("a parent").as_os_str().as_bytes();
        let inotify = sys::inotify()?;
        let mask = libc::IN_CREATE | libc::IN_DELETE;
        sys::inotify_add(inotify.as_fd(), &CString::new(above)?, mask)?;
        Ok(Changes(inotify))
    }

    /// So far.
    fn count(&mut self) -> u64 {
        let (mut count, mut buffer) = (0, [0; 1 << 16]);
        while let Ok(length @ 1..) = self.0.read(&mut buffer) {
            let mut rest = &buffer[..length];
            // struct inotify_event: three numbers, the length of the name, the name
            while let [_, _, _, _, _, _, _, _, _, _, _, _, a, b, c, d, behind @ ..] = rest {
                rest = &behind[u32::from_ne_bytes([*a, *b, *c, *d]) as usize..];
                count += 1;
            }
        }
        count
    }
}

fn gone() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=0");
    let other = "memory full 90%/2s name=other";
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], &rule, other]);
    let load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    drop(load);
    cgroup.remove();
    let end = daemon.wait("end");
    assert_eq!(
        (end.key("id"), end.key("reason")),
        (begin.key("id"), "gone")
    );
    let lost = daemon.wait("lost");
    assert_eq!(
        (lost.key("rule"), lost.key("errno")),
        ("cpu-some", "ENODEV")
    );
    // POLLERR repeats for ever: a daemon that goes on polling spins. Such a poll does not
    // wait, and shows as time on a CPU. How often others took the CPU says nothing. Where
    // the cgroup is created again, others create and remove theirs: that wakes it as well.
    let wakeups = |daemon: &Psilogd| daemon.proc_status("voluntary_ctxt_switches");
    let mut changes = Changes::beside(&cgroup.path)?;
    let (woken, ran) = (wakeups(&daemon), daemon.cpu_ticks());
    assert!(daemon.next(Duration::from_secs(3)).is_none());
    let (woken, ran) = (wakeups(&daemon) - woken, daemon.cpu_ticks() - ran);
    let woken = woken.saturating_sub(changes.count());
    assert!(
        woken < 10 && ran < 10,
        "{woken} wake-ups, {ran} ticks in 3 s"
    );
    assert_eq!(daemon.pressure_fds().len(), 1);
    std::fs::create_dir(&cgroup.path)?;
    let restored = daemon.wait("restored");
    assert_eq!(restored.key("rule"), "cpu-some");
    let _load = Load::start(Some(&cgroup.path));
    let begin = daemon.wait("begin");
    assert!(begin.key("id").ends_with(".2"), "{}", begin.text);
    done()
}

fn not_armed() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let good = "memory full 90%/2s name=good";
    let bad = "io full 10%/2s name=bad cgroup=/no/such%20group";
    let daemon = Psilogd::start(&[QUIET[0], QUIET[1], good, bad]);
    assert!(
        daemon.seen[0].ends_with(
            "trigger lost: event=lost level=err rule=bad res=io kind=full errno=ENOENT \
         hint=no_cgroup cgroup=/no/such%20group"
        ),
        "{:?}",
        daemon.seen
    );
    assert!(
        daemon.seen[1].contains("event=start level=info version="),
        "{:?}",
        daemon.seen
    );
    assert!(
        daemon.seen[1].contains(" triggers=1 failed=1"),
        "{:?}",
        daemon.seen
    );
    let (status, _, errors) = daemon.end("TERM");
    assert!(status.success());
    let file = "/no/such group/io.pressure: No such file or directory";
    assert!(
        errors.starts_with("psilogd: rule bad is not armed: "),
        "{errors}"
    );
    assert!(
        errors.contains(file) && errors.contains("the cgroup does not exist yet"),
        "{errors}"
    );

    if sys::has_sys_resource() {
        return done(); // any window will do
    }
    let (code, output, errors) = run(&["-o", "stdout", "-f", "/dev/null", "io full 10%/1s"]);
    assert_eq!(code, Some(1), "{errors}");
    assert!(
        errors.contains("without CAP_SYS_RESOURCE a window must be a multiple of 2s"),
        "{errors}"
    );
    assert!(output.contains(" errno=EINVAL hint=window_2s"), "{output}");
    assert!(
        errors.ends_with("psilogd: no rule could be armed\n"),
        "{errors}"
    );
    assert!(!output.contains("event=start"), "{output}");
    done()
}

/// An empty directory mounted over /proc/pressure, for this process alone.
fn no_psi() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let mount = "mount -t tmpfs none /proc/pressure";
    if let Err(why) = works("unshare", &["-m", "sh", "-c", mount]) {
        return skip(format!("nothing can be mounted over /proc/pressure: {why}"));
    }
    let binary = program();
    let script = format!("{mount} && exec {binary} -o stdout -f /dev/null");
    let output = Command::new("unshare")
        .args(["-m", "sh", "-c", &script])
        .output()?;
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("/proc/pressure/memory: No such file or directory"),
        "{errors}"
    );
    assert!(errors.contains("boot with psi=1"), "{errors}");
    let lines = String::from_utf8_lossy(&output.stdout);
    assert_eq!(
        lines.matches(" errno=ENOENT hint=psi_off").count(),
        BUILT_IN.lines().count(),
        "{lines}"
    );
    done()
}

fn verbose() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let rule = cgroup.rule("cpu some 20%/2s for=0");
    let mut daemon = Psilogd::start(&[QUIET[0], QUIET[1], "-v", &rule]);
    let _load = Load::start(Some(&cgroup.path));
    let crossing = daemon.wait("crossing");
    assert_eq!(crossing.key("level"), "debug");
    let reading = daemon.wait("reading");
    assert_eq!(reading.key("total_us"), crossing.key("total_us"));
    done()
}

/// What is needed under memory pressure was touched and locked at start.
fn closed_on_exec() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let rule = Rule::parse("io full 10%/2s".split(' '))?;
    let armed = Trigger::arm(&rule, None, &Roots::find());
    let (trigger, _) = armed.expect("a trigger");
    let number = trigger.as_fd().as_raw_fd();
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{number}"))?;
    let flags = info.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = i32::from_str_radix(flags.expect("flags").trim(), 8)?;
    assert_eq!(flags & libc::O_CLOEXEC, libc::O_CLOEXEC);
    done()
}
