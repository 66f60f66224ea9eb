//! A daemon under test, the pressure that it is to see, and waiting for what is
//! to happen: a line, a state, with a deadline.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{LazyLock, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::thread;
use std::time::{Duration, Instant};

use libtest_mimic::{Completion, Failed, Trial};

pub type Outcome = Result<Completion, Failed>;

/// Far longer than anything here takes; a test that needs it has failed.
pub const DEADLINE: Duration = Duration::from_secs(60);

pub fn trial(name: &'static str, test: fn() -> Outcome) -> Trial {
    Trial::ignorable_test(name, test)
}

/// Ends a test that can't run here.
pub fn skip(why: impl Into<String>) -> Outcome {
    let why = why.into();
    match std::env::var_os("PSILOGD_TEST_NO_SKIP") {
        Some(_) => Err(format!("would be skipped: {why}").into()),
        None => Ok(Completion::ignored_with(why)),
    }
}

pub fn done() -> Outcome {
    Ok(Completion::Completed)
}

/// psilogd: the one that cargo has built, or the one that PSILOGD_TEST_BINARY names.
pub fn program() -> &'static str {
    static PROGRAM: LazyLock<String> = LazyLock::new(|| {
        let built = env!("CARGO_BIN_EXE_psilogd").into();
        std::env::var("PSILOGD_TEST_BINARY").unwrap_or(built)
    });
    &PROGRAM
}

/// It, to be run.
pub fn binary() -> Command {
    Command::new(program())
}

/// Runs psilogd to its end.
pub fn run(args: &[&str]) -> (Option<i32>, String, String) {
    let output = binary()
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("psilogd runs");
    (
        output.status.code(),
        String::from_utf8_lossy(&output.stdout).into_owned(),
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// Standard error of `-n` but for what this host lacks, which is no mistake.
pub fn mistakes(errors: &str) -> String {
    let lines = errors.lines().filter(|line| !is_about_host(line));
    lines.map(|line| format!("{line}\n")).collect()
}

/// What `-n` prints, without the comments: the origin of each line.
pub fn bare(config: &str) -> String {
    let line = |line: &str| format!("{}\n", line.split(" # ").next().unwrap_or(line));
    config.lines().map(line).collect()
}

/// Whether a line warns of a rule that can't be armed on this host.
pub fn is_about_host(line: &str) -> bool {
    line.starts_with("psilogd: warning: rule ") && line.contains(" can't be armed here now: ")
}

/// A log line, taken apart.
#[derive(Clone, Debug)]
pub struct Line {
    pub text: String,
    keys: BTreeMap<String, String>,
}

impl Line {
    pub fn new(text: &str) -> Line {
        let pairs = text.split(' ').filter_map(|word| word.split_once('='));
        Line {
            text: text.into(),
            keys: pairs
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        }
    }

    pub fn key(&self, key: &str) -> &str {
        self.keys
            .get(key)
            .unwrap_or_else(|| panic!("no {key}= in: {}", self.text))
    }

    pub fn has(&self, key: &str) -> bool {
        self.keys.contains_key(key)
    }

    /// The value, or nothing.
    pub fn keys_or(&self, key: &str) -> &str {
        self.keys.get(key).map_or("", String::as_str)
    }

    pub fn event(&self) -> &str {
        self.key("event")
    }

    pub fn number(&self, key: &str) -> f64 {
        self.key(key).parse().expect("a number")
    }
}

/// A running psilogd whose standard output is read line by line.
pub struct Psilogd {
    child: Child,
    lines: Receiver<String>,
    /// All lines that were taken so far, for a failure's message.
    pub seen: Vec<String>,
}

impl Psilogd {
    /// Starts it with `-o stdout` and waits for its start line.
    pub fn start(args: &[&str]) -> Psilogd {
        let mut daemon = Psilogd::spawn(binary().args(["-o", "stdout"]).args(args));
        daemon.wait("start");
        daemon
    }

    pub fn spawn(command: &mut Command) -> Psilogd {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("psilogd starts");
        let (sender, lines) = mpsc::channel();
        let stdout = child.stdout.take().expect("piped");
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Psilogd {
            child,
            lines,
            seen: Vec::new(),
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn next(&mut self, within: Duration) -> Option<Line> {
        match self.lines.recv_timeout(within) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(Line::new(&line))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next line with this event; what comes before it is passed over.
    pub fn wait(&mut self, event: &str) -> Line {
        let end = Instant::now() + DEADLINE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            match self.next(left) {
                Some(line) if line.has("event") && line.event() == event => return line,
                Some(_) => {}
                None => panic!("no event={event} in {DEADLINE:?}; seen: {:#?}", self.seen),
            }
        }
    }

    pub fn signal(&self, name: &str) {
        signal(self.pid(), name);
    }

    /// Sends the signal and takes everything until the process has ended.
    pub fn end(mut self, name: &str) -> (ExitStatus, Vec<Line>, String) {
        self.signal(name);
        let mut rest = Vec::new();
        while let Some(line) = self.next(DEADLINE) {
            rest.push(line);
        }
        let status = self.child.wait().expect("psilogd ends");
        let mut errors = String::new();
        let stderr = self.child.stderr.as_mut().expect("piped");
        stderr.read_to_string(&mut errors).expect("text");
        (status, rest, errors)
    }

    /// A number from /proc/PID/status.
    pub fn proc_status(&self, field: &str) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("alive");
        let line = status.lines().find_map(|line| line.strip_prefix(field));
        let number = line.and_then(|line| line.trim_start_matches(':').split_whitespace().next());
        number
            .and_then(|number| number.parse().ok())
            .expect("a number")
    }

    /// Its time on a CPU, in clock ticks: utime and stime of proc(5).
    pub fn cpu_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.pid())).expect("alive");
        let (_, fields) = stat.rsplit_once(") ").expect("a name");
        let ticks = fields.split(' ').skip(11).take(2);
        ticks
            .map(|field| field.parse::<u64>().expect("a number"))
            .sum()
    }

    /// The descriptors of pressure files and the files behind them.
    pub fn pressure_fds(&self) -> BTreeMap<String, PathBuf> {
        let directory = fs::read_dir(format!("/proc/{}/fd", self.pid())).expect("alive");
        let entries = directory.filter_map(Result::ok).filter_map(|entry| {
            let target = fs::read_link(entry.path()).ok()?;
            let name = entry.file_name().into_string().ok()?;
            let file = target.to_str()?.contains("pressure") && !target.ends_with("pressure");
            file.then_some((name, target))
        });
        entries.collect()
    }
}

