//! Memory: that it is locked, and that nothing faults on the way from an event to its
//! line, for every resource that can be stalled here.

use std::ffi::CString;
use std::fs::{self, File};
use std::io;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::Trial;
use psilogd::sys::{self, Slot};
use psilogd::time::Micros;

use crate::support::*;

pub fn trials() -> Vec<Trial> {
    let mut trials = vec![
        trial("memory::none_for_cpu", cpu),
        trial("memory::none_for_io", io),
        trial("memory::none_for_memory", memory),
        trial("memory::none_for_a_new_cgroup", new_cgroup),
        trial("memory::none_for_the_whole_system", whole_system),
        trial(
            "memory::the_start_says_if_memory_is_not_locked",
            memory_lock,
        ),
    ];
    // cargo's binary has not the layout of packaging/static.ld
    if is_static() {
        trials.push(trial("memory::little_code_is_resident", resident_code));
    }
    trials
}

fn is_static() -> bool {
    program().contains("-linux-musl/")
}

/// How many daemons are watched at once: where in a page a stack begins is random.
const STARTS: usize = 12;

/// How often as many are started; `make faults` sets it.
fn rounds() -> usize {
    let rounds = std::env::var("PSILOGD_TEST_ROUNDS").ok();
    rounds.map_or(1, |rounds| rounds.parse().expect("a number"))
}

const RULE: &str = "cpu some 20%/2s for=0 clear=2s";

fn cpu() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let rule = cgroup.rule(RULE);
    hold_against_faults(&rule, || (), || Load::start(Some(&cgroup.path)))
}

/// The cgroup is created, and its trigger armed, after memory was locked.
fn new_cgroup() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let rule = format!("{RULE} cgroup={}/*", cgroup.cgroup());
    let first = cgroup.path.join("first");
    let create = || {
        let _ = fs::remove_dir(&first);
        fs::create_dir(&first).expect("a cgroup");
    };
    hold_against_faults(&rule, create, || Load::start(Some(&first)))
}

fn io() -> Outcome {
    let scratch = Scratch::new();
    let file = scratch.0.join("file");
    let write = format!(
        "dd if=/dev/zero of={} bs=4k count=50 oflag=dsync 2> /dev/null",
        file.display()
    );
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let load = || Load::of(&write, &cgroup.path);
    if !stalls(&cgroup, "io.pressure", 100_000, load) {
        return skip("writing to this disk stalls nothing");
    }
    hold_against_faults(&cgroup.rule("io some 1%/2s for=0 clear=2s"), || (), load)
}

fn memory() -> Outcome {
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let Some((limited, limit)) = memory_limit(&cgroup) else {
        return skip("no cgroup with a memory limit can be made");
    };
    let scratch = Scratch::new();
    fs::write(limited.join(limit), "8M")?;
    let enter = format!(
        "echo $$ > {}/cgroup.procs; head -c 64M /dev/zero > {}",
        limited.display(),
        scratch.0.join("file").display()
    );
    let load = || Load::of(&enter, &cgroup.path);
    let outcome = match stalls(&cgroup, "memory.pressure", 20_000, load) {
        false => skip("writing more than the limit stalls nothing"),
        true => {
            let rule = cgroup.rule("memory some 1ms/2s for=0 clear=2s");
            hold_against_faults(&rule, || (), load)
        }
    };
    if limited != cgroup.path {
        until("rmdir", || fs::remove_dir(&limited).is_ok());
    }
    outcome
}

/// A cgroup in which the memory of what `cgroup` runs can be limited, and the file that
/// does it: itself, or one of version 1.
fn memory_limit(cgroup: &Cgroup) -> Option<(PathBuf, &'static str)> {
    if cgroup.path.join("memory.max").exists() {
        return Some((cgroup.path.clone(), "memory.max"));
    }
    let limited = Path::new("/sys/fs/cgroup/memory").join(&cgroup.name);
    fs::create_dir(&limited).ok()?;
    Some((limited, "memory.limit_in_bytes"))
}

/// Whether the load stalls a cgroup for so many microseconds within a few seconds.
fn stalls(cgroup: &Cgroup, file: &str, least: u64, load: impl Fn() -> Load) -> bool {
    let _load = load();
    let end = Instant::now() + Duration::from_secs(8);
    while total(&cgroup.path.join(file), "some") < least {
        if Instant::now() > end {
            return false;
        }
        thread::sleep(Duration::from_millis(50));
    }
    true
}