impl Drop for Psilogd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub fn signal(pid: u32, name: &str) {
    let status = Command::new("sh")
        .args(["-c", &format!("kill -{name} {pid}")])
        .status()
        .expect("sh runs");
    assert!(status.success(), "kill -{name} {pid}");
}

/// A call that receives with a time-out ends with EINTR when a child of this process ends
/// or stops while another thread starts one: that thread has SIGCHLD blocked, so that the
/// kernel doesn't discard it, and interrupts whoever waits.
pub fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// Waits until the condition holds.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Busy loops that wait for one another: all of a group's time is pressure, whatever
/// else runs on this machine.
pub struct Load(Vec<Child>);

impl Load {
    /// Two on one CPU, the same for every test: tests that run side by side cost
    /// that one CPU, and the others are left to what else runs here.
    pub fn start(cgroup: Option<&Path>) -> Load {
        match (last_cpu(), has_tool("taskset")) {
            (Some(cpu), true) => Load::with(2, &format!("exec taskset -c {cpu}"), ":", cgroup),
            _ => Load::everywhere(cgroup),
        }
    }

    /// More of them than there are CPUs: what is seen of the whole system is a mean
    /// over all CPUs that do anything.
    pub fn everywhere(cgroup: Option<&Path>) -> Load {
        Load::with(2 * cpus(), "exec", ":", cgroup)
    }

    /// Wakes often and needs next to nothing: some microseconds of stall.
    pub fn light(cgroup: Option<&Path>) -> Load {
        Load::with(2 * cpus(), "exec", "sleep 0.02", cgroup)
    }

    /// Waits until all of them spin: on a loaded host a shell takes seconds to start.
    pub fn spins(&self) {
        let spins = |child: &Child| {
            let line = fs::read_to_string(format!("/proc/{}/cmdline", child.id()));
            line.is_ok_and(|line| line.starts_with("sh\0-c\0while"))
        };
        until("the load", || self.0.iter().all(spins));
    }

    /// A shell that runs this again and again.
    pub fn of(body: &str, cgroup: &Path) -> Load {
        Load::with(1, "exec", body, Some(cgroup))
    }

    /// Moves it into a cgroup, of whatever name.
    pub fn enter(&self, cgroup: &Path) {
        for child in &self.0 {
            let procs = cgroup.join("cgroup.procs");
            fs::write(procs, child.id().to_string()).expect("a cgroup");
        }
    }

    fn with(count: usize, exec: &str, body: &str, cgroup: Option<&Path>) -> Load {
        let enter = cgroup.map(|path| format!("echo $$ > {}/cgroup.procs;", path.display()));
        let enter = enter.unwrap_or_default();
        let script = format!("{enter} {exec} sh -c 'while :; do {body}; done'");
        let spin = |_| {
            Command::new("sh")
                .args(["-c", &script])
                .spawn()
                .expect("sh runs")
        };
        Load((0..count).map(spin).collect())
    }
}

fn cpus() -> usize {
    thread::available_parallelism().map_or(2, usize::from)
}

/// The last of the CPUs that this process may run on.
fn last_cpu() -> Option<u32> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let allowed = status
        .lines()
        .find_map(|line| line.strip_prefix("Cpus_allowed_list:"))?;
    allowed.trim().rsplit([',', '-']).next()?.parse().ok()
}

impl Drop for Load {
    fn drop(&mut self) {
        for child in &mut self.0 {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// A file or directory of this test alone, removed with it.
pub struct Scratch(pub PathBuf);

static COUNT: AtomicU32 = AtomicU32::new(0);

fn unique() -> String {
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("psilogd-test-{}-{count}", std::process::id())
}

impl Scratch {
    pub fn new() -> Scratch {
        let path = std::env::temp_dir().join(unique());
        fs::create_dir_all(&path).expect("a directory");
        Scratch(path)
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).expect("a file");
        // whatever the umask is: root's psilogd reads no file that others can write
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&path, mode).expect("its mode");
        path.to_str().expect("text").into()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// Where the cgroup2 tree is mounted, if it is.
pub fn cgroup_root() -> Option<PathBuf> {
    let mountinfo = fs::read("/proc/self/mountinfo").ok()?;
    psilogd::roots::mount_point(&mountinfo)
}

/// A cgroup of this test alone: its pressure is its own, whatever else runs.
pub struct Cgroup {
    pub path: PathBuf,
    pub name: String,
}

impl Cgroup {
    /// None where the cgroup2 tree can't be written.
    pub fn new() -> Option<Cgroup> {
        let name = unique();
        let path = cgroup_root()?.join(&name);
        {
            let _changes = write(&TREE);
            fs::create_dir(&path).ok()?;
        }
        let cgroup = Cgroup { path, name };
        let file = cgroup.path.join("cpu.pressure");
        let open = fs::OpenOptions::new().read(true).write(true).open(file);
        open.is_ok().then_some(cgroup)
    }

    /// `cgroup=` of it.
    pub fn cgroup(&self) -> String {
        format!("/{}", self.name)
    }

    pub fn rule(&self, rule: &str) -> String {
        format!("{rule} cgroup={}", self.cgroup())
    }

    pub fn remove(&self) {
        let _changes = write(&TREE);
        until("rmdir of the cgroup", || fs::remove_dir(&self.path).is_ok());
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        let _changes = write(&TREE);
        remove_tree(&self.path);
    }
}

/// A process that was killed leaves its cgroup a moment later.
fn remove_tree(path: &Path) {
    for entry in fs::read_dir(path).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            remove_tree(&entry.path());
        }
    }
    let end = Instant::now() + Duration::from_secs(5);
    while path.exists() && fs::remove_dir(path).is_err() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
}

pub const NO_CGROUP: &str = "no cgroup2 tree that can be written, with pressure files";

/// What loads the CPUs in a cgroup of its own may run beside others of its
/// kind; what looks at the whole system may not.
static CPUS: RwLock<()> = RwLock::new(());
/// Held by who looks at daemons that a new cgroup in the root would wake, and by
/// [`Cgroup`] while it creates one or removes it.
static TREE: RwLock<()> = RwLock::new(());

pub fn shared() -> RwLockReadGuard<'static, ()> {
    read(&CPUS)
}

pub fn exclusive() -> RwLockWriteGuard<'static, ()> {
    write(&CPUS)
}

pub fn no_new_cgroups() -> RwLockReadGuard<'static, ()> {
    read(&TREE)
}

fn read(lock: &RwLock<()>) -> RwLockReadGuard<'_, ()> {
    lock.read().unwrap_or_else(|poison| poison.into_inner())
}

fn write(lock: &RwLock<()>) -> RwLockWriteGuard<'_, ()> {
    lock.write().unwrap_or_else(|poison| poison.into_inner())
}

/// `total=` of a line of a pressure file, in microseconds.
pub fn total(file: &Path, kind: &str) -> u64 {
    let text = fs::read_to_string(file).expect("a pressure file");
    let line = text
        .lines()
        .find(|line| line.starts_with(kind))
        .expect("the kind");
    line.rsplit_once("total=")
        .and_then(|(_, n)| n.parse().ok())
        .expect("a total")
}

/// Why no trigger on the whole system can be armed here; None where one can be.
pub fn no_trigger() -> Option<String> {
    let file = "/proc/pressure/cpu";
    let why = match fs::read(file) {
        Ok(_) => fs::OpenOptions::new().write(true).open(file).err()?,
        Err(why) => why,
    };
    Some(format!("no trigger can be armed: {file}: {why}"))
}

/// Whether the kernel records pressure.
pub fn has_psi() -> bool {
    Path::new("/proc/pressure/cpu").exists()
}

pub fn has_tool(name: &str) -> bool {
    let which = Command::new("sh")
        .args(["-c", &format!("command -v {name}")])
        .output();
    which.is_ok_and(|output| output.status.success())
}

/// Whether a program is there and does this; if not, why.
pub fn works(program: &str, args: &[&str]) -> Result<(), String> {
    match Command::new(program).args(args).output() {
        Err(_) => Err(format!("{program} is not installed")),
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(errors.lines().next().unwrap_or("no reason given").into())
        }
    }
}