/// Receivers for [`start_for_faults`]: what comes by the local socket is read and
/// forgotten, the other one is only there.
fn receivers(scratch: &Scratch) -> io::Result<(UdpSocket, String)> {
    let local = UnixDatagram::bind(scratch.0.join("log"))?;
    local.set_read_timeout(Some(DEADLINE))?;
    thread::spawn(move || while local.recv(&mut [0; 2048]).is_ok() {});
    let far = UdpSocket::bind("127.0.0.1:0")?;
    let udp = format!("udp:{}", far.local_addr()?);
    Ok((far, udp))
}

/// A daemon that is watched for page faults, with every kind of output but the kernel's
/// log, which belongs to the host.
fn start_for_faults(rules: &[String], scratch: &Scratch, udp: &str) -> Psilogd {
    let ready = UnixDatagram::bind(scratch.0.join("ready")).expect("a socket");
    ready.set_read_timeout(Some(DEADLINE)).expect("a time-out");
    let syslog = format!("syslog:{}/log", scratch.0.display());
    let journal = format!("journal:{}/log", scratch.0.display());
    let mut command = binary();
    command.env("NOTIFY_SOCKET", scratch.0.join("ready"));
    command.args(["-f", "/dev/null"]);
    for output in ["stdout", "stderr", &syslog, &journal, udp] {
        command.args(["-o", output]);
    }
    command.args(rules);
    let daemon = Psilogd::spawn(&mut command);
    // memory is locked by then, and the loop is entered
    let length = uninterrupted(|| ready.recv(&mut [0; 512])).expect("its state");
    assert!(length > 0);
    fs::remove_file(scratch.0.join("ready")).expect("a socket");
    daemon
}

/// What others do that wakes every daemon with a rule on a cgroup, and takes memory then:
/// they mount something, or create or remove a cgroup in the root.
struct Others([File; 2]);

impl Others {
    fn watch() -> Result<Others, Box<dyn std::error::Error>> {
        let mounts = File::open("/proc/self/mountinfo")?;
        let root = cgroup_root().ok_or(NO_CGROUP)?;
        let root = CString::new(root.into_os_string().into_vec())?;
        let cgroups = sys::inotify()?;
        sys::inotify_add(cgroups.as_fd(), &root, libc::IN_CREATE | libc::IN_DELETE)?;
        Ok(Others([mounts, cgroups]))
    }

    fn were_quiet(&self) -> Result<bool, Box<dyn std::error::Error>> {
        let slot = |file: &File| Slot::new(file.as_fd(), libc::POLLIN | libc::POLLPRI);
        let mut slots = self.0.each_ref().map(slot);
        sys::poll(&mut slots, Some(Micros::ZERO))?;
        // mountinfo can always be read
        let seen = slots[0].seen() & libc::POLLPRI != 0 || slots[1].seen() != 0;
        Ok(!seen)
    }
}

/// From the moment at which memory is locked until an episode has ended, nothing faults,
/// whether the page is on a disk or was never touched before. A round says nothing where
/// others have woken the daemons.
fn hold_against_faults(rule: &str, arm: impl Fn(), load: impl Fn() -> Load) -> Outcome {
    const DISTURBED_MAX: usize = 10; // one after the other
    let _cpus = shared();
    let (mut held, mut disturbed) = (0, 0);
    while held < rounds() {
        match hold_a_round(rule, &arm, &load)? {
            true => (held, disturbed) = (held + 1, 0),
            false => disturbed += 1,
        }
        if disturbed == DISTURBED_MAX {
            return skip("others mount or create cgroups all the time");
        }
    }
    done()
}

/// Whether nobody disturbed it.
fn hold_a_round(
    rule: &str,
    arm: impl Fn(),
    load: impl Fn() -> Load,
) -> Result<bool, Box<dyn std::error::Error>> {
    let scratch = Scratch::new();
    let (_far, udp) = receivers(&scratch)?;
    let start = |_| start_for_faults(&[rule.into()], &scratch, &udp);
    let mut daemons: Vec<Psilogd> = (0..STARTS).map(start).collect();
    let _tree = no_new_cgroups();
    let others = Others::watch()?;
    arm();
    let armed = |daemon: &Psilogd| daemon.pressure_fds().len() == 1;
    until("every trigger is armed", || daemons.iter().all(armed));
    // what arms a cgroup is not on the way from an event to its line
    until("they wait", || daemons.iter().all(is_asleep));
    let before: Vec<_> = daemons.iter().map(page_faults).collect();
    let pressure = load();
    for daemon in &mut daemons {
        daemon.wait("begin");
    }
    drop(pressure);
    for daemon in &mut daemons {
        daemon.wait("end");
    }
    let after: Vec<_> = daemons.iter().map(page_faults).collect();
    if !others.were_quiet()? {
        return Ok(false);
    }
    assert_eq!(after, before, "minor and major page faults");
    Ok(true)
}

/// Beside such a rule runs the process that looks for the most-stalled cgroup, and what
/// nobody has written since its start is in one memory with it: the first write would be a
/// fault, and need a page. So many rules that their alerts, and their lines, fill a few.
fn whole_system() -> Outcome {
    const RULES: usize = 60;
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let _cpus = exclusive();
    let scratch = Scratch::new();
    let (_far, udp) = receivers(&scratch)?;
    let rule = |number| format!("cpu some 40%/10s for=0 name=rule{number}");
    let rules: Vec<String> = (0..RULES).map(rule).collect();
    let start = |_| start_for_faults(&rules, &scratch, &udp);
    let mut daemons: Vec<Psilogd> = (0..3).map(start).collect();
    // no event can be there before four seconds
    let before: Vec<_> = daemons.iter().map(page_faults).collect();
    let _load = Load::everywhere(None);
    for daemon in &mut daemons {
        (0..RULES).for_each(|_| drop(daemon.wait("begin")));
    }
    let after: Vec<_> = daemons.iter().map(page_faults).collect();
    assert_eq!(after, before, "minor and major page faults");
    done()
}

/// What /proc/PID/stat says behind the name: field 3 of proc(5) and the others.
fn stat(daemon: &Psilogd) -> String {
    let stat = fs::read_to_string(format!("/proc/{}/stat", daemon.pid())).expect("alive");
    let (_, fields) = stat.rsplit_once(") ").expect("a name");
    fields.into()
}

fn is_asleep(daemon: &Psilogd) -> bool {
    stat(daemon).starts_with('S')
}

/// Minor and major page faults so far: fields 10 and 12.
fn page_faults(daemon: &Psilogd) -> (u64, u64) {
    let stat = stat(daemon);
    let fields: Vec<&str> = stat.split(' ').collect();
    let number = |field: usize| fields[field - 3].parse().expect("a number");
    (number(10), number(12))
}

/// Of the code only what runs from an event to its line is there, whatever the outputs: 78
/// to 84 KB. A function that stands elsewhere brings the 64 KB around it.
fn resident_code() -> Outcome {
    const MOST: u64 = 112;
    let Some(cgroup) = Cgroup::new() else {
        return skip(NO_CGROUP);
    };
    let _cpus = shared();
    let scratch = Scratch::new();
    let (_far, udp) = receivers(&scratch)?;
    let mut daemon = start_for_faults(&[cgroup.rule(RULE)], &scratch, &udp);
    let load = Load::start(Some(&cgroup.path));
    daemon.wait("begin");
    drop(load);
    daemon.wait("end");
    let smaps = fs::read_to_string(format!("/proc/{}/smaps", daemon.pid()))?;
    let is_code = |line: &&str| line.contains(" r-xp ") && line.ends_with(program());
    let mut lines = smaps.lines().skip_while(|line| !is_code(line));
    let resident = lines.find_map(|line| line.strip_prefix("Rss:"));
    let kilobytes = resident.and_then(|rest| rest.trim().strip_suffix(" kB"));
    let kilobytes: u64 = kilobytes.expect("Rss in smaps").parse()?;
    assert!((1..=MOST).contains(&kilobytes), "{kilobytes} KB");
    done()
}

/// Whether the kernel has locked memory is what the start line says.
fn memory_lock() -> Outcome {
    if let Some(why) = no_trigger() {
        return skip(why);
    }
    let locked = |daemon: &Psilogd| daemon.proc_status("VmLck") > 0;
    let mut daemon = Psilogd::spawn(binary().args(["-o", "stdout"]).args(["-f", "/dev/null"]));
    let start = daemon.wait("start");
    // unlocked for a moment behind the line, while what only the start needed is dropped
    until("what the line says", || {
        locked(&daemon) != start.has("mlock")
    });
    // without a limit of its own, the capability of root comes before it
    let refused = "ulimit -l 0 && exec \"$@\"";
    let mut command = Command::new("setpriv");
    match works("setpriv", &["--bounding-set=-ipc_lock", "true"]) {
        Ok(()) => command.args(["--bounding-set=-ipc_lock", "sh"]),
        Err(_) => {
            command = Command::new("sh");
            &mut command
        }
    };
    let program = ["-c", refused, "sh", program(), "-o", "stdout"];
    let mut daemon = Psilogd::spawn(command.args(program).args(["-f", "/dev/null"]));
    let start = daemon.wait("start");
    if locked(&daemon) {
        return skip("the right to lock memory can't be given up");
    }
    assert_eq!(start.key("mlock"), "EPERM");
    done()
}
